// Subsets of a target group under a controller: what is counted of each, and what a change of their
// shares does not touch.
#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "common/latency_histogram.h"
#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/fake_controller.h"
#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/updates.h"

namespace remuda::proxy::testing {
namespace {

void AddSplit(v1::ConfigUpdate& update, const std::vector<std::pair<std::string, int>>& weights) {
  auto& split = *update.mutable_upserts()->add_traffic_splits();
  split.set_target_group("blue");
  for (const auto& [subset, weight] : weights) {
    auto& added = *split.add_subsets();
    added.set_subset(subset);
    added.set_weight(weight);
  }
}

struct Counts {
  int64_t requests = 0;
  int64_t errors = 0;
  int64_t answered = 0;  // of the histogram
  bool operator==(const Counts&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Counts& counts) {
  return out << counts.requests << " requests, " << counts.errors << " errors, " << counts.answered
             << " answered";
}

std::map<std::string, Counts> CountsOf(const v1::StatsReport& stats) {
  std::map<std::string, Counts> counts;
  for (const auto& subset : stats.subsets()) {
    EXPECT_EQ(subset.target_group(), "blue");
    const auto latency = Decode(subset.latency());
    EXPECT_TRUE(latency.has_value());
    if (!latency) continue;
    counts[subset.subset()] = {subset.requests(), subset.errors(),
                               std::accumulate(latency->begin(), latency->end(), int64_t{0})};
  }
  return counts;
}

// What is reported once it is that of `wanted`, or last.
std::map<std::string, Counts> Reported(FakeController& controller,
                                       const std::map<std::string, Counts>& wanted) {
  std::map<std::string, Counts> last;
  controller.Expect([&](const v1::ConnectRequest& message) {
    if (message.has_stats()) last = CountsOf(message.stats());
    return message.has_stats() && last == wanted;
  });
  return last;
}

// Answers /bad with 503, ends /cut without an answer and /half within one, leaves /hang.
bool AnswerByPath(const std::string& head, RawSocket& connection) {
  const auto is = [&](const char* path) { return head.find(path) < head.find("\r\n"); };
  if (is("/bad")) return connection.Send("HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n");
  if (is("/cut")) return false;
  if (is("/half")) {
    connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
    return false;
  }
  if (is("/hang")) return ScriptedTarget::NeverAnswers()(head, connection);
  return ScriptedTarget::Answers("new")(head, connection);
}

TEST(SubsetTest, WhatHadTheSharesBeforeIsSaidBeforeTheNewOnesAreConfirmed) {
  FakeController controller(1);
  ScriptedTarget target(ScriptedTarget::Answers("old"));
  const uint16_t port = FreePort();
  ProxyProcess proxy("", ControllerFlags(controller));
  v1::ConfigUpdate update = Whole(1, port);
  AddTarget(update, "i-old", target.port())->set_subset("v1");
  AddSplit(update, {{"v1", 1}, {"v2", 0}});
  controller.Begin(update);
  controller.ExpectAck(1);
  ASSERT_TRUE(controller.ExpectHealthy("i-old"));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(BodyOf(Get(port)), "old");
  update = Update(2, 1);
  AddSplit(update, {{"v1", 95}, {"v2", 5}});
  controller.Send(update);
  bool is_right_before = false;
  std::map<std::string, Counts> said;
  controller.Expect([&](const v1::ConnectRequest& message) {
    if (message.has_ack() && message.ack().revision().sequence() == 2) return true;
    is_right_before = message.has_stats();
    if (message.has_stats()) said = CountsOf(message.stats());
    return false;
  });
  EXPECT_TRUE(is_right_before);
  EXPECT_EQ(said["v1"], (Counts{3, 0, 3}));
}

TEST(SubsetTest, CountsAreRightAndNeverGoBack) {
  FakeController controller(1);
  ScriptedTarget old(ScriptedTarget::Answers("old"));
  ScriptedTarget fresh(AnswerByPath);
  const uint16_t port = FreePort();
  ProxyProcess proxy("", ControllerFlags(controller));
  v1::ConfigUpdate update = Whole(1, port);
  AddTarget(update, "i-old", old.port())->set_subset("v1");
  AddTarget(update, "i-new", fresh.port())->set_subset("v2");
  AddSplit(update, {{"v1", 0}, {"v2", 1}});
  controller.Begin(update);
  controller.ExpectAck(1);
  ASSERT_TRUE(controller.ExpectHealthy("i-old"));
  ASSERT_TRUE(controller.ExpectHealthy("i-new"));

  for (int i = 0; i < 3; ++i) EXPECT_EQ(BodyOf(Get(port)), "new");
  for (int i = 0; i < 2; ++i) EXPECT_EQ(StatusOf(Get(port, "/bad")), 503);
  const auto post = [&](const std::string& path) {
    RawSocket client = RawSocket::Connect(port);
    client.Send("POST " + path +
                " HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    return client.ReadToEnd();
  };
  {  // Ended by the client: no error of the target's.
    RawSocket client = RawSocket::Connect(port);
    client.Send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_TRUE(WaitUntil([&] { return fresh.requests() == 6; }));
  }
  std::map<std::string, Counts> wanted{{"v2", {6, 2, 5}}};
  EXPECT_EQ(Reported(controller, wanted), wanted);
  EXPECT_EQ(StatusOf(post("/cut")), 502);
  EXPECT_EQ(StatusOf(post("/half")), 200);
  wanted["v2"] = {8, 4, 6};
  EXPECT_EQ(Reported(controller, wanted), wanted);

  // Its targets go, it stays in the split.
  update = Update(2, 1);
  AddSplit(update, {{"v1", 1}, {"v2", 0}});
  update.add_removed_targets("blue/i-new");
  controller.Send(update);
  controller.ExpectAck(2);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(BodyOf(Get(port)), "old");
  wanted["v1"] = {2, 0, 2};
  EXPECT_EQ(Reported(controller, wanted), wanted);

  // The subset itself goes, and comes back.
  update = Update(3, 2);
  AddSplit(update, {{"v1", 1}});
  controller.Send(update);
  controller.ExpectAck(3);
  wanted.erase("v2");
  EXPECT_EQ(Reported(controller, wanted), wanted);
  update = Update(4, 3);
  AddTarget(update, "i-new", fresh.port())->set_subset("v2");
  AddSplit(update, {{"v1", 0}, {"v2", 1}});
  controller.Send(update);
  controller.ExpectAck(4);
  EXPECT_EQ(BodyOf(Get(port)), "new");
  wanted["v2"] = {9, 4, 7};
  EXPECT_EQ(Reported(controller, wanted), wanted);

  // A target that is changed in place counts for the subset that it is of now.
  update = Update(5, 4);
  AddTarget(update, "i-new", fresh.port())->set_subset("v3");
  AddSplit(update, {{"v2", 1}, {"v3", 1}});
  controller.Send(update);
  controller.ExpectAck(5);
  EXPECT_EQ(BodyOf(Get(port)), "new");
  wanted["v3"] = {1, 0, 1};
  EXPECT_EQ(Reported(controller, wanted), wanted);
}

TEST(SubsetTest, AConnectionThatIsRefusedIsAnErrorOfTheTargets) {
  FakeController controller(1);
  ScriptedTarget old(ScriptedTarget::Answers("old"));
  ScriptedTarget fallen(ScriptedTarget::Answers("new"));
  const uint16_t port = FreePort();
  ProxyProcess proxy("", ControllerFlags(controller));
  v1::ConfigUpdate update = Whole(1, port);
  // Checked at another port, which does answer, and rarely.
  update.mutable_upserts()->mutable_target_groups(0)->mutable_health_check()->set_port(old.port());
  AddTarget(update, "i-old", old.port())->set_subset("v1");
  AddTarget(update, "i-new", fallen.port())->set_subset("v2");
  AddSplit(update, {{"v1", 1}, {"v2", 1}});
  controller.Begin(update);
  controller.ExpectAck(1);
  ASSERT_TRUE(controller.ExpectHealthy("i-old"));
  ASSERT_TRUE(controller.ExpectHealthy("i-new"));
  fallen.Kill();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(BodyOf(Get(port)), "old");  // by a repeat
  const auto stats = controller.Expect([](const v1::ConnectRequest& message) {
    auto counts = CountsOf(message.stats());
    return counts["v1"].requests == 4 && counts["v2"].requests > 0;
  });
  auto counts = CountsOf(stats.stats());
  EXPECT_EQ(counts["v1"], (Counts{4, 0, 4}));
  EXPECT_GT(counts["v2"].requests, 0);
  EXPECT_EQ(counts["v2"].errors, counts["v2"].requests);
  EXPECT_EQ(counts["v2"].answered, 0);
}

// What is under way goes on when its side loses its share.
TEST(SubsetTest, AChangeOfSharesTouchesNothingThatIsUnderWay) {
  FakeController controller(1);
  std::atomic<bool> may_answer{false};
  ScriptedTarget old([&](const std::string& head, RawSocket& connection) {
    if (head.find("Upgrade: websocket") == std::string::npos)
      return ScriptedTarget::AnswersOnce(may_answer, "old")(head, connection);
    connection.Send("HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    for (std::string got; !(got = connection.ReadBytes(4)).empty();) connection.Send(got);
    return false;
  });
  ScriptedTarget fresh(ScriptedTarget::Answers("new"));
  const uint16_t port = FreePort();
  ProxyProcess proxy("", ControllerFlags(controller));
  v1::ConfigUpdate update = Whole(1, port);
  AddTarget(update, "i-old", old.port())->set_subset("v1");
  AddTarget(update, "i-new", fresh.port())->set_subset("v2");
  AddSplit(update, {{"v1", 1}, {"v2", 0}});
  controller.Begin(update);
  controller.ExpectAck(1);
  ASSERT_TRUE(controller.ExpectHealthy("i-old"));
  ASSERT_TRUE(controller.ExpectHealthy("i-new"));

  RawSocket socket = RawSocket::Connect(port);
  socket.Send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  EXPECT_EQ(StatusOf(socket.ReadUntil("\r\n\r\n")), 101);
  RawSocket client = RawSocket::Connect(port);
  client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(WaitUntil([&] { return old.requests() == 2; }));

  update = Update(2, 1);
  AddSplit(update, {{"v1", 0}, {"v2", 1}});
  controller.Send(update);
  EXPECT_EQ(controller.ExpectAck(2).busy_size(), 0);  // nothing leaves
  EXPECT_EQ(BodyOf(Get(port)), "new");
  socket.Send("ping");
  EXPECT_EQ(socket.ReadBytes(4), "ping");
  may_answer = true;
  EXPECT_EQ(BodyOf(client.ReadMessage()), "old");
}

// No drain waits for a copy, and none arrives once the drain is confirmed.
TEST(SubsetTest, CopiesToATargetThatLeavesAreDropped) {
  FakeController controller(1);
  std::atomic<int> ended{0};
  ScriptedTarget old(ScriptedTarget::Answers("old"));
  ScriptedTarget fresh([&](const std::string& head, RawSocket& connection) {
    ScriptedTarget::NeverAnswers()(head, connection);
    ++ended;
    return false;
  });
  const uint16_t port = FreePort();
  ProxyProcess proxy("", ControllerFlags(controller));
  v1::ConfigUpdate update = Whole(1, port);
  AddTarget(update, "i-old", old.port())->set_subset("v1");
  AddTarget(update, "i-new", fresh.port())->set_subset("v2");
  AddSplit(update, {{"v1", 1}, {"v2", 0}});
  auto& mirror = *update.mutable_upserts()->mutable_traffic_splits(0)->mutable_mirror();
  mirror.mutable_mirror()->set_percent(100);
  mirror.set_subset("v2");
  controller.Begin(update);
  controller.ExpectAck(1);
  ASSERT_TRUE(controller.ExpectHealthy("i-old"));
  ASSERT_TRUE(controller.ExpectHealthy("i-new"));
  for (int i = 0; i < 8; ++i) EXPECT_EQ(BodyOf(Get(port)), "old");
  ASSERT_TRUE(WaitUntil([&] { return fresh.requests() == 8; }));
  // One whose body is still on its way is dropped too.
  RawSocket client = RawSocket::Connect(port);
  client.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
  ASSERT_TRUE(WaitUntil([&] { return old.requests() == 9; }));

  update = Update(2, 1);
  AddTarget(update, "i-new", fresh.port())->set_subset("v2");
  update.mutable_upserts()->mutable_targets(0)->set_state(v1::Target::STATE_DRAINING);
  controller.Send(update);
  EXPECT_EQ(controller.ExpectAck(2).busy_size(), 0);
  EXPECT_TRUE(WaitUntil([&] { return ended == 8; }));
  client.Send("cd");
  EXPECT_EQ(BodyOf(client.ReadMessage()), "old");
  EXPECT_EQ(BodyOf(Get(port)), "old");
  EXPECT_EQ(fresh.requests(), 8);
  const auto stats = controller.Expect([](const v1::ConnectRequest& message) {
    return CountsOf(message.stats())["v1"].requests == 10;
  });
  for (const auto& subset : stats.stats().subsets()) EXPECT_EQ(subset.mirrored(), 0);
}

}  // namespace
}  // namespace remuda::proxy::testing
