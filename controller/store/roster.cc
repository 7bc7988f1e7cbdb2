#include "controller/store/roster.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <utility>

#include "common/status.h"
#include "controller/store/etcd_snapshot.h"

namespace remuda {
namespace {

using etcdserverpb::Compare;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;
using store::v1::EtcdController;

constexpr EtcdClient::Duration kRosterCallTimeout{2'000};
constexpr EtcdClient::Duration kRosterOpenTimeout{10'000};
// Between two looks at a name that another process has.
constexpr EtcdClient::Duration kNameLookPeriod{200};
// A watch that etcd says nothing on for so long is begun anew, with all read again.
constexpr EtcdClient::Duration kRosterSilence{2'000};
constexpr EtcdClient::Duration kRosterPause{100};
constexpr char kNameTaken[] = "NAME_TAKEN";

absl::Status CheckName(const std::string& name) {
  const bool is_right =
      !name.empty() && name.size() <= Roster::kMaxNameBytes &&
      std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~' && c != '/'; });
  if (is_right) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("controller \"", name, "\": a name has 1-",
                                                 Roster::kMaxNameBytes,
                                                 " printable bytes of ASCII and no slash"));
}

bool IsSameRecord(const EtcdController& a, const EtcdController& b) {
  return a.SerializeAsString() == b.SerializeAsString();
}

bool IsSameView(const Roster::View& a, const Roster::View& b) {
  return a.epoch == b.epoch && a.leader.has_value() == b.leader.has_value() &&
         (!a.leader.has_value() || IsSameRecord(*a.leader, *b.leader)) &&
         std::equal(a.controllers.begin(), a.controllers.end(), b.controllers.begin(),
                    b.controllers.end(),
                    [](const auto& x, const auto& y) { return IsSameRecord(x, y); });
}

}  // namespace

// What the keys from PREFIX/controllers/ to PREFIX/meta/epoch-base hold; nothing else of ours than
// the records, PREFIX/leader and PREFIX/meta/cluster is between.
class Roster::Records {
 public:
  explicit Records(const EtcdKeys& keys) : keys_(keys) {}

  std::string begin() const { return keys_.Controllers(); }
  std::string end() const { return keys_.EpochBase() + std::string(1, '\0'); }

  void Clear(int64_t revision) {
    records_.clear();
    leader_.reset();
    epoch_base_ = 0;
    revision_ = revision;
  }
  void Put(const mvccpb::KeyValue& pair) {
    if (pair.key() == keys_.EpochBase()) {
      if (!absl::SimpleAtoi(pair.value(), &epoch_base_)) epoch_base_ = 0;
      return;
    }
    EtcdController record;
    const bool is_right = record.ParseFromString(pair.value());
    if (pair.key() == keys_.Leader()) {
      // Another program's words do not keep it from leading.
      leader_ = {is_right ? std::move(record) : EtcdController(), pair.create_revision()};
    } else if (pair.key().starts_with(begin()) && is_right &&
               pair.key() == keys_.Controller(record.name())) {
      records_[record.name()] = std::move(record);
    }
  }
  void Remove(const std::string& key) {
    if (key == keys_.Leader()) leader_.reset();
    if (key == keys_.EpochBase()) epoch_base_ = 0;
    if (key.starts_with(begin())) records_.erase(key.substr(begin().size()));
  }
  int64_t revision() const { return revision_; }

  View view() const {
    View out;
    for (const auto& [name, record] : records_) {
      if (out.controllers.size() < kMaxControllers) out.controllers.push_back(record);
    }
    if (!leader_.has_value()) return out;
    out.leader = leader_->first;
    out.epoch = epoch_base_ + leader_->second;
    return out;
  }

 private:
  const EtcdKeys& keys_;
  std::map<std::string, EtcdController> records_;
  std::optional<std::pair<EtcdController, int64_t>> leader_;  // with its create_revision
  int64_t epoch_base_ = 0;
  int64_t revision_ = 0;
};

absl::StatusOr<std::unique_ptr<Roster>> Roster::Open(Options options) {
  if (absl::Status status = CheckName(options.self.name()); !status.ok()) return status;
  std::unique_ptr<Roster> roster(new Roster(std::move(options)));
  auto client = EtcdClient::Make(roster->options_.address);
  if (!client.ok()) return client.status();
  roster->client_ = *std::move(client);
  if (absl::Status status = roster->AwaitName(); !status.ok()) return status;
  Records records(roster->keys_);
  if (absl::Status status = roster->Read(records); !status.ok()) return status;
  roster->Adopt(records);
  roster->saying_ = std::thread([raw = roster.get()] { raw->RunSaying(); });
  roster->hearing_ = std::thread([raw = roster.get()] { raw->RunHearing(); });
  return roster;
}

Roster::~Roster() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
    if (watch_ != nullptr) watch_->TryCancel();
  }
  changed_.notify_all();
  if (hearing_.joinable()) hearing_.join();
  if (saying_.joinable()) saying_.join();
  lease_.reset();
}

Roster::ViewPtr Roster::current() const {
  const std::lock_guard lock(mutex_);
  return view_;
}

bool Roster::IsStopping() const {
  const std::lock_guard lock(mutex_);
  return is_stopping_;
}

bool Roster::IsSelf(const EtcdController& record) const {
  const EtcdController& self = options_.self;
  return record.name() == self.name() && record.address() == self.address() &&
         record.start_time().seconds() == self.start_time().seconds() &&
         record.start_time().nanos() == self.start_time().nanos();
}

// Saying.

void Roster::SetCommit(int64_t commit, const std::string& error) {
  {
    const std::lock_guard lock(mutex_);
    if (self_.commit() == commit && self_.error() == error) return;
    self_.set_commit(commit);
    self_.set_error(error);
    has_news_ = true;
  }
  changed_.notify_all();
}

void Roster::Wake() {
  {
    const std::lock_guard lock(mutex_);
    has_news_ = true;
  }
  changed_.notify_all();
}

absl::Status Roster::Write(const Expected& expected, std::optional<mvccpb::KeyValue>& found) {
  TxnRequest txn;
  Compare& compare = *txn.add_compare();
  compare.set_key(keys_.Controller(options_.self.name()));
  if (expected.is_created) {
    compare.set_target(Compare::CREATE);
    compare.set_create_revision(expected.revision);
  } else {
    compare.set_target(Compare::MOD);
    compare.set_mod_revision(expected.revision);
  }
  auto& put = *txn.add_success()->mutable_request_put();
  put.set_key(compare.key());
  put.set_lease(lease_->id());
  {
    const std::lock_guard lock(mutex_);
    put.set_value(self_.SerializeAsString());
  }
  for (auto* operations : {txn.mutable_success(), txn.mutable_failure()})
    operations->Add()->mutable_request_range()->set_key(compare.key());
  TxnResponse answer;
  if (absl::Status status = client_->Txn(txn, answer, kRosterCallTimeout); !status.ok()) {
    // The lease was taken away in etcd.
    if (absl::IsNotFound(status)) lease_.reset();
    return status;
  }
  const auto& kvs = answer.responses(answer.succeeded() ? 1 : 0).response_range().kvs();
  found.reset();
  if (!kvs.empty()) found = kvs.Get(0);
  if (!answer.succeeded()) return Aborted("etcd: the record is another than was expected");
  created_ = found.has_value() ? found->create_revision() : 0;
  return absl::OkStatus();
}

absl::Status Roster::CheckRoom() {
  etcdserverpb::RangeRequest request;
  request.set_key(keys_.Controllers());
  request.set_range_end(EndOfPrefix(keys_.Controllers()));
  request.set_count_only(true);
  etcdserverpb::RangeResponse response;
  if (absl::Status status = client_->Range(request, response, Clock::now() + kRosterCallTimeout);
      !status.ok()) {
    return status;
  }
  if (response.count() < static_cast<int64_t>(kMaxControllers)) return absl::OkStatus();
  return LimitExceeded("kMaxControllers",
                       absl::StrCat("etcd: ", keys_.Controllers(), " has ", response.count(),
                                    " controllers, a cluster has at most ", kMaxControllers));
}

absl::Status Roster::Register() {
  if (lease_ == nullptr || !lease_->IsHeld()) {
    lease_.reset();
    created_ = 0;
    auto lease = EtcdLease::Grant(
        *client_, options_.time_to_live, [this](const absl::Status&) { Wake(); },
        Clock::now() + kRosterCallTimeout);
    if (!lease.ok()) return lease.status();
    lease_ = *std::move(lease);
  }
  if (created_ == 0) {
    if (absl::Status status = CheckRoom(); !status.ok()) return status;
  }
  std::optional<mvccpb::KeyValue> found;
  absl::Status status = Write({.is_created = true, .revision = created_}, found);
  if (!absl::IsAborted(status)) return status;
  // Not there any more, or of an earlier lease of ours, or somebody else's.
  if (!found.has_value()) return Write({.is_created = true, .revision = 0}, found);
  EtcdController record;
  if (!record.ParseFromString(found->value()))
    return Unreadable(keys_.Controller(options_.self.name()));
  // Whoever had this address does not have it any more.
  const bool is_before = created_ == 0 && record.address() == options_.self.address();
  if (IsSelf(record) || is_before)
    return Write({.is_created = false, .revision = found->mod_revision()}, found);
  return FailedPrecondition(
      kNameTaken,
      absl::StrCat("controller \"", record.name(), "\": another process has this name (",
                   keys_.Controller(record.name()), ": ", record.address(),
                   "), and a name is one controller's: give this one another (--controller-name), "
                   "or end the other one"));
}

absl::Status Roster::AwaitName() {
  const Clock::time_point begin = Clock::now();
  const Clock::time_point end = begin + options_.time_to_live + kLeaseEndPatience;
  bool is_waiting = false;
  while (true) {
    const absl::Status status = Register();
    const bool is_taken = absl::IsFailedPrecondition(status);
    const bool may_pass =
        EtcdClient::IsOfMember(status.code()) && Clock::now() < begin + kRosterOpenTimeout;
    if (!(is_taken && Clock::now() < end) && !may_pass) {
      return EtcdClient::IsOfMember(status.code()) ? Unavailable(std::string(status.message()))
                                                   : status;
    }
    if (is_taken && !std::exchange(is_waiting, true)) {
      spdlog::info("{}: waiting for up to {} s until its lease ends, if that process died",
                   std::string(status.message()),
                   std::chrono::duration_cast<std::chrono::seconds>(end - begin).count());
    }
    if (options_.is_ended && options_.is_ended())
      return absl::CancelledError("the wait for a controller's name was stopped");
    std::this_thread::sleep_for(kNameLookPeriod);
  }
}

void Roster::RunSaying() {
  Clock::time_point next = Clock::now() + kSayPeriod;
  bool was_told = false;
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return is_stopping_ || has_news_; });
    changed_.wait_until(lock, next, [this] { return is_stopping_; });
    if (is_stopping_) return;
    has_news_ = false;
    lock.unlock();
    const absl::Status status = Register();
    next = Clock::now() + kSayPeriod;
    if (!status.ok() && !std::exchange(was_told, true))
      spdlog::warn("{}; it is tried again", std::string(status.message()));
    if (status.ok()) was_told = false;
    lock.lock();
    if (!status.ok()) has_news_ = true;
  }
}

