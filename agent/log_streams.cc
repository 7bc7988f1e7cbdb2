#include "agent/log_streams.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

namespace remuda::agent {
namespace {

// How often a followed log is looked at. Files cannot be waited for, and people do not see the
// difference.
constexpr std::chrono::milliseconds kLookEvery{50};

}  // namespace

void LogStreams::Open(const v1::LogRequest& request) {
  const auto refuse = [&](std::string error) {
    v1::LogChunk chunk;
    chunk.set_stream_id(request.stream_id());
    chunk.set_end(true);
    chunk.set_error(std::move(error));
    options_.send(std::move(chunk));
  };
  if (streams_.size() >= kMaxStreams) {
    return refuse(
        absl::StrCat("this host sends ", kMaxStreams, " logs already, which is the most"));
  }
  const std::string directory = options_.directory_of(request.instance());
  if (directory.empty())
    return refuse(absl::StrCat("instance \"", request.instance(),
                               "\" is not on this host, and no log of it is kept"));
  const LogReader reader(directory);
  const auto lines = static_cast<uint64_t>(std::clamp(request.tail_lines(), 0, kMaxTailLines));
  const uint64_t offset = reader.TailOffset(lines, kMaxTailBytes);
  streams_.erase(request.stream_id());
  streams_.emplace(request.stream_id(),
                   Stream{request.instance(), offset, request.follow(), reader.Available().end});
  Pump();
}

void LogStreams::Cancel(int64_t stream_id) { streams_.erase(stream_id); }

void LogStreams::Clear() {
  streams_.clear();
  loop_.Cancel(timer_);
}

void LogStreams::Pump() {
  loop_.Cancel(timer_);
  for (auto it = streams_.begin(); it != streams_.end();) {
    it = PumpOne(it->first, it->second) ? std::next(it) : streams_.erase(it);
  }
  if (!streams_.empty()) timer_ = loop_.After(kLookEvery, [this] { Pump(); });
}

bool LogStreams::PumpOne(int64_t id, Stream& stream) {
  while (options_.has_room()) {
    // Asked before the read: what was written before the end is then surely read.
    const bool more_can_come = stream.follow && options_.is_alive(stream.instance);
    const LogReader reader(options_.directory_of(stream.instance));
    LogReader::Chunk read = reader.Read(stream.offset, kChunkBytes);
    if (!stream.follow) {
      const uint64_t room = stream.end - std::min(stream.end, read.offset);
      read.bytes.resize(std::min<uint64_t>(room, read.bytes.size()));
    }
    v1::LogChunk chunk;
    chunk.set_stream_id(id);
    chunk.set_lost_bytes(static_cast<int64_t>(read.offset - std::min(stream.offset, read.offset)));
    stream.offset = read.offset + read.bytes.size();
    if (read.bytes.empty()) {
      if (more_can_come) return true;
      chunk.set_end(true);
      options_.send(std::move(chunk));
      return false;
    }
    chunk.set_data(read.bytes);
    options_.send(std::move(chunk));
  }
  return true;
}

}  // namespace remuda::agent
