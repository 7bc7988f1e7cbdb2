#include "common/endpoint.h"

#include <gtest/gtest.h>

namespace remuda {
namespace {

TEST(Endpoint, IsANumericAddressAndAPort) {
  const struct {
    std::string text, address;
    int port;
    bool is_loopback;
  } good[] = {
      {"127.0.0.1:7400", "127.0.0.1", 7400, true},
      {"localhost:0", "127.0.0.1", 0, true},
      {"127.9.9.9:1", "127.9.9.9", 1, true},
      {"0.0.0.0:65535", "0.0.0.0", 65535, false},
      {"[::1]:80", "::1", 80, true},
      {"[2001:db8::1]:80", "2001:db8::1", 80, false},
  };
  for (const auto& c : good) {
    SCOPED_TRACE(c.text);
    Endpoint endpoint;
    EXPECT_EQ(ParseEndpoint(c.text, endpoint), "");
    EXPECT_EQ(endpoint.address, c.address);
    EXPECT_EQ(endpoint.port, c.port);
    EXPECT_EQ(endpoint.is_loopback, c.is_loopback);
  }
  for (const char* each :
       {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:x", "host:80", "::1:80",
        "2001:db8::1:80", "[127.0.0.1]:80", "[]:80", ":80", "[::1:80", "127.0.0.1:80 "}) {
    const std::string text = each;
    Endpoint endpoint;
    EXPECT_NE(ParseEndpoint(text, endpoint).find("\"" + text + "\" is not ADDRESS:PORT"),
              std::string::npos)
        << text;
  }
}

TEST(Endpoint, AdminPagesBeyondLoopbackNeedAWord) {
  Endpoint endpoint;
  EXPECT_EQ(CheckAdminEndpoint("127.0.0.1:7470", false, endpoint), "");
  EXPECT_NE(CheckAdminEndpoint("0.0.0.0:7470", false, endpoint).find("--open-admin"),
            std::string::npos);
  EXPECT_EQ(CheckAdminEndpoint("0.0.0.0:7470", true, endpoint), "");
  EXPECT_EQ(endpoint.address, "0.0.0.0");
  EXPECT_NE(CheckAdminEndpoint("nowhere", true, endpoint), "");
}

TEST(Endpoint, WhatIsSurelyOnThisMachine) {
  for (const char* here :
       {"127.0.0.1:7400", "localhost:7400", "localhost", "127.1.2.3", "[::1]:7400", "::1",
        "unix:/run/remuda", "ipv4:127.0.0.1:7400", "dns:///localhost:1"}) {
    EXPECT_TRUE(IsOnThisMachine(here)) << here;
  }
  for (const char* elsewhere :
       {"10.0.0.1:7400", "controller:7400", "controller.example", "", ":7400", "[2001:db8::1]:7400",
        "2001:db8::1", "dns:///10.0.0.1:7400", "localhost.example:7400"}) {
    EXPECT_FALSE(IsOnThisMachine(elsewhere)) << elsewhere;
  }
}

}  // namespace
}  // namespace remuda
