#include "controller/images/replicas.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/ids.h"
#include "common/status.h"
#include "google/rpc/status.pb.h"

namespace remuda {
namespace {

using controller::v1::ReplicateImagesRequest;
using controller::v1::ReplicateImagesResponse;

// UNAVAILABLE with a reason for programs.
absl::Status UnavailableFor(const char* reason, const std::string& message) {
  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  info.set_domain("remuda");
  google::rpc::Status status;
  status.set_code(static_cast<int>(absl::StatusCode::kUnavailable));
  status.set_message(message);
  status.add_details()->PackFrom(info);
  return FromRpcStatus(status.code(), message, status.SerializeAsString());
}

absl::Status CheckDigest(const char* field, const std::string& digest) {
  if (IsDigest(digest)) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("\"", digest.substr(0, 128),
                                          "\" is not sha256: and 64 lower-case hex digits"));
}

absl::Status Stopping() { return Unavailable("the controller is stopping"); }

// As std::erase_if, of a map whose values `is_over` may change.
template <class Map, class Fn>
void EraseIf(Map& map, Fn is_over) {
  for (auto it = map.begin(); it != map.end();) it = is_over(*it) ? map.erase(it) : std::next(it);
}

}  // namespace

Replicas::Replicas(Options options, Blobs& blobs) : options_(std::move(options)), blobs_(blobs) {}

void Replicas::SetNeeded(std::map<std::string, int64_t> needed) {
  counts_.reset();
  needed_ = std::move(needed);
  missing_.clear();
  const auto here = blobs_.List();
  if (!here.ok()) {
    spdlog::error("images: {}", std::string(here.status().message()));
    return;
  }
  std::set<std::string> listed;
  for (const Blobs::Blob& blob : *here) listed.insert(blob.digest);
  for (const auto& [digest, size_bytes] : needed_) {
    if (!listed.contains(digest)) missing_.insert(digest);
  }
  if (!missing_.empty())
    spdlog::warn("the bytes of {} images are missing here ({} is one)", missing_.size(),
                 *missing_.begin());
  for (auto& [key, standby] : standbys_) {
    // It collects by itself what nothing names.
    std::erase_if(standby.held, [this](const std::string& digest) {
      return !IsNeeded(digest) && !IsAwaited(digest);
    });
    FindLacking(standby);
    TellNext(standby);
  }
  AskAll(now_);
}

void Replicas::Need(const std::string& digest, int64_t size_bytes) {
  counts_.reset();
  if (!needed_.insert_or_assign(digest, size_bytes).second) return;
  if (!blobs_.Has(digest)) {
    missing_.insert(digest);
    return AskAll(now_);
  }
  BytesAreHere(digest);
}

uint64_t Replicas::AwaitCopies(const std::string& digest, int64_t size_bytes, absl::Time now,
                               Done done) {
  now_ = now;
  if (is_stopped_) {
    done(Stopping());
    return 0;
  }
  counts_.reset();
  // It was lost here, and is pushed again.
  if (missing_.contains(digest)) BytesAreHere(digest);
  // All get it, whether they are waited for or not. What one held of it before counts when it says
  // so again: as nothing named it, it may have been collected since.
  for (auto& [key, standby] : standbys_) {
    standby.failed.erase(digest);
    standby.held.erase(digest);
    SendHold(standby, digest, size_bytes);
  }
  CopyWait wait{digest, size_bytes, now, now, std::nullopt, {}, std::move(done)};
  if (HasEnough(wait, now)) {
    wait.done(absl::OkStatus());
    return 0;
  }
  copy_waits_.emplace(++last_wait_, std::move(wait));
  return last_wait_;
}

uint64_t Replicas::AwaitBytes(const std::string& digest, absl::Time now, Done done) {
  now_ = now;
  absl::Status status;
  if (is_stopped_) {
    status = Stopping();
  } else if (!IsNeeded(digest)) {
    status = NotFound(digest);
  } else if (options_.is_alone) {
    status = NotHere(digest);
  }
  if (!status.ok() || blobs_.Has(digest)) {
    done(status);
    return 0;
  }
  byte_waits_.emplace(++last_wait_, ByteWait{digest, now + kBytesWait, std::move(done)});
  const uint64_t wait = last_wait_;
  missing_.insert(digest);
  counts_.reset();
  AskAll(now);
  return wait;
}

void Replicas::Forget(uint64_t wait) {
  copy_waits_.erase(wait);
  byte_waits_.erase(wait);
}

void Replicas::OnFetched(const std::string& reader, const std::string& digest, int64_t offset,
                         absl::Time now) {
  for (auto& [id, wait] : copy_waits_) {
    if (wait.digest != digest) continue;
    int64_t& reached = wait.reached[reader];
    // The same bytes again are no progress.
    if (offset <= reached) continue;
    reached = offset;
    wait.moved = now;
  }
}

