#include "controller/store/etcd_plan.h"

#include <absl/strings/str_cat.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "common/status.h"
#include "controller/store/sealed_kinds.h"

namespace remuda {
namespace {

using store::v1::EtcdEdit;
using store::v1::EtcdStagedEdits;

// What an edit costs beside its key and value: the key's prefix, lengths.
constexpr size_t kEditOverheadBytes = 256;

size_t CostOf(const EtcdEdit& edit) {
  return edit.key().size() + edit.value().size() + kEditOverheadBytes;
}

absl::StatusOr<EtcdEdit> MakeEdit(const core::Edit& edit, Sealer& sealer) {
  EtcdEdit out;
  out.set_kind(static_cast<int>(edit.kind));
  out.set_key(edit.key);
  if (edit.value == nullptr) return out;
  std::string& value = *out.mutable_value();
  if (!edit.value->SerializeToString(&value)) {
    return Internal(absl::StrCat("etcd: row ", edit.key, " cannot be serialized as a ",
                                 edit.value->GetTypeName()));
  }
  const std::string place = PlaceOfRow(edit.kind, edit.key);
  if (IsSealedKind(edit.kind)) value = sealer.Seal(place, value);
  if (CostOf(out) > etcd_limits::kMaxRowBytes) {
    return LimitExceeded("kMaxRowBytes", absl::StrCat("etcd: ", place, " has ", CostOf(out),
                                                      " bytes, a row in etcd has at most ",
                                                      etcd_limits::kMaxRowBytes));
  }
  return out;
}

}  // namespace

absl::StatusOr<std::vector<EtcdStagedEdits>> PlanParts(const core::Changes& changes,
                                                       Sealer& sealer) {
  std::map<std::pair<int, std::string_view>, const core::Edit*> last;
  for (const core::Edit& edit : changes.edits)
    last[{static_cast<int>(edit.kind), edit.key}] = &edit;
  if (last.size() > etcd_limits::kMaxCommitEdits) {
    return LimitExceeded("kMaxCommitEdits",
                         absl::StrCat("etcd: a commit of ", last.size(), " rows has more than ",
                                      etcd_limits::kMaxCommitEdits));
  }
  std::vector<EtcdStagedEdits> parts(1);
  size_t part_bytes = 0;
  size_t bytes = 0;
  for (const auto& [place, edit] : last) {
    absl::StatusOr<EtcdEdit> made = MakeEdit(*edit, sealer);
    if (!made.ok()) return made.status();
    const size_t cost = CostOf(*made);
    bytes += cost;
    if (bytes > etcd_limits::kMaxCommitBytes) {
      return LimitExceeded("kMaxCommitBytes", absl::StrCat("etcd: a commit has more than ",
                                                           etcd_limits::kMaxCommitBytes, " bytes"));
    }
    const bool is_full = parts.back().edits_size() >= etcd_limits::kMaxEditsPerPart ||
                         part_bytes + cost > etcd_limits::kMaxBytesPerPart;
    if (is_full && parts.back().edits_size() > 0) {
      parts.emplace_back();
      part_bytes = 0;
    }
    part_bytes += cost;
    *parts.back().add_edits() = *std::move(made);
  }
  return parts;
}

}  // namespace remuda
