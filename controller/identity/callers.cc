#include "controller/identity/callers.h"

namespace remuda {

CallerPtr Callers::Find(const std::string& peer) const {
  if (!has_identities_) return std::make_shared<Caller>(Caller{.peer = {}, .address = peer});
  const std::lock_guard lock(mutex_);
  const auto it = callers_.find(peer);
  return it == callers_.end() ? nullptr : it->second;
}

std::string Callers::AddressOf(const std::string& peer) const {
  const CallerPtr caller = Find(peer);
  return caller == nullptr ? peer : caller->address;
}

void Callers::Add(const std::string& peer, CallerPtr caller) {
  const std::lock_guard lock(mutex_);
  callers_[peer] = std::move(caller);
}

void Callers::Remove(const std::string& peer) {
  const std::lock_guard lock(mutex_);
  callers_.erase(peer);
}

}  // namespace remuda
