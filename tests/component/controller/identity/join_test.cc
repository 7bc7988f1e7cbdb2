// The join endpoint over real sockets: who gets a certificate there, who does not, and what
// strangers can make it hold.
#include <absl/time/clock.h>
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "controller/identity/join_limits.h"
#include "controller/identity/network_of.h"
#include "tests/component/controller/identity/join_cluster.h"
#include "tests/wait.h"

namespace remuda {
namespace {

using identity::Join;
using identity::Joined;
using identity::JoinOptions;
using testing::HasSubstr;

std::string ErrorOf(const absl::StatusOr<Joined>& joined) {
  return std::string(joined.status().message());
}

TEST(Join, AHostWithATokenGetsItsIdentityOnce) {
  Cluster cluster("c1");
  const std::string token = cluster.AddToken(v1::IDENTITY_ROLE_AGENT, "h1");
  const auto joined = Join(cluster.Options(token, "h1"));
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_EQ(identity::Text(joined->peer.id), "spiffe://c1/agent/h1");
  EXPECT_EQ(joined->controllers, std::vector<std::string>{"c.example:7400"});
  const Directory directory;
  const std::string at = directory.path() + "/identity";
  ASSERT_TRUE(SaveJoined(at, *joined).ok());
  EXPECT_EQ(identity::LoadIdentity(identity::FilesIn(at))->peer.serial, joined->peer.serial);
  // Again with the same.
  const auto again = Join(cluster.Options(token, "h1"));
  EXPECT_EQ(again.status().code(), absl::StatusCode::kPermissionDenied);
  const auto events = cluster.events();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].actor, "agent/h1");
  EXPECT_EQ(events[0].serial, joined->peer.serial);
  EXPECT_FALSE(events[1].status.ok());
}

TEST(Join, WhateverIsWrongWithATokenTheWordsAreTheSame) {
  Cluster cluster("c1");
  const std::string token = cluster.AddToken(v1::IDENTITY_ROLE_AGENT, "h1");
  const std::string guessed = ErrorOf(Join(cluster.Options(RandomHex(32), "h1")));
  EXPECT_THAT(guessed, HasSubstr("the token is not good for this"));
  EXPECT_EQ(ErrorOf(Join(cluster.Options(token, "h2"))), guessed);
  JoinOptions as_proxy = cluster.Options(token, "h1");
  as_proxy.role = v1::IDENTITY_ROLE_PROXY;
  EXPECT_EQ(ErrorOf(Join(as_proxy)), guessed);
  // None of it used the token up.
  EXPECT_TRUE(Join(cluster.Options(token, "h1")).ok());
}

TEST(Join, ATokenIsShownToNobodyButTheClusterOfThePin) {
  Cluster cluster("c1");
  Cluster other("c2");
  const std::string token = cluster.AddToken(v1::IDENTITY_ROLE_AGENT, "h1");
  JoinOptions options = cluster.Options(token, "h1");
  options.pin = other.identity().authority_pin();
  const auto refused = Join(options);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(ErrorOf(refused), HasSubstr("no authority with the pin"));
  EXPECT_TRUE(cluster.events().empty());
  options.pin = "sha256:12";
  EXPECT_THAT(ErrorOf(Join(options)), HasSubstr("64 lowercase hex digits"));
}

// What another server of the cluster shows: its agent's certificate, one of no cluster, one that is
// over.
class WrongServer : public testing::TestWithParam<const char*> {};

