// The central promise: once every proxy has confirmed that a target left, nothing arrives at it any
// more, whatever is under way: several workers, retries, queues, HTTP/2, two proxies, all ways of
// leaving.
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "tests/component/proxy/testing/environment.h"
#include "tests/component/proxy/testing/fake_controller.h"
#include "tests/component/proxy/testing/http2_client.h"
#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/recording_targets.h"
#include "tests/component/proxy/testing/tls_client.h"
#include "tests/component/proxy/testing/updates.h"

namespace remuda::proxy::testing {
namespace {

constexpr size_t kTargets = 16;  // the even ones in blue, the odd ones in green
constexpr int kWorkers = 3;

// Targets leave by halves: those of one half while the other serves.
bool IsOfHalf(size_t target, int half) { return static_cast<int>(target / 2 % 2) == half; }
std::string IdOf(size_t target) { return "i-" + std::to_string(target); }
std::string GroupOf(size_t target) { return target % 2 == 0 ? "blue" : "green"; }

// One proxy, its controller, and what it has confirmed.
class Driven {
 public:
  explicit Driven(const std::string& name)
      : port_(FreePort()),
        tls_port_(FreePort()),
        proxy_("", {"--controller=" + controller_.address(), "--name=" + name,
                    "--workers=" + std::to_string(kWorkers)}) {
    controller_.Expect([](const auto& m) { return m.has_hello(); });
  }

  void Start(v1::ConfigUpdate update, const TestCertificate& certificate) {
    auto* balancer = update.mutable_upserts()->mutable_load_balancers(0);
    balancer->mutable_listeners(0)->set_port(port_);
    auto* tls = balancer->add_listeners();
    *tls = balancer->listeners(0);
    tls->set_port(tls_port_);
    tls->set_protocol(remuda::v1::PROTOCOL_HTTPS);
    tls->add_certificates("web");
    auto* made = update.mutable_upserts()->add_certificates();
    made->set_name("web");
    made->set_certificate_pem(certificate.pem);
    made->set_private_key_pem(certificate.key_pem);
    controller_.Send(std::move(update));
    ASSERT_EQ(controller_.ExpectAck(1).revision().sequence(), 1) << proxy_.Log();
    ASSERT_TRUE(proxy_.WaitReady() && proxy_.WaitHealthy(kTargets)) << proxy_.Log();
  }
  void Send(const v1::ConfigUpdate& update) { controller_.Send(update); }
  // Waits until none of `targets` gets a request from this proxy any more. False: it never said so.
  bool AwaitDrained(int64_t sequence, const std::set<std::string>& targets) {
    const auto is_free = [&](const auto& busy) {
      return std::none_of(busy.begin(), busy.end(), [&](const v1::BusyTarget& target) {
        return targets.count(target.target()) > 0;
      });
    };
    const v1::Ack ack = controller_.ExpectAck(sequence);
    if (ack.revision().sequence() != sequence) return false;
    return is_free(ack.busy()) ||
           controller_
               .Expect([&](const auto& m) { return m.has_drain() && is_free(m.drain().busy()); })
               .has_drain();
  }
  uint16_t port() const { return port_; }
  uint16_t tls_port() const { return tls_port_; }
  ProxyProcess& proxy() { return proxy_; }

 private:
  FakeController controller_{1};
  uint16_t port_;
  uint16_t tls_port_;
  ProxyProcess proxy_;
};

// Clients of both protocols that ask until told to stop, and always wait for the answer: what they
// broke off could be read late at a target.
class Clients {
 public:
  ~Clients() { Stop(); }
  void Add(const Driven& driven) {
    for (int i = 0; i < 4; ++i)
      threads_.emplace_back([this, port = driven.port(), i] { AskHttp1(port, i % 2 == 0); });
    for (int i = 0; i < 2; ++i)
      threads_.emplace_back([this, port = driven.tls_port()] { AskHttp2(port); });
  }
  void Stop() {
    is_over_ = true;
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }
  int good() const { return good_; }
  int good_http2() const { return good_http2_; }

