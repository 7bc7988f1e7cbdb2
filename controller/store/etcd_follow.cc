#include "controller/store/etcd_follow.h"

#include <absl/strings/str_cat.h>

#include <string>
#include <utility>

#include "common/status.h"

namespace remuda {
namespace {

using store::v1::EtcdCommit;
using store::v1::EtcdEdit;
using store::v1::EtcdRow;
using store::v1::EtcdStagedEdits;

// A watch that etcd says nothing on for so long is begun anew, which shows whether etcd is there.
// It tells progress by itself only every ten minutes.
constexpr EtcdClient::Duration kSilence{2'000};
constexpr EtcdClient::Duration kPause{100};
constexpr EtcdClient::Duration kLookTimeout{1'000};

}  // namespace

CommitGatherer::CommitGatherer(const EtcdKeys& keys, const EtcdHead& head)
    : keys_(keys),
      number_(head.commit.number()),
      revision_(head.revision),
      newest_{head.commit, head.commit_revision},
      staged_(head.staged) {
  staged_.erase(staged_.begin(), staged_.upper_bound(number_));
}

void CommitGatherer::Resume() {
  current_ = 0;
  written_.reset();
  decided_.reset();
  edits_.clear();
}

absl::Status CommitGatherer::TakeOne(const mvccpb::Event& event) {
  const std::string& key = event.kv().key();
  const bool is_put = event.type() == mvccpb::Event::PUT;
  if (key == keys_.Commit()) {
    EtcdCommit record;
    if (!is_put || !record.ParseFromString(event.kv().value())) return Unreadable(key);
    written_ = record;
    // Else it is a late one that was shut out: the record of before, written anew.
    if (record.number() > number_) decided_ = std::move(record);
    return absl::OkStatus();
  }
  if (const auto part = keys_.ParseStaged(key); part.has_value()) {
    if (!is_put) {
      staged_[part->first].erase(part->second);
      if (staged_[part->first].empty()) staged_.erase(part->first);
      return absl::OkStatus();
    }
    EtcdStagedEdits edits;
    if (!edits.ParseFromString(event.kv().value())) return Unreadable(key);
    staged_[part->first][part->second] = std::move(edits);
    return absl::OkStatus();
  }
  const auto row = keys_.ParseRow(key);
  if (!row.has_value()) return absl::OkStatus();  // meta, leader
  EtcdEdit edit;
  edit.set_kind(static_cast<int>(row->first));
  edit.set_key(row->second);
  if (is_put) {
    EtcdRow stored;
    if (!stored.ParseFromString(event.kv().value())) return Unreadable(key);
    edit.set_value(std::move(*stored.mutable_value()));
  }
  edits_.push_back(std::move(edit));
  return absl::OkStatus();
}

absl::Status CommitGatherer::EndRevision(std::vector<Commit>& out) {
  if (current_ == 0) return absl::OkStatus();
  revision_ = std::exchange(current_, 0);
  if (written_.has_value()) newest_ = {*std::exchange(written_, std::nullopt), revision_};
  // Without a commit of its own: the rows of one that was staged, and told when it was decided.
  std::vector<EtcdEdit> edits = std::exchange(edits_, {});
  if (!decided_.has_value()) return absl::OkStatus();
  const EtcdCommit record = *std::exchange(decided_, std::nullopt);
  if (record.number() != number_ + 1)
    return absl::DataLossError(
        absl::StrCat("etcd: commit ", record.number(), " came after ", number_));
  if (record.staged() > 0) {
    edits.clear();
    EtcdParts& parts = staged_[record.number()];
    if (static_cast<int>(parts.size()) != record.staged())
      return Unreadable(keys_.StagedOf(record.number()));
    for (auto& [number, part] : parts) {
      for (EtcdEdit& edit : *part.mutable_edits()) edits.push_back(std::move(edit));
    }
    staged_.erase(record.number());
  }
  number_ = record.number();
  out.push_back({.number = number_, .edits = std::move(edits)});
  return absl::OkStatus();
}

absl::StatusOr<std::vector<CommitGatherer::Commit>> CommitGatherer::Take(
    const google::protobuf::RepeatedPtrField<mvccpb::Event>& events, bool has_more) {
  std::vector<Commit> out;
  for (const mvccpb::Event& event : events) {
    const int64_t revision = event.kv().mod_revision();
    if (revision <= revision_) continue;  // told before, by another watch
    if (revision != current_) {
      if (absl::Status status = EndRevision(out); !status.ok()) return status;
      current_ = revision;
    }
    if (absl::Status status = TakeOne(event); !status.ok()) return status;
  }
  if (!has_more) {
    if (absl::Status status = EndRevision(out); !status.ok()) return status;
  }
  return out;
}

EtcdFollowing::EtcdFollowing(EtcdClient& client, EtcdKeys keys, const SealingKeys& sealing_keys,
                             Store::FollowFns fns)
    : client_(client),
      keys_(std::move(keys)),
      sealer_(sealing_keys),
      fns_(std::move(fns)),
      thread_([this] { Run(); }) {}

EtcdFollowing::~EtcdFollowing() {
  is_stopping_ = true;
  {
    const std::lock_guard lock(mutex_);
    if (watch_ != nullptr) watch_->TryCancel();
  }
  changed_.notify_all();
  thread_.join();
}

bool EtcdFollowing::Pause() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kPause, [this] { return IsStopping(); });
  return !IsStopping();
}

absl::StatusOr<CommitGatherer> EtcdFollowing::LoadAll() {
  const auto head = ReadHead(client_, keys_);
  if (!head.ok()) return head.status();
  fns_.reset();
  const auto row = [this](core::Kind kind, std::string_view key, std::string_view value,
                          int64_t commit) {
    if (IsStopping()) return absl::CancelledError("followed no more");
    return fns_.row(kind, key, value, commit);
  };
  if (absl::Status status = ReadRows(client_, keys_, *head, sealer_, row); !status.ok())
    return status;
  fns_.loaded(head->commit.number());
  fns_.contact(absl::OkStatus());
  return CommitGatherer(keys_, *head);
}

absl::Status EtcdFollowing::Tell(const CommitGatherer::Commit& commit) {
  std::vector<RowChange> changes;
  changes.reserve(commit.edits.size());
  for (const EtcdEdit& edit : commit.edits) {
    RowChange change{static_cast<core::Kind>(edit.kind()), edit.key(), std::nullopt};
    if (edit.has_value()) {
      auto opened = OpenRow(change.kind, change.key, edit.value(), sealer_);
      if (!opened.ok()) return opened.status();
      change.value = *std::move(opened);
    }
    changes.push_back(std::move(change));
  }
  return fns_.commit(commit.number, changes);
}

absl::StatusOr<bool> EtcdFollowing::HasTaken(const CommitGatherer& gatherer) {
  etcdserverpb::RangeRequest request;
  request.set_key(keys_.Commit());
  request.set_revision(gatherer.revision());
  etcdserverpb::RangeResponse response;
  const absl::Status status =
      client_.Range(request, response, EtcdClient::Clock::now() + kLookTimeout);
  // The revision is forgotten, or yet to come.
  if (absl::IsOutOfRange(status)) return false;
  if (!status.ok()) return status;
  const EtcdCommitAt& taken = gatherer.newest();
  if (response.kvs().empty()) return taken.revision == 0;
  EtcdCommit there;
  return response.kvs(0).mod_revision() == taken.revision &&
         there.ParseFromString(response.kvs(0).value()) &&
         there.SerializeAsString() == taken.record.SerializeAsString();
}

absl::Status EtcdFollowing::WatchOn(CommitGatherer& gatherer) {
  const auto has_taken = HasTaken(gatherer);
  if (!has_taken.ok()) return has_taken.status();
  if (!*has_taken) return absl::OkStatus();
  etcdserverpb::WatchCreateRequest request;
  request.set_key(keys_.prefix());
  request.set_range_end(EndOfPrefix(keys_.prefix()));
  request.set_start_revision(gatherer.revision() + 1);
  request.set_progress_notify(true);
  request.set_fragment(true);
  gatherer.Resume();
  bool is_lost = false;  // what was missed
  bool is_answered = false;
  const auto open = [this](grpc::ClientContext* context) {
    const std::lock_guard lock(mutex_);
    watch_ = context;
    if (context != nullptr && IsStopping()) context->TryCancel();
  };
  const auto take = [&](const etcdserverpb::WatchResponse& response) -> absl::Status {
    if (response.canceled()) {
      is_lost = response.compact_revision() > 0;
      return Unavailable(absl::StrCat("etcd: the watch was ended: ", response.cancel_reason(),
                                      is_lost ? "history is forgotten" : ""));
    }
    const auto commits = gatherer.Take(response.events(), response.fragment());
    absl::Status status = commits.status();
    for (size_t i = 0; status.ok() && i < commits->size(); ++i) status = Tell((*commits)[i]);
    is_lost = !status.ok();
    is_answered = true;
    if (status.ok()) fns_.contact(absl::OkStatus());
    return status;
  };
  const absl::Status status = client_.Watch(request, kSilence, open, take);
  if (is_lost) fns_.contact(status);
  if (is_lost) return absl::OkStatus();
  // Silence after an answer is no trouble; the next watch shows whether etcd is there.
  if (absl::IsCancelled(status) && !is_answered) return Unavailable("etcd does not answer a watch");
  return status;
}

void EtcdFollowing::Run() {
  while (!IsStopping()) {
    auto gatherer = LoadAll();
    if (!gatherer.ok()) {
      fns_.contact(gatherer.status());
      if (!Pause()) return;
      continue;
    }
    while (!IsStopping()) {
      const int64_t before = gatherer->revision();
      const absl::Status status = WatchOn(*gatherer);
      if (status.ok()) break;
      if (!absl::IsCancelled(status)) fns_.contact(status);
      if (gatherer->revision() == before && !absl::IsCancelled(status) && !Pause()) return;
    }
  }
}

}  // namespace remuda
