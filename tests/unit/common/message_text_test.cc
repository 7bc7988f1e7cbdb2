#include "common/message_text.h"

#include <gtest/gtest.h>

#include <string>

#include "remuda/agent/v1/agent.pb.h"
#include "remuda/proxy/v1/proxy.pb.h"

namespace remuda {
namespace {

TEST(MessageText, EveryStringOfAMessageIsMadeValid) {
  agent::v1::ConnectRequest message;
  auto& hello = *message.mutable_hello();
  hello.set_host("h1");
  (*hello.mutable_labels())["disk"] = "\xff";
  auto& status = *hello.add_instances();
  status.set_message("entry \"caf\xe9\"");
  status.mutable_exit()->set_code(3);
  hello.add_instances()->set_message("caf\xc3\xa9");
  MakeTextValid(message);
  EXPECT_EQ(hello.labels().at("disk"), "\\xff");
  EXPECT_EQ(hello.instances(0).message(), "entry \"caf\\xe9\"");
  EXPECT_EQ(hello.instances(0).exit().code(), 3);
  EXPECT_EQ(hello.instances(1).message(), "caf\xc3\xa9");
  // A receiver can parse it, which it could not before.
  EXPECT_TRUE(agent::v1::ConnectRequest().ParseFromString(message.SerializeAsString()));
}

TEST(MessageText, ListsToo_BytesStay) {
  agent::v1::ConnectRequest message;
  message.mutable_report()->add_removed("i-\xe9");
  MakeTextValid(message);
  EXPECT_EQ(message.report().removed(0), "i-\\xe9");
  message.mutable_log()->set_data("\xff\xfe");
  MakeTextValid(message);
  EXPECT_EQ(message.log().data(), "\xff\xfe");

  proxy::v1::ConnectRequest health;
  health.mutable_health()->add_targets()->set_description("answered \"\xe9\"");
  MakeTextValid(health);
  EXPECT_EQ(health.health().targets(0).description(), "answered \"\\xe9\"");
}

}  // namespace
}  // namespace remuda
