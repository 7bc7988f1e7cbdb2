// The controller's authority and its own certificate, however they are given.
#include "controller/identity/cluster_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <filesystem>

#include "common/identity/key.h"
#include "common/identity/verify_chain.h"
#include "common/random_bytes.h"
#include "controller/identity/authority_files.h"
#include "controller/identity/gate.h"
#include "tests/unit/controller/identity/test_authorities.h"

namespace remuda {
namespace {

using identity::Authority;
using identity::WriteFile;
using testing::HasSubstr;

class ClusterIdentityTest : public testing::Test {
 protected:
  ClusterIdentityTest() : base_(testing::TempDir() + "/identity-" + RandomHex()) {
    std::filesystem::create_directories(base_);
  }
  ~ClusterIdentityTest() override { std::filesystem::remove_all(base_); }

  ClusterIdentity::Options Options(IdentityOptions given = {}) {
    return {.directory = base_ + "/identity",
            .cluster = "c1",
            .name = "m1",
            .hosts = {"0.0.0.0", "10.1.2.3"},
            .given = std::move(given)};
  }
  std::unique_ptr<ClusterIdentity> Open(IdentityOptions given = {}) {
    auto opened = ClusterIdentity::Open(Options(std::move(given)), now_);
    EXPECT_TRUE(opened.ok()) << opened.status();
    return opened.ok() ? *std::move(opened) : nullptr;
  }
  std::string ErrorOfOpen(IdentityOptions given = {}) {
    return std::string(ClusterIdentity::Open(Options(std::move(given)), now_).status().message());
  }
  static std::string Request() {
    return *identity::MakeCertificateRequest((*identity::MakeKey()).get());
  }
  static mode_t ModeOf(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
    return info.st_mode & 0777;
  }
  // What somebody else would issue for a controller.
  void WriteOwn(const Authority& authority, const identity::SpiffeId& id, absl::Time now) {
    const tls::KeyPtr key = *identity::MakeKey();
    WriteFile(base_ + "/own.pem", *authority.Issue(key.get(), {.id = id, .now = now}));
    WriteFile(base_ + "/own.key", *identity::KeyPem(key.get()));
    WriteFile(base_ + "/bundle.pem", authority.bundle_pem());
  }
  IdentityOptions External() const {
    return {.ca_bundle = base_ + "/bundle.pem",
            .tls_certificate = base_ + "/own.pem",
            .tls_key = base_ + "/own.key"};
  }

