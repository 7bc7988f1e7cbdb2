#include "proxy/admin/bad_messages_page.h"

#include <spdlog/fmt/chrono.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <string_view>
#include <vector>

#include "common/logging.h"
#include "proxy/telemetry/bad_messages.h"

namespace remuda::proxy {
namespace {

std::string_view KindName(BadMessage::Kind kind) {
  switch (kind) {
    case BadMessage::Kind::kRequest:
      return "request";
    case BadMessage::Kind::kResponse:
      return "response";
    default:
      return "dropped_field";
  }
}

std::string TimeText(int64_t us) {
  const std::chrono::sys_time<std::chrono::milliseconds> time{std::chrono::milliseconds(us / 1000)};
  const auto seconds = std::chrono::time_point_cast<std::chrono::seconds>(time);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)),
                     (time - seconds).count());
}

void Add(const BadMessages::Kept& kept, std::string& out) {
  fmt::format_to(
      std::back_inserter(out),
      "\n{{\"kind\":\"{}\",\"count\":{},\"first_time\":\"{}\",\"last_time\":\"{}\","
      "\"reason\":\"{}\",\"rule\":\"{}\",\"{}\":\"{}\",\"first_line\":\"{}\","
      "\"load_balancer\":\"{}\",\"client\":\"{}\",\"target_group\":\"{}\",\"target\":\"{}\"}}",
      KindName(kept.kind), kept.count, TimeText(kept.first_us), TimeText(kept.last_us),
      http::NameOf(kept.reason), http::NameOf(kept.fault.rule()),
      kept.fault.is_name() ? "field" : "bytes", JsonEscape(kept.fault.text()),
      JsonEscape(kept.first_line), JsonEscape(kept.load_balancer), JsonEscape(kept.client),
      JsonEscape(kept.target_group), JsonEscape(kept.target));
}

}  // namespace

std::string RenderBadMessages(const Coordinator& coordinator) {
  std::vector<BadMessages::Kept> all;
  for (const auto& worker : coordinator.workers()) {
    std::vector<BadMessages::Kept> some = worker->bad_messages().Snapshot();
    all.insert(all.end(), std::make_move_iterator(some.begin()),
               std::make_move_iterator(some.end()));
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.last_us > b.last_us; });
  std::string out = "{\"messages\":[";
  for (const BadMessages::Kept& kept : all) {
    if (out.back() == '}') out += ',';
    Add(kept, out);
  }
  return out + "\n]}\n";
}

}  // namespace remuda::proxy
