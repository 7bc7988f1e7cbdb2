#include "controller/store/etcd_snapshot.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <string>
#include <utility>

#include "controller/store/sealed_kinds.h"

namespace remuda {
namespace {

using store::v1::EtcdEdit;
using store::v1::EtcdRow;
using Place = std::pair<core::Kind, std::string>;

using Clock = EtcdClient::Clock;

// Keys of a page; fewer where rows are large or the way to etcd is slow, since a page comes within
// one try of the client or not at all.
constexpr int64_t kPageKeys = 4096;
constexpr int64_t kFewerKeys = 8;  // so many times
// A page that came sooner may have twice as many keys the next time.
constexpr EtcdClient::Duration kQuickPage = EtcdClient::kTryTimeout / 4;

// Whether gRPC has refused an answer for its size.
bool IsTooLarge(const absl::Status& status) {
  return absl::IsResourceExhausted(status) && !EtcdClient::IsFull(status);
}

}  // namespace

const EtcdParts* EtcdHead::pending() const {
  if (commit.staged() == 0) return nullptr;
  const auto parts = staged.find(commit.number());
  return parts == staged.end() ? nullptr : &parts->second;
}

absl::Status Unreadable(const std::string& key) {
  return absl::DataLossError(
      absl::StrCat("etcd: ", key, " cannot be read: another program has written it"));
}

absl::Status ReadPages(EtcdClient& client, const std::string& begin, const std::string& end,
                       int64_t& revision,
                       const std::function<absl::Status(const mvccpb::KeyValue&)>& each) {
  etcdserverpb::RangeRequest request;
  request.set_key(begin);
  request.set_range_end(end);
  int64_t keys = kPageKeys;
  Clock::time_point page_end = Clock::now() + kPageTimeout;
  etcdserverpb::RangeResponse page;
  while (true) {
    request.set_limit(keys);
    request.set_revision(revision);
    const Clock::time_point begun = Clock::now();
    const absl::Status status =
        client.Range(request, page, std::min(begun + kPageTryTimeout, page_end));
    const bool is_slow = absl::IsUnavailable(status) && Clock::now() < page_end;
    if (is_slow || (IsTooLarge(status) && keys > 1)) {
      keys = std::max<int64_t>(keys / kFewerKeys, 1);
      continue;
    }
    if (!status.ok()) return status;
    const Clock::time_point came = Clock::now();
    if (came - begun < kQuickPage) keys = std::min(2 * keys, kPageKeys);
    if (revision == 0) revision = page.header().revision();
    for (const mvccpb::KeyValue& pair : page.kvs()) {
      if (absl::Status outcome = each(pair); !outcome.ok()) return outcome;
    }
    if (page.kvs_size() == 0 || !page.more()) return absl::OkStatus();
    // The next key: the last with a NUL behind it.
    request.set_key(page.kvs().rbegin()->key() + std::string(1, '\0'));
    page_end = Clock::now() + kPageTimeout;
  }
}

absl::StatusOr<EtcdHead> ReadHead(EtcdClient& client, const EtcdKeys& keys) {
  EtcdHead head;
  const auto take_commit = [&](const mvccpb::KeyValue& pair) {
    if (!head.commit.ParseFromString(pair.value())) return Unreadable(pair.key());
    head.commit_revision = pair.mod_revision();
    return absl::OkStatus();
  };
  absl::Status status = ReadPages(client, keys.Commit(), keys.Commit() + std::string(1, '\0'),
                                  head.revision, take_commit);
  const auto take_staged = [&](const mvccpb::KeyValue& pair) {
    const auto at = keys.ParseStaged(pair.key());
    store::v1::EtcdStagedEdits part;
    if (!at.has_value() || !part.ParseFromString(pair.value())) return Unreadable(pair.key());
    head.staged[at->first][at->second] = std::move(part);
    return absl::OkStatus();
  };
  if (status.ok()) {
    status =
        ReadPages(client, keys.Staged(), EndOfPrefix(keys.Staged()), head.revision, take_staged);
  }
  if (!status.ok()) return status;
  return head;
}

absl::StatusOr<std::string> OpenRow(core::Kind kind, const std::string& key,
                                    const std::string& value, Sealer& sealer) {
  if (!Sealer::IsSealed(value)) return value;
  auto opened = sealer.Open(PlaceOfRow(kind, key), value);
  if (opened.ok()) return opened;
  return absl::Status(opened.status().code(),
                      absl::StrCat("etcd: ", std::string(opened.status().message())));
}

absl::Status ReadRows(EtcdClient& client, const EtcdKeys& keys, const EtcdHead& head,
                      Sealer& sealer, const Store::RowFn& row) {
  const auto tell = [&](const Place& place, const std::string& value, int64_t commit) {
    if (!Sealer::IsSealed(value)) return row(place.first, place.second, value, commit);
    const auto opened = OpenRow(place.first, place.second, value, sealer);
    return opened.ok() ? row(place.first, place.second, *opened, commit) : opened.status();
  };
  std::map<Place, const EtcdEdit*> over;  // not told yet
  if (const EtcdParts* pending = head.pending(); pending != nullptr) {
    for (const auto& [number, part] : *pending) {
      for (const EtcdEdit& edit : part.edits())
        over[{static_cast<core::Kind>(edit.kind()), edit.key()}] = &edit;
    }
  }
  // Tells the staged rows that come before `end` (not set: all).
  const auto tell_over = [&](const Place* end) {
    while (!over.empty() && (end == nullptr || over.begin()->first < *end)) {
      const auto& [place, edit] = *over.begin();
      if (edit->has_value()) {
        if (absl::Status status = tell(place, edit->value(), head.commit.number()); !status.ok())
          return status;
      }
      over.erase(over.begin());
    }
    return absl::OkStatus();
  };
  int64_t revision = head.revision;
  EtcdRow stored;
  const auto take = [&](const mvccpb::KeyValue& pair) {
    const auto place = keys.ParseRow(pair.key());
    if (!place.has_value() || !stored.ParseFromString(pair.value())) return Unreadable(pair.key());
    if (absl::Status status = tell_over(&*place); !status.ok()) return status;
    if (over.contains(*place)) return absl::OkStatus();
    return tell(*place, stored.value(), stored.commit());
  };
  if (absl::Status status =
          ReadPages(client, keys.Rows(), EndOfPrefix(keys.Rows()), revision, take);
      !status.ok()) {
    return status;
  }
  return tell_over(nullptr);
}

}  // namespace remuda
