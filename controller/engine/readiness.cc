#include "controller/engine/readiness.h"

namespace remuda {

void Readiness::SetServing(bool serving) {
  const std::lock_guard lock(mutex_);
  serving_ = serving;
}

void Readiness::SetStartError(const std::string& error) {
  const std::lock_guard lock(mutex_);
  start_error_ = error;
}

void Readiness::SetStoreError(const std::string& error) {
  const std::lock_guard lock(mutex_);
  store_error_ = error;
}

void Readiness::SetCallError(const std::string& error) {
  const std::lock_guard lock(mutex_);
  call_error_ = error;
}

void Readiness::SetCopyError(const std::string& error) {
  const std::lock_guard lock(mutex_);
  copy_error_ = error;
}

std::string Readiness::WhyNot() const {
  const std::lock_guard lock(mutex_);
  if (!serving_ && !start_error_.empty()) return "starting: " + start_error_ + "\n";
  if (!serving_) return "starting or stopping\n";
  std::string why;
  if (!store_error_.empty()) why += "the store commits nothing: " + store_error_ + "\n";
  if (!call_error_.empty()) why += "a call to the API fails: " + call_error_ + "\n";
  if (!copy_error_.empty()) why += "the store is not followed: " + copy_error_ + "\n";
  return why;
}

}  // namespace remuda
