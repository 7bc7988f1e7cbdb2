// Identities without a network: names, keys, requests, the authority and what it issues, files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "common/identity/authority.h"
#include "common/identity/dial.h"
#include "common/identity/identity_files.h"
#include "common/identity/key.h"
#include "common/identity/peer.h"
#include "common/identity/renewer.h"
#include "common/identity/spiffe_id.h"

namespace remuda::identity {
namespace {

using testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
constexpr char kCluster[] = "5f0c0de0-1111-4222-8333-944455556666";

SpiffeId AgentId(const std::string& name) {
  return {.cluster = kCluster, .role = v1::IDENTITY_ROLE_AGENT, .name = name};
}

// A certificate of `authority` for a new key.
std::string Issue(const Authority& authority, const IssueRequest& request) {
  const auto key = MakeKey();
  return *authority.Issue(key->get(), request);
}

TEST(SpiffeIdTest, ReadsWhatItWrites) {
  for (const v1::IdentityRole role : {v1::IDENTITY_ROLE_CONTROLLER, v1::IDENTITY_ROLE_AGENT,
                                      v1::IDENTITY_ROLE_PROXY, v1::IDENTITY_ROLE_PERSON}) {
    const SpiffeId id{.cluster = kCluster, .role = role, .name = "a-1"};
    const auto read = ParseSpiffeId(Text(id));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, id);
  }
  EXPECT_EQ(Text(AgentId("h1")), "spiffe://" + std::string(kCluster) + "/agent/h1");
  EXPECT_EQ(ActorText(AgentId("h1")), "agent/h1");
}

TEST(SpiffeIdTest, RefusesOtherForms) {
  for (const char* text :
       {"", "spiffe://", "spiffe://c", "spiffe://c/agent", "spiffe://c/agent/",
        "spiffe:///agent/h1", "spiffe://C/agent/h1", "spiffe://c/Agent/h1", "spiffe://c/root/h1",
        "spiffe://c/agent/H1", "spiffe://c/agent/h1/x", "spiffe://c/agent/-h",
        "spiffe://c/agent/h1?x=1", "spiffe://c/agent/h1#x", "https://c/agent/h1",
        "spiffe://c:1/agent/h1", "spiffe://u@c/agent/h1", "spiffe://c/agent/../agent/h1",
        "spiffe://c/agent/%68"}) {
    EXPECT_FALSE(ParseSpiffeId(text).ok()) << text;
  }
  EXPECT_FALSE(ParseSpiffeId("spiffe://c/agent/" + std::string(64, 'a')).ok());
  EXPECT_FALSE(ParseSpiffeId("spiffe://c/agent/" + std::string(1000, 'a')).ok());
}

TEST(AuthorityTest, WhatItIssuesSaysWhoseItIs) {
  const auto authority = Authority::Make(kCluster, kNow);
  ASSERT_TRUE(authority.ok()) << authority.status();
  const auto peer = ReadPeer(Issue(*authority, {.id = AgentId("h1"), .now = kNow}));
  ASSERT_TRUE(peer.ok()) << peer.status();
  EXPECT_EQ(peer->id, AgentId("h1"));
  EXPECT_EQ(peer->issue_time, kNow);
  EXPECT_EQ(peer->expire_time, kNow + kProgramLifetime);
  EXPECT_THAT(peer->serial, testing::MatchesRegex("[0-9a-f]{32}"));
  const auto other = ReadPeer(Issue(*authority, {.id = AgentId("h1"), .now = kNow}));
  EXPECT_NE(other->serial, peer->serial);
}

TEST(AuthorityTest, ACertificateEndsNoLaterThanItsAuthority) {
  const auto authority = Authority::Make(kCluster, kNow);
  const absl::Time late = authority->expire_time() - absl::Hours(1);
  const auto peer = ReadPeer(Issue(*authority, {.id = AgentId("h1"), .now = late}));
  ASSERT_TRUE(peer.ok()) << peer.status();
  EXPECT_EQ(peer->expire_time, authority->expire_time());
  const auto key = MakeKey();
  const auto none =
      authority->Issue(key->get(), {.id = AgentId("h1"), .now = authority->expire_time()});
  EXPECT_EQ(none.status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(AuthorityTest, NamesAreNamesAndNothingElse) {
  const auto authority = Authority::Make(kCluster, kNow);
  const auto key = MakeKey();
  const SpiffeId controller{.cluster = kCluster, .role = v1::IDENTITY_ROLE_CONTROLLER, .name = "c"};
  const auto issue = [&](const std::vector<std::string>& dns, const std::vector<std::string>& ips) {
    return authority
        ->Issue(key->get(), {.id = controller, .dns_names = dns, .addresses = ips, .now = kNow})
        .status();
  };
  EXPECT_TRUE(issue({"c.example.org"}, {"10.0.0.1", "2001:db8::1"}).ok());
  EXPECT_FALSE(issue({"a,URI:spiffe://x/agent/y"}, {}).ok());
  EXPECT_FALSE(issue({"email:copy"}, {}).ok());
  EXPECT_FALSE(issue({}, {"10.0.0.256"}).ok());
  EXPECT_FALSE(issue(std::vector<std::string>(kMaxNames + 1, "a.b"), {}).ok());
  EXPECT_FALSE(authority->Issue(key->get(), {.id = AgentId("H 1"), .now = kNow}).ok());
}

TEST(AuthorityTest, AnAuthoritysOwnCertificateIsNobodys) {
  const auto authority = Authority::Make(kCluster, kNow);
  EXPECT_THAT(std::string(ReadPeer(authority->bundle_pem()).status().message()),
              HasSubstr("authority"));
}

TEST(AuthorityTest, LoadsWhatItWroteAndRefusesTheRest) {
  const auto authority = Authority::Make(kCluster, kNow);
  const auto other = Authority::Make(kCluster, kNow);
  const std::string key = *authority->KeyPem();
  EXPECT_TRUE(Authority::Load(authority->certificates_pem(), key).ok());
  EXPECT_THAT(std::string(Authority::Load(other->certificates_pem(), key).status().message()),
              HasSubstr("not that of the first"));
  const std::string leaf = Issue(*authority, {.id = AgentId("h1"), .now = kNow});
  EXPECT_FALSE(Authority::Load(leaf, key).ok());
  EXPECT_THAT(
      std::string(Authority::Load(authority->certificates_pem() + other->certificates_pem(), key)
                      .status()
                      .message()),
      HasSubstr("not signed by the one after it"));
  EXPECT_FALSE(Authority::Load("", key).ok());
  EXPECT_FALSE(Authority::Load(authority->certificates_pem(), "").ok());
  EXPECT_EQ(*PinOf(authority->bundle_pem()), *PinOf(authority->certificates_pem()));
  EXPECT_THAT(*PinOf(authority->bundle_pem()), testing::MatchesRegex("sha256:[0-9a-f]{64}"));
}

TEST(KeyTest, ARequestIsSignedByItsKey) {
  const auto key = MakeKey();
  std::string pem = *MakeCertificateRequest(key->get());
  const auto read = ReadCertificateRequest(pem);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(EVP_PKEY_eq(read->get(), key->get()), 1);
  for (size_t i = 40; i < pem.size() - 40; i += 7) {
    std::string broken = pem;
    broken[i] = broken[i] == 'A' ? 'B' : 'A';
    const auto other = ReadCertificateRequest(broken);
    EXPECT_TRUE(!other.ok() || EVP_PKEY_eq(other->get(), key->get()) == 1) << i;
  }
  EXPECT_FALSE(ReadCertificateRequest("").ok());
  EXPECT_FALSE(ReadCertificateRequest(std::string(kMaxRequestPemBytes + 1, 'x')).ok());
}

TEST(KeyTest, WeakKindsOfKeysAreRefused) {
  const tls::KeyPtr rsa(EVP_RSA_gen(2048));
  EXPECT_THAT(
      std::string(ReadCertificateRequest(*MakeCertificateRequest(rsa.get())).status().message()),
      HasSubstr("must be ECDSA P-256 or P-384, or Ed25519"));
  const tls::KeyPtr curve(EVP_EC_gen("secp256k1"));
  EXPECT_FALSE(ReadCertificateRequest(*MakeCertificateRequest(curve.get())).ok());
  const tls::KeyPtr ed(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  EXPECT_TRUE(ReadCertificateRequest(*MakeCertificateRequest(ed.get())).ok());
}

class FilesTest : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/remuda-identity-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    root_ = path;
    directory_ = root_ + "/identity";
    authority_.emplace(*Authority::Make(kCluster, absl::Now()));
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  absl::Status Save(const std::string& name) {
    const auto key = MakeKey();
    return SaveIdentity(FilesIn(directory_), *KeyPem(key->get()),
                        *authority_->Issue(key->get(), {.id = AgentId(name), .now = absl::Now()}),
                        authority_->bundle_pem());
  }

  std::string root_, directory_;
  std::optional<Authority> authority_;
};

TEST_F(FilesTest, ArePrivateAndReadBack) {
  ASSERT_TRUE(Save("h1").ok());
  struct stat info {};
  ASSERT_EQ(stat(directory_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700U);
  ASSERT_EQ(stat(FilesIn(directory_).identity.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
  const auto held = LoadIdentity(FilesIn(directory_));
  ASSERT_TRUE(held.ok()) << held.status();
  EXPECT_EQ(held->peer.id, AgentId("h1"));
  EXPECT_EQ(held->authorities_pem, authority_->bundle_pem());
  ASSERT_TRUE(Save("h2").ok()) << "again";
  EXPECT_EQ(LoadIdentity(FilesIn(directory_))->peer.id, AgentId("h2"));
}

// Two commands that renew a person's certificate at the same time: whoever reads finds one of the
// two, whole, and neither fails.
TEST_F(FilesTest, WrittenByManyAtOnceItIsWholeAllTheSame) {
  ASSERT_TRUE(Save("h1").ok());
  std::atomic<int> failed = 0, torn = 0;
  std::atomic<bool> is_over = false;
  std::thread reader([&] {
    while (!is_over) torn += LoadIdentity(FilesIn(directory_)).ok() ? 0 : 1;
  });
  std::vector<std::thread> writers;
  for (int t = 0; t < 4; ++t) {
    writers.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) failed += Save("h" + std::to_string(t)).ok() ? 0 : 1;
    });
  }
  for (std::thread& writer : writers) writer.join();
  is_over = true;
  reader.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(torn, 0);
}

TEST_F(FilesTest, AKeyThatOthersReadIsRefused) {
  ASSERT_TRUE(Save("h1").ok());
  chmod(FilesIn(directory_).identity.c_str(), 0640);
  EXPECT_THAT(std::string(LoadIdentity(FilesIn(directory_)).status().message()),
              HasSubstr("others can read it"));
}

TEST_F(FilesTest, WhatCannotBeUsedIsNamed) {
  EXPECT_TRUE(absl::IsNotFound(LoadIdentity(FilesIn(directory_)).status()));
  ASSERT_TRUE(Save("h1").ok());
  std::ofstream(FilesIn(directory_).identity) << "x";
  EXPECT_THAT(std::string(LoadIdentity(FilesIn(directory_)).status().message()),
              HasSubstr(FilesIn(directory_).identity));
  ASSERT_TRUE(Save("h1").ok());
  const auto other = MakeKey();
  const auto held = LoadIdentity(FilesIn(directory_));
  ASSERT_TRUE(
      WritePrivateFile(FilesIn(directory_).identity, *KeyPem(other->get()) + held->certificate_pem)
          .ok());
  EXPECT_THAT(std::string(LoadIdentity(FilesIn(directory_)).status().message()),
              HasSubstr("not that of the certificate"));
}

TEST_F(FilesTest, ADialSaysWhatIsMissing) {
  const auto dial = [this](const DialOptions& options) {
    return std::string(PrepareDial(options).status().message());
  };
  EXPECT_THAT(dial({.controllers = {"10.0.0.1:7400"}, .directory = directory_}),
              HasSubstr("join the cluster first"));
  EXPECT_THAT(dial({.controllers = {"10.0.0.1:7400"}, .directory = directory_, .insecure = true}),
              HasSubstr("is not on this machine"));
  EXPECT_EQ(dial({.controllers = {"127.0.0.1:1"}, .directory = directory_, .insecure = true}), "");
  EXPECT_THAT(dial({.controllers = {"127.0.0.1:1", "10.0.0.1:7400"},
                    .directory = directory_,
                    .insecure = true}),
              HasSubstr("10.0.0.1:7400 is not on this machine"));
  ASSERT_TRUE(Save("h1").ok());
  EXPECT_EQ(dial({.controllers = {"10.0.0.1:7400"}, .directory = directory_}), "");
  EXPECT_THAT(dial({.controllers = {"10.0.0.1:7400"},
                    .directory = directory_,
                    .role = v1::IDENTITY_ROLE_PROXY}),
              HasSubstr("that of a proxy is needed"));
  EXPECT_THAT(dial({.controllers = {"10.0.0.1:7400"}, .directory = directory_, .name = "h2"}),
              HasSubstr("--name is h2"));
}

TEST(RenewerTest, IsDueAtTwoThirdsAndNotAllAtOnce) {
  const Peer peer{.id = AgentId("h1"),
                  .serial = "1",
                  .issue_time = kNow,
                  .expire_time = kNow + absl::Hours(24)};
  EXPECT_EQ(RenewalTime(peer, 0), kNow + absl::Hours(16));
  EXPECT_EQ(RenewalTime(peer, 1), kNow + absl::Hours(16) - absl::Minutes(72));
}

}  // namespace
}  // namespace remuda::identity
