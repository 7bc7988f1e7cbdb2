// ReaderPace: how long a Service's reader waits for what. Tests shorten it.
#pragma once

#include "controller/kubernetes/slice_follow.h"

namespace remuda::kubernetes {

struct ReaderPace {
  SliceFollow::Pace follow = {};
  absl::Duration silence = limits::kSilence;
  absl::Duration connect_timeout = limits::kConnectTimeout;
  absl::Duration answer_timeout = limits::kAnswerTimeout;
};

}  // namespace remuda::kubernetes
