#include "cli/deploy_trouble.h"

#include <absl/status/statusor.h>
#include <absl/strings/ascii.h>

#include <chrono>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "cli/deploy_progress.h"
#include "cli/kinds.h"
#include "cli/resources.h"

namespace remuda::cli {
namespace {

// Activities of the group that are looked through, from the newest.
constexpr size_t kSearchedActivities = 1000;

// Of a log that is read for its end: lines, bytes that are shown of them, bytes that are read at
// most, and time.
constexpr int kLogTailLines = 10;
constexpr size_t kShownBytes = 4 << 10;
constexpr size_t kReadBytes = 1 << 20;
constexpr std::chrono::seconds kTailTimeout{3};

ListFilter OfGroup(const std::string& group) {
  ListFilter filter;
  filter.of = FullName(KindId::kAutoScalingGroup, group);
  return filter;
}

absl::StatusOr<std::string> LogTailOf(const ControllerClient& client, const std::string& group,
                                      const std::string& instance) {
  ListFilter filter = OfGroup(group);
  filter.limit = kSearchedActivities;
  const auto activities = ListResources(client, KindId::kActivity, filter);
  if (!activities.ok()) return activities.status();
  for (const auto& resource : *activities) {
    const auto& activity = static_cast<const v1::Activity&>(*resource);
    if (ShortId(activity.instance()) == instance && !activity.log_tail().empty())
      return activity.log_tail();
  }
  return "";
}

// Its last lines that are within the bound; of a last line that alone is longer, its end.
std::string EndOf(std::string text) {
  absl::StripTrailingAsciiWhitespace(&text);
  if (text.size() <= kShownBytes) return text;
  size_t at = text.size() - kShownBytes;
  if (const size_t newline = text.find('\n', at - 1); newline != std::string::npos) {
    at = newline + 1;
  } else {
    while (at < text.size() && (text[at] & 0xC0) == 0x80) ++at;  // not within a character
  }
  return text.substr(at);
}

// What its log ends with: of one that has not ended by itself. Empty where its host does not say.
std::string ReadTail(const ControllerClient& client, const std::string& instance) {
  grpc::ClientContext call;
  ControllerClient::SetDeadline(call, kTailTimeout);
  v1::WatchInstanceLogsRequest request;
  request.set_name(FullName(KindId::kInstance, instance));
  request.set_tail_lines(kLogTailLines);
  const auto stream = client.auto_scaling->WatchInstanceLogs(&call, request);
  v1::WatchInstanceLogsResponse response;
  std::string tail;
  while (tail.size() <= kReadBytes && stream->Read(&response)) tail += response.data();
  call.TryCancel();  // of one that is longer; one that has ended is not changed by it
  stream->Finish();
  if (tail.size() > kReadBytes) return "";
  return EndOf(std::move(tail));
}

// `judged` (a deployment, or a group) says who is suspect. Nothing where nobody is; a status where
// the controller does not say.
template <typename Judged>
absl::StatusOr<std::vector<std::string>> AskForTrouble(const ControllerClient& client,
                                                       const std::string& group,
                                                       const Judged& judged) {
  const std::vector<std::string> nothing;
  ListFilter filter = OfGroup(group);
  filter.show_terminated = true;
  const auto resources = ListResources(client, KindId::kInstance, filter);
  if (!resources.ok()) return resources.status();
  std::vector<const v1::Instance*> suspects;
  for (const auto& resource : *resources) {
    const auto& instance = static_cast<const v1::Instance&>(*resource);
    if (IsSuspect(judged, instance)) suspects.push_back(&instance);
  }
  const v1::Instance* culprit = Culprit(suspects);
  if (culprit == nullptr) return nothing;
  const std::string id = ShortId(culprit->name());
  auto tail = LogTailOf(client, group, id);
  if (!tail.ok() && !culprit->has_start_time()) return tail.status();
  if (!tail.ok()) return TroubleLines(*culprit, "");  // the command is told all the same
  if (tail->empty()) *tail = ReadTail(client, id);
  // It could not be started, and why not has been said.
  if (tail->empty() && !culprit->has_start_time()) return nothing;
  return TroubleLines(*culprit, *tail);
}

absl::StatusOr<std::vector<std::string>> AskForGroupTrouble(const ControllerClient& client,
                                                            const std::string& group) {
  const auto found = GetResource(client, KindId::kAutoScalingGroup, group);
  if (!found.ok()) return found.status();
  return AskForTrouble(client, group, static_cast<const v1::AutoScalingGroup&>(**found));
}

}  // namespace

void PrintTrouble(Context& context, const ControllerClient& client,
                  const v1::Deployment& deployment) {
  // A shift launches nothing itself: the group behind its new side does, if it is scaled.
  const std::string behind = ShortId(deployment.shift().to_auto_scaling_group());
  if (deployment.has_shift() &&
      (behind.empty() || deployment.state() == v1::DEPLOYMENT_STATE_SUCCEEDED)) {
    return;
  }
  const auto lines =
      deployment.has_shift()
          ? AskForGroupTrouble(client, behind)
          : AskForTrouble(client, ShortId(deployment.auto_scaling_group()), deployment);
  if (!lines.ok()) return;
  for (const std::string& line : *lines) context.out << line << "\n";
  context.out.flush();
}

void PrintGroupTrouble(Context& context, const ControllerClient& client,
                       const std::vector<std::string>& groups) {
  for (const std::string& group : groups) {
    const auto lines = AskForGroupTrouble(client, group);
    if (absl::IsNotFound(lines.status())) continue;  // it has been deleted meanwhile
    if (!lines.ok()) return;
    for (const std::string& line : *lines) context.err << line << "\n";
    context.err.flush();
    if (!lines->empty()) return;
  }
}

}  // namespace remuda::cli