TEST_P(WrongServer, IsToldNoToken) {
  const std::string kind = GetParam();
  const absl::Time now = absl::Now();
  const auto authority = *identity::Authority::Make("c1", now - absl::Hours(48));
  const auto key = *identity::MakeKey();
  const bool is_over = kind == "over";
  const auto certificate = *authority.Issue(
      key.get(),
      {.id = {.cluster = "c1",
              .role = kind == "agent" ? v1::IDENTITY_ROLE_AGENT : v1::IDENTITY_ROLE_CONTROLLER,
              .name = "m1"},
       .now = is_over ? now - absl::Hours(25) : now});
  std::atomic<int> asked = 0;
  JoinServer server([&](const JoinCall&, const JoinServer::Answer& answer) {
    ++asked;
    answer([] { return JoinAnswer{}; });
  });
  // Another authority, signed by nobody here, with the right pin cannot be had: what can be is the
  // right authority's certificate beside a chain that does not lead to it.
  const auto stranger = *identity::Authority::Make("c1", now);
  const auto strange = *stranger.Issue(
      key.get(),
      {.id = {.cluster = "c1", .role = v1::IDENTITY_ROLE_CONTROLLER, .name = "m1"}, .now = now});
  ASSERT_TRUE(server
                  .SetIdentity(kind == "chain" ? strange : certificate,
                               *identity::KeyPem(key.get()), authority.bundle_pem())
                  .ok());
  ASSERT_TRUE(server.Start({.address = "127.0.0.1", .port = 0, .is_loopback = true}).ok());
  const auto joined = Join({.address = server.address(),
                            .pin = *identity::PinOf(std::string_view(authority.bundle_pem())),
                            .token = "t",
                            .role = v1::IDENTITY_ROLE_AGENT,
                            .name = "h1"});
  EXPECT_EQ(joined.status().code(), absl::StatusCode::kUnauthenticated) << joined.status();
  EXPECT_EQ(asked, 0);
}
INSTANTIATE_TEST_SUITE_P(Join, WrongServer, testing::Values("agent", "over", "chain"));

TEST(Join, WhoGuessesIsStoppedAndOthersAreNot) {
  Cluster cluster("c1");
  for (int i = 0; i < static_cast<int>(limits::kJoinFailures); ++i) {
    EXPECT_EQ(Join(cluster.Options(RandomHex(32), "h1")).status().code(),
              absl::StatusCode::kPermissionDenied)
        << i;
  }
  const std::string token = cluster.AddToken(v1::IDENTITY_ROLE_AGENT, "h1");
  EXPECT_EQ(Join(cluster.Options(token, "h1")).status().code(),
            absl::StatusCode::kResourceExhausted);
  // It is forgiven with time.
  cluster.set_ahead(absl::Seconds(30));
  EXPECT_TRUE(Join(cluster.Options(token, "h1")).ok());
}

// The first may have taken it, and its answer may be lost.
TEST(Join, ATokenThatIsRefusedElsewhereIsToldWithWhatCameBefore) {
  Cluster cluster("c1");
  const std::string token = cluster.AddToken(v1::IDENTITY_ROLE_AGENT, "h1");
  ASSERT_TRUE(Join(cluster.Options(token, "h1")).ok());
  JoinOptions options = cluster.Options(token, "h1");
  options.address = Elsewhere(cluster) + "," + cluster.server().address();
  const auto refused = Join(options);
  EXPECT_TRUE(absl::IsPermissionDenied(refused.status()));
  EXPECT_THAT(ErrorOf(refused), HasSubstr("not good for this"));
  EXPECT_THAT(ErrorOf(refused), HasSubstr("asked before: " + Elsewhere(cluster)));
}

