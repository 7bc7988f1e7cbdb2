// How many instances an auto scaling group is to have: what holds, who set it, and what keeps the
// group from following it. Pure.
#pragma once

#include <google/protobuf/timestamp.pb.h>

#include <string>
#include <vector>

#include "remuda/v1/auto_scaling.pb.h"

namespace remuda::cli {

// In force: what policies have set goes before what a person wrote.
struct GroupSize {
  int min = 0;
  int desired = 0;
  int max = 0;
};
GroupSize SizeOf(const v1::AutoScalingGroup& group);

// `1/3*/10`, a star behind each number that a policy has set.
std::string SizeText(const v1::AutoScalingGroup& group);

// Of `describe`, a line each: how many are wanted, why and since when; what policies last decided;
// those that stand by or are kept warm; what is suspended; hooks; whatever else changes the size.
std::vector<std::string> SizeLines(const v1::AutoScalingGroup& group,
                                   const google::protobuf::Timestamp& now);

// `LAUNCH (maintenance), TERMINATE`; empty: nothing is suspended.
std::string SuspendedText(const v1::AutoScalingGroup& group);

// Whether scale-in may choose it: `yes` (a person protects it), `app` (its app does), or `-`.
std::string ProtectedText(const v1::Instance& instance);
// The hooks that it waits for.
std::string HooksText(const v1::Instance& instance);

}  // namespace remuda::cli
