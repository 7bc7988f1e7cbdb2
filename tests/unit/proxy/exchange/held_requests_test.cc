// The queues of one worker for a first target: who is asked when, and in which order.
#include "proxy/exchange/held_requests.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/unit/proxy/core/picking.h"

namespace remuda::proxy::testing {
namespace {

class HeldRequestsTest : public PickingTest {
 public:
  using PickingTest::state_;

  // Writes its name when it is asked; leaves if that is wanted.
  struct Request : Waiter {
    Request(HeldRequestsTest& fixture, std::string text) : test(fixture), name(std::move(text)) {}
    ~Request() override {
      if (is_waiting()) test.held_.Remove(*test.state_, *this, 1);
    }
    bool OnPlaceFree() override {
      test.asked_ += name;
      if (!leaves) return false;
      test.held_.Remove(*test.state_, *this, 1);
      return true;
    }
    bool Wait() { return test.held_.Push(*test.state_, *this, test.group().policy.hold, 1); }
    HeldRequestsTest& test;
    const std::string name;
    bool leaves = false;
  };

  void SetUp() override {
    Load(ConfigWith({"a:1"}, "request_hold: {max_requests: 3}"));
    Pick(1);
  }
  std::string Asked() { return std::exchange(asked_, ""); }
  void Turn() { loop_.TurnAt(now_ += std::chrono::seconds(1)); }