TEST(Join, TheFirstControllerThatCanBeReachedIsAsked) {
  Cluster cluster("c1");
  const std::string token = cluster.AddToken(v1::IDENTITY_ROLE_AGENT, "h1");
  JoinOptions options = cluster.Options(token, "h1");
  options.address = Elsewhere(cluster) + "," + cluster.server().address();
  const auto joined = Join(options);
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_EQ(joined->join_address, cluster.server().address());
  options.address = cluster.server().address() + ",nowhere";
  EXPECT_EQ(Join(options).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Join, WhatIsNoRequestIsRefusedByName) {
  Cluster cluster("c1");
  EXPECT_EQ(cluster.Ask("/", "{}"), 404);
  EXPECT_EQ(cluster.Ask("/v1/join", "no JSON"), 400);
  EXPECT_EQ(cluster.Ask("/v1/join", R"({"token":"t","role":"IDENTITY_ROLE_CONTROLLER"})"), 400);
  EXPECT_EQ(cluster.Ask("/v1/join", R"({"token":"t","more":1})"), 400);
  EXPECT_EQ(cluster.Ask("/v1/join", std::string(limits::kMaxJoinBodyBytes, ' ')), 400);
  EXPECT_EQ(cluster.Ask("/v1/join", std::string(limits::kMaxJoinBodyBytes + 1, ' ')), 413);
}

// A connection that never says what it wants.
int ConnectTo(const std::string& address, std::string_view said) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  EXPECT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  if (!said.empty()) {
    EXPECT_GT(send(fd, said.data(), said.size(), MSG_NOSIGNAL), 0);
  }
  return fd;
}

// Takes connections and passes them on, as a standby does.
class PassingOn {
 public:
  explicit PassingOn(JoinServer& to)
      : to_(to), fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    EXPECT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&at), size), 0);
    EXPECT_EQ(listen(fd_, 16), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size), 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
    thread_ = std::thread([this] {
      for (int one = -1; (one = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
        const std::lock_guard lock(mutex_);
        to_.Take(one, from_);
      }
    });
  }
  PassingOn(const PassingOn&) = delete;
  PassingOn& operator=(const PassingOn&) = delete;
  ~PassingOn() {
    shutdown(fd_, SHUT_RDWR);
    thread_.join();
    close(fd_);
  }
  const std::string& address() const { return address_; }
  void set_from(const std::string& from) {
    const std::lock_guard lock(mutex_);
    from_ = from;
  }

 private:
  JoinServer& to_;
  const int fd_;
  std::string address_;
  std::mutex mutex_;
  std::string from_;  // guarded by mutex_
  std::thread thread_;
};

TEST(Join, WhoIsPassedOnCountsAsWhereItCameFrom) {
  Cluster cluster("c1");
  PassingOn passing(cluster.server());
  const auto join = [&](const std::string& token) {
    JoinOptions options = cluster.Options(token, "h1");
    options.address = passing.address();
    return Join(options);
  };
  passing.set_from("192.0.2.1:1000");
  for (int i = 0; i < static_cast<int>(limits::kJoinFailures); ++i)
    EXPECT_EQ(join(RandomHex(32)).status().code(), absl::StatusCode::kPermissionDenied) << i;
  const std::string token = cluster.AddToken(v1::IDENTITY_ROLE_AGENT, "h1");
  EXPECT_EQ(join(token).status().code(), absl::StatusCode::kResourceExhausted);
  passing.set_from("192.0.2.2:1000");
  const auto joined = join(token);
  EXPECT_TRUE(joined.ok()) << joined.status();
  EXPECT_EQ(cluster.events().back().address, "192.0.2.2:1000");

  // What comes when it has stopped is closed.
  cluster.server().Stop();
  const int late = ConnectTo(passing.address(), "");
  char byte = 0;
  EXPECT_EQ(recv(late, &byte, 1, 0), 0);
  close(late);
}

TEST(Join, ManyThatSayNothingGiveWayToOneThatDoes) {
  Cluster cluster("c1");
  std::vector<int> silent;
  constexpr int kSilent = 200;
  for (int i = 0; i < kSilent; ++i) {
    // Half of them begin a TLS record and stop.
    silent.push_back(ConnectTo(cluster.server().address(),
                               i % 2 == 0 ? "" : std::string_view("\x16\x03\x01\x02\x00\x01", 6)));
  }
  const std::string token = cluster.AddToken(v1::IDENTITY_ROLE_AGENT, "h1");
  const auto joined = Join(cluster.Options(token, "h1"));
  EXPECT_TRUE(joined.ok()) << joined.status();
  const JoinCounts& counts = cluster.server().counts();
  EXPECT_TRUE(WaitUntil([&] { return counts.accepted > kSilent; }));
  EXPECT_LE(counts.connections, static_cast<int64_t>(limits::kMaxJoinConnectionsPerAddress));
  EXPECT_GE(counts.crowded_out,
            kSilent - static_cast<int64_t>(limits::kMaxJoinConnectionsPerAddress));
  for (const int fd : silent) close(fd);
}

