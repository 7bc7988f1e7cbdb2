// Where redirects lead, and which are refused.
#include "proxy/core/redirect.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/unit/proxy/core/requests.h"
#include "tests/unit/proxy/core/tables.h"

namespace remuda::proxy {
namespace {

std::shared_ptr<const RoutingTable> TableOf(const std::string& redirect) {
  return testing::Compile(testing::Config(
      {"1:1"},
      "[{priority: 5, conditions: [{path_pattern: {values: [\"*\"]}}], action: {redirect: " +
          redirect + "}}]"));
}

struct RedirectCase {
  const char* name;
  const char* redirect;
  const char* request;
  const char* location;
};

class RedirectTest : public ::testing::TestWithParam<RedirectCase> {};

TEST_P(RedirectTest, LeadsTo) {
  const auto table = TableOf(GetParam().redirect);
  ASSERT_NE(table, nullptr);
  const auto& redirect =
      std::get<Redirect>(table->load_balancers.at("shop")->listeners[0].rules[0].action);
  const auto request = testing::ParseRequest(GetParam().request);
  ASSERT_NE(request, nullptr);
  std::array<char, kMaxLocationBytes> out;
  std::string_view location;
  EXPECT_EQ(ExpandRedirect(redirect, request->head, 8080, out, location), ExpandResult::kOk);
  EXPECT_EQ(location, GetParam().location);
}

INSTANTIATE_TEST_SUITE_P(
    Redirects, RedirectTest,
    ::testing::Values(
        RedirectCase{"ToHttps", "{protocol: HTTPS, port: \"443\"}",
                     "GET /a/b?c=d HTTP/1.1\r\nHost: shop.test:8080", "https://shop.test/a/b?c=d"},
        // The listener's own port speaks no TLS; who asks for it gets it.
        RedirectCase{"ToHttpsAlone", "{protocol: HTTPS}",
                     "GET /a?c=d HTTP/1.1\r\nHost: shop.test:8080", "https://shop.test/a?c=d"},
        RedirectCase{"ToHttpsOnItsPort", "{protocol: HTTPS, port: \"#{port}\"}",
                     "GET / HTTP/1.1\r\nHost: a", "https://a:8080/"},
        RedirectCase{"PortAsItCame", "{host: \"www.#{host}\"}",
                     "GET / HTTP/1.1\r\nHost: shop.test:80", "http://www.shop.test:8080/"},
        RedirectCase{"DefaultPortIsLeftOut", "{port: \"80\"}", "GET /x HTTP/1.1\r\nHost: a",
                     "http://a/x"},
        RedirectCase{"Path", "{path: \"/new/#{path}\"}", "GET /a/b HTTP/1.1\r\nHost: a",
                     "http://a:8080/new/a/b"},
        RedirectCase{"Query", "{query: \"from=#{host}&#{query}\"}", "GET /?x HTTP/1.1\r\nHost: a",
                     "http://a:8080/?from=a&x"},
        RedirectCase{"EmptyQueryIsLeftOut", "{path: /x, query: \"#{query}\"}",
                     "GET / HTTP/1.1\r\nHost: a", "http://a:8080/x"},
        RedirectCase{"ProtocolInQuery", "{query: \"was=#{protocol}:#{port}\"}",
                     "GET / HTTP/1.1\r\nHost: a", "http://a:8080/?was=http:8080"},
        RedirectCase{"SixBytes", "{path: /x}", "GET / HTTP/1.1\r\nHost: [::1]:80",
                     "http://[::1]:8080/x"},
        RedirectCase{"Star", "{path: \"/x/#{path}\"}", "OPTIONS * HTTP/1.1\r\nHost: a",
                     "http://a:8080/x/"}),
    [](const auto& param) { return param.param.name; });

TEST(RedirectBounds, TooLongAndWithoutHost) {
  const auto table = TableOf("{path: \"/#{path}/#{path}\"}");
  const auto& redirect =
      std::get<Redirect>(table->load_balancers.at("shop")->listeners[0].rules[0].action);
  std::array<char, 100> out;
  std::string_view location;
  const auto expand = [&](const std::string& lines) {
    return ExpandRedirect(redirect, testing::ParseRequest(lines)->head, 80, out, location);
  };
  const std::string path(43, 'p');  // http://a/ p / p: 96 bytes
  EXPECT_EQ(expand("GET /" + path + " HTTP/1.1\r\nHost: a"), ExpandResult::kOk);
  EXPECT_EQ(expand("GET /ppp" + path + " HTTP/1.1\r\nHost: a"), ExpandResult::kTooLong);
  EXPECT_EQ(expand("GET / HTTP/1.0"), ExpandResult::kNoHost);
}

}  // namespace
}  // namespace remuda::proxy
