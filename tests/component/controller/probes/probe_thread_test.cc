// The probes' thread against real servers and programs: what answers well, badly, slowly, without
// end, with garbage, or never.
#include "controller/probes/probe_thread.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>

#include "controller/core/model/limits.h"
#include "tests/component/controller/probes/local_server.h"
#include "tests/wait.h"

namespace remuda {
namespace {

using core::Probe;
using core::ProbeOutcome;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const core::AnalysisCommands kCommands = {"/bin/sh",       "/bin/ls",       "/bin/echo",
                                          "/bin/true",     "/bin/cat",      "/usr/bin/env",
                                          "/usr/bin/head", "/no/such/file", "/usr/bin/yes"};
// Long: only what never answers is asked with a short one.
constexpr absl::Duration kLong = absl::Seconds(60);
constexpr absl::Duration kShort = absl::Milliseconds(200);

class ProbeThreadTest : public ::testing::Test {
 protected:
  ProbeThreadTest() {
    loop_.Start([] { return absl::InfiniteFuture(); });
  }
  ~ProbeThreadTest() override {
    probes_.Stop();
    loop_.Stop();
  }

  std::future<ProbeOutcome> Begin(const Probe& probe, const std::string& body = "") {
    auto promise = std::make_shared<std::promise<ProbeOutcome>>();
    std::future<ProbeOutcome> outcome = promise->get_future();
    probes_.Ask(probe, body, [promise](ProbeOutcome got) { promise->set_value(std::move(got)); });
    return outcome;
  }
  static Probe Url(int port, const std::string& target = "/", absl::Duration timeout = kLong) {
    return {.kind = Probe::Kind::kWebhook,
            .url = {.host = "127.0.0.1", .port = port, .target = target},
            .timeout = timeout};
  }
  // What comes of a server that writes these bytes.
  ProbeOutcome Answered(const std::string& bytes) {
    LocalServer server([&](int connection) { LocalServer::Write(connection, bytes); });
    return Begin(Url(server.port()), "{}").get();
  }
  ProbeOutcome Run(std::vector<std::string> argv, const std::string& body = "",
                   absl::Duration timeout = kLong) {
    return Begin({.kind = Probe::Kind::kCommand, .argv = std::move(argv), .timeout = timeout}, body)
        .get();
  }
  ProbeOutcome Shell(const std::string& script, const std::string& body = "",
                     absl::Duration timeout = kLong) {
    return Run({"/bin/sh", "-c", script}, body, timeout);
  }

