// The config file while the proxy runs: checked, read again on SIGHUP, refused without harm.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <thread>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"

namespace remuda::proxy::testing {
namespace {

// Rule 5 answers /mark with `mark`; all else goes to the targets.
std::string ConfigWith(const std::vector<uint16_t>& ports, const std::string& mark,
                       const std::string& more_rules = "") {
  return ConfigFor(ports, "", "",
                   "        rules:\n"
                   "          - priority: 5\n"
                   "            conditions: [{ pathPattern: { values: [/mark] } }]\n"
                   "            action: { fixedResponse: { status: 200, body: " +
                       mark + " } }\n" + more_rules);
}

void WriteConfig(const ProxyProcess& proxy, const std::string& text) {
  const std::string path = proxy.directory() + "/proxy.yaml";
  std::ofstream(path + ".new") << text;
  ASSERT_EQ(std::rename((path + ".new").c_str(), path.c_str()), 0);
}

std::string LogOf(const ProxyProcess& proxy) {
  std::ifstream in(proxy.directory() + "/log");
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// Asks on one connection after the other until it is destroyed; counts what is not a 200.
class Load {
 public:
  Load(uint16_t port, int clients) {
    for (int i = 0; i < clients; ++i)
      threads_.emplace_back([this, port, i] { Run(port, i % 2 == 0); });
  }
  ~Load() { Stop(); }
  void Stop() {
    is_stopped_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  int asked() const { return asked_; }
  int failed() const { return failed_; }

 private:
  void Run(uint16_t port, bool keeps_connection) {
    RawSocket client;
    while (!is_stopped_) {
      if (!client.is_open() || !keeps_connection) client = RawSocket::Connect(port);
      client.Send("GET /x HTTP/1.1\r\nHost: shop.test\r\n\r\n");
      if (StatusOf(client.ReadMessage()) != 200) ++failed_;
      ++asked_;
    }
  }

  std::atomic<bool> is_stopped_{false};
  std::atomic<int> asked_{0};
  std::atomic<int> failed_{0};
  std::vector<std::thread> threads_;
};

// It is waited for, but not for ever: the end is not held up.
TEST(ReloadTest, APipeWithoutAnEndIsRefused) {
  ScriptedTarget target(ScriptedTarget::Answers("app"));
  ServingProxy proxy(ConfigWith({target.port()}, "one"));
  const std::string path = proxy.directory() + "/proxy.yaml";
  ASSERT_EQ(unlink(path.c_str()), 0);
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  proxy.Signal(SIGHUP);
  const auto refusals = [&] {
    size_t count = 0;
    const std::string log = LogOf(proxy), refusal = "a pipe that does not end in time";
    for (size_t at = log.find(refusal); at != std::string::npos; at = log.find(refusal, at + 1))
      ++count;
    return count;
  };
  ASSERT_TRUE(WaitUntil([&] { return refusals() == 1; })) << proxy.Log();
  // Nor is a writer waited for that is never done.
  const int writer = open(path.c_str(), O_RDWR | O_NONBLOCK);
  ASSERT_GE(writer, 0);
  proxy.Signal(SIGHUP);
  EXPECT_TRUE(WaitUntil([&] { return write(writer, "#", 1) == 1 && refusals() == 2; }))
      << proxy.Log();
  close(writer);
  EXPECT_EQ(BodyOf(Get(proxy.Port(), "/mark")), "one");
  proxy.Signal(SIGTERM);
  EXPECT_EQ(proxy.WaitExit(), 0);
}

TEST(ReloadTest, ChangesRulesAndTargetsUnderLoadWithoutAFailedRequest) {
  ScriptedTarget first(ScriptedTarget::Answers("one"));
  ScriptedTarget second(ScriptedTarget::Answers("two"));
  ServingProxy proxy(ConfigWith({first.port(), second.port()}, "m0"), {"--workers=2"});
  const uint16_t port = proxy.Port();
  RawSocket idle = RawSocket::Connect(port);  // an unrelated connection is not touched
  idle.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_EQ(StatusOf(idle.ReadMessage()), 200);
  Load load(port, 4);
  for (int i = 1; i <= 20; ++i) {
    const std::string mark = "m" + std::to_string(i);
    const std::vector<uint16_t> ports = i % 2 == 0
                                            ? std::vector<uint16_t>{first.port(), second.port()}
                                            : std::vector<uint16_t>{first.port()};
    WriteConfig(proxy, ConfigWith(ports, mark));
    proxy.Signal(SIGHUP);
    ASSERT_TRUE(WaitUntil([&] { return BodyOf(Get(port, "/mark")) == mark; })) << LogOf(proxy);
    const int before = load.asked();
    ASSERT_TRUE(WaitUntil([&] { return load.asked() > before + 20; }));
  }
  load.Stop();
  EXPECT_EQ(load.failed(), 0) << "of " << load.asked();
  EXPECT_EQ(proxy.Metric("config_reload_total{result=\"success\"}"), 20);
  EXPECT_EQ(proxy.Metric("config_reload_total{result=\"failure\"}"), 0);
  idle.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(StatusOf(idle.ReadMessage()), 200);
}

TEST(ReloadTest, BrokenFileChangesNothingAndSaysWhere) {
  ScriptedTarget target(ScriptedTarget::Answers("app"));
  ServingProxy proxy(ConfigWith({target.port()}, "good"));
  const uint16_t port = proxy.Port();
  int failures = 0;
  const auto expect_refused = [&](const std::string& words) {
    proxy.Signal(SIGHUP);
    ++failures;
    EXPECT_TRUE(WaitUntil(
        [&] { return proxy.Metric("config_reload_total{result=\"failure\"}") == failures; }));
    EXPECT_NE(LogOf(proxy).find(words), std::string::npos) << words << "\n" << LogOf(proxy);
    EXPECT_EQ(BodyOf(Get(port, "/mark")), "good");
    EXPECT_EQ(BodyOf(Get(port)), "app");
  };
  WriteConfig(proxy, ConfigWith({target.port()}, "new", "          - prioritty: 6\n"));
  expect_refused(
      "proxy.yaml:10:13: loadBalancers[0].listeners[0].rules[1].prioritty: unknown field");
  WriteConfig(proxy,
              ConfigWith({target.port()}, "new",
                         "          - priority: 6\n"
                         "            conditions: [{ pathPattern: { regexValues: [\"/(\"] } }]\n"
                         "            action: { redirect: { host: x.test } }\n"));
  expect_refused(
      "proxy.yaml:11:43: "
      "loadBalancers[0].listeners[0].rules[1].conditions[0].pathPattern.regexValues: "
      "loadBalancers/shop: listener 0: rule 6: path_pattern.regex_values: '/(': missing ): /(");
  std::remove((proxy.directory() + "/proxy.yaml").c_str());
  expect_refused("proxy.yaml: cannot be read");
  // And it goes on from there.
  WriteConfig(proxy, ConfigWith({target.port()}, "better"));
  proxy.Signal(SIGHUP);
  EXPECT_TRUE(WaitUntil([&] { return BodyOf(Get(port, "/mark")) == "better"; }));
}

TEST(ReloadTest, NewListenerOpensAndARemovedOneCloses) {
  ScriptedTarget target(ScriptedTarget::Answers("app"));
  ProxyProcess proxy(ConfigFor({target.port()}), {"--workers=2"});
  ASSERT_TRUE(proxy.WaitReady());
  const uint16_t port = proxy.Port();
  const std::string other =
      "  - name: other\n"
      "    listeners: [{ port: 0, address: 127.0.0.1, defaultAction: { fixedResponse: { status: "
      "200, "
      "body: other } } }]\n";
  std::string both = ConfigFor({target.port()});
  both.insert(both.find("\ntargetGroups:") + 1, other);
  WriteConfig(proxy, both);
  proxy.Signal(SIGHUP);
  uint16_t other_port = 0;
  ASSERT_TRUE(WaitUntil([&] {
    const std::string page = proxy.Admin("/listeners");
    const size_t at = page.find("\"load_balancer\":\"other\"");
    const std::string key = "\"actual_port\":";
    const size_t value = at == std::string::npos ? at : page.find(key, at);
    if (value == std::string::npos) return false;
    other_port = static_cast<uint16_t>(std::atoi(page.c_str() + value + key.size()));
    return true;
  }));
  EXPECT_EQ(BodyOf(Get(other_port)), "other");
  EXPECT_EQ(BodyOf(Get(port)), "app");  // the first one stayed where it was
  WriteConfig(proxy, ConfigFor({target.port()}));
  proxy.Signal(SIGHUP);
  EXPECT_TRUE(WaitUntil([&] { return !RawSocket::Connect(other_port).is_open(); }));
}

TEST(CheckTest, SaysOkOrWhatIsWrong) {
  ProxyProcess good(ConfigFor({80}), {"--check"});
  EXPECT_EQ(good.WaitExit(), 0);
  EXPECT_NE(LogOf(good).find("proxy.yaml: ok (1 load balancer, 1 target group)"), std::string::npos)
      << LogOf(good);
  std::string bad_text = ConfigFor({80});
  bad_text.replace(bad_text.find("port: 0"), 7, "port: 70000");
  ProxyProcess bad(bad_text, {"--check"});
  EXPECT_EQ(bad.WaitExit(), 2);
  EXPECT_NE(LogOf(bad).find("proxy.yaml:4:"), std::string::npos) << LogOf(bad);
  EXPECT_NE(LogOf(bad).find("70000 is not within 0-65535"), std::string::npos) << LogOf(bad);
}

TEST(CheckTest, RefusesTimesThatWouldEndEverything) {
  for (const char* flag :
       {"--greeting-timeout", "--head-timeout", "--body-rate-interval", "--connect-timeout"}) {
    ProxyProcess proxy(ConfigFor({80}), {"--check", std::string(flag) + "=0ms"});
    EXPECT_EQ(proxy.WaitExit(), 2);
    EXPECT_NE(LogOf(proxy).find(std::string(flag) + ": '0ms' is below 1ms"), std::string::npos)
        << LogOf(proxy);
  }
}

// Each is named by a field that there is, at the line where it stands.
TEST(CheckTest, MistakesAreWhereTheyStand) {
  constexpr char kListener[] = "{ port: 81, defaultAction: { fixedResponse: { status: 200 } } }";
  const std::string twice = std::string("loadBalancers:\n- name: t\n  listeners:\n  - ") +
                            kListener + "\n  - " + kListener + "\n";
  constexpr char kTargets[] =
      "targetGroups: [{ name: g }]\ntargets:\n"
      "- { targetGroup: g, address: 127.0.0.1, port: 1 }\n"
      "- { targetGroup: g, address: \"[::1]\", port: 1 }\n";
  struct Case {
    std::string config;
    const char* said;
  };
  for (const Case& c : {Case{twice,
                             "proxy.yaml:5:7: loadBalancers[0].listeners[1].port: "
                             "loadBalancers/t: listener 81: port: it is used twice"},
                        Case{kTargets, "proxy.yaml:4:21: targets[1].address: "}}) {
    ProxyProcess proxy(c.config, {"--check"});
    EXPECT_EQ(proxy.WaitExit(), 2);
    EXPECT_NE(LogOf(proxy).find(c.said), std::string::npos) << LogOf(proxy);
  }
}

TEST(CheckTest, NamesTheFormatsOfTheAccessLog) {
  ProxyProcess bad(ConfigFor({80}), {"--check", "--access-log-format=xml"});
  EXPECT_EQ(bad.WaitExit(), 2);
  EXPECT_NE(LogOf(bad).find("--access-log-format: xml not in {alb,json}"), std::string::npos)
      << LogOf(bad);
}

TEST(CheckTest, ADefaultListenAddressMustBeOne) {
  ProxyProcess bad(ConfigFor({80}), {"--check", "--default-listen-address=localhost"});
  EXPECT_EQ(bad.WaitExit(), 2);
}

}  // namespace
}  // namespace remuda::proxy::testing
