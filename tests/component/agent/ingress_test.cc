// The real remuda-agent and the firewall of its host: in a network of the test's own, with a second
// one beside it from where the ports of instances are tried. Needs nft and ip, and a kernel that
// lets the test have networks; else it is skipped.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sched.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "tests/component/agent/agent_fixture.h"

namespace remuda::agent {
namespace {

using testing::HasSubstr;

constexpr char kHost[] = "10.77.0.1";
constexpr int kPort = 8101;

bool RunCommand(const std::string& command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

// The process that keeps the other network; 0: there is none.
pid_t other_network = 0;

// The process must have one thread.
bool MakeNetworks() {
  if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0) return false;
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) != 0) return false;
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const char byte = unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
    if (write(ready[1], &byte, 1) != 1) _exit(1);
    while (true) pause();
  }
  char byte = 'n';
  const bool is_made = pid > 0 && read(ready[0], &byte, 1) == 1 && byte == 'y';
  close(ready[0]);
  close(ready[1]);
  other_network = pid;
  const std::string number = std::to_string(pid);
  const std::string there = "nsenter -t " + number + " -n ";
  return is_made && RunCommand("ip link set lo up") &&
         RunCommand("ip link add here type veth peer name there netns " + number) &&
         RunCommand(std::string("ip addr add ") + kHost + "/24 dev here") &&
         RunCommand("ip link set here up") && RunCommand(there + "ip link set lo up") &&
         RunCommand(there + "ip addr add 10.77.0.2/24 dev there") &&
         RunCommand(there + "ip addr add 10.77.0.3/24 dev there") &&
         RunCommand(there + "ip link set there up") && RunCommand("nft list ruleset");
}

sockaddr_in Address(const std::string& text, int port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, text.c_str(), &out.sin_addr);
  return out;
}

