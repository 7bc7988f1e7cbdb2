// The real remuda-agent against a fake controller.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "agent/log_files.h"
#include "common/sha256.h"
#include "tests/component/agent/agent_fixture.h"

namespace remuda::agent {
namespace {

// Passes bytes between clients and a port of 127.0.0.1, until told to pass no more on the
// connections that are open.
class StallingRelay {
 public:
  explicit StallingRelay(int target_port) : target_port_(target_port) {
    listener_ = Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address = Loopback(0);
    socklen_t length = sizeof address;
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(listen(listener_.get(), 16), 0);
    getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Run(); });
  }
  ~StallingRelay() {
    ending_ = true;
    thread_.join();
  }
  int port() const { return port_; }
  void StallOpenConnections() { stall_ = true; }

 private:
  struct Pair {
    Fd client, server;
    bool stalled = false;
  };
  static sockaddr_in Loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }
  // False: this side has ended.
  static bool Pass(const Fd& from, const Fd& to) {
    char buffer[64 * 1024];
    const ssize_t n = recv(from.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (n > 0) send(to.get(), buffer, static_cast<size_t>(n), MSG_NOSIGNAL);
    return n != 0;
  }
  void Run() {
    std::vector<Pair> pairs;
    while (!ending_) {
      std::vector<pollfd> polled = {{listener_.get(), POLLIN, 0}};
      for (Pair& pair : pairs) {
        if (stall_) pair.stalled = true;
        if (pair.stalled) continue;
        polled.push_back({pair.client.get(), POLLIN, 0});
        polled.push_back({pair.server.get(), POLLIN, 0});
      }
      stall_ = false;
      poll(polled.data(), polled.size(), 20);
      for (Pair& pair : pairs) {
        if (pair.stalled) continue;
        if (Pass(pair.client, pair.server) && Pass(pair.server, pair.client)) continue;
        shutdown(pair.client.get(), SHUT_RDWR);
        shutdown(pair.server.get(), SHUT_RDWR);
        pair.stalled = true;
      }
      if (Fd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)); client.valid()) {
        Fd server(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const sockaddr_in address = Loopback(target_port_);
        if (connect(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
            0) {
          pairs.push_back({std::move(client), std::move(server)});
        }
      }
    }
  }

  const int target_port_;
  int port_ = 0;
  Fd listener_;
  std::atomic<bool> stall_{false}, ending_{false};
  std::thread thread_;
};

