// KubernetesThread: follows Services of Kubernetes by their EndpointSlices, on a thread of its own.
// What they say is posted to the loop.
//
// Owns: the thread, a reader for each Service that is followed. Every wait and everything that is
// read has a bound (controller/kubernetes/limits.h). It only reads from Kubernetes.
#pragma once

#include <memory>

#include "controller/engine/loop.h"
#include "controller/kubernetes/api_address.h"
#include "controller/kubernetes/endpoint_watcher.h"
#include "controller/kubernetes/reader_pace.h"

namespace remuda {

class KubernetesThread final : public EndpointWatcher {
 public:
  // The loop outlives it. Without an API (`missing`) each Follow is told so.
  KubernetesThread(Loop& loop, ApiAddress api, const kubernetes::ReaderPace& pace = {});
  KubernetesThread(const KubernetesThread&) = delete;
  KubernetesThread& operator=(const KubernetesThread&) = delete;
  ~KubernetesThread() override;  // stops

  void Follow(int64_t id, const v1::KubernetesTargets& whose, Take take) override;
  void Forget(int64_t id) override;

  // Ends the thread: nothing more is told. Before the loop is stopped. May be called twice.
  void Stop();

 private:
  struct Running;

  Loop& loop_;
  const ApiAddress api_;
  std::unique_ptr<Running> running_;
};

}  // namespace remuda