 private:
  void AskHttp1(uint16_t port, bool is_post) {
    RawSocket client = RawSocket::Connect(port);
    while (!is_over_) {
      client.Send(is_post ? "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
                          : "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      const std::string answer = client.ReadMessage();
      good_ += StatusOf(answer) == 200;
      if (answer.empty()) client = RawSocket::Connect(port);
    }
  }
  void AskHttp2(uint16_t port) {
    constexpr int kStreams = 8;
    while (!is_over_) {
      Http2Client client(ConnectTls(port, {.alpn = "\x02h2"}));
      if (!client.Start()) continue;
      bool is_open = true;
      while (!is_over_ && is_open) {
        std::vector<uint32_t> streams;
        for (int i = 0; i < kStreams; ++i) streams.push_back(client.SendRequest("GET", "/", true));
        for (const uint32_t stream : streams) {
          const Http2Response response = client.Await(stream);
          good_http2_ += response.status == 200;
          is_open &= response.status != 0;
        }
      }
    }
  }

  std::atomic<bool> is_over_{false};
  std::atomic<int> good_{0};
  std::atomic<int> good_http2_{0};
  std::vector<std::thread> threads_;
};

v1::ConfigUpdate FirstConfig(const RecordingTargets& targets) {
  v1::ConfigUpdate update = Whole(1, 1);
  auto* blue = update.mutable_upserts()->mutable_target_groups(0);
  blue->mutable_health_check()->mutable_interval()->set_seconds(30);
  auto* green = update.mutable_upserts()->add_target_groups();
  *green = *blue;
  green->set_name("targetGroups/green");
  green->set_algorithm(remuda::v1::BALANCING_ALGORITHM_LEAST_OUTSTANDING_REQUESTS);
  // Requests wait in queues here, on either side of a drain.
  blue->mutable_concurrency_limit()->set_max_requests(1);
  blue->mutable_concurrency_limit()->set_max_queue(1000);
  blue->mutable_concurrency_limit()->mutable_queue_timeout()->set_seconds(60);
  update.mutable_upserts()
      ->mutable_load_balancers(0)
      ->mutable_listeners(0)
      ->mutable_default_action()
      ->mutable_forward()
      ->add_target_groups()
      ->set_target_group("green");
  for (size_t i = 0; i < kTargets; ++i) AddTarget(update, IdOf(i), targets.port(i), GroupOf(i));
  return update;
}

// One half leaves, each time in another way, and the other comes back.
v1::ConfigUpdate Swap(int64_t sequence, int half, const RecordingTargets& targets) {
  v1::ConfigUpdate update = Update(sequence, sequence - 1);
  for (size_t i = 0; i < kTargets; ++i) {
    if (!IsOfHalf(i, half)) {
      AddTarget(update, IdOf(i), targets.port(i), GroupOf(i));
    } else if (sequence / 2 % 3 == 0) {
      update.add_removed_targets(GroupOf(i) + "/" + IdOf(i));
    } else {
      AddTarget(update, IdOf(i), targets.port(i), GroupOf(i))
          ->set_state(sequence / 2 % 3 == 1 ? v1::Target::STATE_DRAINING : v1::Target::STATE_GONE);
    }
  }
  return update;
}

TEST(DrainPromiseTest, AfterAConfirmedDrainNothingArrives) {
  const auto wanted = static_cast<int64_t>(NumberFrom("REMUDA_DRAINS", 1200));
  RecordingTargets targets(kTargets);
  const TestCertificate certificate = MakeCertificate({.names = {"shop.test"}});
  Driven one("p1"), two("p2");
  for (Driven* driven : {&one, &two}) {
    driven->Start(FirstConfig(targets), certificate);
    if (HasFatalFailure()) return;
  }
  Clients clients;
  clients.Add(one);
  clients.Add(two);
  int64_t drains = 0;
  for (int64_t sequence = 2; drains < wanted; ++sequence) {
    const int half = static_cast<int>(sequence % 2);
    std::set<std::string> leaving;
    for (size_t i = 0; i < kTargets; ++i) {
      if (IsOfHalf(i, half)) {
        leaving.insert(IdOf(i));
      } else {
        targets.SetConfirmed(i, false);
      }
    }
    const v1::ConfigUpdate update = Swap(sequence, half, targets);
    for (Driven* driven : {&one, &two}) driven->Send(update);
    for (Driven* driven : {&one, &two})
      ASSERT_TRUE(driven->AwaitDrained(sequence, leaving)) << driven->proxy().Log();
    for (size_t i = 0; i < kTargets; ++i) {
      if (IsOfHalf(i, half)) targets.SetConfirmed(i, true);
    }
    drains += static_cast<int64_t>(leaving.size());
    // Under load, and long enough for what was picked too late to arrive.
    const int64_t before = targets.arrivals();
    ASSERT_TRUE(WaitUntil([&] { return targets.arrivals() >= before + 40; }));
    ASSERT_EQ(targets.late_arrivals(), 0) << "after " << drains << " drains";
  }
  clients.Stop();
  EXPECT_EQ(targets.late_arrivals(), 0);
  // It was what it says it is.
  EXPECT_GT(clients.good(), drains);
  EXPECT_GT(clients.good_http2(), drains);
  for (Driven* driven : {&one, &two}) {
    EXPECT_GT(driven->proxy().Metric("retry_count_total"), 0);
    EXPECT_GT(driven->proxy().Metric("queued_request_count_total"), 0);
    EXPECT_GT(driven->proxy().Metric("http2_stream_count_total"), 0);
  }
}

}  // namespace
}  // namespace remuda::proxy::testing
