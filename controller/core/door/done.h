// What commands answer, and the activities that tell what a person asked for. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controller/core/door/execute.h"
#include "controller/core/door/rows.h"
#include "controller/core/door/shown.h"

namespace remuda::core {

// The row as the edits leave it, as Get would answer it.
template <class T>
T Answer(const Draft& draft, const Context& context, std::string_view key) {
  const std::shared_ptr<const T> row = draft.Find<T>(key);
  T value = Shown(draft, context.seen, context.now, *row);
  value.set_etag(EtagOf(*row));
  return value;
}

// What a person asked for, and was done at once.
struct Done {
  std::string resource;  // full name
  std::string description;
  std::string cause = "a person asked for it";
  std::string instance = {};
  std::string deployment = {};
  std::string actor = {};  // empty: who asks
};
void NoteDone(Draft& draft, const Context& context, Done done);

// Deletes the row because a person asked for it.
template <class T>
void DeleteRow(Draft& draft, const Context& context, const Row<T>& row) {
  draft.Delete<T>(row.id);
  const std::string& full = row.value->name();
  NoteDone(draft, context, {.resource = full, .description = absl::StrCat("Deleted ", full)});
}

// "min: 1 -> 2; max: 2 -> 4", cut to a length that a person reads.
std::string Joined(const std::vector<std::string>& changes);

}  // namespace remuda::core
