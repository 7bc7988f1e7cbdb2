// The words for what a group does by itself and can be told to stop. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "remuda/v1/instance_life.pb.h"

namespace remuda::cli {

// `launch`, `add-to-load-balancer`, …
const std::vector<std::string>& ProcessWords();

// Case, `-` and `_` do not matter: AWS's `AZRebalance` is `az-rebalance`. INVALID_ARGUMENT names
// those there are, and the nearest.
absl::StatusOr<v1::ScalingProcess> ParseProcess(const std::string& word);

}  // namespace remuda::cli
