#include "agent/kept_logs.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace remuda::agent {
namespace {

namespace fs = std::filesystem;

uint64_t BytesIn(const std::string& directory) {
  uint64_t bytes = 0;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const uint64_t size = it->file_size(error);
    if (!error) bytes += size;
  }
  return bytes;
}

}  // namespace

void KeptLogs::Open() {
  std::error_code error;
  fs::create_directories(options_.directory, error);
  if (error) spdlog::error("make {}: {}", options_.directory, error.message());
  for (fs::directory_iterator it(options_.directory, error), end; !error && it != end;
       it.increment(error)) {
    struct stat st {};
    const std::string path = it->path().string();
    if (stat(path.c_str(), &st) != 0 || !S_ISDIR(st.st_mode)) continue;
    const Kept kept{std::chrono::system_clock::from_time_t(st.st_mtime), BytesIn(path)};
    bytes_ += kept.bytes;
    kept_[it->path().filename().string()] = kept;
  }
}

void KeptLogs::Keep(const std::string& id, const std::string& log_directory, Time now) {
  const uint64_t bytes = BytesIn(log_directory);
  if (bytes == 0) return;
  if (const auto it = kept_.find(id); it != kept_.end()) Delete(it);
  const std::string path = PathOf(id);
  if (std::rename(log_directory.c_str(), path.c_str()) != 0) {
    spdlog::warn("keep the log of instance {}: {}", id, std::strerror(errno));
    return;
  }
  std::error_code error;
  fs::last_write_time(path, fs::file_time_type::clock::from_sys(now), error);
  kept_[id] = {now, bytes};
  bytes_ += bytes;
  Prune(now);
}

void KeptLogs::Prune(Time now) {
  for (auto it = kept_.begin(); it != kept_.end();) {
    const auto next = std::next(it);
    if (now - it->second.since > options_.keep_for) Delete(it);
    it = next;
  }
  while (bytes_ > options_.max_bytes || kept_.size() > options_.max_logs) {
    Delete(std::min_element(kept_.begin(), kept_.end(), [](const auto& a, const auto& b) {
      return a.second.since < b.second.since;
    }));
  }
}

std::string KeptLogs::Find(const std::string& id) const {
  return kept_.count(id) > 0 ? PathOf(id) : std::string();
}

void KeptLogs::Delete(std::map<std::string, Kept>::iterator it) {
  std::error_code error;
  fs::remove_all(PathOf(it->first), error);
  bytes_ -= it->second.bytes;
  kept_.erase(it);
}

}  // namespace remuda::agent
