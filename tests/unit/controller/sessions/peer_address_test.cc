// The address in gRPC's name of a connection.
#include "controller/sessions/peer_address.h"

#include <gtest/gtest.h>

namespace remuda {
namespace {

TEST(PeerAddress, IsReadFromEveryForm) {
  const std::pair<const char*, const char*> cases[] = {
      {"ipv4:10.0.0.1:50000", "10.0.0.1"},
      {"10.0.0.1:50000", "10.0.0.1"},
      {"ipv6:%5B2001:DB8::1%5D:50000", "2001:db8::1"},
      {"ipv6:[2001:db8::1]:50000", "2001:db8::1"},
      {"ipv6:%5b::ffff:10.0.0.1%5d:5", "10.0.0.1"},
      {"unix:/run/remuda", ""},
      {"unix:", ""},
      {"test", ""},
      {"", ""},
      {"ipv4:10.0.0.1", ""},
  };
  for (const auto& [peer, wanted] : cases) EXPECT_EQ(PeerAddress(peer), wanted) << peer;
}

}  // namespace
}  // namespace remuda