  EventLoop loop_;
  int firsts_ = 0;
  std::string asked_;
  HeldRequests held_{loop_, 0, [this](GroupState&) { ++firsts_; }};
};

TEST_F(HeldRequestsTest, AreAskedOnceEachInOrder) {
  Request a(*this, "a"), b(*this, "b"), c(*this, "c"), d(*this, "d");
  EXPECT_TRUE(a.Wait() && b.Wait() && c.Wait());
  EXPECT_FALSE(d.Wait()) << "over the bound";
  EXPECT_EQ(firsts_, 1);
  b.leaves = true;
  held_.Serve();
  EXPECT_EQ(Asked(), "abc");
  EXPECT_TRUE(d.Wait());
  held_.ServeGroup(*state_);
  EXPECT_EQ(Asked(), "acd") << "those that wait on keep their order";
  a.leaves = c.leaves = d.leaves = true;
  held_.Serve();
  EXPECT_EQ(Asked(), "acd");
  EXPECT_TRUE(held_.empty());
  EXPECT_EQ(state_->CountHeld(), 0U);
  EXPECT_TRUE(a.Wait());
  EXPECT_EQ(firsts_, 2);
}

// A target came between the look for one and the wait: whoever brought it saw nobody wait.
TEST_F(HeldRequestsTest, AChangeInBetweenIsNotMissed) {
  Request a(*this, "a");
  SetHealthy({"a"});
  EXPECT_TRUE(a.Wait());
  Turn();
  EXPECT_EQ(Asked(), "a");
  Turn();
  EXPECT_EQ(Asked(), "");
}

TEST_F(HeldRequestsTest, WhoComesLaterAsksThemOnlyIfSomethingHasChanged) {
  Request a(*this, "a");
  EXPECT_TRUE(a.Wait());
  held_.ServeBefore(*state_);
  EXPECT_EQ(Asked(), "");
  SetHealthy({"a"});
  held_.ServeBefore(*state_);
  EXPECT_EQ(Asked(), "a");
  held_.ServeBefore(*state_);
  EXPECT_EQ(Asked(), "");
  Load(ConfigWith({"a:1", "b:1"}, "request_hold: {max_requests: 3}"));
  held_.ServeBefore(*state_);
  EXPECT_EQ(Asked(), "a");
}

// What one does when it is asked may have others asked: after all have been, once more.
TEST_F(HeldRequestsTest, AskingDoesNotNest) {
  struct Asking : Request {
    using Request::Request;
    bool OnPlaceFree() override {
      if (!std::exchange(has_asked, true)) test.held_.ServeGroup(*test.state_);
      return Request::OnPlaceFree();
    }
    bool has_asked = false;
  };
  Asking a(*this, "a");
  Request b(*this, "b");
  EXPECT_TRUE(a.Wait() && b.Wait());
  held_.Serve();
  EXPECT_EQ(Asked(), "abab");
}

TEST_F(HeldRequestsTest, ATableAsksThoseOfGroupsThatHaveChanged) {
  Request a(*this, "a");
  EXPECT_TRUE(a.Wait());
  held_.ServeChanged();
  EXPECT_EQ(Asked(), "");
  Load(ConfigWith({"a:1", "b:1"}, "request_hold: {max_requests: 3}"));
  held_.ServeChanged();
  EXPECT_EQ(Asked(), "a");
  held_.ServeChanged();
  EXPECT_EQ(Asked(), "");
}

// The loop does not stand still for all of them; who comes meanwhile is behind those that are left.
TEST_F(HeldRequestsTest, ManyAreAskedOverSeveralTurns) {
  Load(ConfigWith({"a:1"}, "request_hold: {max_requests: 1000}"));
  Pick(1);
  constexpr size_t kMost = HeldRequests::kMaxAskedATurn;
  std::vector<std::unique_ptr<Request>> requests;
  for (size_t i = 0; i < 2 * kMost + 8; ++i) {
    requests.push_back(
        std::make_unique<Request>(*this, std::string(1, static_cast<char>('!' + i % 90))));
    requests.back()->leaves = true;
    ASSERT_TRUE(requests.back()->Wait());
  }
  std::string all;
  for (const auto& request : requests) all += request->name;
  SetHealthy({"a"});
  held_.ServeGroup(*state_);
  held_.ServeGroup(*state_);
  EXPECT_EQ(Asked(), all.substr(0, kMost)) << "the second finds them being asked";
  EXPECT_TRUE(held_.ServeBefore(*state_));
  EXPECT_EQ(Asked(), all.substr(kMost, 2)) << "one that comes asks two";
  Request late(*this, "~");
  late.leaves = true;
  EXPECT_TRUE(late.Wait());
  Turn();
  EXPECT_EQ(Asked(), all.substr(kMost + 2, kMost));
  Turn();
  EXPECT_EQ(Asked(), all.substr(2 * kMost + 2) + "~");
  EXPECT_TRUE(held_.empty());
  EXPECT_FALSE(held_.ServeBefore(*state_));
}

// What one of a group does when it is asked may bring a request of another group: nobody of that
// one is passed by.
TEST_F(HeldRequestsTest, ThoseOfAnotherGroupAreToBeAskedFirst) {
  v1::ProxyConfig config = ConfigWith({"a:1"}, "request_hold: {max_requests: 3}");
  auto* const more = config.add_target_groups();
  *more = config.target_groups(0);
  more->set_name("targetGroups/green");
  Load(config);
  Pick(1);
  const std::shared_ptr<GroupState> green = table_->groups.at("green")->state;
  struct OfGreen : Request {
    OfGreen(HeldRequestsTest& fixture, GroupState& group) : Request(fixture, "g"), of(group) {}
    ~OfGreen() override {
      if (is_waiting()) test.held_.Remove(of, *this, 1);
    }
    bool OnPlaceFree() override {
      test.asked_ += name;
      return false;
    }
    GroupState& of;
  };
  struct Bringing : Request {
    Bringing(HeldRequestsTest& fixture, GroupState& group) : Request(fixture, "b"), other(group) {}
    bool OnPlaceFree() override {
      other.Changed();
      must_wait = test.held_.ServeBefore(other);
      return Request::OnPlaceFree();
    }
    GroupState& other;
    bool must_wait = false;
  };
  Bringing b(*this, *green);
  OfGreen g(*this, *green);
  ASSERT_TRUE(b.Wait());
  ASSERT_TRUE(held_.Push(*green, g, group().policy.hold, 1));
  held_.ServeGroup(*state_);
  EXPECT_TRUE(b.must_wait);
  EXPECT_EQ(Asked(), "bg") << "at once, behind the group that is being asked";
}

// Those that wait go on until then; nobody comes behind them.
TEST_F(HeldRequestsTest, ClosesWhenItsTimeIsOver) {
  Request a(*this, "a");
  EXPECT_TRUE(a.Wait());
  now_ = loop_.now();
  held_.Close(now_ + std::chrono::seconds(2));
  EXPECT_TRUE(held_.is_closed());
  EXPECT_FALSE(held_.is_over());
  Turn();
  EXPECT_EQ(Asked(), "");
  Turn();
  Turn();
  EXPECT_TRUE(held_.is_over());
  EXPECT_EQ(Asked(), "a");
}

}  // namespace
}  // namespace remuda::proxy::testing
