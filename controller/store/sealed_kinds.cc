#include "controller/store/sealed_kinds.h"

#include <absl/strings/str_cat.h>
#include <google/protobuf/any.pb.h>

#include <set>

#include "common/sensitive.h"

namespace remuda {
namespace {

using google::protobuf::Descriptor;

// `seen`: types that were looked at, as types may hold each other.
bool MayHoldSecrets(const Descriptor& type, std::set<const Descriptor*>& seen) {
  if (&type == google::protobuf::Any::descriptor()) return true;
  if (!seen.insert(&type).second) return false;
  for (int i = 0; i < type.field_count(); ++i) {
    const auto& field = *type.field(i);
    if (IsSensitive(field)) return true;
    if (field.message_type() != nullptr && MayHoldSecrets(*field.message_type(), seen)) return true;
  }
  return false;
}

std::set<core::Kind> FindSealedKinds() {
  std::set<core::Kind> out;
  for (int number = 1; number <= static_cast<int>(core::kLastKind); ++number) {
    const auto kind = static_cast<core::Kind>(number);
    core::VisitKind(kind, [&]<class T>(T*) {
      std::set<const Descriptor*> seen;
      if (MayHoldSecrets(*T::descriptor(), seen)) out.insert(kind);
    });
  }
  return out;
}

}  // namespace

bool IsSealedKind(core::Kind kind) {
  static const auto* const kKinds = new std::set<core::Kind>(FindSealedKinds());
  return kKinds->contains(kind);
}

std::string PlaceOfRow(core::Kind kind, std::string_view key) {
  return absl::StrCat("kind ", static_cast<int>(kind), ", key ", std::string(key));
}

}  // namespace remuda
