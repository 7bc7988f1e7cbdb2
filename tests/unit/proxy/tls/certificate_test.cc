// Certificates, the choice among them by name, and ticket keys.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "proxy/tls/certificate_store.h"
#include "proxy/tls/ticket_keys.h"
#include "tests/unit/proxy/tls/parsed_certificates.h"

namespace remuda::proxy::tls {
namespace {

using proxy::testing::CertificateRequest;
using proxy::testing::MakeCertificate;
using proxy::testing::Named;
using proxy::testing::Parse;
using proxy::testing::TestCertificate;
using proxy::testing::TestKey;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string FaultOf(const CertificateSource& source) {
  const auto result = CertificateParser().Parse(source);
  const auto* error = std::get_if<std::string>(&result);
  return error == nullptr ? "" : *error;
}

std::string Encrypted(const TestCertificate& made) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(bio.get(), made.key.get(), EVP_aes_128_cbc(), nullptr, 0, nullptr,
                           const_cast<char*>("secret"));
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<size_t>(size)};
}

TEST(Certificate, IsRefusedWithTheFieldAndTheRule) {
  const TestCertificate good = MakeCertificate({.names = {"a.test"}});
  const TestCertificate other = MakeCertificate({.names = {"a.test"}, .key_index = 1});
  const TestCertificate weak = MakeCertificate({.key = TestKey::kRsa1024});
  const TestCertificate edwards = MakeCertificate({.key = TestKey::kEd25519});
  std::string chain;
  for (size_t i = 0; i <= kMaxChainCertificates; ++i) chain += good.pem;
  const std::string torn = good.pem.substr(0, good.pem.size() / 2);
  const std::string damaged = std::string(good.pem).replace(60, 4, "!!!!");
  const std::string mark = "\xef\xbb\xbf";  // of bytes in order, as some editors write it
  const struct {
    std::string certificate, key, want;
  } cases[] = {
      {good.pem, good.key_pem, ""},
      {mark + good.pem, mark + good.key_pem, ""},
      {good.pem + mark + damaged, good.key_pem, "certificate_pem: certificate 2 cannot be read"},
      {"\xff\xfe-", good.key_pem, "certificate_pem: is UTF-16, not ASCII: holds no certificate"},
      {good.pem + other.pem, good.key_pem, ""},
      {"text before\n" + good.pem + "text after\n", good.key_pem, ""},
      {"", good.key_pem, "certificate_pem: holds no certificate"},
      {good.key_pem, good.key_pem, "certificate_pem: holds no certificate"},
      {torn, good.key_pem, "certificate_pem: certificate 1 cannot be read"},
      {damaged, good.key_pem, "certificate_pem: certificate 1 cannot be read"},
      {good.pem + damaged, good.key_pem, "certificate_pem: certificate 2 cannot be read"},
      {chain, good.key_pem, "certificate_pem: more than 10 certificates"},
      {std::string(kMaxCertificatePemBytes + 1, 'x'), good.key_pem, "bytes, at most 65536"},
      {good.pem, "", "private_key_pem: cannot be read"},
      {good.pem, good.pem, "private_key_pem: cannot be read"},
      {good.pem, std::string(kMaxKeyPemBytes + 1, 'x'), "bytes, at most 16384"},
      {good.pem, other.key_pem, "private_key_pem: is not the key of the first certificate"},
      {good.pem, Encrypted(good), "private_key_pem: the key is encrypted"},
      {weak.pem, weak.key_pem, "private_key_pem: RSA of 1024 bits is not within 2048-8192"},
      {edwards.pem, edwards.key_pem, "private_key_pem: the key is neither RSA nor ECDSA"},
  };
  for (const auto& c : cases) {
    const std::string fault = FaultOf({"a", c.certificate, c.key});
    if (c.want.empty()) {
      EXPECT_EQ(fault, "");
    } else {
      EXPECT_THAT(fault, HasSubstr(c.want));
    }
    EXPECT_EQ(ERR_peek_error(), 0u) << "the error queue is not empty after: " << c.want;
  }
}

