// Readiness: why the controller cannot do what it is asked, if so: what /readyz shows.
//
// Owns: the reasons. Does not own: how they are found (Engine, SelfCall, main). Thread: any.
#pragma once

#include <mutex>
#include <string>

namespace remuda {

class Readiness {
 public:
  // It serves (true), or is starting or stopping.
  void SetServing(bool serving);
  // Why the store refuses to commit; empty: it commits.
  void SetStoreError(const std::string& error);
  // Why a call to the controller's own port fails; empty: it does not.
  void SetCallError(const std::string& error);

  // What it waits for at its start, before it serves; empty: nothing is known.
  void SetStartError(const std::string& error);
  // Why the copy of a controller that stands by is not current; empty: it is.
  void SetCopyError(const std::string& error);

  // One line a reason; empty: ready.
  std::string WhyNot() const;

 private:
  mutable std::mutex mutex_;  // guards what follows
  bool serving_ = false;
  std::string start_error_;
  std::string store_error_;
  std::string call_error_;
  std::string copy_error_;
};

}  // namespace remuda
