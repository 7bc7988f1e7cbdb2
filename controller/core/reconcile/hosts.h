// Walks over all hosts. Thread: the loop thread. Pure.
#pragma once

#include <memory>
#include <string>

#include "controller/core/model/draft.h"
#include "controller/core/model/observations.h"

namespace remuda::core {

// Calls `fn(id, row, observed)` for each host of the draft, by id: its row, and what is observed of
// it or null. Both tables have one order, so none is looked up.
template <class Fn>
void ForEachHost(const Draft& draft, const Observations& seen, Fn fn) {
  auto observed = seen.hosts.begin();
  draft.ForEachRowFrom<v1::Host>(
      "", [&](const std::string& id, const std::shared_ptr<const v1::Host>& row) {
        while (observed != seen.hosts.end() && observed->first < id) ++observed;
        const bool is_known = observed != seen.hosts.end() && observed->first == id;
        fn(id, row, is_known ? &observed->second : nullptr);
        return true;
      });
}

}  // namespace remuda::core
