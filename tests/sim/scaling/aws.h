// Aws: EC2 Auto Scaling's target tracking on average CPU. Source: the EC2 Auto Scaling user guide,
// "Target tracking scaling policies for Amazon EC2 Auto Scaling" and "Set the default instance
// warmup"; the alarms are those that such a policy makes: high is above the target for 3 minutes in
// a row, low is below 90 % of it for 15.
//
// Detailed monitoring (a datapoint a minute, which is there as its minute ends) and a warm-up of
// 120 s, in which each app here has begun and is warm: the best case; the default is 300 s.
#pragma once

#include <deque>
#include <optional>

#include "tests/sim/scaling/scaler.h"

namespace remuda::scaling_sim {

class Aws : public Scaler {
 public:
  explicit Aws(double target) : target_(target) {}
  int Desired(const Sight& sight) override;

 private:
  void TakeUp(const Sight& sight);
  bool IsAlarm(size_t datapoints, double from, double to) const;

  const double target_;
  double sum_ = 0;  // of this minute
  int samples_ = 0;
  std::deque<std::optional<double>> datapoints_;  // the newest last; nullopt: there was no sample
};

}  // namespace remuda::scaling_sim
