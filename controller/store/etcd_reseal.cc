// Rows of EtcdStore under a new first key: done by who takes leadership, before anybody is served.
// They keep their commits; who follows the store takes no notice.
#include <absl/strings/str_cat.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "controller/store/etcd_plan.h"
#include "controller/store/etcd_store.h"
#include "controller/store/sealed_kinds.h"

namespace remuda {
namespace {

using etcdserverpb::TxnRequest;

void AddResealed(TxnRequest& txn, const std::string& key, std::string value) {
  auto& put = *txn.add_success()->mutable_request_put();
  put.set_key(key);
  put.set_value(std::move(value));
}

}  // namespace

absl::StatusOr<std::string> EtcdStore::Reseal(const std::string& place, const std::string& sealed) {
  const auto plain = sealer_->Open(place, sealed);
  if (!plain.ok()) return WithEtcd(plain.status());
  return sealer_->Seal(place, *plain);
}

absl::StatusOr<int> EtcdStore::ResealRows() {
  TxnRequest batch;
  size_t batch_bytes = 0;
  int resealed = 0;
  const auto flush = [&] {
    batch_bytes = 0;
    const TxnRequest ops = std::exchange(batch, {});
    return ops.success_size() == 0 ? absl::OkStatus() : Ensure(ops);
  };
  const auto take = [&](const mvccpb::KeyValue& pair) -> absl::Status {
    const auto place = keys_.ParseRow(pair.key());
    store::v1::EtcdRow row;
    if (!place.has_value() || !row.ParseFromString(pair.value())) return Unreadable(pair.key());
    if (!Sealer::IsSealed(row.value()) || sealer_->IsCurrent(row.value())) return absl::OkStatus();
    auto value = Reseal(PlaceOfRow(place->first, place->second), row.value());
    if (!value.ok()) return value.status();
    row.set_value(*std::move(value));
    ++resealed;
    const size_t cost = pair.key().size() + row.value().size();
    const bool is_full = batch.success_size() >= etcd_limits::kMaxEditsPerPart ||
                         batch_bytes + cost > etcd_limits::kMaxBytesPerPart;
    // A large row is alone: with what came before it etcd would refuse both.
    const absl::Status status = is_full ? flush() : absl::OkStatus();
    batch_bytes += cost;
    AddResealed(batch, pair.key(), row.SerializeAsString());
    return status;
  };
  int64_t revision = 0;
  absl::Status status =
      ReadPages(*client_, keys_.Rows(), EndOfPrefix(keys_.Rows()), revision, take);
  if (status.ok()) status = flush();
  if (!status.ok()) return status;
  return resealed;
}

absl::Status EtcdStore::SealUnderNewKey() {
  const auto check = Get(keys_.SealingCheck(), nullptr);
  if (!check.ok()) return check.status();
  if (!check->has_value()) return Unreadable(keys_.SealingCheck());
  if (sealer_->IsCurrent((*check)->value())) return absl::OkStatus();
  const auto resealed = ResealRows();
  if (!resealed.ok()) return resealed.status();
  // The check last: until it is there the next leader does all of it again.
  TxnRequest last;
  int64_t revision = 0;
  const auto take = [&](const mvccpb::KeyValue& pair) {
    auto value = Reseal(PlaceOfShared(pair.key().substr(keys_.Shared().size())), pair.value());
    if (value.ok()) {
      TxnRequest ops;
      AddResealed(ops, pair.key(), *std::move(value));
      return Ensure(ops);
    }
    return value.status();
  };
  absl::Status status =
      ReadPages(*client_, keys_.Shared(), EndOfPrefix(keys_.Shared()), revision, take);
  if (!status.ok()) return status;
  const auto secret = Get(keys_.Secret(), nullptr);
  if (!secret.ok()) return secret.status();
  if (!secret->has_value()) return Unreadable(keys_.Secret());
  auto sealed = Reseal(kSecretPlace, (*secret)->value());
  if (!sealed.ok()) return sealed.status();
  AddResealed(last, keys_.Secret(), *std::move(sealed));
  AddResealed(last, keys_.SealingCheck(), sealer_->Seal(kCheckPlace, kCheckText));
  if (status = Ensure(last); !status.ok()) return status;
  spdlog::info("etcd: sealed {} rows anew, under key {}", *resealed, sealer_->current_id());
  return absl::OkStatus();
}

}  // namespace remuda
