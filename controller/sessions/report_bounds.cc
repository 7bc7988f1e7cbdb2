#include "controller/sessions/report_bounds.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <string>

#include "common/status.h"
#include "common/utf8.h"
#include "controller/core/model/limits.h"
#include "controller/core/model/names.h"
#include "controller/sessions/report_limits.h"

namespace remuda {
namespace {

using google::protobuf::Timestamp;

void Cut(std::string* text) {
  if (text->size() > limits::kMaxReportTextBytes)
    *text = ValidUtf8(*text, limits::kMaxReportTextBytes);
}

// As google.protobuf.Timestamp says: the years 1 to 9999. Others could not be shown as JSON, nor
// could the resource that holds one.
bool IsTime(const Timestamp& time) {
  constexpr int64_t kFirstSecond = -62'135'596'800;
  constexpr int64_t kLastSecond = 253'402'300'799;
  constexpr int32_t kNanosPerSecond = 1'000'000'000;
  return time.seconds() >= kFirstSecond && time.seconds() <= kLastSecond && time.nanos() >= 0 &&
         time.nanos() < kNanosPerSecond;
}

absl::Status CheckCount(std::string_view field, int count) {
  if (count <= static_cast<int>(limits::kMaxReportedInstances)) return absl::OkStatus();
  return LimitExceeded(
      "kMaxReportedInstances",
      absl::StrCat(std::string(field), ": a host has at most ", limits::kMaxReportedInstances,
                   " instances, these are ", count));
}

// An agent tells of all that is in its directory, a file system's lost+found too: no row is of it.
template <class Said>
void DropForeign(google::protobuf::RepeatedPtrField<Said>& said) {
  const auto is_foreign = [](const Said& one) { return !core::IsValidId(one.instance()); };
  said.erase(std::remove_if(said.begin(), said.end(), is_foreign), said.end());
}

absl::Status BoundInstance(const std::string& at, agent::v1::InstanceStatus& status) {
  if (status.port() < 0 || status.port() > core::limits::kMaxPort) {
    return InvalidField(at + ".port",
                        absl::StrCat(status.port(), " is not within 0-", core::limits::kMaxPort));
  }
  if (!IsTime(status.start_time())) return InvalidField(at + ".start_time", "is out of range");
  if (!IsTime(status.exit().time())) return InvalidField(at + ".exit.time", "is out of range");
  Cut(status.mutable_message());
  Cut(status.mutable_log_tail());
  return absl::OkStatus();
}

absl::Status BoundInstances(
    const std::string& field,
    google::protobuf::RepeatedPtrField<agent::v1::InstanceStatus>& statuses) {
  if (absl::Status count = CheckCount(field, statuses.size()); !count.ok()) return count;
  for (int i = 0; i < statuses.size(); ++i) {
    absl::Status bounded = BoundInstance(absl::StrCat(field, "[", i, "]"), statuses[i]);
    if (!bounded.ok()) return bounded;
  }
  DropForeign(statuses);
  return absl::OkStatus();
}

absl::Status BoundHello(agent::v1::Hello& hello) {
  if (hello.lacks_size() > static_cast<int>(limits::kMaxHostLacks)) {
    return LimitExceeded("kMaxHostLacks",
                         absl::StrCat("hello.lacks: there are ", hello.lacks_size(),
                                      ", a host names at most ", limits::kMaxHostLacks));
  }
  for (auto& [means, why] : *hello.mutable_lacks()) {
    if (means.size() > core::limits::kIdBytes)
      return InvalidField("hello.lacks",
                          absl::StrCat("a key is longer than ", core::limits::kIdBytes, " bytes"));
    Cut(&why);
  }
  Cut(hello.mutable_version());
  return BoundInstances("hello.instances", *hello.mutable_instances());
}

absl::Status BoundUsage(agent::v1::UsageReport& usage) {
  absl::Status count = CheckCount("usage.instances", usage.instances_size());
  if (!count.ok()) return count;
  for (int i = 0; i < usage.instances_size(); ++i) {
    const std::string at = absl::StrCat("usage.instances[", i, "]");
    const agent::v1::InstanceUsage& one = usage.instances(i);
    if (!IsTime(one.counted_since())) return InvalidField(at + ".counted_since", "is out of range");
  }
  DropForeign(*usage.mutable_instances());
  return absl::OkStatus();
}

}  // namespace

absl::Status BoundReport(agent::v1::ConnectRequest& request) {
  switch (request.message_case()) {
    case agent::v1::ConnectRequest::kHello:
      return BoundHello(*request.mutable_hello());
    case agent::v1::ConnectRequest::kReport:
      return BoundInstances("report.instances", *request.mutable_report()->mutable_instances());
    case agent::v1::ConnectRequest::kUsage:
      return BoundUsage(*request.mutable_usage());
    case agent::v1::ConnectRequest::kNack:
      Cut(request.mutable_nack()->mutable_resource());
      Cut(request.mutable_nack()->mutable_reason());
      return absl::OkStatus();
    case agent::v1::ConnectRequest::kSnapshot:
      Cut(request.mutable_snapshot()->mutable_error());
      return absl::OkStatus();
    default:
      return absl::OkStatus();
  }
}

absl::Status BoundReport(proxy::v1::ConnectRequest& request) {
  const auto cut_errors = [](auto& listeners) {
    for (auto& listener : listeners) Cut(listener.mutable_error());
  };
  switch (request.message_case()) {
    case proxy::v1::ConnectRequest::kHello:
      Cut(request.mutable_hello()->mutable_version());
      return absl::OkStatus();
    case proxy::v1::ConnectRequest::kHealth:
      for (int i = 0; i < request.health().targets_size(); ++i) {
        proxy::v1::TargetHealth& target = *request.mutable_health()->mutable_targets(i);
        if (!IsTime(target.since()))
          return InvalidField(absl::StrCat("health.targets[", i, "].since"), "is out of range");
        Cut(target.mutable_reason());
        Cut(target.mutable_description());
      }
      return absl::OkStatus();
    case proxy::v1::ConnectRequest::kAck:
      cut_errors(*request.mutable_ack()->mutable_listeners());
      return absl::OkStatus();
    case proxy::v1::ConnectRequest::kListeners:
      cut_errors(*request.mutable_listeners()->mutable_listeners());
      return absl::OkStatus();
    case proxy::v1::ConnectRequest::kNack:
      Cut(request.mutable_nack()->mutable_resource());
      Cut(request.mutable_nack()->mutable_reason());
      return absl::OkStatus();
    default:
      return absl::OkStatus();
  }
}

}  // namespace remuda
