// Commands on images.
#include <algorithm>

#include "common/ids.h"
#include "controller/core/door/done.h"
#include "controller/core/model/words.h"

namespace remuda::core {
namespace {

constexpr int kMaxSignatures = 8;
constexpr size_t kMaxKeyIdBytes = 64;
constexpr size_t kSignatureBytes = 64;

void CheckSignatures(Violations& out, const v1::Image& image) {
  const FieldPath at("signatures");
  CheckCount(out, at, image.signatures_size(), 0, kMaxSignatures);
  for (int i = 0; i < image.signatures_size(); ++i) {
    const v1::ImageSignature& one = image.signatures(i);
    if (one.key_id().empty() || one.key_id().size() > kMaxKeyIdBytes)
      out.Add(at[i] / "key_id", absl::StrCat("must have 1 to ", kMaxKeyIdBytes, " bytes"));
    if (one.signature().size() != kSignatureBytes) {
      out.Add(at[i] / "signature",
              absl::StrCat(one.signature().size(), " bytes; an Ed25519 one has ", kSignatureBytes));
    }
  }
}

// Adds those of keys that have not signed it yet. Whether there were any.
bool AddSignatures(const v1::Image& from, v1::Image& to) {
  bool any = false;
  for (const v1::ImageSignature& one : from.signatures()) {
    const bool is_known =
        std::any_of(to.signatures().begin(), to.signatures().end(),
                    [&](const auto& known) { return known.key_id() == one.key_id(); });
    if (is_known || to.signatures_size() >= kMaxSignatures) continue;
    *to.add_signatures() = one;
    any = true;
  }
  return any;
}

}  // namespace

absl::StatusOr<v1::Image> Execute(Draft& draft, const RegisterImage& command,
                                  const Context& context) {
  v1::Image image = command.image;
  Violations violations;
  const std::string id =
      NewId(violations, kImages, FieldPath("image_id"), "", FieldPath("image_id"), image.name());
  if (!IsDigest(image.digest())) {
    violations.Add(
        FieldPath("digest"),
        absl::StrCat(Quoted(image.digest()), " must be sha256: and 64 lowercase hex digits"));
  }
  CheckRange(violations, FieldPath("size_bytes"), image.size_bytes(), 1, limits::kImageBytes);
  if (!image.source_instance().empty()) {
    NormalizeReference(violations, FieldPath("source_instance"), kInstances,
                       *image.mutable_source_instance());
  }
  CheckLabels(violations, FieldPath("labels"), image.labels());
  CheckSignatures(violations, image);
  if (!violations.empty()) return violations.ToStatus();
  const auto before = draft.Find<v1::Image>(id);
  if (before != nullptr) {
    if (before->digest() == image.digest()) {
      v1::Image after = *before;
      if (AddSignatures(image, after)) {
        NoteDone(draft, context,
                 {.resource = after.name(),
                  .description = absl::StrCat("Added a signature to image ", id),
                  .cause = "a person pushed it again, signed"});
        draft.Put(id, std::move(after));
      }
      return Answer<v1::Image>(draft, context, id);
    }
    return AlreadyExists(
        NameOf<v1::Image>(id),
        absl::StrCat("is ", before->digest(), ", and these bytes are ", image.digest(),
                     "; an image never changes: push under another name"));
  }
  if (absl::Status quota = CheckQuota<v1::Image>(draft); !quota.ok()) return quota;
  image.set_name(NameOf<v1::Image>(id));
  *image.mutable_create_time() = ToProto(context.now);
  image.clear_etag();
  NoteDone(draft, context,
           {.resource = image.name(),
            .description = absl::StrCat("Added image ", id, " (", image.digest(), ", ",
                                        Counted(image.size_bytes(), "byte"), ")"),
            .cause = image.source_instance().empty()
                         ? "a person pushed it"
                         : absl::StrCat("a person asked for it from the instance ",
                                        image.source_instance())});
  draft.Put(id, std::move(image));
  return Answer<v1::Image>(draft, context, id);
}

absl::StatusOr<Empty> Execute(Draft& draft, const v1::DeleteImageRequest& request,
                              const Context& context) {
  const auto row = FindRowToWrite<v1::Image>(draft, request);
  if (!row.ok()) return row.status();
  std::string user;
  draft.ForEach<v1::LaunchTemplateVersion>(
      [&](const std::string&, const v1::LaunchTemplateVersion& value) {
        if (user.empty() && value.image() == row->id) {
          user = value.name();
        }
      });
  if (!user.empty()) {
    return FailedPrecondition("IMAGE_IN_USE",
                              absl::StrCat(row->value->name(), ": ", user, " refers to it"));
  }
  draft.Delete<v1::Image>(row->id);
  NoteDone(
      draft, context,
      {.resource = row->value->name(), .description = absl::StrCat("Deleted image ", row->id)});
  return Empty();
}

}  // namespace remuda::core