void Replicas::OnOpened(ReplicaStreamPtr stream, std::string name, absl::Time now) {
  now_ = now;
  if (is_stopped_) return stream->Close(Stopping());
  if (greetings_.size() + standbys_.size() >= kMaxStreams) {
    return stream->Close(LimitExceeded(
        "kMaxStreams", absl::StrCat("there are ", kMaxStreams, " calls of standbys already")));
  }
  const Stream key = stream.get();
  greetings_.emplace(key, Greeting{std::move(stream), std::move(name), now});
}

void Replicas::OnMessage(const ReplicaStreamPtr& stream, const ReplicateImagesRequest& message,
                         absl::Time now) {
  now_ = now;
  counts_.reset();
  if (auto node = greetings_.extract(stream.get()); !node.empty()) {
    if (message.has_hello()) return Hello(node.mapped(), message.hello(), now);
    return stream->Close(InvalidField("hello", "must be the first message"));
  }
  const auto it = standbys_.find(stream.get());
  if (it == standbys_.end()) return;
  absl::Status status;
  switch (message.message_case()) {
    case ReplicateImagesRequest::kHeld:
      status = TakeHeld(it->second, message.held().digest(), now);
      break;
    case ReplicateImagesRequest::kChunk:
      status = TakeChunk(it->second, message.chunk(), now);
      break;
    case ReplicateImagesRequest::kError:
      status = TakeError(it->second, message.error(), now);
      break;
    case ReplicateImagesRequest::kHello:
      status = InvalidField("hello", "comes once, as the first message");
      break;
    case ReplicateImagesRequest::MESSAGE_NOT_SET:
      status = InvalidField("message", "must be set");
      break;
  }
  if (!status.ok()) CloseStandby(stream.get(), status, now);
}

void Replicas::Hello(const Greeting& greeting, const controller::v1::ReplicaHello& hello,
                     absl::Time now) {
  absl::Status status;
  const std::string& name = hello.controller();
  if (!IsId(name)) {
    status = InvalidField("hello.controller",
                          absl::StrCat("\"", name.substr(0, 128), "\" is not a controller's name"));
  } else if (!greeting.name.empty() && greeting.name != name) {
    status = absl::PermissionDeniedError(
        absl::StrCat("controller/", greeting.name, " may not say that it is controller/", name));
  } else if (name == options_.self) {
    // It would count as its own copy.
    status = FailedPrecondition("OWN_STANDBY", absl::StrCat("controller/", name,
                                                            " leads here itself: each controller "
                                                            "needs a name of its own"));
  } else if (static_cast<size_t>(hello.digests_size()) > kMaxDigests) {
    status = LimitExceeded("kMaxDigests", absl::StrCat("hello.digests: ", hello.digests_size(),
                                                       " are more than ", kMaxDigests));
  }
  for (int i = 0; i < hello.digests_size() && status.ok(); ++i)
    status = CheckDigest("hello.digests", hello.digests(i));
  if (!status.ok()) return greeting.stream->Close(status);
  const auto same = std::find_if(standbys_.begin(), standbys_.end(),
                                 [&](const auto& one) { return one.second.name == name; });
  if (same != standbys_.end())
    CloseStandby(same->first, Aborted("another call of the same controller takes its place"), now);
  Standby& standby =
      standbys_.emplace(greeting.stream.get(), Standby{.name = name, .stream = greeting.stream})
          .first->second;
  standby.held.insert(hello.digests().begin(), hello.digests().end());
  // As in AwaitCopies.
  for (const auto& [id, wait] : copy_waits_) standby.held.erase(wait.digest);
  FindLacking(standby);
  spdlog::info("controller/{} holds the bytes of {} images, {} are to come", name,
               standby.held.size(), standby.lacking.size());
  for (const auto& [id, wait] : copy_waits_) SendHold(standby, wait.digest, wait.size_bytes);
  TellNext(standby);
  AskNext(standby, now);
  LookAtWaits(now);
}

absl::Status Replicas::TakeHeld(Standby& standby, const std::string& digest, absl::Time now) {
  if (absl::Status status = CheckDigest("held.digest", digest); !status.ok()) return status;
  if (standby.held.size() >= kMaxDigests && !standby.held.contains(digest)) {
    return LimitExceeded("kMaxDigests", absl::StrCat("controller/", standby.name, " holds ",
                                                     kMaxDigests, " images already"));
  }
  // What was deleted meanwhile it collects by itself.
  if (IsNeeded(digest) || IsAwaited(digest)) standby.held.insert(digest);
  standby.lacking.erase(digest);
  standby.failed.erase(digest);
  if (standby.telling == digest) standby.telling.reset();
  TellNext(standby);
  if (missing_.contains(digest)) AskNext(standby, now);
  LookAtWaits(now);
  return absl::OkStatus();
}