  const absl::Time now_ = absl::FromUnixSeconds(1'800'000'000);
  const identity::SpiffeId own_{"c1", v1::IDENTITY_ROLE_CONTROLLER, "m1"};
  const std::string base_;
};

TEST_F(ClusterIdentityTest, TheFirstStartMakesAnAuthorityAndTheNextOnesKeepIt) {
  const std::string pin = Open()->authority_pin();
  EXPECT_EQ(pin.size(), std::string("sha256:").size() + 64);
  EXPECT_EQ(Open()->authority_pin(), pin);
  EXPECT_EQ(ModeOf(base_ + "/identity"), 0700U);
  for (const char* file : {"ca.pem", "ca.key", "identity.pem", "authorities.pem"})
    EXPECT_EQ(ModeOf(base_ + "/identity/" + file), 0600U) << file;
}

TEST_F(ClusterIdentityTest, AKeyThatIsLostIsNotReplacedByItself) {
  Open();
  std::filesystem::remove(base_ + "/identity/ca.key");
  EXPECT_THAT(ErrorOfOpen(), HasSubstr("ca.key: is not there"));
}

TEST_F(ClusterIdentityTest, AKeyThatOthersCanReadIsRefused) {
  Open();
  chmod((base_ + "/identity/ca.key").c_str(), 0640);
  EXPECT_THAT(ErrorOfOpen(), HasSubstr("ca.key: holds a private key and others can read it"));
}

TEST_F(ClusterIdentityTest, ItsCertificateHasTheNamesThatItIsReachedBy) {
  const auto opened = Open({.advertise = {"Remuda.example:7000", "[fd00::1]", "10.1.2.3"}});
  tls::ChainPtr chain;
  std::string error;
  ASSERT_TRUE(tls::ReadCertificates(opened->current()->certificate_pem, 10, chain, error));
  X509* const leaf = sk_X509_value(chain.get(), 0);
  EXPECT_EQ(X509_check_host(leaf, "remuda.example", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_host(leaf, "localhost", 0, 0, nullptr), 1);
  for (const char* address : {"127.0.0.1", "::1", "10.1.2.3", "fd00::1"})
    EXPECT_EQ(X509_check_ip_asc(leaf, address, 0), 1) << address;
  EXPECT_EQ(X509_check_ip_asc(leaf, "0.0.0.0", 0), 0);
  EXPECT_EQ(identity::Text(opened->current()->peer.id), "spiffe://c1/controller/m1");
}

TEST_F(ClusterIdentityTest, ItRenewsItsOwnAtTwoThirds) {
  const auto opened = Open();
  const std::string serial = opened->current()->peer.serial;
  EXPECT_FALSE(*opened->Refresh(now_ + absl::Hours(15)));
  EXPECT_TRUE(*opened->Refresh(now_ + absl::Hours(16) + absl::Minutes(1)));
  EXPECT_NE(opened->current()->peer.serial, serial);
  EXPECT_EQ(identity::LoadIdentity(opened->files())->peer.serial, opened->current()->peer.serial);
}

// Else everybody is out when the certificate ends, for want of a file.
TEST_F(ClusterIdentityTest, ItRenewsItsOwnWithoutTheBundleAndWithoutItsDirectory) {
  WriteFile(base_ + "/more.pem", Authority::Make("c1", now_)->bundle_pem());
  const auto opened = Open({.ca_bundle = base_ + "/more.pem"});
  const ShownIdentityPtr before = opened->current();
  std::filesystem::remove(base_ + "/more.pem");
  EXPECT_THAT(std::string(opened->Refresh(now_).status().message()), HasSubstr("more.pem"));
  EXPECT_TRUE(*opened->Refresh(now_ + absl::Hours(17)));
  EXPECT_NE(opened->current()->peer.serial, before->peer.serial);
  EXPECT_EQ(opened->current()->authorities_pem, before->authorities_pem);
  WriteFile(base_ + "/more.pem", Authority::Make("c1", now_)->bundle_pem());
  EXPECT_TRUE(*opened->Refresh(now_ + absl::Hours(17)));

  // What is written first stands in the way of itself.
  const std::string blocked = base_ + "/identity/identity.pem.new";
  std::filesystem::create_directories(blocked + "/by");
  EXPECT_TRUE(*opened->Refresh(now_ + absl::Hours(34)));
  const std::string shown = opened->current()->peer.serial;
  EXPECT_THAT(std::string(opened->Refresh(now_ + absl::Hours(34)).status().message()),
              HasSubstr("identity.pem.new"));
  EXPECT_EQ(opened->current()->peer.serial, shown);
  std::filesystem::remove_all(blocked);
  EXPECT_FALSE(*opened->Refresh(now_ + absl::Hours(34)));
  EXPECT_EQ(identity::LoadIdentity(opened->files())->peer.serial, shown);
}

// A machine whose clock was ahead when it started, until it was set.
TEST_F(ClusterIdentityTest, ACertificateOfTheFutureIsReplaced) {
  std::filesystem::create_directory(base_ + "/identity");
  ASSERT_TRUE(
      LoadOrMakeAuthority(AuthorityFilesIn(base_ + "/identity"), "c1", now_ - absl::Hours(24 * 10))
          .ok());
  std::filesystem::permissions(base_ + "/identity", std::filesystem::perms::owner_all);
  const auto opened = Open();
  const std::string serial = opened->current()->peer.serial;
  EXPECT_FALSE(*opened->Refresh(now_ - absl::Seconds(30)));
  EXPECT_TRUE(*opened->Refresh(now_ - absl::Hours(20)));
  EXPECT_NE(opened->current()->peer.serial, serial);
}

// All who read a bundle read as many.
TEST_F(ClusterIdentityTest, WhatIsTrustedMayBeMany) {
  std::string more;
  for (size_t i = 1; i < identity::kMaxChainLength; ++i)
    more += Authority::Make("c1", now_)->bundle_pem();
  WriteFile(base_ + "/more.pem", more);
  const auto opened = Open({.ca_bundle = base_ + "/more.pem"});
  ASSERT_NE(opened, nullptr);
  EXPECT_FALSE(opened->authority_pin().empty());
  EXPECT_TRUE(identity::LoadIdentity(opened->files()).ok());
  const ShownIdentityPtr shown = opened->current();
  const auto gate = MakeGateContext(shown->certificate_pem, shown->key_pem, shown->authorities_pem);
  EXPECT_TRUE(gate.ok()) << gate.status();
}

TEST_F(ClusterIdentityTest, IssuesForAsLongAsTheRoleHasIt) {
  const auto opened = Open();
  const auto agent = opened->Issue(Request(), v1::IDENTITY_ROLE_AGENT, "h1", now_);
  ASSERT_TRUE(agent.ok()) << agent.status();
  EXPECT_EQ(identity::Text(agent->peer.id), "spiffe://c1/agent/h1");
  EXPECT_EQ(agent->peer.expire_time, now_ + absl::Hours(24));
  const auto person = opened->Issue(Request(), v1::IDENTITY_ROLE_PERSON, "ann", now_);
  EXPECT_EQ(person->peer.expire_time, now_ + absl::Hours(24 * 30));
  EXPECT_FALSE(opened->Issue("no request", v1::IDENTITY_ROLE_AGENT, "h1", now_).ok());
}

TEST_F(ClusterIdentityTest, AnIntermediateIsGivenAndItsRootIsTrusted) {
  const Authority root = *Authority::Make("elsewhere", now_);
  const auto given = identity::MakeIntermediate(root, now_);
  WriteFile(base_ + "/ca.pem", given.certificates_pem);
  WriteFile(base_ + "/ca.key", given.key_pem);
  const auto opened = Open({.ca_certificate = base_ + "/ca.pem", .ca_key = base_ + "/ca.key"});
  EXPECT_EQ(opened->authority_pin(), *identity::PinOf(root.bundle_pem()));
  const auto agent = opened->Issue(Request(), v1::IDENTITY_ROLE_AGENT, "h1", now_);
  ASSERT_TRUE(agent.ok()) << agent.status();
  EXPECT_EQ(agent->authorities_pem, root.bundle_pem());
  // The certificate, and the intermediate between it and the root.
  tls::ChainPtr chain;
  std::string error;
  ASSERT_TRUE(tls::ReadCertificates(agent->certificate_pem, 10, chain, error));
  EXPECT_EQ(sk_X509_num(chain.get()), 2);
  EXPECT_FALSE(std::filesystem::exists(base_ + "/identity/ca.key"));
}

TEST_F(ClusterIdentityTest, AnotherAuthorityIsTrustedBesideIts) {
  const Authority other = *Authority::Make("c1", now_);
  WriteFile(base_ + "/more.pem", other.bundle_pem());
  const auto opened = Open({.ca_bundle = base_ + "/more.pem"});
  EXPECT_THAT(opened->current()->authorities_pem, HasSubstr(other.bundle_pem()));
  EXPECT_NE(opened->authority_pin(), *identity::PinOf(other.bundle_pem()));
  // It is read again: the first step of an authority's rotation needs no restart.
  const std::string serial = opened->current()->peer.serial;
  WriteFile(base_ + "/more.pem", Authority::Make("c1", now_)->bundle_pem());
  EXPECT_TRUE(*opened->Refresh(now_));
  EXPECT_EQ(opened->current()->peer.serial, serial);
}

TEST_F(ClusterIdentityTest, WhatIsIssuedElsewhereIsReadAgainWhenItChanges) {
  const Authority elsewhere = *Authority::Make("c1", now_);
  WriteOwn(elsewhere, own_, now_);
  const auto opened = Open(External());
  ASSERT_NE(opened, nullptr);
  EXPECT_FALSE(*opened->Refresh(now_));
  const std::string serial = opened->current()->peer.serial;
  WriteOwn(elsewhere, own_, now_ + absl::Hours(12));
  EXPECT_TRUE(*opened->Refresh(now_ + absl::Hours(12)));
  EXPECT_NE(opened->current()->peer.serial, serial);
  // Half of the next pair is there: the one before stays.
  const std::string good = opened->current()->peer.serial;
  WriteFile(base_ + "/own.key", *identity::KeyPem((*identity::MakeKey()).get()));
  EXPECT_FALSE(opened->Refresh(now_ + absl::Hours(12)).ok());
  EXPECT_EQ(opened->current()->peer.serial, good);
}

TEST_F(ClusterIdentityTest, NothingIsIssuedWhereOthersIssue) {
  WriteOwn(*Authority::Make("c1", now_), own_, now_);
  const auto opened = Open(External());
  ASSERT_NE(opened, nullptr);
  const auto status = opened->Issue(Request(), v1::IDENTITY_ROLE_AGENT, "h1", now_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("issued elsewhere"));
}

TEST_F(ClusterIdentityTest, AWrongOneOfElsewhereIsRefusedByName) {
  const Authority elsewhere = *Authority::Make("c1", now_);
  const auto error_of = [&](const identity::SpiffeId& id, absl::Time issued) {
    WriteOwn(elsewhere, id, issued);
    return ErrorOfOpen(External());
  };
  EXPECT_THAT(error_of({"c1", v1::IDENTITY_ROLE_AGENT, "m1"}, now_), HasSubstr("is no controller"));
  EXPECT_THAT(error_of({"c2", v1::IDENTITY_ROLE_CONTROLLER, "m1"}, now_),
              HasSubstr("is of another cluster than c1"));
  EXPECT_THAT(error_of(own_, now_ - absl::Hours(25)), HasSubstr("expired"));
  EXPECT_THAT(error_of(own_, now_ + absl::Hours(1)), HasSubstr("not yet valid"));
  WriteOwn(elsewhere, own_, now_);
  WriteFile(base_ + "/bundle.pem", Authority::Make("c1", now_)->bundle_pem());
  EXPECT_THAT(ErrorOfOpen(External()), HasSubstr("own.pem: the certificate is not good"));
}

TEST(IdentityOptions, AnAddressThatIsAdvertised) {
  const auto parse = [](const std::string& text) {
    AdvertisedAddress address;
    return ParseAdvertised(text, address) ? address.host + "|" + address.port : "wrong";
  };
  EXPECT_EQ(parse("c.example"), "c.example|");
  EXPECT_EQ(parse("c.example:7400"), "c.example|7400");
  EXPECT_EQ(parse("10.0.0.1:7400"), "10.0.0.1|7400");
  EXPECT_EQ(parse("fd00::1"), "fd00::1|");
  EXPECT_EQ(parse("[fd00::1]:7400"), "fd00::1|7400");
  for (const char* wrong : {"", ":7400", "a b", "c.example:", "c.example:0", "c.example:65536",
                            "[c.example]:1", "[fd00::1", "[fd00::1]7", "*.example"})
    EXPECT_EQ(parse(wrong), "wrong") << wrong;
}

TEST(IdentityOptions, FlagsThatDoNotGoTogether) {
  EXPECT_EQ(CheckIdentityOptions({}), "");
  EXPECT_THAT(CheckIdentityOptions({.ca_certificate = "a"}), HasSubstr("both or none"));
  EXPECT_THAT(CheckIdentityOptions({.tls_key = "a"}), HasSubstr("both or none"));
  EXPECT_THAT(CheckIdentityOptions({.tls_certificate = "a", .tls_key = "b"}),
              HasSubstr("--ca-bundle"));
  EXPECT_THAT(CheckIdentityOptions({.ca_certificate = "a",
                                    .ca_key = "b",
                                    .ca_bundle = "c",
                                    .tls_certificate = "d",
                                    .tls_key = "e"}),
              HasSubstr("not both"));
  EXPECT_THAT(CheckIdentityOptions({.join_listen = "somewhere"}), HasSubstr("--join-listen"));
}

}  // namespace
}  // namespace remuda
