// The rows that a request names, and what is checked before one is made, changed or deleted: its
// id, its etag, its quota. Pure.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "controller/core/door/kinds.h"
#include "controller/core/door/validate.h"
#include "controller/core/model/draft.h"
#include "controller/core/model/etag.h"

namespace remuda::core {

// Number of rows of T as the edits leave them.
template <class T>
size_t CountOf(const Draft& draft) {
  size_t count = 0;
  draft.ForEach<T>([&count](const std::string&, const T&) { ++count; });
  return count;
}

template <class T>
absl::Status CheckQuota(const Draft& draft) {
  // Most of the time the committed rows alone say that there is room.
  if (draft.state().All<T>().size() * 2 < Traits<T>::kQuota ||
      CountOf<T>(draft) < Traits<T>::kQuota) {
    return absl::OkStatus();
  }
  return LimitExceeded(
      Traits<T>::kCollection,
      absl::StrCat(std::string(Traits<T>::kCollection), ": there are ", Traits<T>::kQuota,
                   " already, as many as a cluster may have; delete some first"));
}

// The id in a request's name; INVALID_ARGUMENT naming `field` if it is none.
template <class T>
absl::StatusOr<std::string> IdFrom(std::string_view field, const std::string& name) {
  Violations violations;
  std::string id = name;
  if (!NormalizeReference(violations, FieldPath(std::string(field)), Traits<T>::kCollection, id)) {
    return violations.ToStatus();
  }
  return id;
}

// A row that a request names, with its id.
template <class T>
struct Row {
  std::string id;
  std::shared_ptr<const T> value;
};

template <class T>
absl::StatusOr<Row<T>> FindRow(const Draft& draft, std::string_view field,
                               const std::string& name) {
  absl::StatusOr<std::string> id = IdFrom<T>(field, name);
  if (!id.ok()) return id.status();
  std::shared_ptr<const T> value = draft.Find<T>(*id);
  if (value == nullptr) return NotFound(NameOf<T>(*id));
  return Row<T>{*std::move(id), std::move(value)};
}

// The id of a resource to be made, from `id` or the full name in the resource; violations if
// neither is right, or they differ.
std::string NewId(Violations& out, std::string_view collection, const FieldPath& id_at,
                  const std::string& id, const FieldPath& name_at, const std::string& name);

// ABORTED unless `given` is empty or the etag of the value, which has the name.
template <class T>
absl::Status CheckEtag(const std::string& name, const T& value, const std::string& given) {
  if (given.empty()) return absl::OkStatus();
  const std::string current = EtagOf(value);
  if (given == current) return absl::OkStatus();
  return EtagMismatch(name, given, current);
}
template <class T>
absl::Status CheckEtag(const Row<T>& row, const std::string& given) {
  return CheckEtag(NameOf<T>(row.id), *row.value, given);
}

// The row that a request to write names; ABORTED if it is not as the request's etag says.
template <class T, class Request>
absl::StatusOr<Row<T>> FindRowToWrite(const Draft& draft, const Request& request) {
  absl::StatusOr<Row<T>> row = FindRow<T>(draft, "name", request.name());
  if (!row.ok()) return row;
  if (absl::Status etag = CheckEtag(*row, request.etag()); !etag.ok()) return etag;
  return row;
}

// The deployment of a group that has not ended.
std::optional<Row<v1::Deployment>> FindActiveDeployment(const Draft& draft, std::string_view group);

}  // namespace remuda::core
