// What Replicas asks standbys to send: bytes that are missing here.
#include <absl/strings/str_cat.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "common/status.h"
#include "controller/images/replicas.h"

namespace remuda {

void Replicas::AskNext(Standby& standby, absl::Time now) {
  if (standby.arrival.has_value()) return;
  std::set<std::string> arriving;
  for (const auto& [key, other] : standbys_) {
    if (other.arrival.has_value()) arriving.insert(other.arrival->digest);
  }
  const auto can_give = [&](const std::string& digest) {
    if (!missing_.contains(digest) || !standby.held.contains(digest)) return false;
    const auto failed = standby.failed.find(digest);
    return !arriving.contains(digest) &&
           (failed == standby.failed.end() || now - failed->second.at >= failed->second.pause);
  };
  std::string digest;
  // What is waited for comes first.
  for (const auto& [id, wait] : byte_waits_) {
    if (digest.empty() && can_give(wait.digest)) digest = wait.digest;
  }
  if (digest.empty()) {
    const auto it = std::find_if(missing_.begin(), missing_.end(), can_give);
    if (it == missing_.end()) return;
    digest = *it;
  }
  auto upload = blobs_.Begin();
  if (!upload.ok()) {
    spdlog::error("images: {}", std::string(upload.status().message()));
    return NoteFailure(standby, digest, std::string(upload.status().message()), now);
  }
  standby.arrival = {digest, *std::move(upload), now};
  controller::v1::ReplicateImagesResponse message;
  message.mutable_send()->set_digest(digest);
  standby.stream->Send(std::move(message));
}

void Replicas::AskAll(absl::Time now) {
  if (missing_.empty()) return;
  for (auto& [key, standby] : standbys_) AskNext(standby, now);
}

absl::Status Replicas::TakeChunk(Standby& standby, const controller::v1::ImageChunk& chunk,
                                 absl::Time now) {
  if (chunk.data().size() > kMaxChunkBytes) {
    return InvalidField("chunk.data",
                        absl::StrCat(chunk.data().size(), " bytes are more than ", kMaxChunkBytes));
  }
  // What was on its way when it was given up.
  if (!standby.arrival.has_value() || standby.arrival->digest != chunk.digest())
    return absl::OkStatus();
  Arrival& arrival = *standby.arrival;
  if (chunk.offset() != arrival.upload->size_bytes()) {
    return InvalidField("chunk.offset",
                        absl::StrCat(chunk.offset(), " is not ", arrival.upload->size_bytes(),
                                     ", where the bytes before it end"));
  }
  if (chunk.data().empty()) {
    Complete(standby, now);
    return absl::OkStatus();
  }
  arrival.moved = now;
  const absl::Status status = arrival.upload->Append(chunk.data());
  if (!status.ok()) GiveUp(standby, std::string(status.message()), now);
  return absl::OkStatus();
}

void Replicas::Complete(Standby& standby, absl::Time now) {
  const std::string digest = standby.arrival->digest;
  Blobs::Upload& upload = *standby.arrival->upload;
  if (absl::Status sealed = Blobs::Seal(upload, digest, 0); !sealed.ok()) {
    standby.held.erase(digest);
    return GiveUp(standby, std::string(sealed.message()), now);
  }
  const auto blob = blobs_.Finish(upload);
  if (!blob.ok()) return GiveUp(standby, std::string(blob.status().message()), now);
  blobs_.Release(digest);
  spdlog::info("the bytes of {} came from controller/{}", digest, standby.name);
  standby.arrival.reset();
  standby.failed.erase(digest);
  BytesAreHere(digest);
  AskNext(standby, now);
}

void Replicas::GiveUp(Standby& standby, const std::string& why, absl::Time now) {
  const std::string digest = standby.arrival->digest;
  spdlog::warn("controller/{} does not give {}: {}", standby.name, digest, why);
  NoteFailure(standby, digest, why, now);
  standby.arrival.reset();
  AskAll(now);
}

void Replicas::NoteFailure(Standby& standby, const std::string& digest, std::string why,
                           absl::Time now) {
  Failure& failure = standby.failed[digest];
  const absl::Duration pause = std::clamp(failure.pause * 2, kRetryAfter, kLongestRetryAfter);
  failure = {std::move(why), now, pause};
}

absl::Status Replicas::OnLost(const std::string& digest, const Blobs::Reader& reader,
                              absl::Time now) {
  now_ = now;
  spdlog::error("{}: the disk has lost some of its bytes", digest);
  const bool is_held = !is_stopped_ && IsNeeded(digest) && HoldersOf(digest) > 0;
  if (is_held) blobs_.Discard(digest, reader);
  // Not so where others have come in their place meanwhile.
  if (is_held && !blobs_.Has(digest)) {
    missing_.insert(digest);
    counts_.reset();
    AskAll(now);
  }
  return absl::DataLossError(absl::StrCat(
      digest, ": the disk of controller/", options_.self, " has lost some of its bytes; ",
      is_held ? "another controller is asked for them: begin anew" : "push the image again"));
}

void Replicas::BytesAreHere(const std::string& digest) {
  missing_.erase(digest);
  counts_.reset();
  std::vector<Done> over;
  std::erase_if(byte_waits_, [&](auto& one) {
    if (one.second.digest != digest) return false;
    over.push_back(std::move(one.second.done));
    return true;
  });
  for (auto& [key, standby] : standbys_) {
    if (standby.held.contains(digest)) continue;
    standby.lacking.insert(digest);
    TellNext(standby);
  }
  for (const Done& done : over) done(absl::OkStatus());
}

}  // namespace remuda
