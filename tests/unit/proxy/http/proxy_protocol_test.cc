#include "proxy/http/proxy_protocol.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace remuda::proxy::http {
namespace {

std::string TextOf(const ProxyEndpoint& endpoint) {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(AF_INET6, endpoint.address.data(), text, sizeof text);
  return std::string(text) + "|" + std::to_string(endpoint.port);
}

const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

// The fixed part with its length, then `body`.
std::string Version2(uint8_t command, uint8_t family, const std::string& body) {
  std::string out = kSignature;
  out += static_cast<char>(command);
  out += static_cast<char>(family);
  out += static_cast<char>(body.size() >> 8);
  out += static_cast<char>(body.size() & 0xff);
  return out + body;
}

std::string Extension(uint8_t type, size_t size) {
  std::string out(1, static_cast<char>(type));
  out += static_cast<char>(size >> 8);
  out += static_cast<char>(size & 0xff);
  return out + std::string(size, 'x');
}

const std::string kBody4("\xc0\x00\x02\x01\xc6\x33\x64\x02\xdd\xd5\x01\xbb", 12);
const std::string kBody6 = std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + "\x01" +
                           std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + "\x02" +
                           std::string("\x00\x50\xff\xff", 4);

struct Case {
  const char* name;
  std::string bytes;
  // "source destination", "local", "error" or "more".
  std::string expected;
};

class ProxyHeaderTest : public ::testing::TestWithParam<Case> {};

std::string Verdict(const std::string& bytes, size_t& header_size) {
  ProxyHeader header;
  switch (ParseProxyHeader(bytes.data(), bytes.size(), header, header_size)) {
    case ParseStatus::kNeedMore:
      return "more";
    case ParseStatus::kError:
      return "error";
    case ParseStatus::kDone:
      break;
  }
  return header.is_local ? "local" : TextOf(header.source) + " " + TextOf(header.destination);
}

TEST_P(ProxyHeaderTest, IsReadWhole) {
  const Case& c = GetParam();
  size_t size = 0;
  EXPECT_EQ(Verdict(c.bytes, size), c.expected);
  const bool is_header = c.expected != "error" && c.expected != "more";
  if (!is_header) return;
  EXPECT_EQ(size, c.bytes.size());
  // What is behind it changes nothing, and what is missing is waited for.
  EXPECT_EQ(Verdict(c.bytes + "PROXY \r\n\r\n", size), c.expected);
  EXPECT_EQ(size, c.bytes.size());
  for (size_t cut = 0; cut < c.bytes.size(); ++cut)
    ASSERT_EQ(Verdict(c.bytes.substr(0, cut), size), "more") << "cut at " << cut;
}

INSTANTIATE_TEST_SUITE_P(
    Version1, ProxyHeaderTest,
    ::testing::Values(
        Case{"Tcp4", "PROXY TCP4 192.0.2.1 198.51.100.2 56789 443\r\n",
             "::ffff:192.0.2.1|56789 ::ffff:198.51.100.2|443"},
        Case{"Tcp6", "PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n",
             "2001:db8::1|1 2001:db8::2|65535"},
        Case{"Longest",
             "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
             "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
             "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff|65535 "
             "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff|65535"},
        Case{"PortZero", "PROXY TCP4 1.2.3.4 1.2.3.5 0 0\r\n", "::ffff:1.2.3.4|0 ::ffff:1.2.3.5|0"},
        Case{"Unknown", "PROXY UNKNOWN\r\n", "local"},
        Case{"UnknownWithMore", "PROXY UNKNOWN ffff:: ffff:: 1 2 whatever\r\n", "local"},
        Case{"UnknownLonger", "PROXY UNKNOWNX\r\n", "error"},
        Case{"TooLong", "PROXY UNKNOWN " + std::string(107, 'x'), "error"},
        Case{"OneByteTooLong", "PROXY UNKNOWN " + std::string(92, 'x') + "\r\n", "error"},
        Case{"JustFits", "PROXY UNKNOWN " + std::string(91, 'x') + "\r\n", "local"},
        Case{"FullWithoutAnEnd", "PROXY UNKNOWN " + std::string(93, 'x'), "error"},
        Case{"BareLfAfterDigits", "PROXY TCP4 1.2.3.4 1.2.3.5 1 22\n", "error"},
        Case{"BareLf", "PROXY TCP4 1.2.3.4 1.2.3.5 1 2\n", "error"},
        Case{"LowerCase", "proxy TCP4 1.2.3.4 1.2.3.5 1 2\r\n", "error"},
        Case{"Udp", "PROXY UDP4 1.2.3.4 1.2.3.5 1 2\r\n", "error"},
        Case{"TwoSpaces", "PROXY TCP4  1.2.3.4 1.2.3.5 1 2\r\n", "error"},
        Case{"SpaceAtTheEnd", "PROXY TCP4 1.2.3.4 1.2.3.5 1 2 \r\n", "error"},
        Case{"NoPort", "PROXY TCP4 1.2.3.4 1.2.3.5 1\r\n", "error"},
        Case{"LargePort", "PROXY TCP4 1.2.3.4 1.2.3.5 1 65536\r\n", "error"},
        Case{"SignedPort", "PROXY TCP4 1.2.3.4 1.2.3.5 +1 2\r\n", "error"},
        Case{"LeadingZero", "PROXY TCP4 1.2.3.4 1.2.3.5 01 2\r\n", "error"},
        Case{"ShortAddress", "PROXY TCP4 1.2.3 1.2.3.5 1 2\r\n", "error"},
        Case{"WrongFamily", "PROXY TCP4 ::1 ::2 1 2\r\n", "error"},
        Case{"OtherWrongFamily", "PROXY TCP6 1.2.3.4 1.2.3.5 1 2\r\n", "error"},
        Case{"NulInAddress", std::string("PROXY TCP4 1.2.3.4\0 1.2.3.5 1 2\r\n", 33), "error"},
        Case{"Http", "GET / HTTP/1.1\r\n", "error"}, Case{"Nothing", "", "more"}),
    [](const auto& param) { return param.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Version2, ProxyHeaderTest,
    ::testing::Values(
        Case{"Tcp4", Version2(0x21, 0x11, kBody4),
             "::ffff:192.0.2.1|56789 ::ffff:198.51.100.2|443"},
        Case{"Tcp6", Version2(0x21, 0x21, kBody6), "2001:db8::1|80 2001:db8::2|65535"},
        Case{"Local", Version2(0x20, 0x00, ""), "local"},
        Case{"LocalWithAddresses", Version2(0x20, 0x11, kBody4), "local"},
        Case{"LocalWithGarbage", Version2(0x20, 0xff, "garbage"), "local"},
        Case{"Unspecified", Version2(0x21, 0x00, "whatever"), "local"},
        Case{"Unix", Version2(0x21, 0x31, std::string(216, 'u')), "local"},
        Case{"ShortUnix", Version2(0x21, 0x31, std::string(215, 'u')), "error"},
        Case{"Extensions", Version2(0x21, 0x11, kBody4 + Extension(4, 0) + Extension(0xea, 300)),
             "::ffff:192.0.2.1|56789 ::ffff:198.51.100.2|443"},
        Case{"ExtensionCutShort", Version2(0x21, 0x11, kBody4 + "\x04"), "error"},
        Case{"ExtensionTooLong", Version2(0x21, 0x11, kBody4 + Extension(4, 9).substr(0, 11)),
             "error"},
        Case{"LargestLength", Version2(0x20, 0x00, std::string(4080, 'x')), "local"},
        Case{"TooLarge", Version2(0x20, 0x00, std::string(4081, 'x')), "error"},
        Case{"ShortTcp4", Version2(0x21, 0x11, kBody4.substr(1)), "error"},
        Case{"ShortTcp6", Version2(0x21, 0x21, kBody6.substr(1)), "error"},
        Case{"Datagrams", Version2(0x21, 0x12, kBody4), "error"},
        Case{"FamilyUnheardOf", Version2(0x21, 0x41, kBody4), "error"},
        Case{"CommandUnheardOf", Version2(0x22, 0x11, kBody4), "error"},
        Case{"VersionUnheardOf", Version2(0x31, 0x11, kBody4), "error"},
        Case{"BrokenSignature", "\r\n\r\n\r\n", "error"}),
    [](const auto& param) { return param.param.name; });

ProxyEndpoint Endpoint(const char* address, uint16_t port) {
  ProxyEndpoint out;
  inet_pton(AF_INET6, address, out.address.data());
  out.port = port;
  return out;
}

TEST(ProxyHeader, WhatIsWrittenIsReadAgain) {
  const ProxyHeader headers[] = {
      {},
      {false, Endpoint("::ffff:192.0.2.1", 1), Endpoint("::ffff:10.0.0.1", 65535)},
      {false, Endpoint("2001:db8::1", 5), Endpoint("::1", 80)},
      {false, Endpoint("::ffff:192.0.2.1", 5), Endpoint("::1", 80)},
      {false, Endpoint("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535),
       Endpoint("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535)}};
  for (const ProxyHeader& header : headers) {
    for (const ProxyVersion version : {ProxyVersion::k1, ProxyVersion::k2}) {
      char bytes[kMaxProxyLineBytes];
      const size_t size = WriteProxyHeader(version, header, bytes);
      ASSERT_LE(size, sizeof bytes);
      ProxyHeader again;
      size_t header_size = 0;
      ASSERT_EQ(ParseProxyHeader(bytes, size, again, header_size), ParseStatus::kDone)
          << std::string(bytes, size);
      EXPECT_EQ(header_size, size);
      EXPECT_EQ(again.is_local, header.is_local);
      EXPECT_EQ(again.source, header.source);
      EXPECT_EQ(again.destination, header.destination);
    }
  }
}

TEST(ProxyHeader, WritesTheFormsOfTheSpecification) {
  const ProxyHeader header{false, Endpoint("::ffff:192.0.2.1", 56789),
                           Endpoint("::ffff:198.51.100.2", 443)};
  char bytes[kMaxProxyLineBytes];
  EXPECT_EQ(std::string(bytes, WriteProxyHeader(ProxyVersion::k1, header, bytes)),
            "PROXY TCP4 192.0.2.1 198.51.100.2 56789 443\r\n");
  EXPECT_EQ(std::string(bytes, WriteProxyHeader(ProxyVersion::k2, header, bytes)),
            Version2(0x21, 0x11, kBody4));
  EXPECT_EQ(std::string(bytes, WriteProxyHeader(ProxyVersion::k1, {}, bytes)), "PROXY UNKNOWN\r\n");
  EXPECT_EQ(std::string(bytes, WriteProxyHeader(ProxyVersion::k2, {}, bytes)),
            Version2(0x20, 0x00, ""));
  EXPECT_EQ(WriteProxyHeader(ProxyVersion::kNone, header, bytes), 0u);
}

}  // namespace
}  // namespace remuda::proxy::http
