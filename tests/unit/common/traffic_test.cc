// Rules that the controller and the proxy share: addresses of listeners. Actions are tested through
// both (execute_rules_test.cc, rule_check_test.cc).
#include <gtest/gtest.h>

#include "common/traffic/listen_address.h"

namespace remuda::traffic {
namespace {

struct AddressCase {
  std::string a, b;
  bool collide;
};

TEST(ListenAddress, Collisions) {
  const AddressCase cases[] = {
      {"10.0.0.1", "10.0.0.1", true},
      {"10.0.0.1", "10.0.0.2", false},
      {"10.0.0.1", "::ffff:10.0.0.1", true},
      {"10.0.0.1", "::1", false},
      {"::1", "0:0:0:0:0:0:0:1", true},
      {"2001:DB8::1", "2001:db8:0::1", true},
      {"2001:db8::1", "2001:db8::2", false},
      {"", "", true},
      {"", "10.0.0.1", true},
      {"0.0.0.0", "10.0.0.1", true},
      {"0.0.0.0", "::1", true},
      {"::", "10.0.0.1", true},
      {"0::0", "::1", true},
      {"::ffff:0.0.0.0", "::1", true},
      {"no address", "10.0.0.1", true},
  };
  for (const AddressCase& c : cases) {
    EXPECT_EQ(AddressesCollide(c.a, c.b), c.collide) << c.a << " and " << c.b;
    EXPECT_EQ(AddressesCollide(c.b, c.a), c.collide) << c.b << " and " << c.a;
  }
}

}  // namespace
}  // namespace remuda::traffic