TEST_F(AgentTest, SaysWhoItIsAndRunsWhatItIsAssigned) {
  Begin();
  const v1::Hello hello = controller_.hellos[0];
  EXPECT_EQ(hello.host(), "h1");
  EXPECT_EQ(hello.zone(), "z1");
  EXPECT_EQ(hello.address(), "127.0.1.9");
  EXPECT_EQ(hello.labels().at("disk"), "ssd");
  EXPECT_EQ(hello.boot_id(), BootId());
  EXPECT_GE(hello.capacity().cpu_millis(), 1000);
  EXPECT_GT(hello.capacity().memory_bytes(), 1 << 20);
  EXPECT_FALSE(hello.has_held());
  EXPECT_TRUE(hello.instances().empty());

  auto a = Serve("i-a");
  (*a.mutable_launch_template()->mutable_env())["X"] = "1 2";
  const int64_t revision = controller_.Assign({a, Serve("i-b")});
  ASSERT_TRUE(Running("i-a") && Running("i-b"));
  EXPECT_EQ(controller_.acked, revision);
  const auto status = controller_.Status("i-a");
  EXPECT_GT(status.pid(), 0);
  EXPECT_GE(status.port(), 20000);
  EXPECT_NE(status.port(), controller_.Status("i-b").port());
  EXPECT_GT(status.start_time().seconds(), 1'600'000'000);
  EXPECT_EQ(controller_.states_seen["i-a"].count(v1::PROCESS_STATE_FETCHING), 1u);
  ASSERT_TRUE(WaitUntil([&] { return !Log("i-a").empty(); }));
  EXPECT_EQ(Log("i-a"),
            "HOST=127.0.1.9 PORT=" + std::to_string(status.port()) + " I=i-a G=blue Z=z1 X=1 2\n");
  ASSERT_TRUE(controller_.Wait([&] { return controller_.usage["i-a"].memory_bytes() > 0; }));
  EXPECT_EQ(controller_.usage["i-a"].processes(), 1);
  EXPECT_GT(controller_.host_usage.memory_bytes(), 0);
  const v1::InstanceUsage usage = controller_.usage["i-a"];
  EXPECT_EQ(usage.counted_since().SerializeAsString(), status.start_time().SerializeAsString());
  EXPECT_GE(usage.cpu_time_micros(), 0);
  EXPECT_EQ(controller_.fetch_offsets.size(), 1u) << "one image, fetched once for both";
}

TEST_F(AgentTest, AnExitIsReportedAtOnceAndNotRestartedWhileThereIsASession) {
  Begin();
  controller_.Assign({Serve("i-a"), Shell("i-b", "exit 3")});
  ASSERT_TRUE(Running("i-a"));
  ASSERT_TRUE(Exited("i-b"));
  EXPECT_EQ(controller_.Status("i-b").exit().code(), 3);
  kill(static_cast<pid_t>(controller_.Status("i-a").pid()), SIGKILL);
  ASSERT_TRUE(Exited("i-a"));
  const auto status = controller_.Status("i-a");
  EXPECT_EQ(status.exit().signal(), SIGKILL);
  EXPECT_FALSE(status.exit().requested());
  EXPECT_EQ(status.pid(), 0);
  EXPECT_EQ(status.restarts(), 0);
  // A later instance starts at once; the ended ones stay ended.
  controller_.Change({Serve("i-c")}, {});
  ASSERT_TRUE(Running("i-c"));
  EXPECT_EQ(controller_.Status("i-a").state(), v1::PROCESS_STATE_EXITED);
}

TEST_F(AgentTest, StoppedThenRemovedIsCleanedUp) {
  Begin();
  controller_.Assign({Serve("i-a"), Serve("i-b")});
  ASSERT_TRUE(Running("i-a") && Running("i-b"));
  controller_.Change({Stops(Serve("i-a"))}, {});
  ASSERT_TRUE(Exited("i-a"));
  EXPECT_TRUE(controller_.Status("i-a").exit().requested());
  EXPECT_EQ(controller_.Status("i-a").exit().signal(), SIGTERM);
  controller_.Change({}, {"i-a", "i-b"});
  ASSERT_TRUE(controller_.Wait([&] { return controller_.removed.count("i-a") > 0; }));
  EXPECT_FALSE(fs::exists(data_ / "instances/i-a"));
  // Silence never stops a process.
  EXPECT_EQ(controller_.removed.count("i-b"), 0u);
  EXPECT_EQ(kill(static_cast<pid_t>(controller_.Status("i-b").pid()), 0), 0);
  v1::InstanceAssignment stop;
  stop.set_instance("i-b");
  stop.set_desired(v1::DESIRED_STATE_STOPPED);
  controller_.Change({stop}, {});
  ASSERT_TRUE(Exited("i-b"));
}

TEST_F(AgentTest, ABadUpdateIsRefusedAndTheLastStays) {
  Begin();
  controller_.Assign({Serve("i-a")});
  ASSERT_TRUE(Running("i-a"));
  auto bad = Serve("i-b");
  bad.mutable_launch_template()->set_port(99999);
  controller_.Assign({Stops(Serve("i-a")), bad});
  ASSERT_TRUE(controller_.Wait([&] { return !controller_.nacks.empty(); }));
  EXPECT_EQ(controller_.nacks[0].resource(), "i-b");
  EXPECT_NE(controller_.nacks[0].reason().find("99999"), std::string::npos);
  EXPECT_EQ(controller_.nacks[0].revision().sequence(), 2);
  EXPECT_EQ(controller_.Status("i-a").state(), v1::PROCESS_STATE_RUNNING);
}

TEST_F(AgentTest, KilledAgentComesBackAndTakesUpWhatRuns) {
  Begin();
  controller_.Assign({Shell("i-a", "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.02; done"),
                      Shell("i-b", "while [ ! -e go ]; do sleep 0.02; done; exit 9")});
  ASSERT_TRUE(Running("i-a") && Running("i-b"));
  const auto before = controller_.Status("i-a");
  KillAgent();
  std::ofstream(data_ / "instances/i-b/app/go") << "x";
  ASSERT_TRUE(WaitUntil([&] { return fs::exists(data_ / "instances/i-b/exit"); }));
  StartAgent(controller_.address());
  ASSERT_TRUE(controller_.Wait([&] { return controller_.hellos.size() == 2; }));
  const v1::Hello& hello = controller_.hellos[1];
  EXPECT_EQ(hello.cluster_id(), "c1");
  EXPECT_EQ(hello.held().sequence(), 1);
  ASSERT_EQ(hello.instances_size(), 2);
  EXPECT_EQ(hello.instances(0).state(), v1::PROCESS_STATE_RUNNING);
  EXPECT_EQ(hello.instances(0).pid(), before.pid());
  EXPECT_EQ(hello.instances(0).port(), before.port());
  EXPECT_EQ(hello.instances(1).state(), v1::PROCESS_STATE_EXITED);
  EXPECT_EQ(hello.instances(1).exit().code(), 9);

  ASSERT_TRUE(WaitUntil([&] { return Log("i-a").find("tick 60\n") != std::string::npos; }));
  std::string expected;
  for (int i = 1; i <= 60; ++i) expected += "tick " + std::to_string(i) + "\n";
  EXPECT_EQ(Log("i-a").substr(0, expected.size()), expected) << "the log is unbroken";

  kill(static_cast<pid_t>(before.pid()), SIGKILL);
  ASSERT_TRUE(Exited("i-a"));
  EXPECT_EQ(controller_.Status("i-a").exit().signal(), SIGKILL);
}

TEST_F(AgentTest, SigtermLeavesTheAppsUnlessTold) {
  Begin();
  controller_.Assign({Serve("i-a")});
  ASSERT_TRUE(Running("i-a"));
  const auto pid = static_cast<pid_t>(controller_.Status("i-a").pid());
  EXPECT_EQ(EndAgent(), 0);
  EXPECT_EQ(kill(pid, 0), 0) << "the app runs on";
  StartAgent(controller_.address(), {"--stop-instances-on-exit"});
  ASSERT_TRUE(controller_.Wait([&] { return controller_.hellos.size() == 2; }));
  EXPECT_EQ(controller_.hellos[1].instances(0).pid(), pid);
  EXPECT_EQ(EndAgent(), 0);
  EXPECT_NE(kill(pid, 0), 0);
}

TEST_F(AgentTest, AShimKilledIsNoticedAndItsTreeEnded) {
  Begin();
  controller_.Assign({Shell("i-a", "(while :; do sleep 0.05; done) & echo up; exec sleep 1000")});
  ASSERT_TRUE(Running("i-a"));
  const auto run = KillShim("i-a");
  ASSERT_TRUE(run);
  ASSERT_TRUE(Exited("i-a") || controller_.WaitState("i-a", v1::PROCESS_STATE_FAILED));
  EXPECT_NE(controller_.Status("i-a").message().find("shim was killed"), std::string::npos);
  EXPECT_TRUE(WaitUntil([&] { return ProcessesOfRun(run->Text(key::kRunId)).empty(); }));
}

TEST_F(AgentTest, WithoutAControllerAppsAreStartedAndRestarted) {
  Begin();
  controller_.Assign({Shell("i-a", "echo run; sleep 0.05; exit 1"), Serve("i-b")});
  ASSERT_TRUE(Running("i-b") && Exited("i-a"));
  controller_.StopServing();
  // The crashing one is restarted again and again, with growing waits, once the controller has had
  // time to come back.
  const auto runs = [&] {
    const std::string log =
        LogReader((data_ / "instances/i-a/logs").string()).Read(0, 100'000).bytes;
    return std::count(log.begin(), log.end(), '\n');
  };
  ASSERT_TRUE(WaitUntil([&] { return runs() >= 3; }));

  // An agent that begins with no controller starts what the last assignment says.
  const auto pid = static_cast<pid_t>(controller_.Status("i-b").pid());
  KillAgent();
  kill(pid, SIGKILL);
  StartAgent(controller_.address());
  ASSERT_TRUE(WaitUntil([&] {
    const auto running = Record::ReadFrom((data_ / "instances/i-b/running").string());
    return running && running->Number(key::kAppPid) != pid &&
           OpenProcess({static_cast<pid_t>(running->Number(key::kAppPid)),
                        static_cast<uint64_t>(running->Number(key::kAppStart)), BootId()})
               .valid();
  }));
  controller_.Serve();
  ASSERT_TRUE(controller_.Wait([&] { return controller_.hellos.size() >= 2; }));
  ASSERT_TRUE(controller_.Wait([&] { return controller_.status["i-b"].restarts() == 1; }));
  EXPECT_GE(controller_.Status("i-a").restarts(), 2);
}

TEST_F(AgentTest, AnOlderEpochIsNotFollowed) {
  FakeController newer(5);
  newer.Serve();
  StartAgent(newer.address());
  ASSERT_TRUE(newer.Wait([&] { return !newer.hellos.empty(); }));
  newer.images = controller_.images;
  newer.Assign({Serve("i-a")});
  ASSERT_TRUE(newer.WaitState("i-a", v1::PROCESS_STATE_RUNNING));
  KillAgent();
  newer.StopServing();
  StartAgent(controller_.address());  // epoch 1
  ASSERT_TRUE(controller_.Wait([&] { return controller_.hellos.size() >= 2; }))
      << "it hangs up and dials again";
  controller_.Assign({Stops(Serve("i-a"))});
  ASSERT_TRUE(controller_.Wait([&] { return controller_.hellos.size() >= 4; }));
  EXPECT_EQ(controller_.acked, 0);
  EXPECT_EQ(kill(static_cast<pid_t>(newer.Status("i-a").pid()), 0), 0);
}

TEST_F(AgentTest, ABrokenTransferIsResumed) {
  std::string noise(300'000, 0);
  for (size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<char>((i * 2654435761u) >> 11);
  digest_ = AddImage(controller_, {{"serve.sh", kServe}, {"noise", noise}});
  ASSERT_GT(controller_.images[digest_].size(), 10'000u);
  controller_.break_after = 10'000;
  Begin();
  controller_.Assign({Serve("i-a")});
  ASSERT_TRUE(Running("i-a"));
  ASSERT_EQ(controller_.fetch_offsets.size(), 2u);
  // An error may overtake the last bytes before it, so not all of them need have come.
  EXPECT_GT(controller_.fetch_offsets[1], 0);
  EXPECT_LE(controller_.fetch_offsets[1], 10'000);
  EXPECT_EQ(*ReadWholeFile((data_ / "instances/i-a/app/noise").string()), noise);
}

TEST_F(AgentTest, ImagesThatCannotBeUsedAreSaid) {
  const std::string wrong = "sha256:" + std::string(64, 'b');
  const std::string garbage = "sha256:" + Sha256Hex("garbage");
  controller_.images[wrong] = "these bytes have another digest";
  controller_.images[garbage] = "garbage";
  Begin();
  controller_.Assign({Runs("i-missing", "sha256:" + std::string(64, 'c'), {"x"}),
                      Runs("i-wrong", wrong, {"x"}), Runs("i-garbage", garbage, {"x"}),
                      Runs("i-program", digest_, {"./nothing"})});
  for (const auto& [id, text] :
       std::vector<std::pair<std::string, std::string>>{{"i-missing", "no such image"},
                                                        {"i-wrong", "the digest"},
                                                        {"i-garbage", "not a readable tar"},
                                                        {"i-program", "./nothing"}}) {
    SCOPED_TRACE(id);
    ASSERT_TRUE(controller_.WaitState(id, v1::PROCESS_STATE_FAILED));
    EXPECT_NE(controller_.Status(id).message().find(text), std::string::npos)
        << controller_.Status(id).message();
  }
}

TEST_F(AgentTest, AFixedPortIsOneInstancesAtATime) {
  Begin();
  auto first = Serve("i-a"), second = Serve("i-b");
  first.mutable_launch_template()->set_port(18'123);
  second.mutable_launch_template()->set_port(18'123);
  controller_.Assign({first});
  ASSERT_TRUE(Running("i-a"));
  EXPECT_EQ(controller_.Status("i-a").port(), 18'123);
  controller_.Change({second}, {});
  ASSERT_TRUE(controller_.Wait([&] {
    return controller_.status["i-b"].message().find("i-a still has") != std::string::npos;
  }));
  controller_.Change({Stops(first)}, {});
  ASSERT_TRUE(Running("i-b"));
  EXPECT_EQ(controller_.Status("i-a").state(), v1::PROCESS_STATE_EXITED);
}

TEST_F(AgentTest, LogsAreFollowed) {
  Begin();
  controller_.Assign(
      {Shell("i-a", "echo one; echo two; while [ ! -e go ]; do sleep 0.02; done; echo three")});
  ASSERT_TRUE(Running("i-a"));
  ASSERT_TRUE(WaitUntil([&] { return Log("i-a") == "one\ntwo\n"; }));
  v1::ConnectResponse request;
  request.mutable_log()->set_stream_id(1000);
  request.mutable_log()->set_instance("i-a");
  request.mutable_log()->set_tail_lines(1);
  request.mutable_log()->set_follow(true);
  controller_.Send(request);
  ASSERT_TRUE(controller_.Wait([&] { return controller_.logs[1000] == "two\n"; }));
  EXPECT_EQ(controller_.logs_ended.count(1000), 0u);
  std::ofstream(data_ / "instances/i-a/app/go") << "x";
  ASSERT_TRUE(controller_.Wait([&] { return controller_.logs_ended.count(1000) > 0; }));
  EXPECT_EQ(controller_.logs[1000], "two\nthree\n");

  request.mutable_log()->set_stream_id(1001);
  request.mutable_log()->set_instance("i-nothing");
  controller_.Send(request);
  ASSERT_TRUE(controller_.Wait([&] { return controller_.logs_ended.count(1001) > 0; }));
  EXPECT_NE(controller_.log_errors[1001].find("i-nothing"), std::string::npos);
}

TEST_F(AgentTest, ASnapshotBecomesAnImage) {
  Begin();
  controller_.Assign({Shell("i-a", "echo made here > new.txt; echo ready; exec sleep 1000")});
  ASSERT_TRUE(Running("i-a"));
  ASSERT_TRUE(WaitUntil([&] { return Log("i-a") == "ready\n"; }));
  v1::ConnectResponse request;
  request.mutable_snapshot()->set_snapshot_id(7);
  request.mutable_snapshot()->set_instance("i-a");
  request.mutable_snapshot()->set_image_id("shop-v2");
  (*request.mutable_snapshot()->mutable_labels())["k"] = "v";
  controller_.Send(request);
  ASSERT_TRUE(controller_.Wait([&] { return controller_.snapshots.count(7) > 0; }));
  EXPECT_EQ(controller_.snapshots[7], "");
  EXPECT_EQ(controller_.pushed_headers["shop-v2"].source_instance(), "i-a");
  EXPECT_EQ(controller_.pushed_headers["shop-v2"].labels().at("k"), "v");
  const std::string& bytes = controller_.pushed["shop-v2"];
  EXPECT_EQ(controller_.pushed_headers["shop-v2"].digest(), "sha256:" + Sha256Hex(bytes));
  std::ofstream(root_ / "got.tar.zst", std::ios::binary) << bytes;
  fs::create_directory(root_ / "got");
  ASSERT_TRUE(UnpackArchive(root_ / "got.tar.zst", root_ / "got").ok());
  EXPECT_EQ(*ReadWholeFile((root_ / "got/new.txt").string()), "made here\n");
}

TEST_F(AgentTest, AHalfOpenConnectionIsFoundAndDialledAnew) {
  // A relay that stops passing bytes on but keeps the connection open, as a cut cable does.
  StallingRelay relay(controller_.port());
  StartAgent("127.0.0.1:" + std::to_string(relay.port()));
  ASSERT_TRUE(controller_.Wait([&] { return controller_.hellos.size() == 1; }));
  controller_.Assign({Serve("i-a")});
  ASSERT_TRUE(Running("i-a"));
  relay.StallOpenConnections();
  ASSERT_TRUE(controller_.Wait([&] { return controller_.hellos.size() == 2; }));
  EXPECT_EQ(controller_.hellos[1].instances(0).state(), v1::PROCESS_STATE_RUNNING);
}

TEST_F(AgentTest, AMemoryLimitIsEnforcedOrTheStartIsRefused) {
  Begin();
  auto hungry = Shell("i-a", "x=x; while :; do x=$x$x; done");
  hungry.mutable_launch_template()->mutable_limits()->set_memory("32Mi");
  controller_.Assign({hungry});
  ASSERT_TRUE(controller_.Wait([&] {
    const auto state = controller_.status["i-a"].state();
    return state == v1::PROCESS_STATE_EXITED || state == v1::PROCESS_STATE_FAILED;
  }));
  const auto status = controller_.Status("i-a");
  if (status.state() == v1::PROCESS_STATE_FAILED) {
    EXPECT_NE(status.message().find("limits.memory: cannot be enforced on this host"),
              std::string::npos);
  } else {
    EXPECT_TRUE(status.exit().out_of_memory());
    EXPECT_EQ(status.exit().signal(), SIGKILL);
  }
}

TEST_F(AgentTest, AUserIsBecomeOrTheStartIsRefused) {
  Begin();
  auto nobody = Shell("i-a", "id -un; echo x > mine && ls -ld . | cut -d' ' -f3; exec sleep 1000");
  nobody.mutable_launch_template()->set_user("nobody");
  auto stranger = Serve("i-b");
  stranger.mutable_launch_template()->set_user("no-such-user");
  controller_.Assign({nobody, stranger});
  ASSERT_TRUE(controller_.WaitState("i-b", v1::PROCESS_STATE_FAILED));
  EXPECT_NE(controller_.Status("i-b").message().find("\"no-such-user\""), std::string::npos);
  if (geteuid() != 0) {
    ASSERT_TRUE(controller_.WaitState("i-a", v1::PROCESS_STATE_FAILED));
    return;
  }
  ASSERT_TRUE(Running("i-a"));
  EXPECT_TRUE(WaitUntil([&] { return Log("i-a") == "nobody\nnobody\n"; })) << Log("i-a");
}

}  // namespace
}  // namespace remuda::agent
