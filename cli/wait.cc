#include "cli/wait.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <ostream>
#include <thread>

#include "cli/deploy_progress.h"
#include "cli/group_size.h"
#include "cli/resources.h"
#include "cli/watching.h"
#include "common/duration_text.h"
#include "common/message_yaml.h"
#include "common/words.h"

namespace remuda::cli {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr char kGivenBare[] = "true";  // what CLI11 makes of a flag without a value

// Empty: fine.
std::string ParseWait(const std::string& text, WaitTime& out) {
  out = kDefaultWait;
  if (text == kGivenBare) return "";
  google::protobuf::Duration duration;
  if (const auto wrong = ParseDuration(text, &duration)) return *wrong;
  out = std::chrono::seconds(duration.seconds()) +
        std::chrono::milliseconds(duration.nanos() / 1'000'000);
  if (out > WaitTime(0) && out <= kMaxWait) return "";
  return absl::StrCat(text, " is not within 1ms and 24h");
}

// On a terminal one line that changes; else a line a change.
class WaitLine {
 public:
  explicit WaitLine(Context& context) : context_(context) {}
  WaitLine(const WaitLine&) = delete;
  WaitLine& operator=(const WaitLine&) = delete;
  ~WaitLine() { Clear(); }
  void Clear() {
    if (context_.err_is_terminal && !last_.empty()) context_.err << kErase << std::flush;
    last_.clear();
  }
  void Show(const std::string& missing) {
    if (missing == last_) return;
    last_ = missing;
    if (context_.err_is_terminal) {
      context_.err << kErase << "waiting: " << missing << std::flush;
    } else {
      context_.err << "waiting: " << missing << std::endl;
    }
  }

 private:
  static constexpr char kErase[] = "\r\x1b[K";
  Context& context_;
  std::string last_;
};

std::string SecondsText(WaitTime time) {
  google::protobuf::Duration duration;
  duration.set_seconds(time.count() / 1000);
  duration.set_nanos(static_cast<int32_t>(time.count() % 1000) * 1'000'000);
  return FormatDuration(duration);
}

// "1 of 2 in service", or "3 in service, 2 are wanted".
std::string InServiceText(int in_service, int desired) {
  if (in_service <= desired) return absl::StrCat(in_service, " of ", desired, " in service");
  return absl::StrCat(in_service, " in service, ", desired == 0 ? "none" : absl::StrCat(desired),
                      desired <= 1 ? " is" : " are", " wanted");
}

// What an instance is, while it is not what is waited for.
std::string StateText(const v1::Instance& instance) {
  return absl::StrCat(instance.name(), " is ",
                      ShortEnumName(v1::InstanceState_descriptor(), instance.state()),
                      instance.state_reason().empty() ? "" : ": ", instance.state_reason());
}

using InstanceCheck = std::function<bool(const v1::Instance&)>;
Missing InstanceUntil(const ControllerClient& client, const std::string& id,
                      const InstanceCheck& is_so) {
  return [&client, id, is_so]() -> absl::StatusOr<std::string> {
    const auto found = GetResource(client, KindId::kInstance, id);
    if (!found.ok()) return found.status();
    const auto& instance = static_cast<const v1::Instance&>(**found);
    return is_so(instance) ? "" : StateText(instance);
  };
}

}  // namespace

void AddWaitFlag(CLI::App* command, WaitTime& out, const std::string& what) {
  auto text = std::make_shared<std::string>();
  command
      ->add_flag(
          "--wait", *text,
          absl::StrCat("Stay until ", what, "; --wait=DURATION: for so long at most (default ",
                       kDefaultWait.count(), "m; then exit code 3)"))
      ->check([text, &out](const std::string& given) {
        return ParseWait(given, out);  // keeps `text` for as long as the flag
      });
}

void AddWatchLimit(CLI::App* command, WaitTime& out) {
  command
      ->add_option_function<std::string>(
          "--timeout", [&out](const std::string& text) { ParseWait(text, out); },
          "Watch for so long at most, then exit with code 3; the deployment goes on")
      ->check([](const std::string& text) {
        WaitTime parsed{0};
        return ParseWait(text, parsed);
      });
}

ExitCode Await(Context& context, WaitTime limit, const Missing& missing) {
  const auto end = SteadyClock::now() + limit;
  std::string last = "no answer yet";
  bool was_there = true;
  WaitLine line(context);
  while (true) {
    const auto now = missing();
    if (now.ok()) {
      if (now->empty()) return ExitCode::kOk;
      was_there = true;
      last = *now;
      line.Show(last);
    } else if (IsAway(now.status())) {
      SayAway(context, was_there);
    } else {
      return Fail(context, now.status());
    }
    if (SteadyClock::now() >= end) break;
    std::this_thread::sleep_for(
        std::min<SteadyClock::duration>(kWatchInterval, end - SteadyClock::now()));
  }
  line.Clear();
  context.err << "remuda: waited " << SecondsText(limit)
              << " in vain, and what was asked for goes on: " << last << std::endl;
  return ExitCode::kTimedOut;
}

