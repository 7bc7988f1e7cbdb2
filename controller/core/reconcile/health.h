// Health: what an instance's process does by its agent's word, and what the proxies' checks say.
// Facts only; what follows is decided in instance_transitions.h and deployment.h. Thread: the loop
// thread. Pure.
#pragma once

#include <string>
#include <string_view>

#include "controller/core/model/observations.h"
#include "controller/core/reconcile/gates.h"
#include "remuda/v1/auto_scaling.pb.h"

namespace remuda::core {

enum class Process {
  kUnknown,   // its host has no session, or has not reported since the controller began
  kAwaited,   // its host has not taken it up yet
  kStarting,  // being fetched or started
  kRunning,
  kStopping,  // has been sent its stop signal
  kEnded,     // ended or failed; or its host, which ran it once, has it no more
};

struct ProcessFact {
  Process process = Process::kUnknown;
  // The agent's last word; null if it has none.
  const agent::v1::InstanceStatus* status = nullptr;
};

ProcessFact ProcessOf(const Observations& seen, std::string_view id, const v1::Instance& instance);

// How it ended, for a person: "its process was ended by signal 9". For Process::kEnded.
std::string EndOf(const ProcessFact& fact, const v1::Instance& instance);

enum class Verdict { kUnjudged, kHealthy, kUnhealthy };

struct Judgement {
  Verdict verdict = Verdict::kUnjudged;
  // For kUnhealthy: by which check, for a person.
  std::string why = "";
  // For kUnhealthy: proxies that would say so if it had changed are a majority by themselves. The
  // last word of a silent one may be out of date: nothing is ended for it.
  bool is_current = false;
};

// What the majority of the live proxies that report on the instance say, over every target group of
// the group that is in use; healthy if no live proxy serves any of them. A silent proxy's last word
// counts until its lease is over.
Judgement JudgeByProxies(const Gates& gates, std::string_view id,
                         const v1::AutoScalingGroup& group);

// The first live proxy that serves one of the group's target groups and does not report the
// instance healthy, for a person; empty if all of them do.
std::string NotHealthyAt(const Gates& gates, std::string_view id,
                         const v1::AutoScalingGroup& group);

// What keeps members that are up from being healthy, by the reason that most of them have: "2
// instances are not healthy, for example i-1: its health check in target group tg failed: …". Empty
// if none is known to be unhealthy.
std::string UnhealthyText(const Gates& gates, const InstanceList& members,
                          const v1::AutoScalingGroup& group);

// Whether the host's agent has been silent for longer than host_lost_after.
bool IsLost(const Observations& seen, std::string_view host, Time now);

// When the host becomes lost if it stays silent; InfiniteFuture while it has a session.
Time LostAt(const Observations& seen, std::string_view host);

}  // namespace remuda::core
