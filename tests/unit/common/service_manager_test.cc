#include "common/service_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/pulse.h"
#include "tests/fake_service_manager.h"

namespace remuda {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

TEST(ServiceManagerTest, SaysWhatTheProtocolHas) {
  for (const bool is_abstract : {false, true}) {
    FakeServiceManager fake(is_abstract);
    const ServiceManager manager(fake.socket(), microseconds(0));
    ASSERT_TRUE(manager.is_listening());
    manager.Ready("serving");
    manager.Alive();
    manager.Status("two\nlines");
    manager.MainPid(17);
    manager.Reloading();
    manager.Stopping("draining");
    EXPECT_EQ(fake.Next(), "READY=1\nSTATUS=serving");
    EXPECT_EQ(fake.Next(), "WATCHDOG=1");
    EXPECT_EQ(fake.Next(), "STATUS=two lines") << "a line of its own would be an order of its own";
    EXPECT_EQ(fake.Next(), "MAINPID=17");
    EXPECT_THAT(fake.Next(), StartsWith("RELOADING=1\nMONOTONIC_USEC="));
    EXPECT_EQ(fake.Next(), "STOPPING=1\nSTATUS=draining");
  }
}

TEST(ServiceManagerTest, ALongStatusIsCut) {
  FakeServiceManager fake;
  const ServiceManager manager(fake.socket(), microseconds(0));
  manager.Status(std::string(100'000, 'x'));
  EXPECT_EQ(fake.Next().size(), std::string("STATUS=").size() + ServiceManager::kMaxStatusBytes);
}

TEST(ServiceManagerTest, WhereNobodyListensNothingHappens) {
  for (const std::string& socket :
       {std::string(), std::string("/"), std::string("relative"), std::string("vsock:2:1234"),
        "/" + std::string(200, 'x'), "@" + std::string(200, 'x')}) {
    const ServiceManager manager(socket, std::chrono::seconds(10));
    EXPECT_FALSE(manager.is_listening()) << socket;
    EXPECT_EQ(manager.alive_interval(), milliseconds(0)) << socket;
    EXPECT_THAT(manager.Environment(), IsEmpty()) << socket;
    manager.Ready("");
  }
  // One that was there and is gone.
  const ServiceManager manager("/nonexistent/notify", microseconds(0));
  manager.Ready("");
  manager.Alive();
}

// A manager that does not read must not stall who says that it is alive.
TEST(ServiceManagerTest, AliveDoesNotWait) {
  FakeServiceManager fake;
  const ServiceManager manager(fake.socket(), microseconds(0));
  for (int i = 0; i < 10'000; ++i) manager.Alive();
  EXPECT_EQ(fake.Next(), "WATCHDOG=1");
}

class EnvironmentTest : public testing::Test {
 protected:
  void TearDown() override {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) unsetenv(name);
  }
  static void Set(const std::string& usec, const std::string& pid) {
    setenv("NOTIFY_SOCKET", "@remuda-nobody", 1);
    setenv("WATCHDOG_USEC", usec.c_str(), 1);
    setenv("WATCHDOG_PID", pid.c_str(), 1);
  }
};

TEST_F(EnvironmentTest, IsTakenOutAndCanBePassedOn) {
  Set("3000000", std::to_string(getpid()));
  const ServiceManager manager = ServiceManager::FromEnvironment();
  EXPECT_EQ(manager.alive_interval(), milliseconds(1500));
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
    EXPECT_EQ(std::getenv(name), nullptr) << name;
  EXPECT_THAT(manager.Environment(),
              ElementsAre("NOTIFY_SOCKET=@remuda-nobody", "WATCHDOG_USEC=3000000"));
}

TEST_F(EnvironmentTest, AWatchdogOfAnotherProcessIsNone) {
  Set("3000000", "1");
  const ServiceManager manager = ServiceManager::FromEnvironment();
  EXPECT_TRUE(manager.is_listening());
  EXPECT_EQ(manager.alive_interval(), milliseconds(0));
}

TEST_F(EnvironmentTest, WhatIsNoTimeIsNoWatchdog) {
  for (const char* usec : {"", "x", "-5", "0", "12x", "99999999999999999999"}) {
    Set(usec, "");
    EXPECT_EQ(ServiceManager::FromEnvironment().alive_interval(), milliseconds(0)) << usec;
  }
}

TEST(PulseTest, BeatsOnlyWhenEveryPartHasAnswered) {
  Pulse pulse(2);
  EXPECT_TRUE(pulse.Beat()) << "nothing was asked yet";
  EXPECT_FALSE(pulse.Beat());
  pulse.Answer();
  EXPECT_FALSE(pulse.Beat()) << "the second hangs";
  pulse.Answer();
  EXPECT_TRUE(pulse.Beat());
  EXPECT_FALSE(pulse.Beat()) << "asked anew";
}

}  // namespace
}  // namespace remuda
