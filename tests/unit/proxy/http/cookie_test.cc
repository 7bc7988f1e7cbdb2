#include "proxy/http/cookie.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace remuda::proxy::http {
namespace {

Fields FieldsOf(const std::vector<std::pair<std::string_view, std::string_view>>& from) {
  Fields fields;
  for (const auto& [name, value] : from) fields.Add({name, value, IdOfField(name), false});
  return fields;
}

TEST(Cookie, ReadsAllOfAllFields) {
  const Fields fields = FieldsOf({{"Cookie", "a=1; b=\"x y\";c= 3 ; =nameless; junk; d="},
                                  {"X-Other", "z=9"},
                                  {"cookie", ";;e=5=5"}});
  CookieReader reader(fields);
  Cookie cookie;
  std::vector<std::pair<std::string, std::string>> got;
  while (reader.Next(cookie)) got.emplace_back(cookie.name, cookie.value);
  const std::vector<std::pair<std::string, std::string>> wanted = {
      {"a", "1"}, {"b", "\"x y\""}, {"c", "3"}, {"", "nameless"}, {"d", ""}, {"e", "5=5"}};
  EXPECT_EQ(got, wanted);
}

TEST(Cookie, FindsByExactName) {
  const Fields fields = FieldsOf({{"Cookie", "sid=1; SID=2; sid=3"}});
  EXPECT_EQ(FindCookie(fields, "sid"), "1");
  EXPECT_EQ(FindCookie(fields, "SID"), "2");
  EXPECT_EQ(FindCookie(fields, "si"), std::nullopt);
}

TEST(Cookie, LooksAtABoundedNumber) {
  std::string many;
  for (size_t i = 0; i < kMaxCookies; ++i) many += "a=1;";
  const std::string last = many + "b=2";
  EXPECT_EQ(FindCookie(FieldsOf({{"Cookie", last}}), "b"), std::nullopt);
  EXPECT_EQ(FindCookie(FieldsOf({{"Cookie", many.substr(4) + "b=2"}}), "b"), "2");
}

TEST(Cookie, KnowsWhatAResponseSets) {
  const Fields fields =
      FieldsOf({{"Set-Cookie", "flag; a=1"}, {"SET-COOKIE", " sid =1; Path=/"}, {"X", "b=1"}});
  EXPECT_TRUE(SetsCookie(fields, "sid"));
  EXPECT_FALSE(SetsCookie(fields, "a"));
  EXPECT_FALSE(SetsCookie(fields, "b"));
  EXPECT_FALSE(SetsCookie(fields, "Path"));
}

}  // namespace
}  // namespace remuda::proxy::http
