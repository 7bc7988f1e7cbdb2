// Clients that take what they can: slow ones, idle ones by the thousand, more than there are
// descriptors for. Everyone else is served throughout.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/load.h"
#include "tests/component/proxy/testing/proxy_process.h"

namespace remuda::proxy::testing {
namespace {

constexpr const char* kPost = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";

// "/large" is more than the sockets on its way hold; an upload is taken whole.
bool Serve(const std::string& head, RawSocket& connection) {
  static const std::string large(16'000'000, 'x');
  if (const size_t at = head.find("Content-Length: "); at != std::string::npos) {
    const size_t size = std::strtoul(head.c_str() + at + 16, nullptr, 10);
    if (connection.ReadBytes(size).size() < size) return false;
  }
  const bool is_large = head.rfind("GET /large", 0) == 0;
  if (!is_large) return connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  // Not as one string: a copy for each of 200 clients takes longer than others may wait.
  return connection.Send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(large.size()) +
                         "\r\n\r\n") &&
         connection.Send(large);
}

double Reasons(ProxyProcess& proxy, const std::string& reason) {
  return std::max(0.0, proxy.Metric("answer_reason_total{reason=\"" + reason + "\"}"));
}

// --- slowhttptest ---------------------------------------------------------------------------

struct SlowClients {
  const char* name;
  std::vector<std::string> arguments;
  const char* reason;  // what ends them
};

class SlowClientsTest : public ::testing::TestWithParam<SlowClients> {};

// Its exit code; -1 if it is not there, or does not end.
int RunSlowHttpTest(std::vector<std::string> arguments, uint16_t port) {
  arguments.insert(arguments.begin(), "slowhttptest");
  for (const std::string& more : {std::string("-c"), std::string("200"), std::string("-r"),
                                  std::string("200"), std::string("-l"), std::string("4")}) {
    arguments.push_back(more);
  }
  arguments.insert(arguments.end(),
                   {"-p", "3", "-u", "http://127.0.0.1:" + std::to_string(port) + "/large"});
  const pid_t pid = fork();
  if (pid == 0) {
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    if (freopen("/dev/null", "w", stdout) == nullptr) _exit(127);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  int status = 0;
  const bool has_ended = WaitUntil([&] { return waitpid(pid, &status, WNOHANG) == pid; });
  if (!has_ended) {
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
  }
  return WIFEXITED(status) && WEXITSTATUS(status) != 127 ? WEXITSTATUS(status) : -1;
}

TEST_P(SlowClientsTest, AreEndedAndOthersAreServed) {
  ScriptedTarget target(Serve);
  ServingProxy proxy(ConfigFor({target.port()}, "", "    idleTimeout: 2s\n"),
                     {"--workers=1", "--head-timeout=1s", "--body-rate-interval=1s"});
  Load load(proxy.Port(), 1);
  const int code = RunSlowHttpTest(GetParam().arguments, proxy.Port());
  ASSERT_GE(code, 0) << "slowhttptest is missing (deploy/install-deps --test) or does not end";
  EXPECT_TRUE(load.WaitForMore(100));
  EXPECT_TRUE(WaitUntil([&] { return Reasons(proxy, GetParam().reason) > 0; }))
      << proxy.AccessLog().substr(0, 2000);
  load.Stop();
  EXPECT_EQ(load.bad(), 0);
  EXPECT_TRUE(WaitUntil([&] { return proxy.Metric("active_connection_count") == 0; }));
}

INSTANTIATE_TEST_SUITE_P(
    SlowHttpTest, SlowClientsTest,
    ::testing::Values(
        SlowClients{"Heads", {"-H", "-c", "200", "-i", "1"}, "ClientHeadTimeout"},
        SlowClients{"Bodies", {"-B", "-c", "200", "-i", "1", "-s", "8192"}, "ClientBodyTimeout"},
        SlowClients{"Reads",
                    {"-X", "-c", "20", "-w", "1", "-y", "1", "-n", "1", "-z", "1", "-k", "1"},
                    "ClientWriteTimeout"}),
    [](const auto& param) { return param.param.name; });

// --- one slow client at a time ------------------------------------------------------------------

TEST(SlowClientTest, BodyBelowTheMinimumRateIsRefused) {
  ScriptedTarget target(Serve);
  ServingProxy proxy(ConfigFor({target.port()}), {"--workers=1", "--body-rate-interval=100ms"});
  RawSocket slow = RawSocket::Connect(proxy.Port());
  slow.Send(kPost);
  // A byte at a time, until the proxy has had enough.
  const bool is_refused = WaitUntil([&] {
    slow.Send("x");
    return Reasons(proxy, "ClientBodyTimeout") == 1;
  });
  EXPECT_TRUE(is_refused);
  EXPECT_EQ(StatusOf(slow.ReadMessage()), 408);
  EXPECT_EQ(BodyOf(Get(proxy.Port())), "ok");
}

// As slow, but the target does not read: that is not the client's fault.
TEST(SlowClientTest, UploadThatTheTargetHoldsUpIsNotSlow) {
  std::atomic<bool> may_read{false};
  ScriptedTarget target([&](const std::string& head, RawSocket& connection) {
    WaitUntil([&] { return may_read.load(); });
    return Serve(head, connection);
  });
  ServingProxy proxy(ConfigFor({target.port()}), {"--workers=1", "--body-rate-interval=50ms"});
  RawSocket client = RawSocket::Connect(proxy.Port());
  const size_t size = 20'000'000;
  std::thread upload([&] {
    client.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(size) +
                "\r\n\r\n" + std::string(size, 'x'));
  });
  // Nothing moves any more: the buffers on the way are full.
  double before = -1;
  EXPECT_TRUE(WaitUntil([&] {
    const double now = proxy.Metric("processed_bytes_total{direction=\"received\"}");
    const bool is_still = now > 0 && now == before;
    before = now;
    return is_still;
  }));
  may_read = true;
  upload.join();
  EXPECT_EQ(StatusOf(client.ReadMessage()), 200);
  EXPECT_EQ(Reasons(proxy, "ClientBodyTimeout"), 0);
}

TEST(SlowClientTest, WhoDoesNotReadIsClosed) {
  ScriptedTarget target([](const std::string&, RawSocket& connection) {
    return connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 30000000\r\n\r\n" +
                           std::string(30'000'000, 'x'));
  });
  ServingProxy proxy(ConfigFor({target.port()}, "", "    idleTimeout: 1s\n"));
  RawSocket client = RawSocket::Connect(proxy.Port());
  client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(WaitUntil([&] { return Reasons(proxy, "ClientWriteTimeout") == 1; }));
  EXPECT_TRUE(WaitUntil([&] { return proxy.AccessLog().find(" 200 200 ") != std::string::npos; }));
  EXPECT_LT(client.ReadToEnd().size(), 30'000'000U);
}

