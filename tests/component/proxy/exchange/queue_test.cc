// Concurrency limits: who waits, who is served first, who is turned away.
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"

namespace remuda::proxy::testing {
namespace {

// Answers a request with its path when the test lets it.
class Gate {
 public:
  ScriptedTarget::Script Script() {
    return [this](const std::string& head, RawSocket& connection) {
      const std::string path = head.substr(4, head.find(' ', 4) - 4);
      std::unique_lock lock(mutex_);
      most_ = std::max(most_, ++inside_);
      changed_.wait_for(lock, kDeadline, [&] { return tickets_ > 0; });
      --tickets_;
      --inside_;
      lock.unlock();
      return connection.Send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(path.size()) +
                             "\r\n\r\n" + path);
    };
  }
  void Let(int count) {
    std::lock_guard lock(mutex_);
    tickets_ += count;
    changed_.notify_all();
  }
  int inside() {
    std::lock_guard lock(mutex_);
    return inside_;
  }
  int most() {
    std::lock_guard lock(mutex_);
    return most_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int tickets_ = 0;
  int inside_ = 0;
  int most_ = 0;
};

class QueueTest : public ::testing::Test {
 protected:
  void Start(const std::string& limit, int workers = 1) {
    target_ = std::make_unique<ScriptedTarget>(gate_.Script());
    proxy_ = std::make_unique<ServingProxy>(
        ConfigFor({target_->port()}, "    concurrencyLimit: " + limit + "\n"),
        std::vector<std::string>{"--workers=" + std::to_string(workers)});
  }
  RawSocket Send(const std::string& path) {
    RawSocket client = RawSocket::Connect(proxy_->Port());
    client.Send("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
    return client;
  }
  bool WaitQueued(int count) {
    return WaitUntil([&] { return proxy_->Metric("queued_requests") == count; });
  }

  Gate gate_;
  std::unique_ptr<ScriptedTarget> target_;
  std::unique_ptr<ProxyProcess> proxy_;
};

TEST_F(QueueTest, FirstComeFirstServed) {
  Start("{ maxRequests: 1, queueTimeout: 60s }");
  RawSocket first = Send("/1");
  ASSERT_TRUE(WaitUntil([&] { return gate_.inside() == 1; }));
  RawSocket second = Send("/2");
  ASSERT_TRUE(WaitQueued(1));
  RawSocket third = Send("/3");
  ASSERT_TRUE(WaitQueued(2));
  gate_.Let(1);
  EXPECT_EQ(BodyOf(first.ReadMessage()), "/1");
  ASSERT_TRUE(WaitQueued(1));
  gate_.Let(1);
  EXPECT_EQ(BodyOf(second.ReadMessage()), "/2");
  gate_.Let(1);
  EXPECT_EQ(BodyOf(third.ReadMessage()), "/3");
  EXPECT_EQ(gate_.most(), 1);
  EXPECT_EQ(proxy_->Metric("queued_request_count_total"), 2);
}

TEST_F(QueueTest, AFullQueueTurnsAway) {
  Start("{ maxRequests: 1, maxQueue: 1, queueTimeout: 60s }");
  RawSocket first = Send("/1");
  ASSERT_TRUE(WaitUntil([&] { return gate_.inside() == 1; }));
  RawSocket second = Send("/2");
  ASSERT_TRUE(WaitQueued(1));
  const std::string got = Send("/3").ReadMessage();
  EXPECT_EQ(StatusOf(got), 503);
  EXPECT_NE(got.find("X-Remuda-Reason: QueueFull\r\n"), std::string::npos) << got;
  gate_.Let(2);
  EXPECT_EQ(StatusOf(second.ReadMessage()), 200);
}

TEST_F(QueueTest, WaitingEnds) {
  Start("{ maxRequests: 1, queueTimeout: 0.05s }");
  RawSocket first = Send("/1");
  ASSERT_TRUE(WaitUntil([&] { return gate_.inside() == 1; }));
  const std::string got = Send("/2").ReadMessage();
  EXPECT_EQ(StatusOf(got), 503);
  EXPECT_NE(got.find("X-Remuda-Reason: QueueTimeout\r\n"), std::string::npos) << got;
  EXPECT_EQ(proxy_->Metric("queued_requests"), 0);
  gate_.Let(1);
  EXPECT_EQ(StatusOf(first.ReadMessage()), 200);
}

TEST_F(QueueTest, AClientThatLeavesIsTakenOut) {
  Start("{ maxRequests: 1, queueTimeout: 60s }");
  RawSocket first = Send("/1");
  ASSERT_TRUE(WaitUntil([&] { return gate_.inside() == 1; }));
  {
    RawSocket leaves = Send("/2");
    ASSERT_TRUE(WaitQueued(1));
  }
  ASSERT_TRUE(WaitQueued(0));
  RawSocket third = Send("/3");
  ASSERT_TRUE(WaitQueued(1));
  gate_.Let(2);
  EXPECT_EQ(BodyOf(third.ReadMessage()), "/3");
  EXPECT_TRUE(WaitUntil([&] { return proxy_->AccessLog().find(" 460 ") != std::string::npos; }));
}

TEST_F(QueueTest, ATargetThatBecomesHealthyTakesThemUp) {
  ScriptedTarget other(ScriptedTarget::Answers("other"));
  other.SetHealth(500);
  target_ = std::make_unique<ScriptedTarget>(gate_.Script());
  proxy_ = std::make_unique<ProxyProcess>(
      ConfigFor({target_->port(), other.port()},
                "    concurrencyLimit: { maxRequests: 1, queueTimeout: 60s }\n"),
      std::vector<std::string>{"--workers=1"});
  ASSERT_TRUE(proxy_->WaitReady());
  ASSERT_TRUE(proxy_->WaitHealthy(1));
  RawSocket first = Send("/1");
  ASSERT_TRUE(WaitUntil([&] { return gate_.inside() == 1; }));
  RawSocket second = Send("/2");
  ASSERT_TRUE(WaitQueued(1));
  other.SetHealth(200);
  EXPECT_EQ(BodyOf(second.ReadMessage()), "other");
  gate_.Let(1);
  EXPECT_EQ(BodyOf(first.ReadMessage()), "/1");
}

// Over all workers no more than the limit, and nobody is forgotten in another worker's queue.
TEST_F(QueueTest, HoldsOverAllWorkers) {
  Start("{ maxRequests: 2, maxQueue: 1000, queueTimeout: 60s }", 2);
  gate_.Let(1000);
  std::atomic<int> good{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 12; ++i) {
    clients.emplace_back([&] {
      RawSocket client = RawSocket::Connect(proxy_->Port());
      for (int n = 0; n < 50; ++n) {
        client.Send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
        good += StatusOf(client.ReadMessage()) == 200;
      }
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(good, 600);
  EXPECT_LE(gate_.most(), 2);
  EXPECT_GT(proxy_->Metric("queued_request_count_total"), 0);
  EXPECT_EQ(proxy_->Metric("queued_requests"), 0);
}

}  // namespace
}  // namespace remuda::proxy::testing
