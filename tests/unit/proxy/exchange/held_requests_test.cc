// The queues of one worker for a first target: who is asked when, and in which order.
#include "proxy/exchange/held_requests.h"

#include <gtest/gtest.h>

#include <string>

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
  held_.ServeIfChanged(*state_);
  EXPECT_EQ(Asked(), "");
  SetHealthy({"a"});
  held_.ServeIfChanged(*state_);
  EXPECT_EQ(Asked(), "a");
  held_.ServeIfChanged(*state_);
  EXPECT_EQ(Asked(), "");
  Load(ConfigWith({"a:1", "b:1"}, "request_hold: {max_requests: 3}"));
  held_.ServeIfChanged(*state_);
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

}  // namespace
}  // namespace remuda::proxy::testing
