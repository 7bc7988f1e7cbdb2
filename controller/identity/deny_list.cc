#include "controller/identity/deny_list.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "controller/core/model/limits.h"
#include "controller/core/model/time.h"

namespace remuda {
namespace {

absl::Status ShutOut(const identity::Peer& peer, const std::string& why) {
  return absl::PermissionDeniedError(
      absl::StrCat(identity::ActorText(peer.id), " is shut out: ", why));
}

// Times of certificates are whole seconds.
absl::Time ThisSecond(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds());
}

}  // namespace

DenyList::DenyList(const core::State& state) : lists_(Read(state)) {}

std::shared_ptr<const DenyList::Lists> DenyList::Read(const core::State& state) {
  auto lists = std::make_shared<Lists>();
  for (const auto& [id, user] : state.All<v1::User>()) lists->users.emplace(id, user->role());
  for (const auto& [id, row] : state.All<v1::Revocation>()) {
    if (row->has_serial()) {
      lists->serials.insert(row->serial());
    } else {
      absl::Time& newest =
          lists->identities.try_emplace(row->identity(), absl::InfinitePast()).first->second;
      newest = std::max(newest, ThisSecond(row->create_time()));
    }
  }
  return lists;
}

std::shared_ptr<const DenyList::Lists> DenyList::lists() const {
  const std::lock_guard lock(mutex_);
  return lists_;
}

v1::UserRole DenyList::RoleOf(std::string_view user) const {
  const std::shared_ptr<const Lists> lists = this->lists();
  const auto it = lists->users.find(user);
  return it == lists->users.end() ? v1::USER_ROLE_UNSPECIFIED : it->second;
}

absl::Status DenyList::Check(const identity::Peer& peer) const {
  const std::shared_ptr<const Lists> lists = this->lists();
  if (peer.expire_time - peer.issue_time > core::limits::kCertificateLife) {
    return ShutOut(peer, absl::StrCat("its certificate lives longer than ",
                                      absl::FormatDuration(core::limits::kCertificateLife)));
  }
  if (lists->serials.contains(peer.serial))
    return ShutOut(peer, absl::StrCat("certificate ", peer.serial, " is revoked"));
  const auto revoked = lists->identities.find(identity::ActorText(peer.id));
  if (revoked != lists->identities.end() && peer.issue_time <= revoked->second) {
    return ShutOut(peer, absl::StrCat("the identity was revoked at ",
                                      absl::FormatTime(revoked->second, absl::UTCTimeZone()),
                                      "; it has to join anew"));
  }
  if (peer.id.role == v1::IDENTITY_ROLE_PERSON && !lists->users.contains(peer.id.name))
    return ShutOut(peer, absl::StrCat("users/", peer.id.name, " is not there"));
  return absl::OkStatus();
}

bool DenyList::OnCommit(const core::State& state, const core::Changes& changes) {
  bool is_touched = false;
  bool shuts_out = false;
  for (const core::Edit& edit : changes.edits) {
    if (edit.kind == core::Kind::kRevocation) {
      is_touched = true;
      shuts_out = shuts_out || edit.value != nullptr;
    } else if (edit.kind == core::Kind::kUser) {
      is_touched = true;
      shuts_out = shuts_out || edit.value == nullptr;
    }
  }
  if (!is_touched) return false;
  std::shared_ptr<const Lists> lists = Read(state);
  const std::lock_guard lock(mutex_);
  lists_ = std::move(lists);
  return shuts_out;
}

}  // namespace remuda
