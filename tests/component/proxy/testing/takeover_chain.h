// Processes of one proxy, one after the other: each takes over from the one before in one data
// directory. And clients that ask all the while.
#pragma once

#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"

namespace remuda::proxy::testing {

class TakeoverChain {
 public:
  TakeoverChain() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "remuda-takeover-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    directory_ = pattern;
  }
  ~TakeoverChain() {
    processes_.clear();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  const std::string& directory() const { return directory_; }
  // Another process, beside those that are there.
  ProxyProcess& Add(const std::string& config, std::vector<std::string> flags = {}) {
    flags.push_back("--data-dir=" + directory_);
    if (!processes_.empty()) flags.push_back("--takeover");
    processes_.push_back(std::make_unique<ProxyProcess>(config, flags));
    return *processes_.back();
  }
  // The same, once it is the one that serves.
  ProxyProcess& Next(const std::string& config, std::vector<std::string> flags = {}) {
    ProxyProcess& next = Add(config, std::move(flags));
    if (!next.WaitReady()) throw std::runtime_error("it does not serve:\n" + Logs());
    return next;
  }
  std::string Logs() {
    std::string logs;
    for (const auto& process : processes_) logs += process->Log() + "--\n";
    return logs;
  }

 private:
  std::string directory_;
  std::vector<std::unique_ptr<ProxyProcess>> processes_;
};

// Clients that keep their connection until they are told that it ends, and others that make a new
// one for each request.
class PoliteLoad {
 public:
  PoliteLoad(uint16_t port, int keeping, int fresh) {
    for (int i = 0; i < keeping + fresh; ++i)
      threads_.emplace_back([this, port, keeps = i < keeping] { Ask(port, keeps); });
  }
  ~PoliteLoad() { Stop(); }

  void Stop() {
    is_over_ = true;
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }
  int good() const { return good_; }
  int bad() const { return bad_; }
  bool WaitForMore(int count) const {
    const int wanted = good_ + count;
    return WaitUntil([&] { return good_ >= wanted || bad_ > 0; }) && bad_ == 0;
  }

 private:
  void Ask(uint16_t port, bool keeps) {
    RawSocket client;
    while (!is_over_ && bad_ == 0) {
      if (!client.is_open()) client = RawSocket::Connect(port);
      client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      const std::string answer = client.ReadMessage();
      ++(StatusOf(answer) == 200 ? good_ : bad_);
      if (!keeps || answer.find("\r\nConnection: close\r\n") != std::string::npos) client.Close();
    }
  }

  std::atomic<bool> is_over_{false};
  std::atomic<int> good_{0};
  std::atomic<int> bad_{0};
  std::vector<std::thread> threads_;
};

}  // namespace remuda::proxy::testing