// A socket of the other network that begins to connect to the instance's port.
Fd BeginConnect(const std::string& source) {
  const Fd here(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  const Fd there(
      open(("/proc/" + std::to_string(other_network) + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(setns(there.get(), CLONE_NEWNET), 0);
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  EXPECT_EQ(setns(here.get(), CLONE_NEWNET), 0);
  const sockaddr_in from = Address(source, 0), to = Address(kHost, kPort);
  EXPECT_EQ(bind(socket.get(), reinterpret_cast<const sockaddr*>(&from), sizeof from), 0);
  connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to);
  return socket;
}

bool IsConnected(const Fd& socket, int timeout_ms) {
  pollfd wanted{socket.get(), POLLOUT, 0};
  int error = 0;
  socklen_t length = sizeof error;
  return poll(&wanted, 1, timeout_ms) == 1 &&
         getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0;
}

class IngressTest : public AgentTest {
 protected:
  static void SetUpTestSuite() { has_networks_ = MakeNetworks(); }
  static void TearDownTestSuite() {
    if (other_network <= 0) return;
    kill(other_network, SIGKILL);
    waitpid(other_network, nullptr, 0);
  }
  void SetUp() override {
    if (!has_networks_) GTEST_SKIP() << "no networks of its own, or no nft and ip";
    AgentTest::SetUp();
  }
  void TearDown() override {
    if (!has_networks_) return;
    AgentTest::TearDown();
    RunCommand("nft flush ruleset");
  }
  v1::InstanceAssignment Filtered(const std::vector<std::string>& cidrs, bool is_required = false) {
    v1::InstanceAssignment out = Serve("i-a");
    out.mutable_launch_template()->set_port(kPort);
    out.mutable_ingress_filter()->set_required(is_required);
    auto& rule = *out.mutable_ingress_filter()->add_rules();
    for (const std::string& cidr : cidrs) rule.add_cidrs(cidr);
    return out;
  }
  void BeginHere(std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--address", kHost});
    Begin(std::move(more));
  }
  // In the instance's place: its process does not listen.
  void Listen() {
    listener_ = Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in address = Address(kHost, kPort);
    ASSERT_EQ(bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
              0);
    ASSERT_EQ(listen(listener_.get(), 16), 0);
  }
  // Only this one of both sources is let in. What was sent first has been looked at when what was
  // sent later has an answer.
  bool OnlyReaches(const std::string& in, const std::string& out) {
    Accept();  // those of an earlier look leave room for these
    const Fd unwanted = BeginConnect(out);
    const Fd wanted = BeginConnect(in);
    return IsConnected(wanted, 2000) && !IsConnected(unwanted, 0);
  }
  // Takes in who has come; they stay connected.
  void Accept() {
    while (true) {
      Fd peer(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!peer.valid()) return;
      accepted_.push_back(std::move(peer));
    }
  }
  static bool has_networks_;
  Fd listener_;
  std::vector<Fd> accepted_;
};

bool IngressTest::has_networks_ = false;

TEST_F(IngressTest, OnlyWhoIsNamedReachesThePortWhateverBecomesOfTheAgent) {
  BeginHere();
  EXPECT_EQ(controller_.hellos.back().lacks().count("ingress_filter"), 0U)
      << controller_.hellos.back().lacks().at("ingress_filter");
  controller_.Assign({Filtered({"10.77.0.2"})});
  ASSERT_TRUE(Running("i-a"));
  Listen();
  EXPECT_TRUE(OnlyReaches("10.77.0.2", "10.77.0.3"));
  // The host itself always may.
  Fd own(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = Address(kHost, kPort);
  EXPECT_EQ(connect(own.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);

  // Another one is named; the connection that is open goes on.
  const Fd open = BeginConnect("10.77.0.2");
  ASSERT_TRUE(IsConnected(open, 5000));
  controller_.Assign({Filtered({"10.77.0.3"})});
  ASSERT_TRUE(WaitUntil([&] { return OnlyReaches("10.77.0.3", "10.77.0.2"); }));
  ASSERT_EQ(send(open.get(), "x", 1, MSG_NOSIGNAL), 1);
  ASSERT_TRUE(WaitUntil([&] {
    Accept();
    return std::any_of(accepted_.begin(), accepted_.end(), [](const Fd& peer) {
      char byte;
      return recv(peer.get(), &byte, 1, MSG_DONTWAIT) == 1;
    });
  }));

  // Its apps run on without the agent, and so does the filter.
  KillAgent();
  EXPECT_TRUE(OnlyReaches("10.77.0.3", "10.77.0.2"));
  // What is gone when a later agent begins is put back.
  ASSERT_TRUE(RunCommand("nft flush ruleset"));
  BeginHere();
  EXPECT_TRUE(WaitUntil([&] { return OnlyReaches("10.77.0.3", "10.77.0.2"); }));
  // The filter is there before the session: what is assigned now must be heard.
  ASSERT_TRUE(controller_.Wait([&] { return controller_.hellos.size() == 2; }));

  // Nothing is left of an instance that has ended.
  controller_.Assign({Stops(Filtered({"10.77.0.3"}))});
  ASSERT_TRUE(Exited("i-a"));
  EXPECT_TRUE(WaitUntil([] { return !RunCommand("nft list table inet remuda_h1"); }));
}

// The answer to an assignment says that it is in force: proxies are sent here then.
TEST_F(IngressTest, AnAssignmentIsAcknowledgedWhenItsFilterIsInForce) {
  BeginHere();
  controller_.Assign({Filtered({"10.77.0.2"})});
  ASSERT_TRUE(Running("i-a"));
  Listen();
  for (int round = 0; round < 10; ++round) {
    const bool is_odd = round % 2 == 1;
    const int64_t sequence = controller_.Assign({Filtered({is_odd ? "10.77.0.2" : "10.77.0.3"})});
    ASSERT_TRUE(controller_.Wait([&] { return controller_.acked >= sequence; }));
    ASSERT_TRUE(OnlyReaches(is_odd ? "10.77.0.2" : "10.77.0.3", is_odd ? "10.77.0.3" : "10.77.0.2"))
        << round;
  }
}

TEST_F(IngressTest, WhereItCannotBeEnforcedItIsSaidAndRefusedIfItMustBe) {
  const std::string nft = (root_ / "nft").string();
  std::ofstream(nft) << "#!/bin/sh\necho 'Error: Operation not permitted' >&2\nexit 1\n";
  fs::permissions(nft, fs::perms(0755));
  BeginHere({"--nft", nft});
  EXPECT_THAT(controller_.hellos.back().lacks().at("ingress_filter"),
              HasSubstr("nft: Error: Operation not permitted"));
  controller_.Assign({Filtered({"10.77.0.2"}, /*is_required=*/true)});
  ASSERT_TRUE(controller_.Wait(
      [&] { return controller_.status["i-a"].state() == v1::PROCESS_STATE_FAILED; }));
  EXPECT_THAT(controller_.Status("i-a").message(),
              HasSubstr("which its group requires (require_ingress_filter): "));
  EXPECT_THAT(controller_.Status("i-a").message(), HasSubstr("Operation not permitted"));
  // One that need not be filtered runs all the same.
  v1::InstanceAssignment other = Filtered({"10.77.0.2"});
  other.set_instance("i-b");
  controller_.Assign({other});
  EXPECT_TRUE(Running("i-b"));
}

// A failure is told and tried again until it is over.
TEST_F(IngressTest, AFailureIsTriedAgain) {
  const std::string nft = (root_ / "nft").string();
  // It can, as far as a check says, but it does not until something is mended.
  std::ofstream(nft) << "#!/bin/sh\nPATH=/usr/sbin:/sbin:/usr/bin:/bin\n"
                     << "[ \"$1\" = -c ] || [ -e " << (root_ / "mended").string()
                     << " ] || exit 1\nexec nft \"$@\"\n";
  fs::permissions(nft, fs::perms(0755));
  BeginHere({"--nft", nft});
  controller_.Assign({Filtered({"10.77.0.2"})});
  ASSERT_TRUE(Running("i-a"));
  Listen();
  EXPECT_FALSE(RunCommand("nft list table inet remuda_h1"));
  std::ofstream(root_ / "mended") << "";
  EXPECT_TRUE(
      WaitUntil([&] { return OnlyReaches("10.77.0.2", "10.77.0.3"); }, std::chrono::seconds(60)));
}

}  // namespace
}  // namespace remuda::agent
