// How many connections an address may have.
#include <gtest/gtest.h>

#include <vector>

#include "proxy/io/address_limit.h"

namespace remuda::proxy {
namespace {

AddressLimit::Address Ipv4(uint8_t last) {
  return {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, last};
}
AddressLimit::Address Ipv6(uint8_t network, uint8_t last) {
  return {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, network, 0, 0, 0, 0, 0, 0, 0, last};
}

TEST(AddressLimitTest, CountsEachAddressAndAnIpv6NetworkAsOne) {
  AddressLimit limit(2);
  std::vector<AddressLimit::Place> places(8);
  EXPECT_TRUE(limit.Take(Ipv4(1), places[0]));
  EXPECT_TRUE(limit.Take(Ipv4(1), places[1]));
  EXPECT_FALSE(limit.Take(Ipv4(1), places[2]));
  EXPECT_TRUE(limit.Take(Ipv4(2), places[2]));
  EXPECT_TRUE(limit.Take(Ipv6(1, 1), places[3]));
  EXPECT_TRUE(limit.Take(Ipv6(1, 2), places[4]));
  EXPECT_FALSE(limit.Take(Ipv6(1, 3), places[5]));
  EXPECT_TRUE(limit.Take(Ipv6(2, 3), places[5]));
  // A place moves with its connection, and ends once.
  AddressLimit::Place moved = std::move(places[0]);
  EXPECT_FALSE(limit.Take(Ipv4(1), places[6]));
  moved.End();
  moved.End();
  EXPECT_TRUE(limit.Take(Ipv4(1), places[6]));
  EXPECT_FALSE(limit.Take(Ipv4(1), places[7]));
}

TEST(AddressLimitTest, WithoutALimitCountsNothing) {
  AddressLimit limit(0);
  std::vector<AddressLimit::Place> places(100);
  for (auto& place : places) EXPECT_TRUE(limit.Take(Ipv4(1), place));
}

}  // namespace
}  // namespace remuda::proxy
