#include "proxy/exchange/sticky_cookie.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace remuda::proxy {
namespace {

using Kind = StickyClaim::Kind;

const std::string kOld(32, 'o');
const std::string kNew(40, 'n');
constexpr int64_t kNow = 1'700'000'000;

StickyClaim Claim() { return {Kind::kTarget, 0x0123456789abcdef, 0xfedcba9876543210, kNow + 60}; }

std::string Sealed(StickyCookies& cookies, const StickyClaim& claim = Claim()) {
  StickyCookies::Text text;
  EXPECT_TRUE(cookies.Seal(claim, text));
  return {text.data(), text.size()};
}

TEST(StickyCookie, OpensWhatAnotherProxyOfTheClusterSealed) {
  StickyCookies one, other;
  one.SetSecrets({kOld});
  other.SetSecrets({kOld});
  StickyClaim got;
  ASSERT_TRUE(other.Open(Sealed(one), Kind::kTarget, kNow, got));
  EXPECT_EQ(got, Claim());
}

TEST(StickyCookie, UnderstandsTheSecretBefore) {
  StickyCookies before, now, later;
  before.SetSecrets({kOld});
  now.SetSecrets({kNew, kOld});
  later.SetSecrets({kNew});
  StickyClaim got;
  EXPECT_TRUE(now.Open(Sealed(before), Kind::kTarget, kNow, got));
  EXPECT_TRUE(later.Open(Sealed(now), Kind::kTarget, kNow, got)) << "sealed by the first";
  EXPECT_FALSE(later.Open(Sealed(before), Kind::kTarget, kNow, got));
  now.SetSecrets({kNew});
  EXPECT_FALSE(now.Open(Sealed(before), Kind::kTarget, kNow, got));
}

TEST(StickyCookie, HoldsForOneKindAndUntilItExpires) {
  StickyCookies cookies;
  cookies.SetSecrets({kOld});
  const std::string text = Sealed(cookies);
  StickyClaim got;
  EXPECT_FALSE(cookies.Open(text, Kind::kApp, kNow, got));
  EXPECT_FALSE(cookies.Open(text, Kind::kGroup, kNow, got));
  EXPECT_TRUE(cookies.Open(text, Kind::kTarget, kNow + 59, got));
  EXPECT_FALSE(cookies.Open(text, Kind::kTarget, kNow + 60, got));
}

TEST(StickyCookie, RefusesEverythingElse) {
  StickyCookies cookies;
  cookies.SetSecrets({kOld});
  const std::string text = Sealed(cookies);
  StickyClaim got;
  for (size_t i = 0; i < text.size(); ++i) {
    for (const char other : {'A', '-', '9', '=', ' ', '\0', '\xff'}) {
      std::string changed = text;
      if (changed[i] == other) continue;
      changed[i] = other;
      EXPECT_FALSE(cookies.Open(changed, Kind::kTarget, kNow, got)) << i << " " << other;
    }
  }
  EXPECT_FALSE(cookies.Open("", Kind::kTarget, kNow, got));
  EXPECT_FALSE(cookies.Open(text.substr(1), Kind::kTarget, kNow, got));
  EXPECT_FALSE(cookies.Open(text + "A", Kind::kTarget, kNow, got));
  std::mt19937_64 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::string noise(random() % 120, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    EXPECT_FALSE(cookies.Open(noise, Kind::kTarget, kNow, got));
  }
  StickyCookies without;
  StickyCookies::Text out;
  EXPECT_FALSE(without.Seal(Claim(), out));
  EXPECT_FALSE(without.Open(text, Kind::kTarget, kNow, got));
}

TEST(StickyCookie, NeverTheSameTwiceAndSafeInAHeader) {
  StickyCookies cookies;
  cookies.SetSecrets({kOld});
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string text = Sealed(cookies);
    EXPECT_TRUE(seen.insert(text).second);
    EXPECT_EQ(
        text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
        std::string::npos);
  }
}

}  // namespace
}  // namespace remuda::proxy