// As nginx, Envoy and AWS take it: who closes its sending side has left.
TEST(SlowClientTest, HalfClosedClientHasLeft) {
  ScriptedTarget target(ScriptedTarget::NeverAnswers());
  ServingProxy proxy(ConfigFor({target.port()}));
  RawSocket client = RawSocket::Connect(proxy.Port());
  client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(WaitUntil([&] { return target.requests() == 1; }));
  shutdown(client.fd(), SHUT_WR);
  EXPECT_EQ(client.ReadToEnd(), "");
  EXPECT_EQ(Reasons(proxy, "ClientClosed"), 1);
}

// --- many ---------------------------------------------------------------------------------------

// Ten thousand where the limit of descriptors allows it, and never so few that it would show
// little.
TEST(ManyClientsTest, ThousandsOfIdleOnesCostLittle) {
  constexpr size_t kWanted = 10'000;
  constexpr size_t kMinimum = 5'000;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  // The proxy reckons with two descriptors a client, and keeps a reserve (BoundByDescriptors).
  const size_t possible = (std::min<size_t>(limit.rlim_max, 1'000'000) - 256) / 2 - 100;
  ASSERT_GE(possible, kMinimum) << "the hard limit of descriptors, " << limit.rlim_max
                                << ", is too low: raise it (ulimit -Hn)";
  const size_t count = std::min(kWanted, possible);
  ScriptedTarget target(Serve);
  ServingProxy proxy(ConfigFor({target.port()}));
  Load load(proxy.Port(), 2);
  ASSERT_TRUE(load.WaitForMore(100));
  const size_t before = proxy.ResidentBytes();
  std::vector<RawSocket> idle;
  for (size_t i = 0; i < count; ++i) {
    idle.push_back(RawSocket::Connect(proxy.Port()));
    ASSERT_TRUE(idle.back().is_open()) << i;
    // Every other one has been used: it holds no more than one that has not.
    if (i % 2 == 0) idle.back().Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  for (size_t i = 0; i < count; i += 2) ASSERT_EQ(StatusOf(idle[i].ReadMessage()), 200) << i;
  ASSERT_TRUE(WaitUntil(
      [&] { return proxy.Metric("active_connection_count") == static_cast<double>(count + 2); }));
  EXPECT_TRUE(load.WaitForMore(500));
  std::printf("%zu idle connections of %zu wanted: %zu bytes each\n", count, kWanted,
              (proxy.ResidentBytes() - before) / count);
  RecordProperty("idle_connections", static_cast<int>(count));
#ifndef REMUDA_SANITIZED
  EXPECT_LT((proxy.ResidentBytes() - before) / count, 4096U);
#endif
  for (RawSocket& client : idle) client.Reset();
  EXPECT_TRUE(WaitUntil([&] { return proxy.Metric("active_connection_count") == 2; }));
  load.Stop();
  EXPECT_EQ(load.bad(), 0);
  EXPECT_EQ(proxy.Metric("rejected_connection_count_total"), 0);
}

// --- descriptors --------------------------------------------------------------------------------

// More clients than the descriptors allow: those over the bound are closed, the reserve keeps the
// checks and the admin pages going.
TEST(DescriptorsTest, ReserveIsNotForClients) {
  std::atomic<bool> may_answer{false};
  ScriptedTarget target([&](const std::string& head, RawSocket& connection) {
    WaitUntil([&] { return may_answer.load(); });
    return Serve(head, connection);
  });
  constexpr size_t kDescriptors = 64;
  constexpr int kBound = 16;  // half of them is reserved, and a client has two
  ProxyProcess proxy(ConfigFor({target.port()}), {"--workers=1"}, kDescriptors);
  ASSERT_TRUE(proxy.WaitReady()) << proxy.Log();
  ASSERT_TRUE(proxy.WaitHealthy(1));
  std::vector<RawSocket> clients;
  for (int i = 0; i < 60; ++i) {
    clients.push_back(RawSocket::Connect(proxy.Port()));
    clients.back().Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  ASSERT_TRUE(WaitUntil([&] { return target.requests() == kBound; }));
  ASSERT_TRUE(
      WaitUntil([&] { return proxy.Metric("rejected_connection_count_total") == 60 - kBound; }));
  // Checks still get descriptors.
  target.SetHealth(500);
  EXPECT_TRUE(proxy.WaitHealthy(0));
  target.SetHealth(200);
  EXPECT_TRUE(proxy.WaitHealthy(1));
  may_answer = true;
  int served = 0;
  for (RawSocket& client : clients) served += StatusOf(client.ReadMessage()) == 200;
  EXPECT_EQ(served, kBound);
  clients.clear();
  EXPECT_TRUE(WaitUntil([&] { return StatusOf(Get(proxy.Port())) == 200; }));
  EXPECT_EQ(proxy.Metric("accept_error_count_total"), 0);
}

// None left at all, as when the whole system has run out: what is open is served, accepting pauses
// without a spin and goes on when there are some again.
TEST(DescriptorsTest, AcceptPausesAndRecovers) {
#ifdef REMUDA_SANITIZED
  GTEST_SKIP() << "the sanitizer takes an object that it has no pipe to look at for a broken one";
#endif
  ScriptedTarget target(Serve);
  std::string config = ConfigFor({target.port()});
  config.replace(config.find("interval: 100ms"), 15, "interval: 300s");  // checks need some too
  ServingProxy proxy(config, {"--workers=1", "--pool-idle-timeout=60m"});
  RawSocket open = RawSocket::Connect(proxy.Port());
  const auto ask = [&] {
    open.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    return StatusOf(open.ReadMessage());
  };
  ASSERT_EQ(ask(), 200);
  rlimit before{};
  ASSERT_EQ(prlimit(proxy.pid(), RLIMIT_NOFILE, nullptr, &before), 0);
  // The number of the next descriptor must not be below the limit: there may be gaps.
  rlimit none = before;
  none.rlim_cur = 3;
  ASSERT_EQ(prlimit(proxy.pid(), RLIMIT_NOFILE, &none, nullptr), 0);
  std::vector<RawSocket> waiting;
  for (int i = 0; i < 5; ++i) {
    waiting.push_back(RawSocket::Connect(proxy.Port()));
    waiting.back().Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  // An observation, not a wait: what it does in this second.
  const auto cpu = proxy.CpuTime();
  const auto begin = std::chrono::steady_clock::now();
  std::this_thread::sleep_for(std::chrono::seconds(1));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  EXPECT_LT((proxy.CpuTime() - cpu).count(), 300 * seconds.count());
  EXPECT_EQ(ask(), 200);
  ASSERT_EQ(prlimit(proxy.pid(), RLIMIT_NOFILE, &before, nullptr), 0);
  for (RawSocket& client : waiting) EXPECT_EQ(StatusOf(client.ReadMessage()), 200);
  const double errors = proxy.Metric("accept_error_count_total");
  EXPECT_GT(errors, 0);
  EXPECT_LT(errors, 20 * seconds.count() + 50);  // one each 50 ms
}

}  // namespace
}  // namespace remuda::proxy::testing
