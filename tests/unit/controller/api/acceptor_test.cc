// Accepting within a bound of descriptors, and after it was met.
#include "controller/api/acceptor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <mutex>
#include <vector>

#include "tests/local_client.h"
#include "tests/wait.h"

namespace remuda {
namespace {

using testing::HasSubstr;

// What was accepted.
class Accepted {
 public:
  ~Accepted() { CloseAll(); }
  void Add(int fd) {
    const std::lock_guard lock(mutex_);
    fds_.push_back(fd);
  }
  size_t size() {
    const std::lock_guard lock(mutex_);
    return fds_.size();
  }
  void CloseAll() {
    const std::lock_guard lock(mutex_);
    for (const int fd : fds_) close(fd);
    fds_.clear();
  }

 private:
  std::mutex mutex_;
  std::vector<int> fds_;
};

TEST(AcceptorTest, BeyondItsBoundConnectionsWaitUntilThereIsRoom) {
  auto acceptor = Acceptor::Listen({.address = "127.0.0.1", .port = 0, .is_loopback = true});
  ASSERT_TRUE(acceptor.ok()) << acceptor.status();
  std::vector<std::unique_ptr<LocalClient>> clients;
  constexpr size_t kClients = 20;
  for (size_t i = 0; i < kClients; ++i)
    clients.push_back(std::make_unique<LocalClient>((*acceptor)->address()));
  Metrics metrics;
  Accepted accepted;
  const size_t bound = CountDescriptors() + kClients / 2;
  (*acceptor)->Start({.max_descriptors = bound}, metrics,
                     [&accepted](int fd) { accepted.Add(fd); });
  EXPECT_TRUE(WaitUntil([&] { return metrics.accept_pauses > 0; }));
  EXPECT_GE(accepted.size(), kClients / 2 - 2);
  EXPECT_LE(accepted.size(), kClients / 2);
  const size_t before = accepted.size();
  accepted.CloseAll();
  EXPECT_TRUE(WaitUntil([&] { return accepted.size() >= kClients - before; }))
      << "it does not begin again";
  (*acceptor)->Stop();
  EXPECT_EQ(metrics.descriptor_limit, static_cast<int64_t>(bound));
}

TEST(AcceptorTest, ATakenPortIsSaidWithItsReason) {
  auto first = Acceptor::Listen({.address = "127.0.0.1", .port = 0, .is_loopback = true});
  ASSERT_TRUE(first.ok());
  const std::string address = (*first)->address();
  const auto port = static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
  const auto second = Acceptor::Listen({.address = "127.0.0.1", .port = port, .is_loopback = true});
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(address));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("in use"));
}

}  // namespace
}  // namespace remuda
