// Which controllers there are and who leads, as several rosters see it in a real etcd.
#include "controller/store/roster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>

#include "tests/component/controller/store/testing/etcd_fixture.h"

namespace remuda {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

store::v1::EtcdController Self(const std::string& name,
                               const std::string& address = "127.0.0.1:1") {
  store::v1::EtcdController self;
  self.set_name(name);
  self.set_address(address);
  self.set_version("1");
  self.mutable_start_time()->set_seconds(1000);
  return self;
}

Roster::Options RosterOptions(const std::vector<std::string>& endpoints,
                              store::v1::EtcdController self,
                              std::chrono::seconds time_to_live = kLongLease) {
  Roster::Options options;
  options.address.endpoints = endpoints;
  options.self = std::move(self);
  options.time_to_live = time_to_live;
  return options;
}

std::unique_ptr<Roster> OpenRoster(Roster::Options options) {
  auto roster = Roster::Open(std::move(options));
  EXPECT_TRUE(roster.ok()) << roster.status();
  return roster.ok() ? *std::move(roster) : nullptr;
}

std::vector<std::string> NamesOf(const Roster& roster) {
  std::vector<std::string> names;
  for (const auto& one : roster.current()->controllers) names.push_back(one.name());
  return names;
}

testing::AssertionResult Comes(const Roster& roster, const std::vector<std::string>& names) {
  if (WaitUntil([&] { return NamesOf(roster) == names; })) return testing::AssertionSuccess();
  return testing::AssertionFailure() << testing::PrintToString(NamesOf(roster));
}

TEST(RosterTest, EachSeesTheOthersComeAndGo) {
  EtcdCluster etcd;
  auto b = OpenRoster(RosterOptions(etcd.endpoints(), Self("b")));
  EXPECT_THAT(NamesOf(*b), ElementsAre("b"));
  EXPECT_FALSE(b->current()->leader.has_value());
  EXPECT_EQ(b->current()->epoch, 0);
  auto a = OpenRoster(RosterOptions(etcd.endpoints(), Self("a", "127.0.0.1:2")));
  EXPECT_THAT(NamesOf(*a), ElementsAre("a", "b"));
  EXPECT_TRUE(Comes(*b, {"a", "b"}));
  EXPECT_EQ(b->current()->controllers[0].address(), "127.0.0.1:2");
  a.reset();  // long before its lease would end
  EXPECT_TRUE(Comes(*b, {"b"}));
}

TEST(RosterTest, WhoFallsSilentGoesWithItsLeaseAndComesAgain) {
  EtcdCluster etcd;
  Relay relay(etcd.port(0));
  auto a = OpenRoster(RosterOptions(etcd.endpoints(), Self("a")));
  auto b = OpenRoster(RosterOptions({relay.endpoint()}, Self("b"), kShortLease));
  EXPECT_TRUE(Comes(*a, {"a", "b"}));
  relay.Hold(Relay::Way::kToServer);
  relay.Hold(Relay::Way::kToClient);
  EXPECT_TRUE(Comes(*a, {"a"}));
  relay.Release();
  EXPECT_TRUE(Comes(*a, {"a", "b"}));
  EXPECT_TRUE(Comes(*b, {"a", "b"}));
}

TEST(RosterTest, ARecordThatIsTakenAwayIsWrittenAnew) {
  EtcdCluster etcd;
  auto a = OpenRoster(RosterOptions(etcd.endpoints(), Self("a"), kShortLease));
  auto b = OpenRoster(RosterOptions(etcd.endpoints(), Self("b")));
  const int64_t before = [&] {
    std::string lines;
    EXPECT_TRUE(etcd.Ctl("lease list", &lines));
    return std::count(lines.begin(), lines.end(), '\n');
  }();
  EXPECT_GE(before, 2);
  ASSERT_TRUE(etcd.Ctl("del /remuda/controllers/a"));
  EXPECT_TRUE(Comes(*b, {"a", "b"}));
  // The whole lease, and what hangs on it.
  std::string record;
  ASSERT_TRUE(etcd.Ctl("get -w fields /remuda/controllers/a", &record));
  const size_t at = record.find("\"Lease\" : ");
  ASSERT_NE(at, std::string::npos) << record;
  char lease[32];
  std::snprintf(lease, sizeof lease, "%llx", std::stoll(record.substr(at + 10)));
  ASSERT_TRUE(etcd.Ctl(std::string("lease revoke ") + lease));
  EXPECT_TRUE(WaitUntil([&] {
    std::string now;
    return etcd.Ctl("get -w fields /remuda/controllers/a", &now) && now.size() > at &&
           now.find("\"Lease\" : ") != std::string::npos &&
           now.substr(now.find("\"Lease\" : ")) != record.substr(at);
  }));
  EXPECT_TRUE(Comes(*b, {"a", "b"}));
}

TEST(RosterTest, WhoLeadsIsSeenWithTheEpoch) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  ASSERT_TRUE(etcd.Ctl("put /remuda/meta/epoch-base 5000"));
  std::mutex mutex;
  std::vector<int64_t> epochs;
  auto options = RosterOptions(etcd.endpoints(), Self("a"));
  options.on_change = [&](const Roster::ViewPtr& view) {
    const std::lock_guard lock(mutex);
    if (epochs.empty() || epochs.back() != view->epoch) epochs.push_back(view->epoch);
  };
  auto roster = OpenRoster(options);
  auto leads = EtcdOptions(dir, etcd.endpoints());
  leads.self = Self("a");
  leads.self.set_commit(7);
  auto first = OpenEtcd(leads);
  leads.self = Self("b");
  auto second = OpenEtcd(leads);
  const int64_t epoch = first->Campaign()->epoch;
  ASSERT_TRUE(WaitUntil([&] { return roster->current()->epoch == epoch; }));
  const auto view = roster->current();
  ASSERT_TRUE(view->leader.has_value());
  EXPECT_EQ(view->leader->name(), "a");
  EXPECT_GT(view->leader->lead_time().seconds(), 0);
  EXPECT_EQ(view->leader->commit(), 0);
  // Commits are no news of who there is.
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(first->Commit({{PutCounter("a", i)}}, epoch).ok());
  EXPECT_EQ(roster->current(), view);
  first.reset();
  ASSERT_TRUE(WaitUntil([&] { return roster->current()->epoch == 0; }));
  EXPECT_FALSE(roster->current()->leader.has_value());
  const int64_t next = second->Campaign()->epoch;
  ASSERT_TRUE(WaitUntil([&] { return roster->current()->epoch == next; }));
  EXPECT_EQ(roster->current()->leader->name(), "b");
  EXPECT_GT(epoch, 5000);
  roster.reset();
  EXPECT_THAT(epochs, ElementsAre(0, epoch, 0, next));
}