absl::Status Replicas::TakeError(Standby& standby, const controller::v1::ReplicaError& error,
                                 absl::Time now) {
  if (absl::Status status = CheckDigest("error.digest", error.digest()); !status.ok())
    return status;
  const std::string why = error.error().substr(0, kMaxErrorBytes);
  if (standby.arrival.has_value() && standby.arrival->digest == error.digest()) {
    standby.held.erase(error.digest());
    GiveUp(standby, why, now);
    return absl::OkStatus();
  }
  spdlog::warn("controller/{} cannot hold {}: {}", standby.name, error.digest(), why);
  // Of what nobody asked for nothing is kept.
  if (IsAwaited(error.digest()) || IsNeeded(error.digest()))
    NoteFailure(standby, error.digest(), why, now);
  if (standby.telling == error.digest()) standby.telling.reset();
  TellNext(standby);
  LookAtWaits(now);
  return absl::OkStatus();
}

void Replicas::FindLacking(Standby& standby) {
  standby.lacking.clear();
  for (const auto& [digest, size_bytes] : needed_) {
    if (!missing_.contains(digest) && !standby.held.contains(digest) && standby.telling != digest)
      standby.lacking.insert(digest);
  }
}

void Replicas::TellNext(Standby& standby) {
  while (!standby.telling.has_value() && !standby.lacking.empty()) {
    const std::string digest = *standby.lacking.begin();
    standby.lacking.erase(standby.lacking.begin());
    const auto needed = needed_.find(digest);
    if (needed == needed_.end() || missing_.contains(digest)) continue;
    standby.telling = digest;
    SendHold(standby, digest, needed->second);
  }
}

void Replicas::SendHold(Standby& standby, const std::string& digest, int64_t size_bytes) {
  ReplicateImagesResponse message;
  message.mutable_hold()->set_digest(digest);
  message.mutable_hold()->set_size_bytes(size_bytes);
  standby.stream->Send(std::move(message));
}

void Replicas::OnClosed(const ReplicaStreamPtr& stream, absl::Time now) {
  now_ = now;
  greetings_.erase(stream.get());
  const auto node = standbys_.extract(stream.get());
  if (node.empty()) return;
  counts_.reset();
  spdlog::info("controller/{} is not connected any more", node.mapped().name);
  AskAll(now);
  LookAtWaits(now);
}

void Replicas::CloseStandby(Stream key, const absl::Status& status, absl::Time now) {
  const auto node = standbys_.extract(key);
  if (node.empty()) return;
  counts_.reset();
  spdlog::warn("controller/{}: {}", node.mapped().name, std::string(status.message()));
  node.mapped().stream->Close(status);
  AskAll(now);
  LookAtWaits(now);
}

bool Replicas::IsAwaited(const std::string& digest) const {
  return std::any_of(copy_waits_.begin(), copy_waits_.end(),
                     [&](const auto& one) { return one.second.digest == digest; });
}

Replicas::Counts Replicas::Count() {
  if (counts_.has_value()) return *counts_;
  Counts counts{.standbys = static_cast<int64_t>(standbys_.size()),
                .missing = static_cast<int64_t>(missing_.size())};
  for (const auto& [digest, size_bytes] : needed_) {
    const auto holders = static_cast<int64_t>(HoldersOf(digest));
    counts.copies_behind += counts.standbys - holders;
    if (holders + (missing_.contains(digest) ? 0 : 1) < options_.copies) ++counts.few_copies;
  }
  counts_ = counts;
  return counts;
}

size_t Replicas::HoldersOf(const std::string& digest) const {
  return static_cast<size_t>(
      std::count_if(standbys_.begin(), standbys_.end(),
                    [&](const auto& one) { return one.second.held.contains(digest); }));
}

std::string Replicas::FailureOf(const std::string& controller, const std::string& digest) const {
  for (const auto& [key, standby] : standbys_) {
    if (standby.name != controller) continue;
    const auto failed = standby.failed.find(digest);
    return failed == standby.failed.end() ? "" : failed->second.why;
  }
  return "";
}

bool Replicas::HasEnough(CopyWait& wait, absl::Time now) {
  const auto wanted = static_cast<size_t>(options_.copies);
  const size_t holders = 1 + HoldersOf(wait.digest);
  if (holders >= wanted) return true;
  size_t able = holders;
  for (const auto& [key, standby] : standbys_) {
    if (!standby.held.contains(wait.digest) && !standby.failed.contains(wait.digest)) ++able;
  }
  if (able >= wanted) {
    wait.too_few.reset();
  } else if (!wait.too_few.has_value()) {
    wait.too_few = now;
  }
  return false;
}