// Hearing.

absl::Status Roster::Read(Records& records) {
  // One page: there are few, and small ones; one revision of all of it.
  etcdserverpb::RangeRequest request;
  request.set_key(records.begin());
  request.set_range_end(records.end());
  etcdserverpb::RangeResponse response;
  const absl::Status status = client_->Range(request, response, Clock::now() + kRosterCallTimeout);
  if (!status.ok()) return status;
  records.Clear(response.header().revision());
  for (const mvccpb::KeyValue& pair : response.kvs()) records.Put(pair);
  return absl::OkStatus();
}

absl::Status Roster::Watch(Records& records) {
  etcdserverpb::WatchCreateRequest request;
  request.set_key(records.begin());
  request.set_range_end(records.end());
  request.set_start_revision(records.revision() + 1);
  const auto open = [this](grpc::ClientContext* context) {
    const std::lock_guard lock(mutex_);
    watch_ = context;
    if (context != nullptr && is_stopping_) context->TryCancel();
  };
  const auto take = [&](const etcdserverpb::WatchResponse& response) {
    if (response.canceled())
      return Unavailable(absl::StrCat("etcd: the watch was ended: ", response.cancel_reason()));
    for (const mvccpb::Event& event : response.events()) {
      if (event.type() == mvccpb::Event::PUT) {
        records.Put(event.kv());
      } else {
        records.Remove(event.kv().key());
      }
    }
    if (!response.events().empty()) Tell(Adopt(records));
    return absl::OkStatus();
  };
  return client_->Watch(request, kRosterSilence, open, take);
}

void Roster::Tell(const ViewPtr& view) const {
  if (view != nullptr && options_.on_change) options_.on_change(view);
}

Roster::ViewPtr Roster::Adopt(const Records& records) {
  auto view = std::make_shared<const View>(records.view());
  const bool is_said = std::any_of(view->controllers.begin(), view->controllers.end(),
                                   [this](const auto& one) { return IsSelf(one); });
  {
    const std::lock_guard lock(mutex_);
    // Its lease has ended, or it was deleted.
    if (!is_said) has_news_ = true;
    if (IsSameView(*view, *view_)) view = nullptr;
    if (view != nullptr) view_ = view;
  }
  if (!is_said) changed_.notify_all();
  return view;
}

bool Roster::Pause() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kRosterPause, [this] { return is_stopping_; });
  return !is_stopping_;
}

void Roster::RunHearing() {
  Tell(current());
  Records records(keys_);
  while (!IsStopping()) {
    absl::Status status = Read(records);
    if (status.ok()) {
      Tell(Adopt(records));
      status = Watch(records);
    }
    // Silence alone is no trouble.
    if (!absl::IsCancelled(status) && !Pause()) return;
  }
}

}  // namespace remuda