TEST(Certificate, TakesItsNamesFromTheAlternativesOrElseTheCommonName) {
  const auto names = [](const CertificateRequest& request) {
    return Parse("a", MakeCertificate(request))->dns_names();
  };
  EXPECT_THAT(names({.names = {"A.Test", "*.B.test", "a.test"}, .common_name = "c.test"}),
              ElementsAre("a.test", "*.b.test"));
  EXPECT_THAT(names({.common_name = "C.test"}), ElementsAre("c.test"));
  EXPECT_THAT(names({.common_name = "Some Body"}), IsEmpty());
  // An alternative of another kind counts: the common name is not looked at then.
  EXPECT_THAT(names({.addresses = {"10.0.0.1"}, .common_name = "c.test"}), IsEmpty());
}

TEST(Certificate, NormalizesDnsNames) {
  const struct {
    std::string name;
    bool wildcard;
    std::string want;  // empty: it is none
  } cases[] = {
      {"a", false, "a"},
      {"A.B.test.", false, "a.b.test"},
      {"xn--bcher-kva.test", false, "xn--bcher-kva.test"},
      {"_dmarc.a.test", false, "_dmarc.a.test"},
      {"*.a.test", true, "*.a.test"},
      {"*.a.test", false, ""},
      {"a.*.test", true, ""},
      {"*", true, ""},
      {"w*.a.test", true, ""},
      {"**.a.test", true, ""},
      {"", true, ""},
      {".", true, ""},
      {"a..b", true, ""},
      {".a", true, ""},
      {"10.0.0.1", true, ""},
      {"a b.test", true, ""},
      {std::string("a.te\0st", 7), true, ""},
      {std::string(64, 'a') + ".test", true, ""},
      {std::string(250, 'a') + ".test", true, ""},
  };
  for (const auto& c : cases) {
    std::string out;
    EXPECT_EQ(NormalizeDnsName(c.name, c.wildcard, out), !c.want.empty()) << c.name;
    if (!c.want.empty()) {
      EXPECT_EQ(out, c.want);
    }
  }
}

TEST(CertificateStore, FindsTheExactNameThenTheWildcardThenTheFirst) {
  const auto first = Named("first", {"first.test"});
  const CertificateStore store({first, Named("shop", {"shop.test", "*.shop.test"}),
                                Named("api", {"api.shop.test"}), Named("late", {"shop.test"})});
  const struct {
    const char* name;
    const char* want;
  } cases[] = {
      {"shop.test", "shop"},     {"SHOP.Test", "shop"},    {"shop.test.", "shop"},
      {"www.shop.test", "shop"}, {"api.shop.test", "api"}, {"a.b.shop.test", "first"},
      {"other.test", "first"},   {"test", "first"},        {"", "first"},
      {".shop.test", "first"},   {"*.shop.test", "shop"},  {"..", "first"},
  };
  for (const auto& c : cases) {
    ASSERT_NE(store.Find(c.name).ecdsa, nullptr);
    EXPECT_EQ(store.Find(c.name).ecdsa->id(), c.want) << c.name;
    EXPECT_EQ(store.Find(c.name).rsa, nullptr) << c.name;
  }
  EXPECT_EQ(store.Find(std::string(300, 'a')).ecdsa, first.get());
}

TEST(CertificateStore, KeepsOneOfEachKindForAName) {
  const auto rsa = Named("rsa", {"a.test"}, TestKey::kRsa2048);
  const auto ecdsa = Named("ecdsa", {"a.test", "b.test"});
  const CertificateStore store({rsa, ecdsa});
  EXPECT_EQ(store.Find("a.test"), (CertificateStore::Entry{rsa.get(), ecdsa.get()}));
  EXPECT_EQ(store.Find("b.test"), (CertificateStore::Entry{nullptr, ecdsa.get()}));
  EXPECT_EQ(store.fallback(), (CertificateStore::Entry{rsa.get(), ecdsa.get()}));
}