Missing GroupSettled(const ControllerClient& client, const std::string& id) {
  return [&client, id]() -> absl::StatusOr<std::string> {
    const auto found = GetResource(client, KindId::kAutoScalingGroup, id);
    if (!found.ok()) return found.status();
    const auto& group = static_cast<const v1::AutoScalingGroup&>(**found);
    const auto& status = group.status();
    const int desired = SizeOf(group).desired;
    if (status.in_service() == desired && status.pending() == 0 && status.terminating() == 0) {
      return "";
    }
    std::string text =
        absl::StrCat(group.name(), ": ", InServiceText(status.in_service(), desired));
    if (status.pending() > 0) absl::StrAppend(&text, ", ", status.pending(), " pending");
    if (status.terminating() > 0) absl::StrAppend(&text, ", ", status.terminating(), " ending");
    if (!status.waiting().empty()) absl::StrAppend(&text, ": ", status.waiting());
    return text;
  };
}

Missing ProxiesFollow(const ControllerClient& client) {
  return [&client]() -> absl::StatusOr<std::string> {
    const auto proxies = ListResources(client, KindId::kProxy, {});
    if (!proxies.ok()) return proxies.status();
    std::vector<std::string> behind;
    for (const auto& resource : *proxies) {
      const auto& proxy = static_cast<const v1::Proxy&>(*resource);
      const auto& sent = proxy.config().sent();
      const auto& taken = proxy.config().acknowledged();
      const bool follows =
          std::pair(taken.epoch(), taken.sequence()) >= std::pair(sent.epoch(), sent.sequence());
      if (proxy.connected() && !follows) behind.push_back(proxy.name());
    }
    return behind.empty() ? "" : absl::StrJoin(behind, ", ") + " to take the new config";
  };
}

Missing Listens(const ControllerClient& client, const std::string& load_balancer) {
  return [&client, load_balancer]() -> absl::StatusOr<std::string> {
    const auto found = GetResource(client, KindId::kLoadBalancer, load_balancer);
    if (!found.ok()) return found.status();
    const auto& balancer = static_cast<const v1::LoadBalancer&>(**found);
    if (balancer.listener_errors().empty()) return "";
    const v1::ListenerError& error = balancer.listener_errors(0);
    return absl::StrCat(balancer.name(), ": ", ShortId(error.proxy()), " does not listen on ",
                        error.port(), ": ", error.error());
  };
}

Missing DeploymentEnded(const ControllerClient& client, const std::string& id) {
  return [&client, id]() -> absl::StatusOr<std::string> {
    const auto found = GetResource(client, KindId::kDeployment, id);
    if (!found.ok()) return found.status();
    const auto& deployment = static_cast<const v1::Deployment&>(**found);
    return HasEnded(deployment) ? "" : absl::StrCat(id, ": ", ProgressLine(deployment));
  };
}

Missing Gone(const ControllerClient& client, KindId kind, const std::string& id) {
  return [&client, kind, id]() -> absl::StatusOr<std::string> {
    const auto found = GetResource(client, kind, id);
    if (found.ok()) {
      std::string text = FullName(kind, id) + " to be gone";
      if (kind != KindId::kAutoScalingGroup) return text;
      const auto& status = static_cast<const v1::AutoScalingGroup&>(**found).status();
      const int left = status.in_service() + status.pending() + status.terminating();
      if (left == 0) return text;
      return absl::StrCat(text, ", with ", Counted(left, "instance"), " left");
    }
    if (found.status().code() == absl::StatusCode::kNotFound) return "";
    return found.status();
  };
}

Missing HostEmpty(const ControllerClient& client, const std::string& id) {
  return [&client, id]() -> absl::StatusOr<std::string> {
    const auto found = GetResource(client, KindId::kHost, id);
    if (!found.ok()) return found.status();
    const int left = static_cast<const v1::Host&>(**found).instance_count();
    if (left == 0) return "";
    return absl::StrCat(FullName(KindId::kHost, id), " has ", Counted(left, "instance"));
  };
}

Missing InstanceEnded(const ControllerClient& client, const std::string& id) {
  const Missing ended = InstanceIs(client, id, v1::INSTANCE_STATE_TERMINATED);
  return [ended]() -> absl::StatusOr<std::string> {
    auto missing = ended();
    if (missing.status().code() == absl::StatusCode::kNotFound) return "";
    return missing;
  };
}

Missing InstanceIs(const ControllerClient& client, const std::string& id, v1::InstanceState state) {
  return InstanceUntil(client, id,
                       [state](const v1::Instance& instance) { return instance.state() == state; });
}

Missing InstanceDetached(const ControllerClient& client, const std::string& id) {
  return InstanceUntil(client, id, [](const v1::Instance& instance) {
    return instance.auto_scaling_group().empty();
  });
}

Missing AllOf(std::vector<Missing> parts) {
  return [parts = std::move(parts)]() -> absl::StatusOr<std::string> {
    for (const Missing& part : parts) {
      auto missing = part();
      if (!missing.ok() || !missing->empty()) return missing;
    }
    return "";
  };
}

}  // namespace remuda::cli
