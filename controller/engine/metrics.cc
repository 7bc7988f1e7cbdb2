#include "controller/engine/metrics.h"

#include <cstdio>

namespace remuda {
namespace {

void Head(std::string_view name, std::string_view type, std::string_view help, std::string& out) {
  out.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ");
  out.append(name).append(" ").append(type).append("\n");
}

void Line(std::string_view name, std::string_view type, std::string_view help,
          const std::atomic<int64_t>& value, std::string& out) {
  Head(name, type, help, out);
  out.append(name)
      .append(" ")
      .append(std::to_string(value.load(std::memory_order_relaxed)))
      .append("\n");
}

}  // namespace

void Histogram::Record(double seconds) {
  size_t bucket = 0;
  while (bucket < kBoundsSeconds.size() && seconds > kBoundsSeconds[bucket]) ++bucket;
  buckets_[bucket].fetch_add(1, std::memory_order_relaxed);
  sum_nanoseconds_.fetch_add(static_cast<int64_t>(seconds * 1e9), std::memory_order_relaxed);
}

void Histogram::Print(std::string_view name, std::string_view help, std::string& out) const {
  Head(name, "histogram", help, out);
  int64_t count = 0;
  char line[128];
  for (size_t i = 0; i < kBoundsSeconds.size(); ++i) {
    count += buckets_[i].load(std::memory_order_relaxed);
    std::snprintf(line, sizeof line, "_bucket{le=\"%g\"} %lld\n", kBoundsSeconds[i],
                  static_cast<long long>(count));
    out.append(name).append(line);
  }
  count += buckets_.back().load(std::memory_order_relaxed);
  std::snprintf(line, sizeof line, "_bucket{le=\"+Inf\"} %lld\n", static_cast<long long>(count));
  out.append(name).append(line);
  const auto sum = static_cast<double>(sum_nanoseconds_.load(std::memory_order_relaxed)) / 1e9;
  std::snprintf(line, sizeof line, "_sum %.9g\n", sum);
  out.append(name).append(line);
  std::snprintf(line, sizeof line, "_count %lld\n", static_cast<long long>(count));
  out.append(name).append(line);
}

void LongestHistogram::Record(double seconds) {
  all_.Record(seconds);
  if (seconds > longest_seconds()) longest_seconds_.store(seconds, std::memory_order_relaxed);
}

void LongestHistogram::Print(std::string_view name, std::string_view help, std::string& out) const {
  all_.Print(std::string(name) + "_seconds", help, out);
  const std::string longest = std::string(name) + "_max_seconds";
  Head(longest, "gauge", "The longest of them since the start.", out);
  char line[64];
  std::snprintf(line, sizeof line, " %.9g\n", longest_seconds());
  out.append(longest).append(line);
}

std::string Metrics::Print() const {
  std::string out;
  const auto gauge = [&out](std::string_view name, std::string_view help,
                            const std::atomic<int64_t>& value) {
    Line(name, "gauge", help, value, out);
  };
  const auto counter = [&out](std::string_view name, std::string_view help,
                              const std::atomic<int64_t>& value) {
    Line(name, "counter", help, value, out);
  };
  gauge("remuda_controller_epoch", "Number of this leadership.", epoch);
  gauge("remuda_controller_commit", "Newest commit.", commit);
  counter("remuda_controller_commits_total", "Commits made durable.", commits);
  counter("remuda_controller_commit_failures_total", "Commits that the store refused.",
          commit_failures);
  gauge("remuda_controller_store_failing", "1 while the store refuses commits.", store_failing);
  counter("remuda_controller_committed_commands_total", "Commands that commits carried.", commands);
  counter("remuda_controller_committed_rows_total", "Rows that commits wrote or deleted.",
          committed_rows);
  gauge("remuda_controller_queued_requests", "Requests that wait for the loop.", queued_requests);
  counter("remuda_controller_refused_requests_total",
          "Requests refused because the queue was full.", refused_requests);
  gauge("remuda_controller_agent_sessions", "Agents with a session.", agent_sessions);
  gauge("remuda_controller_proxy_sessions", "Proxies with a session.", proxy_sessions);
  gauge("remuda_controller_watchers", "Watch and log streams.", watchers);
  gauge("remuda_controller_revision", "Newest sequence published in this epoch.", revision);
  counter("remuda_controller_updates_sent_total", "View updates sent to agents and proxies.",
          updates_sent);
  counter("remuda_controller_whole_updates_sent_total", "Of them whole views.", whole_updates_sent);
  counter("remuda_controller_acks_total", "Updates that receivers confirmed.", acks);
  counter("remuda_controller_nacks_total", "Updates that receivers rejected.", nacks);
  counter("remuda_controller_mended_messages_total",
          "Messages of receivers with a text that is no UTF-8.", mended_messages);
  gauge("remuda_controller_image_bytes", "Bytes of image blobs on disk.", image_bytes);
  gauge("remuda_controller_image_standbys", "Of the leader: standbys that keep copies of images.",
        image_standbys);
  gauge("remuda_controller_images_missing",
        "Of the leader: images whose bytes are not on its disk.", images_missing);
  gauge("remuda_controller_images_few_copies",
        "Of the leader: images that fewer connected controllers hold than --image-copies says.",
        images_few_copies);
  gauge("remuda_controller_image_copies_behind",
        "Of the leader: copies of images that connected standbys have yet to make.",
        image_copies_behind);
  gauge("remuda_controller_descriptors", "Open descriptors, as of the newest count.", descriptors);
  gauge("remuda_controller_descriptor_limit", "Descriptors beyond which no connection is accepted.",
        descriptor_limit);
  counter("remuda_controller_accept_pauses_total",
          "Times that new connections had to wait for descriptors.", accept_pauses);
  commit_seconds.Print("remuda_controller_commit_seconds", "Time to make a commit durable.", out);
  ack_seconds.Print("remuda_controller_ack_seconds",
                    "Time from sending an update to its confirmation.", out);
  turn_seconds.Print("remuda_controller_turn", "Time of a round of the loop.", out);
  return out;
}

}  // namespace remuda
