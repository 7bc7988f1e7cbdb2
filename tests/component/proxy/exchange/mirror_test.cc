// Requests that reach a subset by its share, and besides it, from a config file: previews and
// mirroring.
#include <gtest/gtest.h>

#include <mutex>
#include <string>
#include <vector>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"

namespace remuda::proxy::testing {
namespace {

// Group `blue` with a target in each of the subsets `v1`, which has all of the weight, and `v2`.
std::string SplitConfig(uint16_t old_port, uint16_t new_port, const std::string& split_extra,
                        const std::string& group_extra = "") {
  const auto target = [](uint16_t port, const char* subset) {
    return "  - { targetGroup: blue, address: 127.0.0.1, port: " + std::to_string(port) +
           ", subset: " + subset + " }\n";
  };
  return ConfigFor({}, group_extra) + "targets:\n" + target(old_port, "v1") +
         target(new_port, "v2") +
         "trafficSplits:\n"
         "  - targetGroup: blue\n"
         "    subsets: [{ subset: v1, weight: 1 }, { subset: v2, weight: 0 }]\n"
         "    " +
         split_extra + "\n";
}

std::string MirrorConfig(uint16_t old_port, uint16_t new_port, const std::string& mirror,
                         const std::string& group_extra = "") {
  return SplitConfig(old_port, new_port, "mirror: { mirror: { " + mirror + " }, subset: v2 }",
                     group_extra);
}

// Keeps what it was sent, heads and bodies by Content-Length.
class Recorder {
 public:
  Recorder()
      : target_([this](const std::string& head, RawSocket& connection) {
          std::string body;
          if (const size_t at = head.find("Content-Length: "); at != std::string::npos)
            body = connection.ReadBytes(static_cast<size_t>(std::atoi(head.c_str() + at + 16)));
          {
            std::lock_guard lock(mutex_);
            got_.push_back(head + body);
          }
          return ScriptedTarget::Answers("copied")(head, connection);
        }) {}

