// Clients that ask without a pause, each on a connection of its own, until told to stop or until
// one of them does not get a 200.
#pragma once

#include <atomic>
#include <thread>
#include <vector>

#include "tests/component/proxy/configs.h"
#include "tests/component/proxy/proxy_process.h"

namespace remuda::proxy::testing {

class Load {
 public:
  Load(uint16_t port, int clients) {
    for (int i = 0; i < clients; ++i) threads_.emplace_back([this, port] { Ask(port); });
  }
  ~Load() { Stop(); }

  void Stop() {
    is_over_ = true;
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }
  int good() const { return good_; }
  int bad() const { return bad_; }
  // True once `count` more requests were answered well; false if one was not, or not in time.
  bool WaitForMore(int count) const {
    const int wanted = good_ + count;
    return WaitUntil([&] { return good_ >= wanted || bad_ > 0; }) && bad_ == 0;
  }

 private:
  void Ask(uint16_t port) {
    RawSocket client = RawSocket::Connect(port);
    while (!is_over_ && bad_ == 0) {
      client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      (StatusOf(client.ReadMessage()) == 200 ? good_ : bad_) += 1;
    }
  }

  std::atomic<bool> is_over_{false};
  std::atomic<int> good_{0};
  std::atomic<int> bad_{0};
  std::vector<std::thread> threads_;
};

}  // namespace remuda::proxy::testing