  MonotonicClock clock_;
  Metrics metrics_;
  Loop loop_{clock_, metrics_};
  ProbeThread probes_{loop_, kCommands};
};

TEST_F(ProbeThreadTest, PostsJsonAndTakesTheAnswer) {
  LocalServer server([](int connection) {
    LocalServer::Write(
        connection, "HTTP/1.1 201 Created\r\nContent-Length: 20\r\n\r\n{\"verdict\":\"passed\"}");
  });
  Probe probe = Url(server.port(), "/ask?x=1");
  probe.authorization = "Bearer secret";
  const ProbeOutcome outcome = Begin(probe, R"({"a":1})").get();
  EXPECT_EQ(outcome.trouble, "");
  EXPECT_EQ(outcome.status, 201);
  EXPECT_EQ(outcome.body, R"({"verdict":"passed"})");
  ASSERT_EQ(server.requests().size(), 1u);
  const std::string request = server.requests()[0];
  EXPECT_THAT(request, StartsWith("POST /ask?x=1 HTTP/1.1\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\nHost: 127.0.0.1:" + std::to_string(server.port()) + "\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\nAuthorization: Bearer secret\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\nContent-Type: application/json\r\n"));
  EXPECT_THAT(request, ::testing::EndsWith("\r\n\r\n{\"a\":1}"));
}

TEST_F(ProbeThreadTest, AsksAPrometheusWithoutABody) {
  LocalServer server([](int connection) {
    LocalServer::Write(connection, "HTTP/1.0 200 OK\r\n\r\nuntil the end");
  });
  const ProbeOutcome outcome = Begin(Url(server.port(), "/api/v1/query?query=up")).get();
  EXPECT_EQ(outcome.body, "until the end");
  ASSERT_EQ(server.requests().size(), 1u);
  EXPECT_THAT(server.requests()[0], StartsWith("GET /api/v1/query?query=up HTTP/1.1\r\n"));
  EXPECT_THAT(server.requests()[0], ::testing::Not(HasSubstr("Content-Length")));
}

TEST_F(ProbeThreadTest, FindsAHostByName) {
  LocalServer server(
      [](int connection) { LocalServer::Write(connection, "HTTP/1.1 204 No Content\r\n\r\n"); });
  Probe probe = Url(server.port());
  probe.url.host = "localhost";
  EXPECT_EQ(Begin(probe).get().status, 204);
}

TEST_F(ProbeThreadTest, ARedirectIsAnAnswerAndNotFollowed) {
  LocalServer elsewhere([](int) {});
  const ProbeOutcome outcome = Answered(
      "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:" + std::to_string(elsewhere.port()) +
      "/\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(outcome.status, 302);
  EXPECT_TRUE(elsewhere.requests().empty());
}

TEST_F(ProbeThreadTest, WhatComesBeforeTheAnswerIsNotTheAnswer) {
  EXPECT_EQ(Answered("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                     "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
                .status,
            500);
}

TEST_F(ProbeThreadTest, WhatIsNoAnswerSaysWhy) {
  EXPECT_EQ(Answered("").trouble, "the connection was closed before an answer");
  EXPECT_THAT(Answered(std::string("\0\x01garbage\r\n\r\n", 13)).trouble,
              StartsWith("what was answered is no HTTP: "));
  EXPECT_EQ(Answered("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort").trouble,
            "the connection was closed within the answer");
  EXPECT_THAT(Answered("HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n").trouble,
              HasSubstr("over 65536 bytes"));
}

TEST_F(ProbeThreadTest, AnAnswerWithoutEndIsCutOff) {
  LocalServer body([](int connection) {
    LocalServer::Write(connection, "HTTP/1.1 200 OK\r\n\r\n");
    while (LocalServer::Write(connection, std::string(10'000, 'x'))) {
    }
  });
  EXPECT_EQ(Begin(Url(body.port())).get().trouble, "the answer is over 65536 bytes");
  LocalServer chunks([](int connection) {
    LocalServer::Write(connection, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    while (LocalServer::Write(connection, "a\r\n0123456789\r\n")) {
    }
  });
  EXPECT_EQ(Begin(Url(chunks.port())).get().trouble, "the answer is over 65536 bytes");
  LocalServer head([](int connection) {
    LocalServer::Write(connection, "HTTP/1.1 200 OK\r\n");
    while (LocalServer::Write(connection, "X-Field: " + std::string(1'000, 'x') + "\r\n")) {
    }
  });
  EXPECT_EQ(Begin(Url(head.port())).get().trouble, "the answer's head is over 16384 bytes");
}

TEST_F(ProbeThreadTest, ASlowAnswerIsTakenWithinItsTime) {
  LocalServer server([](int connection) {
    for (const char c : std::string("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
      LocalServer::Write(connection, std::string(1, c));
  });
  EXPECT_EQ(Begin(Url(server.port())).get().body, "{}");
}

TEST_F(ProbeThreadTest, OneThatNeverAnswersTimesOut) {
  LocalServer silent(&LocalServer::Wait);
  EXPECT_EQ(Begin(Url(silent.port(), "/", kShort)).get().trouble, "timed out after 200ms");
  // Nor does one that goes on and on.
  LocalServer drips([](int connection) {
    LocalServer::Write(connection, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
    LocalServer::Wait(connection);
  });
  EXPECT_EQ(Begin(Url(drips.port(), "/", kShort)).get().trouble, "timed out after 200ms");
}

TEST_F(ProbeThreadTest, NobodyThere) {
  int port = 0;
  {
    LocalServer server([](int) {});
    port = server.port();
  }
  EXPECT_EQ(Begin(Url(port)).get().trouble, "Connection refused");
}

TEST_F(ProbeThreadTest, OneThatHangsKeepsNobodyWaiting) {
  LocalServer silent(&LocalServer::Wait);
  LocalServer quick(
      [](int connection) { LocalServer::Write(connection, "HTTP/1.1 204 No Content\r\n\r\n"); });
  auto waiting = Begin(Url(silent.port()));
  EXPECT_EQ(Begin(Url(quick.port())).get().status, 204);
  probes_.Stop();
  EXPECT_EQ(waiting.get().trouble, "the controller ends");
}

TEST_F(ProbeThreadTest, ACommandReadsTheJsonAndItsStatusIsTheAnswer) {
  const ProbeOutcome outcome = Shell("cat; exit 3", R"({"a":1})");
  EXPECT_EQ(outcome.trouble, "");
  EXPECT_EQ(outcome.status, 3);
  EXPECT_EQ(outcome.body, R"({"a":1})");
}

TEST_F(ProbeThreadTest, ThereIsNoShell) {
  EXPECT_EQ(Run({"/bin/echo", "$HOME; `id`", "a  b"}).body, "$HOME; `id` a  b\n");
}

TEST_F(ProbeThreadTest, ACommandHasNothingOfTheController) {
  const int open_one = open("/dev/null", O_RDONLY);  // NOLINT: to be inherited, if it could
  EXPECT_EQ(Run({"/bin/ls", "/proc/self/fd"}).body, "0\n1\n2\n3\n");  // 3: of ls itself
  close(open_one);
  setenv("REMUDA_SECRET", "x", 1);
  EXPECT_EQ(Run({"/usr/bin/env"}).body, std::string("PATH=") + std::getenv("PATH") + "\n");
  unsetenv("REMUDA_SECRET");
  EXPECT_EQ(Shell("pwd").body, "/\n");
  // Signals are as they are for a program, whatever the controller ignores.
  signal(SIGPIPE, SIG_IGN);
  EXPECT_EQ(Shell("kill -PIPE $$; echo lives").trouble, "it was ended by signal 13");
}

TEST_F(ProbeThreadTest, WhatACommandPrintsIsBounded) {
  const ProbeOutcome outcome = Run({"/usr/bin/head", "-c", "1000000", "/dev/zero"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.body.size(), core::limits::kProbeAnswerBytes);
  EXPECT_EQ(Run({"/usr/bin/yes"}, "", kShort).trouble, "timed out after 200ms");
}

TEST_F(ProbeThreadTest, WhatACommandPrintsLastIsKept) {
  // More than is read at once is in the pipe when it ends.
  EXPECT_EQ(Run({"/usr/bin/head", "-c", "60000", "/dev/zero"}).body.size(), 60'000u);
}

TEST_F(ProbeThreadTest, ACommandThatReadsNothingIsNoTrouble) {
  const ProbeOutcome outcome = Run({"/bin/true"}, std::string(1 << 20, 'x'));
  EXPECT_EQ(outcome.trouble, "");
  EXPECT_EQ(outcome.status, 0);
}

TEST_F(ProbeThreadTest, WhatMayNotRunOrCannot) {
  EXPECT_EQ(Run({"/bin/rm", "-rf", "/nothing"}).trouble,
            "the controller may not run /bin/rm: it has no --analysis-command of that path");
  EXPECT_EQ(Run({"/no/such/file"}).trouble,
            "/no/such/file cannot be run: No such file or directory");
}

// Whether a process runs (one that nobody has reaped yet does not).
bool Runs(const std::string& pid) {
  std::ifstream stat("/proc/" + pid + "/stat");
  std::string line;
  if (!std::getline(stat, line)) return false;
  return line[line.rfind(')') + 2] != 'Z';
}

TEST_F(ProbeThreadTest, NothingOfACommandIsLeftAfterItsTime) {
  const std::string file =
      ::testing::TempDir() + "probe_thread_test_pids_" + std::to_string(getpid());
  std::filesystem::remove(file);
  const std::string script = "sleep 1000 & echo $! $$ > " + file + "; wait";
  // It has written, whatever the load: else it is asked again.
  std::string child, parent;
  for (absl::Duration timeout = kShort; parent.empty() && timeout < kLong; timeout *= 2) {
    EXPECT_THAT(Shell(script, "", timeout).trouble, StartsWith("timed out after "));
    std::ifstream(file) >> child >> parent;
  }
  ASSERT_FALSE(parent.empty());
  EXPECT_FALSE(Runs(parent));
  EXPECT_TRUE(WaitUntil([&] { return !Runs(child); }));
  std::filesystem::remove(file);
}

TEST_F(ProbeThreadTest, WhatACommandLeavesBehindIsEndedWithIt) {
  // The answer does not wait for the one that holds its output open.
  const ProbeOutcome outcome = Shell("sleep 1000 & echo $!; exit 1");
  EXPECT_EQ(outcome.status, 1);
  const std::string child = outcome.body.substr(0, outcome.body.find('\n'));
  ASSERT_FALSE(child.empty());
  EXPECT_TRUE(WaitUntil([&] { return !Runs(child); }));
}

// Descriptors of this process.
size_t CountOpen() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(files), end(files)));
}

TEST_F(ProbeThreadTest, NothingStaysOpenAndNoProcessUnreaped) {
  LocalServer server(
      [](int connection) { LocalServer::Write(connection, "HTTP/1.1 204 No Content\r\n\r\n"); });
  const auto once = [&] {
    EXPECT_EQ(Begin(Url(server.port())).get().status, 204);
    EXPECT_EQ(Run({"/bin/true"}, "{}").status, 0);
    EXPECT_NE(Run({"/no/such/file"}).trouble, "");
    EXPECT_NE(Shell("sleep 1000", "", kShort).trouble, "");
  };
  once();
  const size_t before = CountOpen();
  for (int i = 0; i < 3; ++i) once();
  // The server closes its end when it has seen ours closed.
  EXPECT_TRUE(WaitUntil([&] { return CountOpen() <= before; }));
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
}

TEST_F(ProbeThreadTest, StoppingEndsWhatIsUnderWay) {
  std::vector<std::future<ProbeOutcome>> outcomes;
  for (int i = 0; i < 8; ++i) {
    outcomes.push_back(Begin({.kind = Probe::Kind::kCommand,
                              .argv = {"/bin/sh", "-c", "sleep 1000"},
                              .timeout = kLong}));
  }
  probes_.Stop();
  for (auto& outcome : outcomes) EXPECT_EQ(outcome.get().trouble, "the controller ends");
}

}  // namespace
}  // namespace remuda
