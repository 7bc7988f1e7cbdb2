// The join endpoint over real sockets: who gets a certificate there, who does not, and what
// strangers can make it hold.
#include <absl/time/clock.h>
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>
#include <openssl/sha.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "common/identity/join_client.h"
#include "common/identity/join_exchange.h"
#include "common/identity/key.h"
#include "common/identity/renewal_proof.h"
#include "common/random_bytes.h"
#include "controller/identity/authority_files.h"
#include "controller/identity/join_desk.h"
#include "controller/identity/join_limits.h"
#include "controller/identity/join_server.h"
#include "controller/identity/network_of.h"
#include "tests/wait.h"

namespace remuda {
namespace {

using identity::Join;
using identity::Joined;
using identity::JoinOptions;
using testing::HasSubstr;

std::string HashOf(const std::string& token) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), digest.data());
  return {digest.begin(), digest.end()};
}

std::string JsonOf(const google::protobuf::Message& message) {
  std::string out;
  EXPECT_TRUE(google::protobuf::util::MessageToJsonString(message, &out).ok());
  return out;
}

class Directory {
 public:
  Directory() : path_(testing::TempDir() + "/join-" + RandomHex()) {
    std::filesystem::create_directories(path_);
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

// A cluster as far as it is needed: its identity, its tokens, its endpoint.
class Cluster {
 public:
  explicit Cluster(const std::string& name)
      : identity_(OpenOld(directory_.path() + "/identity", name)),
        desk_({.controllers = [] { return std::vector<std::string>{"c.example:7400"}; },
               .use_token = [this](const ShownToken& shown,
                                   const JoinDesk::Done& done) { done(Use(shown)); },
               .may_renew = [this](const identity::Peer& peer,
                                   const JoinDesk::Done& done) { done(MayRenew(peer)); },
               .on_event = [this](const JoinEvent& event) { Note(event); },
               .now = [this] { return Now(); }},
              *identity_),
        server_([this](const JoinCall& call, JoinServer::Answer answer) {
          desk_.Handle(call, std::move(answer));
        }) {
    const ShownIdentityPtr shown = identity_->current();
    EXPECT_TRUE(
        server_.SetIdentity(shown->certificate_pem, shown->key_pem, shown->authorities_pem).ok());
    EXPECT_TRUE(server_.Start({.address = "127.0.0.1", .port = 0, .is_loopback = true}).ok());
  }
  ~Cluster() { server_.Stop(); }

  // A token for one agent, proxy or person.
  std::string AddToken(v1::IdentityRole role, const std::string& name) {
    const std::string token = RandomHex(32);
    const std::lock_guard lock(mutex_);
    tokens_[HashOf(token)] = {role, name};
    return token;
  }
  JoinOptions Options(const std::string& token, const std::string& name) const {
    return {.address = server_.address(),
            .pin = identity_->authority_pin(),
            .token = token,
            .role = v1::IDENTITY_ROLE_AGENT,
            .name = name};
  }
  void set_ahead(absl::Duration ahead) {
    const std::lock_guard lock(mutex_);
    ahead_ = ahead;
  }
  // So long takes the store to answer.
  void set_takes(absl::Duration takes) {
    const std::lock_guard lock(mutex_);
    takes_ = takes;
  }
  void set_may_renew(absl::Status status) {
    const std::lock_guard lock(mutex_);
    may_renew_ = std::move(status);
  }
  // The status of the answer.
  int Ask(const std::string& target, const std::string& body) {
    const auto answer =
        identity::Exchange({.address = server_.address(),
                            .target = target,
                            .body = body,
                            .timeout = identity::kJoinTimeout,
                            .check_peer = [](STACK_OF(X509)*) { return absl::OkStatus(); }});
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? answer->status : 0;
  }
  JoinServer& server() { return server_; }
  ClusterIdentity& identity() { return *identity_; }
  std::vector<JoinEvent> events() {
    const std::lock_guard lock(mutex_);
    return events_;
  }

 private:
  // Its authority is older than what it is to have issued.
  static std::unique_ptr<ClusterIdentity> OpenOld(const std::string& directory,
                                                  const std::string& name) {
    std::filesystem::create_directory(directory);
    std::filesystem::permissions(directory, std::filesystem::perms::owner_all);
    EXPECT_TRUE(
        LoadOrMakeAuthority(AuthorityFilesIn(directory), name, absl::Now() - absl::Hours(24 * 100))
            .ok());
    return *ClusterIdentity::Open({.directory = directory, .cluster = name, .name = "m1"},
                                  absl::Now());
  }

  absl::Status Use(const ShownToken& shown) {
    const std::lock_guard lock(mutex_);
    const auto it = tokens_.find(shown.hash);
    if (it == tokens_.end()) return absl::UnauthenticatedError("it is not known");
    if (it->second != std::pair{shown.role, shown.subject})
      return absl::UnauthenticatedError("it is for somebody else");
    tokens_.erase(it);
    ahead_ += takes_;
    return absl::OkStatus();
  }
  absl::Time Now() {
    const std::lock_guard lock(mutex_);
    return absl::Now() + ahead_;
  }
  absl::Status MayRenew(const identity::Peer&) {
    const std::lock_guard lock(mutex_);
    ahead_ += takes_;
    return may_renew_;
  }
  void Note(const JoinEvent& event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(event);
  }

  const Directory directory_;
  const std::unique_ptr<ClusterIdentity> identity_;
  std::mutex mutex_;  // guards what follows
  std::map<std::string, std::pair<v1::IdentityRole, std::string>> tokens_;
  absl::Duration ahead_;
  absl::Duration takes_;
  absl::Status may_renew_;
  std::vector<JoinEvent> events_;
  JoinDesk desk_;
  JoinServer server_;
};

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

// An identity as it was issued so long ago, kept in a directory.
class OldIdentity {
 public:
  OldIdentity(Cluster& cluster, v1::IdentityRole role, const std::string& name, absl::Duration ago)
      : OldIdentity(cluster, role, name, ago, cluster.server().address(), {}) {}
  OldIdentity(Cluster& cluster, v1::IdentityRole role, const std::string& name, absl::Duration ago,
              const std::string& join_address, const std::vector<std::string>& controllers) {
    const auto key = *identity::MakeKey();
    const auto old = *cluster.identity().Issue(*identity::MakeCertificateRequest(key.get()), role,
                                               name, absl::Now() - ago);
    const Joined before{.peer = old.peer,
                        .key_pem = *identity::KeyPem(key.get()),
                        .certificate_pem = old.certificate_pem,
                        .authorities_pem = old.authorities_pem,
                        .controllers = controllers,
                        .join_address = join_address};
    EXPECT_TRUE(SaveJoined(path(), before).ok());
  }
  std::string path() const { return directory_.path() + "/identity"; }
  absl::Status Renew() const { return identity::RenewExpired(identity::FilesIn(path())); }
  identity::Identity Load() const { return *identity::LoadIdentity(identity::FilesIn(path())); }

 private:
  const Directory directory_;
};

TEST(Join, AnAgentWhoseCertificateIsOverComesBack) {
  Cluster cluster("c1");
  const OldIdentity old(cluster, v1::IDENTITY_ROLE_AGENT, "h1", absl::Hours(48));
  const std::string before = old.Load().key_pem;
  ASSERT_TRUE(old.Renew().ok()) << old.Renew();
  EXPECT_GT(old.Load().peer.expire_time, absl::Now());
  EXPECT_EQ(identity::Text(old.Load().peer.id), "spiffe://c1/agent/h1");
  EXPECT_NE(old.Load().key_pem, before);
}

// Nobody listens there: the port is that of the cluster's endpoint, the address is not.
std::string Elsewhere(Cluster& cluster) {
  const std::string address = cluster.server().address();
  return "127.0.0.77" + address.substr(address.rfind(':'));
}

TEST(Join, AnAgentComesBackThroughAnotherControllerWhereTheOneThatItJoinedAtIsGone) {
  Cluster cluster("c1");
  const OldIdentity old(cluster, v1::IDENTITY_ROLE_AGENT, "h1", absl::Hours(48), Elsewhere(cluster),
                        {"127.0.0.77:7400", "127.0.0.1:7400"});
  EXPECT_THAT(identity::JoinedControllers(identity::FilesIn(old.path())),
              testing::ElementsAre("127.0.0.77:7400", "127.0.0.1:7400"));
  ASSERT_TRUE(old.Renew().ok()) << old.Renew();
  EXPECT_GT(old.Load().peer.expire_time, absl::Now());
  EXPECT_THAT(identity::JoinedControllers(identity::FilesIn(old.path())),
              testing::ElementsAre("c.example:7400"))
      << "what the one that answered says";
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

// Who is shut out after it was asked whether he may, and before he has his certificate, is shut out
// with it.
TEST(Join, ACertificateIsNoYoungerThanTheQuestionWhetherOneMay) {
  Cluster cluster("c1");
  cluster.set_takes(absl::Seconds(30));
  const std::string token = cluster.AddToken(v1::IDENTITY_ROLE_AGENT, "h1");
  const auto joined = Join(cluster.Options(token, "h1"));
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_LE(joined->peer.issue_time, absl::Now());
  cluster.set_ahead(absl::ZeroDuration());
  const OldIdentity old(cluster, v1::IDENTITY_ROLE_AGENT, "h1", absl::Hours(48));
  ASSERT_TRUE(old.Renew().ok());
  EXPECT_LE(old.Load().peer.issue_time, absl::Now());
}

// One host may not use up what all may ask together; once it is refused often, it is not looked at.
TEST(Join, OneIdentityIsRenewedOnlySoOften) {
  Cluster cluster("c1");
  const OldIdentity greedy(cluster, v1::IDENTITY_ROLE_AGENT, "h1", absl::Hours(48));
  for (int i = 0; i < static_cast<int>(limits::kJoinFailures); ++i)
    ASSERT_TRUE(greedy.Renew().ok()) << i;
  EXPECT_EQ(greedy.Renew().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(OldIdentity(cluster, v1::IDENTITY_ROLE_AGENT, "h2", absl::Hours(48)).Renew().ok());
  cluster.set_ahead(absl::Seconds(30));
  EXPECT_TRUE(greedy.Renew().ok()) << "it is forgiven with time";
}

TEST(Join, NotEverybodyComesBack) {
  Cluster cluster("c1");
  const auto refusal = [&cluster](v1::IdentityRole role, absl::Duration ago) {
    return std::string(OldIdentity(cluster, role, "n1", ago).Renew().message());
  };
  EXPECT_THAT(refusal(v1::IDENTITY_ROLE_AGENT, limits::kMaxExpiredFor + absl::Hours(25)),
              HasSubstr("join anew"));
  EXPECT_THAT(refusal(v1::IDENTITY_ROLE_PERSON, limits::kMaxExpiredFor + absl::Hours(48)),
              HasSubstr("only agents and proxies"));
  cluster.set_may_renew(absl::PermissionDeniedError("hosts/n1 is not there"));
  EXPECT_THAT(refusal(v1::IDENTITY_ROLE_AGENT, absl::Hours(48)), HasSubstr("is not there"));
}

TEST(Join, ACertificateWithoutItsKeyIsNoProof) {
  Cluster cluster("c1");
  const OldIdentity old(cluster, v1::IDENTITY_ROLE_AGENT, "h1", absl::Hours(48));
  const auto thief = *identity::MakeKey();
  join::v1::RenewRequest request;
  request.set_certificate_pem(old.Load().certificate_pem);
  request.set_certificate_request_pem(*identity::MakeCertificateRequest(thief.get()));
  request.set_proof(*identity::MakeRenewalProof(thief.get(), request.certificate_pem(),
                                                request.certificate_request_pem()));
  EXPECT_EQ(cluster.Ask("/v1/renew", JsonOf(request)), 403);
}

TEST(Join, ACertificateOfAnotherClusterDoesNotComeBack) {
  Cluster cluster("c1");
  Cluster same_name("c1");
  const OldIdentity old(same_name, v1::IDENTITY_ROLE_AGENT, "h1", absl::Hours(48));
  join::v1::RenewRequest request;
  request.set_certificate_pem(old.Load().certificate_pem);
  const auto key = *identity::ReadKey(old.Load().key_pem);
  request.set_certificate_request_pem(*identity::MakeCertificateRequest(key.get()));
  request.set_proof(*identity::MakeRenewalProof(key.get(), request.certificate_pem(),
                                                request.certificate_request_pem()));
  EXPECT_EQ(cluster.Ask("/v1/renew", JsonOf(request)), 403);
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
