// The logs of instances that this host has no more: kept for as long as the controller lists an
// ended instance, so that what it printed last can be read, and bounded in number and bytes.
//
// They lie in a directory of their own, one directory an instance, whose time is when it was kept.
// Loop thread; deletes what LogWriter wrote, which is a few files.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace remuda::agent {

class KeptLogs {
 public:
  struct Options {
    std::string directory;
    // The controller lists ended instances for an hour (docs/operations.md); a little more, for its
    // hour begins later than ours.
    std::chrono::seconds keep_for = std::chrono::minutes(65);
    uint64_t max_bytes = uint64_t{256} << 20;  // of all logs kept; the oldest go first
    size_t max_logs = 1000;
  };
  using Time = std::chrono::system_clock::time_point;

  explicit KeptLogs(Options options) : options_(std::move(options)) {}

  // Finds what an earlier agent kept. Once, first. Without the directory nothing is kept.
  void Open();
  // Moves the log directory of an instance here. Nothing if it is not there, or empty.
  void Keep(const std::string& id, const std::string& log_directory, Time now);
  // Deletes what is over a bound.
  void Prune(Time now);
  // The kept log of an instance; empty: there is none.
  std::string Find(const std::string& id) const;

 private:
  struct Kept {
    Time since;
    uint64_t bytes = 0;
  };
  std::string PathOf(const std::string& id) const { return options_.directory + "/" + id; }
  void Delete(std::map<std::string, Kept>::iterator it);

  const Options options_;
  std::map<std::string, Kept> kept_;
  uint64_t bytes_ = 0;
};

}  // namespace remuda::agent
