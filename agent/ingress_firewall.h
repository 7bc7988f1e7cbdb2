// The firewall of this host as far as it is the agent's: who may reach the ports of instances
// (core/ingress_ruleset.h), made to be so by nft.
//
// Owns one table of nftables. It stays when the agent ends, since apps run on; a later agent puts
// its own in its place. What others have removed or changed of it is put back within kPutBack.
// Lives on the event loop's thread; nft is run by a worker, but by the loop for an instance that is
// about to start, for which nothing else would do.
#pragma once

#include <absl/status/status.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/core/ingress_ruleset.h"
#include "agent/event_loop.h"
#include "agent/task_threads.h"

namespace remuda::agent {

class IngressFirewall {
 public:
  static constexpr std::chrono::seconds kPutBack{30};
  // From the first failure to the next try, twice as long after each, up to the second.
  static constexpr std::chrono::seconds kFirstRetry{1};
  static constexpr std::chrono::seconds kMaxRetry{60};

  struct Options {
    std::string host;     // its name
    std::string program;  // nft; empty: there is none
  };
  // `workers`' tasks must have ended before this does.
  IngressFirewall(EventLoop& loop, TaskThreads& workers, Options options);
  ~IngressFirewall();
  IngressFirewall(const IngressFirewall&) = delete;
  IngressFirewall& operator=(const IngressFirewall&) = delete;

  // Finds out whether it can filter. Once, first. Blocks, for kNftPatience at most.
  void Open();
  // Why it cannot, for a person; empty: it can. What it says may change at a failure or a success.
  const std::string& why_not() const { return why_not_; }

  // These ports alone are filtered, soon.
  void Want(const std::vector<FilteredPort>& ports);
  // The same, and blocks until it is so. FAILED_PRECONDITION: this host cannot; UNAVAILABLE: it
  // failed, and is tried again.
  absl::Status Enforce(const std::vector<FilteredPort>& ports);
  // Calls back once what was wanted last has been tried, with success or without; at once if it
  // has.
  void WhenTried(std::function<void()> done);

 private:
  class Table;

  // False: the filters are too large, as why_not_ says.
  bool Take(const std::vector<FilteredPort>& ports);
  void ApplyLater();
  void OnApplied(const std::string& error);

  EventLoop& loop_;
  TaskThreads& workers_;
  const std::string table_name_;
  const std::shared_ptr<Table> table_;  // workers use it too
  bool can_ = false;                    // as Open found
  bool filters_ = false;                // some port is wanted
  bool is_under_way_ = false;           // a worker applies, or will
  std::string why_not_ = "it has not been tried";
  std::string wanted_;
  std::chrono::seconds retry_ = kFirstRetry;
  EventLoop::TimerId timer_ = 0;
  std::vector<std::function<void()>> waiting_;
};

}  // namespace remuda::agent
