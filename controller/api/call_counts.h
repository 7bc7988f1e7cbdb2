// CallCounts: how many calls of a kind are under way, of all callers and of each. One identity that
// holds its calls open for ever leaves the others the rest.
//
// Thread: any.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace remuda {

class CallCounts : public std::enable_shared_from_this<CallCounts> {
 public:
  // A call, until it is destroyed; it may outlive everything but what it counts in.
  class Place {
   public:
    Place(std::shared_ptr<CallCounts> counts, std::string caller)
        : counts_(std::move(counts)), caller_(std::move(caller)) {}
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() { counts_->Leave(caller_); }

   private:
    const std::shared_ptr<CallCounts> counts_;
    const std::string caller_;
  };

  CallCounts(size_t most, size_t most_of_one) : most_(most), most_of_one_(most_of_one) {}

  // Null: there are as many as there may be, of all or of this caller. An empty name is everybody's
  // (no identities), and counts among all only.
  std::unique_ptr<Place> Take(const std::string& caller) {
    const std::lock_guard lock(mutex_);
    if (all_ >= most_) return nullptr;
    size_t& of_one = by_caller_[caller];
    if (!caller.empty() && of_one >= most_of_one_) return nullptr;
    ++all_;
    ++of_one;
    return std::make_unique<Place>(shared_from_this(), caller);
  }

 private:
  void Leave(const std::string& caller) {
    const std::lock_guard lock(mutex_);
    --all_;
    const auto it = by_caller_.find(caller);
    if (--it->second == 0) by_caller_.erase(it);
  }

  const size_t most_;
  const size_t most_of_one_;
  std::mutex mutex_;  // guards what follows
  size_t all_ = 0;
  std::map<std::string, size_t> by_caller_;  // none of 0
};

}  // namespace remuda
