// What a receiver of another build says: fields and messages that this one does not know cost
// nothing.
#include "controller/sessions/lenient_parse.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>
#include <gtest/gtest.h>

#include <string>

#include "remuda/agent/v1/agent.pb.h"
#include "remuda/proxy/v1/proxy.pb.h"

namespace remuda {
namespace {

constexpr int kUnknownField = 15000;

// Of the length-delimited kind: a text, bytes or a message.
std::string Unknown(const std::string& value) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream out(&stream);
    google::protobuf::internal::WireFormatLite::WriteBytes(kUnknownField, value, &out);
  }
  return bytes;
}

TEST(LenientParseTest, FieldsOfANewerBuildAreNoMatter) {
  agent::v1::ConnectRequest request;
  request.mutable_hello()->set_host("h1");
  for (const std::string& value :
       {std::string("text"), std::string("\xff\xfe no text"), std::string(1000, '\0')}) {
    // Inside what is known, and beside it.
    const std::string inner = request.hello().SerializeAsString() + Unknown(value);
    agent::v1::ConnectRequest whole;
    ASSERT_TRUE(whole.mutable_hello()->ParseFromString(inner));
    agent::v1::ConnectRequest got;
    EXPECT_EQ(LenientParse(whole.SerializeAsString() + Unknown(value), got), Parsed::kWell);
    EXPECT_EQ(got.hello().host(), "h1");
  }
}

TEST(LenientParseTest, AMessageOfANewerBuildIsNoneThatIsKnown) {
  proxy::v1::ConnectRequest got;
  EXPECT_EQ(LenientParse(Unknown("another kind of message"), got), Parsed::kWell);
  EXPECT_EQ(got.message_case(), proxy::v1::ConnectRequest::MESSAGE_NOT_SET);
}

TEST(LenientParseTest, WhatIsMendedMayHaveThemToo) {
  proxy::v1::ConnectRequest request;
  request.mutable_nack()->set_resource("loadBalancers/shop");
  request.mutable_nack()->mutable_revision()->set_sequence(7);
  request.mutable_nack()->set_reason("caf_");
  std::string bytes = request.SerializeAsString();
  bytes[bytes.find("caf_") + 3] = '\xe9';
  proxy::v1::ConnectRequest got;
  EXPECT_EQ(LenientParse(bytes + Unknown("\xff"), got), Parsed::kMended);
  EXPECT_EQ(got.nack().reason(), "caf\xEF\xBF\xBD");
  EXPECT_EQ(got.nack().revision().sequence(), 7);
  EXPECT_EQ(got.nack().resource(), "loadBalancers/shop");
}

// A report of empty instances, or of proxies' targets, as bytes.
TEST(LenientParseTest, WhatAMessageTakesInMemoryIsKnownBeforeItIsParsed) {
  constexpr size_t kLimit = size_t{64} << 20;
  const auto& type = *agent::v1::ConnectRequest::descriptor();
  agent::v1::ConnectRequest request;
  for (int i = 0; i < 10'000; ++i) request.mutable_report()->add_instances();
  const std::string small = request.SerializeAsString();
  const size_t told = ParsedBytes(type, small, kLimit);
  EXPECT_GT(told, request.SpaceUsedLong() / 2) << small.size() << " bytes on the wire";
  EXPECT_LT(told, request.SpaceUsedLong() * 2);

  for (int i = 0; i < 1'000'000; ++i) request.mutable_report()->add_instances();
  EXPECT_GE(ParsedBytes(type, request.SerializeAsString(), kLimit), kLimit);
  // What it does not know it keeps, each for itself.
  std::string unknown;
  for (int i = 0; i < 2'000'000; ++i) unknown += Unknown("");
  EXPECT_GE(ParsedBytes(type, unknown, kLimit), kLimit);
}

TEST(LenientParseTest, WhatIsNoMessageIsWeighedAsFarAsItGoes) {
  const auto& type = *agent::v1::ConnectRequest::descriptor();
  for (const std::string& bytes :
       {std::string("\x22\xff\xff\xff\xff\x0f", 6), std::string("\x22\x05\x0a", 3),
        std::string("\x07"), std::string(1000, '\x23'), std::string(1000, '\xff')}) {
    EXPECT_LT(ParsedBytes(type, bytes, size_t{1} << 30), size_t{1} << 20);
  }
}

// The largest report that a proxy of ours sends is far from the limit.
TEST(LenientParseTest, TheHealthOfAHundredThousandTargetsPasses) {
  proxy::v1::ConnectRequest request;
  for (int i = 0; i < 100'000; ++i) {
    auto& target = *request.mutable_health()->add_targets();
    target.set_target_group("shop");
    target.set_target("i-" + std::to_string(1'000'000'000 + i));
    target.mutable_since()->set_seconds(1'700'000'000);
  }
  constexpr size_t kLimit = size_t{64} << 20;
  EXPECT_LT(ParsedBytes(*request.GetDescriptor(), request.SerializeAsString(), kLimit), kLimit);
}

}  // namespace
}  // namespace remuda
