// Clients that ask without a pause, each on a connection of its own, until told to stop.
#pragma once

#include <atomic>
#include <thread>
#include <vector>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"

namespace remuda::proxy::testing {

class Load {
 public:
  // What the clients do when one of them does not get a 200.
  enum class AtBad { kStop, kGoOn };

  Load(uint16_t port, int clients, AtBad at_bad = AtBad::kStop) : at_bad_(at_bad) {
    for (int i = 0; i < clients; ++i) threads_.emplace_back([this, port] { Ask(port); });
  }
  ~Load() { Stop(); }

  void Stop() {
    is_over_ = true;
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }
  int good() const { return good_; }
  // Not answered by 200, or not at all.
  int bad() const { return bad_; }
  // Of those, not answered: the connection was closed.
  int closed() const { return closed_; }
  int answered() const { return good_ + bad_ - closed_; }
  // True once `count` more requests were answered; false if they were not in time, or at the first
  // bad one that stops the clients.
  bool WaitForMore(int count) const {
    const int wanted = answered() + count;
    return WaitUntil([&] { return answered() >= wanted || has_failed(); }) && !has_failed();
  }

 private:
  bool has_failed() const { return at_bad_ == AtBad::kStop && bad_ > 0; }
  void Ask(uint16_t port) {
    RawSocket client = RawSocket::Connect(port);
    while (!is_over_ && !has_failed()) {
      client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      const std::string answer = client.ReadMessage();
      if (answer.empty()) {
        ++closed_;
        client = RawSocket::Connect(port);
      }
      ++(StatusOf(answer) == 200 ? good_ : bad_);
    }
  }

  const AtBad at_bad_;
  std::atomic<bool> is_over_{false};
  std::atomic<int> good_{0};
  std::atomic<int> bad_{0};
  std::atomic<int> closed_{0};
  std::vector<std::thread> threads_;
};

}  // namespace remuda::proxy::testing
