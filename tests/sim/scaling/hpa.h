// Hpa: Kubernetes' HorizontalPodAutoscaler v2 on CPU, at its defaults. Source: the Kubernetes
// documentation, "Horizontal Pod Autoscaling: Algorithm details", and the published
// replica_calculator.go and horizontal.go.
//
// Metrics are scraped every 15 s (metrics-server's default), each an average over those 15 s, and
// looked at 5 s later: the best case.
#pragma once

#include <deque>
#include <map>

#include "tests/sim/scaling/scaler.h"

namespace remuda::scaling_sim {

class Hpa : public Scaler {
 public:
  explicit Hpa(double target) : target_(target) {}
  int Desired(const Sight& sight) override;

 private:
  struct Usage {
    double sum = 0;
    int ticks = 0;
  };
  struct Metric {
    double cpu = 0;
    int tick = 0;  // its window ends with this one
  };
  struct Past {
    int tick = 0;
    int count = 0;
  };
  struct Pods;

  void Scrape(const Sight& sight);
  Pods Sorted(const Sight& sight) const;
  // What the metrics ask for, without bounds of speed.
  int Recommended(const Sight& sight) const;
  int Stabilized(int tick, int desired, int recommended);
  int MostOut(int tick, int desired) const;

  const double target_;
  std::map<int, Usage> usage_;     // since the last scrape, by instance
  std::map<int, Metric> metrics_;  // as of the last scrape
  std::deque<Past> recommended_;   // within the stabilisation window
  std::deque<Past> added_;         // scale-outs within the period of their policies
};

}  // namespace remuda::scaling_sim
