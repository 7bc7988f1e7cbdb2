// Listening sockets that come and go while clients connect: what the kernel has taken is answered.
#include <gtest/gtest.h>
#include <signal.h>

#include <set>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/updates.h"

namespace remuda::proxy::testing {
namespace {

// More than a worker accepts in one go, fewer than any system's backlog.
constexpr int kWaiting = 300;

// Clients that the kernel has taken and the proxy, which is stopped, has not; all have asked.
std::vector<RawSocket> FillBacklog(ProxyProcess& proxy, uint16_t port) {
  proxy.Signal(SIGSTOP);
  std::vector<RawSocket> waiting;
  for (int i = 0; i < kWaiting; ++i) {
    waiting.push_back(RawSocket::Connect(port));
    waiting.back().Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  return waiting;
}

int CountAnswers(std::vector<RawSocket>& waiting, const std::set<int>& statuses) {
  int count = 0;
  for (RawSocket& client : waiting) count += statuses.count(StatusOf(client.ReadMessage())) > 0;
  return count;
}

TEST(ListenersTest, DrainServesTheBacklog) {
  ScriptedTarget target(ScriptedTarget::Answers("app"));
  ServingProxy proxy(ConfigFor({target.port()}));
  auto waiting = FillBacklog(proxy, proxy.Port());
  proxy.Signal(SIGTERM);
  proxy.Signal(SIGCONT);
  EXPECT_EQ(CountAnswers(waiting, {200}), kWaiting);
  EXPECT_EQ(proxy.WaitExit(), 0);
}

// Listeners without an address of their own are where the flag says, and nowhere else.
TEST(ListenersTest, DefaultListenAddressIsForThoseWithoutOne) {
  std::string config = ConfigFor({});
  constexpr std::string_view kAddress = "        address: 127.0.0.1\n";
  config.erase(config.find(kAddress), kAddress.size());
  ProxyProcess proxy(config, {"--default-listen-address=127.0.0.2"});
  ASSERT_TRUE(proxy.WaitReady()) << proxy.Log();
  EXPECT_NE(proxy.Log().find("listening on 127.0.0.2:" + std::to_string(proxy.Port())),
            std::string::npos)
      << proxy.Log();
  // On 127.0.0.1 another program may listen on that port, but this one does not.
  RawSocket::Connect(proxy.Port());
  EXPECT_EQ(proxy.Metric("new_connection_count_total"), 0);
}

TEST(ListenersTest, RemovedListenerAnswersItsBacklog) {
  FakeController controller(1);
  ScriptedTarget target(ScriptedTarget::Answers("app"));
  const uint16_t port = FreePort();
  ProxyProcess proxy("", {"--controller=" + controller.address(), "--name=p1", "--workers=1"});
  controller.Begin(First(port, {{"i-1", target.port()}}));
  ASSERT_TRUE(controller.ExpectHealthy("i-1"));
  auto waiting = FillBacklog(proxy, port);
  v1::ConfigUpdate update = Update(2, 1);
  update.add_removed_load_balancers("shop");
  controller.Send(update);
  proxy.Signal(SIGCONT);
  // Those that it had read before the update came get the target's answer.
  EXPECT_EQ(CountAnswers(waiting, {200, 404}), kWaiting);
  EXPECT_EQ(controller.ExpectAck(2).listeners_size(), 0);
  EXPECT_FALSE(RawSocket::Connect(port).is_open());
}

// More clients ask at once than a worker hears of in one turn, so that some are only found to have
// asked when room is made for those in the backlog.
TEST(ListenersTest, RemovedListenerOfAFullProxyAnswersItsClients) {
  FakeController controller(1);
  ScriptedTarget target(ScriptedTarget::Answers("app"));
  const uint16_t port = FreePort();
  ProxyProcess proxy("", {"--controller=" + controller.address(), "--name=p1", "--workers=1",
                          "--max-connections=" + std::to_string(kWaiting)});
  controller.Begin(First(port, {{"i-1", target.port()}}));
  ASSERT_TRUE(controller.ExpectHealthy("i-1"));
  std::vector<RawSocket> clients;
  for (int i = 0; i < kWaiting; ++i) {
    clients.push_back(RawSocket::Connect(port));
    clients.back().Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_EQ(BodyOf(clients.back().ReadMessage()), "app") << i;
  }
  // They ask before others connect: a signal that stops is sent, not done.
  proxy.Signal(SIGSTOP);
  for (RawSocket& client : clients) client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const auto waiting = FillBacklog(proxy, port);
  v1::ConfigUpdate update = Update(2, 1);
  update.add_removed_load_balancers("shop");
  controller.Send(update);
  proxy.Signal(SIGCONT);
  EXPECT_EQ(CountAnswers(clients, {200, 404}), kWaiting);
  EXPECT_EQ(controller.ExpectAck(2).listeners_size(), 0);
}

// Whoever had the port has ended: nothing else changes, and nobody sends an update.
TEST(ListenersTest, ATakenPortIsTriedAgain) {
  FakeController controller(1);
  ScriptedTarget target(ScriptedTarget::Answers("app"));
  ListeningSocket taken = ListenOnLoopback(1);
  ProxyProcess proxy("", {"--controller=" + controller.address(), "--name=p1", "--workers=2"});
  controller.Begin(First(taken.port, {{"i-1", target.port()}}));
  const v1::Ack ack = controller.ExpectAck(1);
  ASSERT_EQ(ack.listeners_size(), 1);
  EXPECT_EQ(ack.listeners(0).error(), "Address already in use");
  EXPECT_NE(proxy.Admin("/readyz").find("Address already in use"), std::string::npos);
  ASSERT_TRUE(controller.ExpectHealthy("i-1"));
  close(taken.fd);
  const auto report =
      controller.Expect([](const auto& m) { return m.has_listeners(); }).listeners();
  ASSERT_EQ(report.listeners_size(), 1);
  EXPECT_EQ(report.listeners(0).load_balancer(), "shop");
  EXPECT_EQ(report.listeners(0).port(), taken.port);
  EXPECT_EQ(report.listeners(0).error(), "");
  // By each worker.
  for (int i = 0; i < 8; ++i) EXPECT_EQ(BodyOf(Get(taken.port)), "app");
  EXPECT_EQ(proxy.Admin("/readyz"), "ok\n");
}

// What is in front sees that it goes, and may still send until it has taken notice.
TEST(ListenersTest, TheDrainDelayGoesOnServing) {
  ScriptedTarget target(ScriptedTarget::Answers("app"));
  ServingProxy proxy(ConfigFor({target.port()}), {"--workers=1", "--drain-delay=300s"});
  const uint16_t port = proxy.Port();
  proxy.Signal(SIGTERM);
  ASSERT_TRUE(WaitUntil([&] { return proxy.Admin("/readyz") == "draining\n"; }));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(BodyOf(Get(port)), "app");
  proxy.Signal(SIGTERM);  // who has no patience
  EXPECT_EQ(proxy.WaitExit(), 1);
}

TEST(ListenersTest, TheDrainBeginsWhenItsDelayIsOver) {
  ScriptedTarget target(ScriptedTarget::Answers("app"));
  ServingProxy proxy(ConfigFor({target.port()}), {"--workers=1", "--drain-delay=200ms"});
  proxy.Signal(SIGTERM);
  EXPECT_EQ(proxy.WaitExit(), 0);
}

TEST(ListenersTest, UpdateWhileDrainingOpensNone) {
  FakeController controller(1);
  std::atomic<bool> may_answer{false};
  ScriptedTarget slow(ScriptedTarget::AnswersOnce(may_answer, "done"));
  const uint16_t port = FreePort();
  ProxyProcess proxy("", {"--controller=" + controller.address(), "--name=p1", "--workers=2"});
  controller.Begin(First(port, {{"i-1", slow.port()}}));
  ASSERT_TRUE(controller.ExpectHealthy("i-1"));
  RawSocket busy = RawSocket::Connect(port);
  busy.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(WaitUntil([&] { return slow.requests() == 1; }));
  proxy.Signal(SIGTERM);
  ASSERT_TRUE(WaitUntil([&] { return proxy.Admin("/readyz") == "draining\n"; }));

  const uint16_t other = FreePort();
  v1::ConfigUpdate update = Whole(2, other);
  AddTarget(update, "i-1", slow.port());
  controller.Send(update);
  const v1::Ack ack = controller.ExpectAck(2);
  ASSERT_EQ(ack.listeners_size(), 1);
  EXPECT_EQ(ack.listeners(0).error(), "the proxy is draining");
  EXPECT_FALSE(RawSocket::Connect(other).is_open());
  may_answer = true;
  EXPECT_EQ(BodyOf(busy.ReadMessage()), "done");
  EXPECT_EQ(proxy.WaitExit(), 0) << proxy.Log();
}

}  // namespace
}  // namespace remuda::proxy::testing
