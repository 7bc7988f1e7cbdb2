// A proxy whose group `blue` lets requests wait for a first target: a controller that the test
// speaks for, a plain listener and one that offers HTTP/2.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "common/message_yaml.h"
#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/fake_controller.h"
#include "tests/component/proxy/testing/http2_fixture.h"
#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/updates.h"

namespace remuda::proxy::testing {

class HoldFixture : public ::testing::Test {
 protected:
  // `group`: fields of blue (YAML), the hold among them. It has no target yet.
  void Start(const std::string& group, int workers = 1,
             const std::vector<std::string>& flags = {}) {
    static const TestCertificate certificate = MakeCertificate({.names = {"shop.test"}});
    std::vector<std::string> all{"--controller=" + controller_.address(), "--name=p1",
                                 "--workers=" + std::to_string(workers)};
    all.insert(all.end(), flags.begin(), flags.end());
    proxy_ = std::make_unique<ProxyProcess>("", std::move(all));
    v1::ConfigUpdate update = Whole(1, port_);
    auto* const balancer = update.mutable_upserts()->mutable_load_balancers(0);
    auto* const tls = balancer->add_listeners();
    *tls = balancer->listeners(0);
    tls->set_port(tls_port_);
    tls->set_protocol(remuda::v1::PROTOCOL_HTTPS);
    tls->add_certificates("web");
    auto* const made = update.mutable_upserts()->add_certificates();
    made->set_name("web");
    made->set_certificate_pem(certificate.pem);
    made->set_private_key_pem(certificate.key_pem);
    SetGroup(update, group);
    whole_ = update;
    controller_.Begin(update);
    ASSERT_EQ(controller_.ExpectAck(1).revision().sequence(), 1) << proxy_->Log();
    ASSERT_TRUE(proxy_->WaitReady());
  }
  static void SetGroup(v1::ConfigUpdate& update, const std::string& group) {
    remuda::v1::TargetGroup more;
    const absl::Status status = ParseMessageYaml(group, "test", &more);
    ASSERT_TRUE(status.ok()) << status;
    update.mutable_upserts()->mutable_target_groups(0)->MergeFrom(more);
  }
  // A change of what is in force.
  void Change(v1::ConfigUpdate update) {
    update.mutable_revision()->set_epoch(1);
    update.mutable_revision()->set_sequence(sequence_ + 1);
    update.mutable_base()->set_epoch(1);
    update.mutable_base()->set_sequence(sequence_++);
    controller_.Send(std::move(update));
  }
  void Add(const ScriptedTarget& target, const std::string& id = "i-1") {
    v1::ConfigUpdate update;
    AddTarget(update, id, target.port());
    Change(update);
  }

  RawSocket Send(const std::string& request) {
    RawSocket client = RawSocket::Connect(port_);
    client.Send(request);
    return client;
  }
  RawSocket SendGet(const std::string& path) {
    return Send("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  std::unique_ptr<Http2Client> ClientOfHttp2() {
    auto client = std::make_unique<Http2Client>(ConnectTls(tls_port_, {.alpn = "\x02h2"}));
    EXPECT_TRUE(client->Start());
    return client;
  }
  bool IsListening() const { return RawSocket::Connect(port_).is_open(); }
  bool WaitHeld(int count) {
    return WaitUntil([&] { return proxy_->Metric("held_requests") == count; });
  }
  // One that is answered so at once.
  static void ExpectRefused(const std::string& answer, const std::string& reason,
                            const std::string& retry_after) {
    EXPECT_EQ(StatusOf(answer), 503) << answer;
    EXPECT_NE(answer.find("X-Remuda-Reason: " + reason + "\r\n"), std::string::npos) << answer;
    EXPECT_NE(answer.find("\r\nRetry-After: " + retry_after + "\r\n"), std::string::npos) << answer;
  }

  FakeController controller_{1};
  const uint16_t port_ = FreePort();
  const uint16_t tls_port_ = FreePort();
  int64_t sequence_ = 1;
  v1::ConfigUpdate whole_;  // what it began with
  std::unique_ptr<ProxyProcess> proxy_;
};

}  // namespace remuda::proxy::testing
