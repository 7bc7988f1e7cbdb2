// Names of time zones: those that the machine has, and what is no name of one.
#include "controller/zone_reader.h"

#include <gtest/gtest.h>

#include <string>

namespace remuda {
namespace {

TEST(ZoneReaderTest, ReadsZonesByTheirNames) {
  for (const char* name : {"Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+1", "UTC"}) {
    const auto zone = ReadZone(name);
    ASSERT_TRUE(zone.has_value()) << name << ": is tzdata installed?";
    EXPECT_EQ(zone->name(), name);
  }
}

TEST(ZoneReaderTest, WhatIsNoNameIsNoZone) {
  for (const std::string& name :
       {std::string(""), std::string("Europe/Atlantis"), std::string("Europe"),
        std::string("localtime"), std::string("/usr/share/zoneinfo/Europe/Berlin"),
        std::string("../zoneinfo/Europe/Berlin"), std::string("file:Europe/Berlin"),
        std::string("Fixed/UTC+01:00:00"), std::string("Europe/Berlin\0", 14),
        std::string(5000, 'x')}) {
    EXPECT_FALSE(ReadZone(name).has_value()) << name;
  }
}

}  // namespace
}  // namespace remuda