TEST(RosterTest, ANameIsOneProcess) {
  EtcdCluster etcd;
  auto a = OpenRoster(RosterOptions(etcd.endpoints(), Self("a"), kShortLease));
  const auto other =
      Roster::Open(RosterOptions(etcd.endpoints(), Self("a", "other:1"), kShortLease));
  EXPECT_EQ(other.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(other.status().message()),
              testing::AllOf(HasSubstr("controller \"a\""), HasSubstr("127.0.0.1:1")));
  const auto payload = other.status().GetPayload("type.googleapis.com/google.rpc.ErrorInfo");
  ASSERT_TRUE(payload.has_value());
  EXPECT_THAT(std::string(*payload), HasSubstr("NAME_TAKEN"));
  auto stopped = RosterOptions(etcd.endpoints(), Self("a", "other:1"));
  stopped.is_ended = [] { return true; };
  EXPECT_TRUE(absl::IsCancelled(Roster::Open(stopped).status()));
  EXPECT_THAT(NamesOf(*a), ElementsAre("a"));
  // The same process opens it once more; or one that has its address after it, and need not wait.
  EXPECT_TRUE(Roster::Open(RosterOptions(etcd.endpoints(), Self("a"))).ok());
  auto later = Self("a");
  later.mutable_start_time()->set_seconds(2000);
  EXPECT_TRUE(Roster::Open(RosterOptions(etcd.endpoints(), later)).ok());
}

TEST(RosterTest, TheNameOfOneThatDiedIsWaitedFor) {
  EtcdCluster etcd;
  Relay relay(etcd.port(0));
  auto dead = OpenRoster(RosterOptions({relay.endpoint()}, Self("a"), kShortLease));
  relay.Hold(Relay::Way::kToServer);
  relay.Hold(Relay::Way::kToClient);
  auto next = OpenRoster(RosterOptions(etcd.endpoints(), Self("a", "other:1")));
  ASSERT_NE(next, nullptr);
  // It comes back, and does not take the name again.
  relay.Release();
  ASSERT_TRUE(Comes(*dead, {"a"}));
  EXPECT_TRUE(WaitUntil([&] { return dead->current()->controllers[0].address() == "other:1"; }));
  EXPECT_EQ(next->current()->controllers[0].address(), "other:1");
}

TEST(RosterTest, WhatIsSaidOftenIsWrittenNowAndThen) {
  EtcdCluster etcd;
  std::atomic<int> changes = 0;
  auto options = RosterOptions(etcd.endpoints(), Self("b"));
  options.on_change = [&](const Roster::ViewPtr&) { ++changes; };
  const auto begin = std::chrono::steady_clock::now();
  auto a = OpenRoster(RosterOptions(etcd.endpoints(), Self("a")));
  auto b = OpenRoster(options);
  const auto said = [&] { return b->current()->controllers[0].commit(); };
  for (int64_t commit = 1; said() < 100 && commit < 1'000'000; ++commit) {
    a->SetCommit(commit, commit % 2 == 0 ? "no word from etcd" : "");
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  a->SetCommit(12, "why");
  EXPECT_TRUE(WaitUntil([&] { return said() == 12; }));
  EXPECT_EQ(b->current()->controllers[0].error(), "why");
  const auto periods = (std::chrono::steady_clock::now() - begin) / Roster::kSayPeriod;
  EXPECT_LE(changes, periods + 3);
}

TEST(RosterTest, NamesAndNumbersHaveRules) {
  EtcdCluster etcd;
  for (const std::string name : {"", "a/b", "a b", "\n"}) {
    const auto roster = Roster::Open(RosterOptions(etcd.endpoints(), Self(name)));
    EXPECT_TRUE(absl::IsInvalidArgument(roster.status())) << roster.status();
  }
  std::string puts = "\n";
  for (size_t i = 0; i < Roster::kMaxControllers; ++i)
    puts += "put /remuda/controllers/n" + std::to_string(i) + " x\n";
  ASSERT_TRUE(etcd.Ctl("txn", nullptr, puts + "\n\n"));
  const auto many = Roster::Open(RosterOptions(etcd.endpoints(), Self("a")));
  EXPECT_EQ(many.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(many.status().message()), HasSubstr("at most 64"));
  // What another program has written there is no controller.
  ASSERT_TRUE(etcd.Ctl("del /remuda/controllers/n0"));
  ASSERT_TRUE(etcd.Ctl("put /remuda/leader x"));
  auto roster = OpenRoster(RosterOptions(etcd.endpoints(), Self("a")));
  ASSERT_NE(roster, nullptr);
  EXPECT_THAT(NamesOf(*roster), ElementsAre("a"));
  EXPECT_GT(roster->current()->epoch, 0);
}

}  // namespace
}  // namespace remuda