  uint16_t port() const { return target_.port(); }
  int connections() const { return target_.connections(); }
  std::vector<std::string> got() {
    std::lock_guard lock(mutex_);
    return got_;
  }
  bool WaitFor(size_t count) {
    return WaitUntil([&] { return got().size() >= count; });
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> got_;  // guarded by mutex_
  ScriptedTarget target_;         // the last: its threads use the others
};

std::string Ask(uint16_t port, const std::string& request) {
  RawSocket client = RawSocket::Connect(port);
  client.Send(request);
  return client.ReadMessage();
}

std::string Post(const std::string& body, const std::string& fields = "") {
  return "POST /form HTTP/1.1\r\nHost: shop.test\r\n" + fields +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

double Mirrored(ProxyProcess& proxy) { return proxy.Metric("mirrored_request_count_total"); }
double MirroredErrors(ProxyProcess& proxy) { return proxy.Metric("mirrored_error_count_total"); }
bool WaitMirrored(ProxyProcess& proxy, int count) {
  return WaitUntil([&] { return Mirrored(proxy) >= count; });
}

TEST(SharesTest, AreExactOverAllWorkers) {
  ScriptedTarget old(ScriptedTarget::Answers("old"));
  ScriptedTarget fresh(ScriptedTarget::Answers("new"));
  std::string config = SplitConfig(old.port(), fresh.port(), "");
  const auto replace = [&](const std::string& what, const std::string& with) {
    config.replace(config.find(what), what.size(), with);
  };
  replace("v1, weight: 1", "v1, weight: 95");
  replace("v2, weight: 0", "v2, weight: 5");
  ServingProxy proxy(config, {"--workers=4"});
  std::vector<RawSocket> clients;  // each is with one of the workers
  for (int i = 0; i < 16; ++i) clients.push_back(RawSocket::Connect(proxy.Port()));
  int in_window = 0;
  for (int n = 1; n <= 1000; ++n) {
    RawSocket& client = clients[static_cast<size_t>(n * 7 % 16)];
    client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    in_window += BodyOf(client.ReadMessage()) == "new" ? 1 : 0;
    if (n % 100 != 0) continue;
    EXPECT_EQ(in_window, 5);
    in_window = 0;
  }
}

TEST(PreviewTest, RequestsReachAVersionThatHasNoWeight) {
  ScriptedTarget old(ScriptedTarget::Answers("old"));
  ScriptedTarget fresh(ScriptedTarget::Answers("new"));
  ServingProxy proxy(SplitConfig(
      old.port(), fresh.port(),
      "previews: [{ route: { httpHeader: { httpHeaderName: X-Preview, values: [\"1\"] } }, subset: "
      "v2 }, { route: { cookie: { name: preview, value: \"on\" } }, subset: v2 }]"));
  const auto ask = [&](const std::string& fields) {
    return BodyOf(Ask(proxy.Port(), "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n"));
  };
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ask(""), "old");
    EXPECT_EQ(ask("X-Preview: 1\r\n"), "new");
    EXPECT_EQ(ask("X-Preview: 2\r\n"), "old");
    EXPECT_EQ(ask("Cookie: a=b; preview=on\r\n"), "new");
    EXPECT_EQ(ask("Cookie: preview=off\r\n"), "old");
  }
  fresh.SetHealth(500);
  EXPECT_TRUE(WaitUntil([&] { return ask("X-Preview: 1\r\n") == "old"; }));
}

TEST(PreviewTest, WrongRoutesAreRefusedAtTheFilesDoor) {
  ProxyProcess proxy(SplitConfig(1, 2, "previews: [{ route: { listenerPort: 81 }, subset: v2 }]"),
                     {"--check"});
  EXPECT_EQ(proxy.WaitExit(), 2);
  EXPECT_NE(proxy.Log().find("listener_port: a subset has no port of its own"), std::string::npos)
      << proxy.Log();
}

TEST(MirrorTest, CopiesAreAsTheMirrorSays) {
  ScriptedTarget old(ScriptedTarget::Answers("old"));
  Recorder fresh;
  ServingProxy proxy(MirrorConfig(old.port(), fresh.port(), "percent: 25"), {"--workers=2"});
  for (int i = 0; i < 40; ++i) EXPECT_EQ(BodyOf(Get(proxy.Port())), "old");
  ASSERT_TRUE(WaitMirrored(proxy, 10));
  EXPECT_EQ(Mirrored(proxy), 10);
  EXPECT_EQ(MirroredErrors(proxy), 0);
  EXPECT_EQ(fresh.got().size(), 10U);
  EXPECT_LT(fresh.connections(), 10);  // they are kept alive as others are
  // It is nothing of the target's own.
  const std::string target = "{target=\"127.0.0.1:" + std::to_string(fresh.port()) + "\"}";
  EXPECT_EQ(proxy.Metric("target_request_count_total" + target), 0);
  EXPECT_EQ(proxy.Metric("subset_request_count_total{subset=\"v2\"}"), 0);
  EXPECT_EQ(proxy.Metric("subset_request_count_total{subset=\"v1\"}"), 40);
  EXPECT_EQ(proxy.Metric("target_group_request_count_total"), 40);
}

TEST(MirrorTest, ACopyIsTheRequestWithAFieldMore) {
  Recorder old, fresh;
  ServingProxy proxy(MirrorConfig(old.port(), fresh.port(), "percent: 100"));
  EXPECT_EQ(BodyOf(Ask(proxy.Port(), Post("a=1&b=2", "X-App: x\r\n"))), "copied");
  ASSERT_TRUE(fresh.WaitFor(1));
  std::string copy = fresh.got()[0];
  const std::string field = "X-Remuda-Mirrored: 1\r\n";
  const size_t at = copy.find(field);
  ASSERT_NE(at, std::string::npos) << copy;
  EXPECT_EQ(copy.erase(at, field.size()), old.got()[0]);
}

TEST(MirrorTest, OnlyWhatIsKnownToBeSmallIsCopied) {
  ScriptedTarget old([](const std::string& head, RawSocket& connection) {
    if (head.find("chunked") != std::string::npos) connection.ReadUntil("0\r\n\r\n");
    if (const size_t at = head.find("Content-Length: "); at != std::string::npos)
      connection.ReadBytes(static_cast<size_t>(std::atoi(head.c_str() + at + 16)));
    return ScriptedTarget::Answers("old")(head, connection);
  });
  Recorder fresh;
  ServingProxy proxy(MirrorConfig(old.port(), fresh.port(), "percent: 100, maxBodyBytes: 100000"));
  const auto ask = [&](const std::string& request) {
    EXPECT_EQ(BodyOf(Ask(proxy.Port(), request)), "old");
  };
  ask(Post(std::string(100001, 'x')));
  ask("POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n");
  ask("GET /u HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  ask("GET /m HTTP/1.1\r\nHost: a\r\nX-Remuda-Mirrored: 1\r\n\r\n");
  ask(Post("x", "Expect: 100-continue\r\n"));
  ask(Post(std::string(100000, 'y')));
  ASSERT_TRUE(WaitMirrored(proxy, 1));
  ask("GET /last HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(fresh.WaitFor(2));
  ASSERT_EQ(fresh.got().size(), 2U);
  EXPECT_NE(fresh.got()[0].find(std::string(100000, 'y')), std::string::npos);
  EXPECT_EQ(fresh.got()[1].rfind("GET /last", 0), 0U);
}

// The target gets a body as it comes; a copy leaves when all of it is here.
TEST(MirrorTest, ABodyIsNotHeldUpAndOneThatIsNotWholeIsNotCopied) {
  std::atomic<int> begun{0};
  ScriptedTarget old([&](const std::string& head, RawSocket& connection) {
    if (connection.ReadBytes(5) != "first") return false;
    ++begun;
    return connection.ReadBytes(4) == "last" && ScriptedTarget::Answers("old")(head, connection);
  });
  Recorder fresh;
  ServingProxy proxy(MirrorConfig(old.port(), fresh.port(), "percent: 100"));
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n";
  {
    RawSocket gone = RawSocket::Connect(proxy.Port());
    gone.Send(head + "first");
    ASSERT_TRUE(WaitUntil([&] { return begun == 1; }));
  }
  RawSocket client = RawSocket::Connect(proxy.Port());
  client.Send(head + "first");
  ASSERT_TRUE(WaitUntil([&] { return begun == 2; }));
  EXPECT_EQ(fresh.got().size(), 0U);
  client.Send("last");
  EXPECT_EQ(BodyOf(client.ReadMessage()), "old");
  ASSERT_TRUE(fresh.WaitFor(1));
  EXPECT_EQ(BodyOf(fresh.got()[0]), "firstlast");
  ASSERT_TRUE(WaitMirrored(proxy, 1));
  EXPECT_EQ(fresh.got().size(), 1U);
}

struct Fault {
  const char* name;
  ScriptedTarget::Script script;
  bool is_error;
};

bool AnswerWith(RawSocket& connection, const std::string& answer) {
  connection.Send(answer);
  return false;
}

class MirrorFaultTest : public ::testing::TestWithParam<Fault> {};

// Whatever the mirror does: clients are served, and it is held against nobody.
TEST_P(MirrorFaultTest, TouchesNoClient) {
  ScriptedTarget old(ScriptedTarget::Answers("old"));
  ScriptedTarget fresh(GetParam().script);
  ServingProxy proxy(
      MirrorConfig(old.port(), fresh.port(), "percent: 100",
                   "    passiveEjection: { consecutiveFailures: 1, baseTime: 60s }\n"));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(BodyOf(Get(proxy.Port())), "old");
  EXPECT_EQ(BodyOf(Ask(proxy.Port(), Post(std::string(60000, 'x')))), "old");
  ASSERT_TRUE(WaitMirrored(proxy, 21));
  EXPECT_EQ(MirroredErrors(proxy), GetParam().is_error ? 21 : 0);
  EXPECT_EQ(proxy.Metric("target_failure_count_total"), 0);
  EXPECT_EQ(proxy.Metric("target_error_count_total"), 0);
  EXPECT_EQ(proxy.Metric("passive_ejection_count_total"), 0);
  EXPECT_EQ(proxy.Metric("target_unasked_bytes_count_total"), 0);
  EXPECT_EQ(proxy.Metric("healthy_host_count"), 2);
  EXPECT_EQ(proxy.Metric("retry_count_total"), 0);
  EXPECT_EQ(proxy.Metric("http_code_target_total"), 21);
}

INSTANTIATE_TEST_SUITE_P(
    Mirrors, MirrorFaultTest,
    ::testing::Values(
        Fault{"Closes", [](const std::string&, RawSocket&) { return false; }, true},
        Fault{"Resets",
              [](const std::string&, RawSocket& connection) {
                connection.Reset();
                return false;
              },
              true},
        Fault{"Fails",
              [](const std::string&, RawSocket& c) {
                return AnswerWith(c, "HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n");
              },
              true},
        Fault{"TalksNonsense",
              [](const std::string&, RawSocket& c) { return AnswerWith(c, "hello\r\n\r\n"); },
              true},
        Fault{"Switches",
              [](const std::string&, RawSocket& c) {
                return AnswerWith(
                    c, "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
              },
              true},
        Fault{"CutsItsAnswer",
              [](const std::string&, RawSocket& c) {
                return AnswerWith(c, "HTTP/1.1 200 x\r\nContent-Length: 9\r\n\r\nab");
              },
              true},
        Fault{"AnswersInChunks",
              [](const std::string&, RawSocket& c) {
                return c.Send(
                    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 x\r\nTransfer-Encoding: "
                    "chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
              },
              false},
        Fault{"AnswersUntilItCloses",
              [](const std::string&, RawSocket& c) {
                return AnswerWith(c, "HTTP/1.1 200 x\r\n\r\nabc");
              },
              false},
        Fault{"SaysMoreThanItsAnswer",
              [](const std::string&, RawSocket& c) {
                return AnswerWith(c, "HTTP/1.1 200 x\r\nContent-Length: 1\r\n\r\nabc");
              },
              false},
        Fault{"AnswersWithoutEnd",
              [](const std::string&, RawSocket& c) {
                c.Send("HTTP/1.1 200 x\r\n\r\n");
                const std::string some(65536, 'x');
                while (c.Send(some)) {
                }
                return false;
              },
              false}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(MirrorTest, ARefusedConnectIsAnErrorAndTakesNobodyOut) {
  ScriptedTarget old(ScriptedTarget::Answers("old"));
  ScriptedTarget fresh(ScriptedTarget::Answers("new"));
  // Checked at a port that goes on answering.
  std::string config = MirrorConfig(old.port(), fresh.port(), "percent: 100");
  config.replace(config.find("path: /health"), 0, "port: " + std::to_string(old.port()) + ", ");
  ServingProxy proxy(config);
  fresh.Kill();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(BodyOf(Get(proxy.Port())), "old");
  ASSERT_TRUE(WaitMirrored(proxy, 20));
  EXPECT_EQ(MirroredErrors(proxy), 20);
  EXPECT_EQ(proxy.Metric("healthy_host_count"), 2);
  EXPECT_EQ(proxy.Metric("target_failure_count_total"), 0);
  EXPECT_EQ(proxy.Metric("target_connection_error_count_total"), 0);
}

// One that does not answer holds copies up to the bound, and no request.
TEST(MirrorTest, CopiesAreBounded) {
  ScriptedTarget old(ScriptedTarget::Answers("old"));
  ScriptedTarget fresh(ScriptedTarget::NeverAnswers());
  ServingProxy proxy(MirrorConfig(old.port(), fresh.port(), "percent: 100"));
  for (int i = 0; i < 70; ++i) EXPECT_EQ(BodyOf(Get(proxy.Port())), "old");
  EXPECT_EQ(proxy.Metric("mirror_skipped_count_total"), 6);
  EXPECT_TRUE(WaitUntil([&] { return fresh.requests() == 64; }));
  EXPECT_EQ(proxy.Metric("target_in_flight_count"), 0);
  // Nor does the end wait for them.
  proxy.Signal(SIGTERM);
  EXPECT_EQ(proxy.WaitExit(), 0);
}

// The proxy's clock runs faster: ten seconds are two.
TEST(MirrorTest, ACopyThatIsNotAnsweredIsGivenUp) {
#ifdef REMUDA_SANITIZED
  GTEST_SKIP() << "a sanitizer must be loaded before all else";
#endif
  ScriptedTarget old(ScriptedTarget::Answers("old"));
  ScriptedTarget fresh(ScriptedTarget::NeverAnswers());
  setenv("REMUDA_CLOCK_SPEED", "5", 1);
  setenv("LD_PRELOAD", REMUDA_FAST_CLOCK, 1);
  ProxyProcess proxy(MirrorConfig(old.port(), fresh.port(), "percent: 100"), {"--workers=1"});
  unsetenv("LD_PRELOAD");
  ASSERT_TRUE(proxy.WaitReady()) << proxy.Log();
  ASSERT_TRUE(proxy.WaitHealthy(2));
  EXPECT_EQ(BodyOf(Get(proxy.Port())), "old");
  ASSERT_TRUE(WaitMirrored(proxy, 1));
  EXPECT_EQ(MirroredErrors(proxy), 1);
  // Its connection is not used again.
  EXPECT_EQ(BodyOf(Get(proxy.Port())), "old");
  EXPECT_TRUE(WaitUntil([&] { return fresh.connections() == 2; }));
}

TEST(MirrorTest, CopiesAreBoundedByTheirBytes) {
  ScriptedTarget old([](const std::string& head, RawSocket& connection) {
    connection.ReadBytes(
        static_cast<size_t>(std::atoi(head.c_str() + head.find("Content-Length: ") + 16)));
    return ScriptedTarget::Answers("old")(head, connection);
  });
  ScriptedTarget fresh(ScriptedTarget::NeverAnswers());
  ServingProxy proxy(MirrorConfig(old.port(), fresh.port(), "percent: 100, maxBodyBytes: 1048576"));
  for (int i = 0; i < 9; ++i)
    EXPECT_EQ(BodyOf(Ask(proxy.Port(), Post(std::string(1000000, 'x')))), "old");
  EXPECT_EQ(proxy.Metric("mirror_skipped_count_total"), 1);
}

}  // namespace
}  // namespace remuda::proxy::testing