void Replicas::LookAtWaits(absl::Time now) {
  std::vector<Done> over;
  EraseIf(copy_waits_, [&](auto& one) {
    if (!HasEnough(one.second, now)) return false;
    over.push_back(std::move(one.second.done));
    return true;
  });
  for (const Done& done : over) done(absl::OkStatus());
}

absl::Status Replicas::TooFew(const CopyWait& wait) const {
  std::vector<std::string> without;
  for (const auto& [key, standby] : standbys_) {
    if (standby.held.contains(wait.digest)) continue;
    const auto failed = standby.failed.find(wait.digest);
    without.push_back(absl::StrCat(
        standby.name,
        failed == standby.failed.end() ? "" : absl::StrCat(" (", failed->second.why, ")")));
  }
  return UnavailableFor(
      "IMAGE_COPIES",
      absl::StrCat(wait.digest, " is held by ", 1 + HoldersOf(wait.digest),
                   " controllers, --image-copies wants ", options_.copies, "; ",
                   without.empty() ? "no other is connected"
                                   : absl::StrCat("not by ", absl::StrJoin(without, ", ")),
                   ". Nothing was registered; push it again"));
}

absl::Status Replicas::NotHere(const std::string& digest) const {
  return UnavailableFor("IMAGE_BYTES",
                        absl::StrCat(digest,
                                     ": the image is registered, but its bytes are on no "
                                     "controller that is connected; try again later"));
}

void Replicas::Retry(Standby& standby, absl::Time now) {
  std::vector<std::string> again;
  for (auto& [digest, failure] : standby.failed) {
    // What it was asked to send: see AskNext.
    if (standby.held.contains(digest) && IsNeeded(digest)) continue;
    if (now - failure.at < (IsAwaited(digest) ? kRetryAfter : failure.pause)) continue;
    again.push_back(digest);
    failure.at = now;
  }
  for (const std::string& digest : again) {
    const auto wait = std::find_if(copy_waits_.begin(), copy_waits_.end(),
                                   [&](const auto& one) { return one.second.digest == digest; });
    if (wait != copy_waits_.end()) {
      SendHold(standby, digest, wait->second.size_bytes);
    } else if (IsNeeded(digest) && !missing_.contains(digest)) {
      standby.lacking.insert(digest);
    } else {
      standby.failed.erase(digest);
    }
  }
  TellNext(standby);
}

void Replicas::Check(absl::Time now) {
  now_ = now;
  std::vector<Greeting> silent;
  EraseIf(greetings_, [&](auto& one) {
    if (now - one.second.since < kHelloTimeout) return false;
    silent.push_back(std::move(one.second));
    return true;
  });
  for (const Greeting& greeting : silent)
    greeting.stream->Close(DeadlineExceeded("no hello came in time"));
  for (auto& [key, standby] : standbys_) {
    if (standby.arrival.has_value() && now - standby.arrival->moved >= kSendTimeout)
      GiveUp(standby, "nothing came for too long", now);
    Retry(standby, now);
  }
  AskAll(now);
  LookAtWaits(now);

  std::vector<std::pair<Done, absl::Status>> over;
  EraseIf(copy_waits_, [&](auto& one) {
    const CopyWait& wait = one.second;
    const bool is_over = now - wait.moved >= kReplicaTimeout || now - wait.begun >= kLongestWait ||
                         (wait.too_few.has_value() && now - *wait.too_few >= kTooFewWait);
    if (is_over) over.emplace_back(wait.done, TooFew(wait));
    return is_over;
  });
  EraseIf(byte_waits_, [&](auto& one) {
    const bool is_over = now >= one.second.until;
    if (is_over) over.emplace_back(one.second.done, NotHere(one.second.digest));
    return is_over;
  });
  for (const auto& [done, status] : over) done(status);
}

void Replicas::Stop() {
  is_stopped_ = true;
  const auto standbys = std::exchange(standbys_, {});
  const auto greetings = std::exchange(greetings_, {});
  const auto copy_waits = std::exchange(copy_waits_, {});
  const auto byte_waits = std::exchange(byte_waits_, {});
  for (const auto& [key, standby] : standbys) standby.stream->Close(Stopping());
  for (const auto& [key, greeting] : greetings) greeting.stream->Close(Stopping());
  for (const auto& [id, wait] : copy_waits) wait.done(Stopping());
  for (const auto& [id, wait] : byte_waits) wait.done(Stopping());
}

}  // namespace remuda