TEST(Join, GarbageEndsItsConnectionAlone) {
  Cluster cluster("c1");
  const int fd = ConnectTo(cluster.server().address(), "GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  EXPECT_TRUE(WaitUntil([&] { return cluster.server().counts().abandoned == 1; }));
  close(fd);
  const std::string token = cluster.AddToken(v1::IDENTITY_ROLE_AGENT, "h1");
  EXPECT_TRUE(Join(cluster.Options(token, "h1")).ok());
}

TEST(Join, WhatIsShownIsChangedWithoutARestart) {
  Cluster cluster("c1");
  ASSERT_TRUE(*cluster.identity().Refresh(absl::Now() + absl::Hours(17)));
  const ShownIdentityPtr shown = cluster.identity().current();
  ASSERT_TRUE(cluster.server()
                  .SetIdentity(shown->certificate_pem, shown->key_pem, shown->authorities_pem)
                  .ok());
  // The new one begins in 17 hours: who joins sees it, and that it is not good yet.
  const std::string token = cluster.AddToken(v1::IDENTITY_ROLE_AGENT, "h1");
  EXPECT_THAT(ErrorOf(Join(cluster.Options(token, "h1"))), HasSubstr("not yet valid"));
}

TEST(JoinRates, EachAddressHasItsOwnAndIsForgiven) {
  JoinRates rates;
  absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  const auto fail = [&](const std::string& address) {
    const bool admitted = rates.Admit(address, now);
    if (admitted) rates.NoteFailure(address, now);
    return admitted;
  };
  for (int i = 0; i < static_cast<int>(limits::kJoinFailures); ++i) EXPECT_TRUE(fail("10.0.0.1:1"));
  EXPECT_FALSE(fail("10.0.0.1:2"));
  EXPECT_TRUE(fail("10.0.0.2:1"));
  now += absl::Seconds(7);
  EXPECT_TRUE(fail("10.0.0.1:3"));
  EXPECT_FALSE(fail("10.0.0.1:3"));
  // All of one IPv6 network count as one.
  for (int i = 0; i < static_cast<int>(limits::kJoinFailures); ++i)
    EXPECT_TRUE(fail("[2001:db8::" + std::to_string(i + 1) + "]:1"));
  EXPECT_FALSE(fail("[2001:db8::ff:1]:1"));
  EXPECT_TRUE(fail("[2001:db8:0:1::1]:1"));
}

TEST(NetworkOf, IsWhatOneStrangerHas) {
  EXPECT_EQ(NetworkOf("10.0.0.1:5"), "10.0.0.1");
  EXPECT_EQ(NetworkOf("[2001:db8:1:2:3:4:5:6]:5"), "2001:db8:1:2::/64");
  EXPECT_EQ(NetworkOf("[fe80::1%eth0]:5"), "fe80::/64");
  EXPECT_EQ(NetworkOf("[::ffff:10.0.0.1]:5"), "10.0.0.1");
  EXPECT_EQ(NetworkOf("unknown"), "unknown");
}

TEST(JoinRates, WhatIsRememberedIsBounded) {
  JoinRates rates;
  absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  for (size_t i = 0; i < limits::kMaxJoinFailureAddresses + 1000; ++i) {
    now += absl::Milliseconds(1);
    rates.NoteFailure("10." + std::to_string(i / 65536) + "." + std::to_string(i / 256 % 256) +
                          "." + std::to_string(i % 256) + ":1",
                      now);
  }
  EXPECT_EQ(rates.addresses(), limits::kMaxJoinFailureAddresses);
}

}  // namespace
}  // namespace remuda
