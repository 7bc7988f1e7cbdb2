// Metrics: what /metrics shows. Written by the loop and the store's thread, read by the admin
// thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace remuda {

// Counts of durations in fixed buckets. Thread: any.
class Histogram {
 public:
  static constexpr std::array<double, 12> kBoundsSeconds = {
      0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5};
  void Record(double seconds);
  // Appends the lines of Prometheus' text format.
  void Print(std::string_view name, std::string_view help, std::string& out) const;

 private:
  std::array<std::atomic<int64_t>, kBoundsSeconds.size() + 1> buckets_ = {};
  std::atomic<int64_t> sum_nanoseconds_ = 0;
};

// And the longest of them. Thread: one records, any reads.
class LongestHistogram {
 public:
  void Record(double seconds);
  void Print(std::string_view name, std::string_view help, std::string& out) const;
  double longest_seconds() const { return longest_seconds_.load(std::memory_order_relaxed); }

 private:
  Histogram all_;
  std::atomic<double> longest_seconds_ = 0;
};

// Thread: any; each value by itself.
struct Metrics {
  std::atomic<int64_t> epoch = 0;
  std::atomic<int64_t> commit = 0;
  std::atomic<int64_t> commits = 0;
  std::atomic<int64_t> commit_failures = 0;
  std::atomic<int64_t> store_failing = 0;  // 1: the newest commit failed
  std::atomic<int64_t> commands = 0;       // that were part of commits
  std::atomic<int64_t> committed_rows = 0;
  std::atomic<int64_t> queued_requests = 0;
  std::atomic<int64_t> refused_requests = 0;  // because the queue was full
  std::atomic<int64_t> agent_sessions = 0;
  std::atomic<int64_t> proxy_sessions = 0;
  std::atomic<int64_t> watchers = 0;
  std::atomic<int64_t> revision = 0;
  std::atomic<int64_t> updates_sent = 0;
  std::atomic<int64_t> whole_updates_sent = 0;
  std::atomic<int64_t> acks = 0;
  std::atomic<int64_t> nacks = 0;
  std::atomic<int64_t> mended_messages = 0;  // that held a text that is no UTF-8
  std::atomic<int64_t> image_bytes = 0;
  // Of a leader, about what the state names: see Replicas::Counts.
  std::atomic<int64_t> image_standbys = 0;
  std::atomic<int64_t> images_missing = 0;
  std::atomic<int64_t> images_few_copies = 0;
  std::atomic<int64_t> image_copies_behind = 0;
  std::atomic<int64_t> descriptors = 0;       // open, as of the newest count
  std::atomic<int64_t> descriptor_limit = 0;  // no connection is accepted beyond it
  std::atomic<int64_t> accept_pauses = 0;     // times that accepting waited for descriptors
  Histogram commit_seconds;
  Histogram ack_seconds;          // from an update's send to its ACK
  LongestHistogram turn_seconds;  // of a round of the loop: what was posted, timers, the turn

  // Prometheus' text format.
  std::string Print() const;
};

}  // namespace remuda