using Time = TicketKeys::Time;
const Time kNow{std::chrono::hours(480'000)};
constexpr auto kGeneration = TicketKeys::kGeneration;

std::string KeyOf(char c) { return std::string(TicketKeys::kKeyBytes, c); }

bool Knows(const TicketKeys& keys, const TicketKeys::Key& key, Time now = kNow) {
  return keys.Find(key.name.data(), now) == key;
}

TEST(TicketKeys, OfOnesOwnAreRandomAndGoodForTwoGenerations) {
  const TicketKeys keys;
  const TicketKeys::Key key = keys.Sealing(kNow);
  EXPECT_FALSE(TicketKeys().Sealing(kNow) == key) << "of nobody else";
  EXPECT_EQ(keys.Sealing(kNow), key);
  EXPECT_FALSE(keys.Sealing(kNow + kGeneration) == key) << "a new one each generation";
  EXPECT_TRUE(Knows(keys, key, kNow + kGeneration)) << "good for a generation at least";
  EXPECT_FALSE(Knows(keys, key, kNow + 2 * kGeneration)) << "and gone then";
  // A clock that was set back brings nothing back.
  EXPECT_FALSE(Knows(keys, key, kNow));
}

TEST(TicketKeys, OfAControllerTakeTheirPlace) {
  TicketKeys one, two;
  const TicketKeys::Key own = one.Sealing(kNow);
  ASSERT_EQ(one.Replace({KeyOf('a'), KeyOf('b')}, kNow), "");
  ASSERT_EQ(two.Replace({KeyOf('a'), KeyOf('b')}, kNow), "");
  const TicketKeys::Key a = one.Sealing(kNow);
  EXPECT_EQ(a.name[0], 'a');
  EXPECT_EQ(two.Sealing(kNow), a);
  EXPECT_TRUE(Knows(one, own)) << "what clients hold is good until the next change";
  ASSERT_EQ(one.Replace({KeyOf('a'), KeyOf('b')}, kNow), "") << "the same once more";
  EXPECT_TRUE(Knows(one, own));
  ASSERT_EQ(one.Replace({KeyOf('b'), KeyOf('c'), KeyOf('a')}, kNow), "");
  EXPECT_TRUE(Knows(two, one.Sealing(kNow))) << "the next one was known before it came";
  EXPECT_TRUE(Knows(one, a));
  EXPECT_FALSE(Knows(one, own));
  // A controller that was started anew.
  ASSERT_EQ(one.Replace({KeyOf('x'), KeyOf('y')}, kNow), "");
  EXPECT_EQ(one.Sealing(kNow).name[0], 'x');
  EXPECT_EQ(one.Find(reinterpret_cast<const uint8_t*>(KeyOf('b').data()), kNow)->cipher[0], 'b');
  EXPECT_FALSE(Knows(one, a));
}

TEST(TicketKeys, OfAControllerAreGivenUpIfNoNewOnesCome) {
  TicketKeys keys;
  ASSERT_EQ(keys.Replace({KeyOf('a')}, kNow), "");
  const TicketKeys::Key key = keys.Sealing(kNow);
  EXPECT_EQ(keys.Sealing(kNow + 4 * kGeneration), key);
  EXPECT_FALSE(keys.Sealing(kNow + 5 * kGeneration) == key);
  EXPECT_FALSE(Knows(keys, key, kNow + 5 * kGeneration));
}

TEST(TicketKeys, AreRefusedWithTheRule) {
  TicketKeys keys;
  ASSERT_EQ(keys.Replace({KeyOf('a')}, kNow), "");
  EXPECT_EQ(keys.Replace({}, kNow), "keys: 0 are not within 1-4");
  EXPECT_EQ(keys.Replace(std::vector<std::string>(5, KeyOf('b')), kNow),
            "keys: 5 are not within 1-4");
  EXPECT_EQ(keys.Replace({KeyOf('b') + "x"}, kNow), "keys: one of 81 bytes is not of 80");
  EXPECT_EQ(keys.Replace({KeyOf('b'), KeyOf('b')}, kNow), "keys: two have one name");
  EXPECT_EQ(keys.Sealing(kNow).name[0], 'a');
}

}  // namespace
}  // namespace remuda::proxy::tls
