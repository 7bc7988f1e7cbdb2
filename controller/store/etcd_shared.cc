// What EtcdStore keeps beside the rows for all controllers of a cluster: its id, and small values
// that are set once.
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <thread>

#include "common/status.h"
#include "controller/store/etcd_store.h"

namespace remuda {
namespace {

using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;

constexpr EtcdClient::Duration kAgreePause{20};

absl::Status CheckKey(const std::string& key) {
  const bool is_right = !key.empty() && key.size() <= Store::kMaxSharedKeyBytes &&
                        std::all_of(key.begin(), key.end(), [](char c) {
                          return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
                        });
  if (is_right) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "shared value \"", key, "\": its key is not [a-z0-9-]{1,", Store::kMaxSharedKeyBytes, "}"));
}

}  // namespace

absl::StatusOr<std::optional<std::string>> EtcdStore::ClusterId() {
  const auto pair = Get(keys_.Cluster(), nullptr);
  if (!pair.ok()) return pair.status();
  if (!pair->has_value()) return std::optional<std::string>();
  return std::optional<std::string>((*pair)->value());
}

absl::StatusOr<std::optional<std::string>> EtcdStore::ReadShared(const std::string& key) {
  if (absl::Status status = CheckKey(key); !status.ok()) return status;
  const auto pair = Get(keys_.SharedOf(key), nullptr);
  if (!pair.ok()) return pair.status();
  if (!pair->has_value()) return std::optional<std::string>();
  // Its own: that of the store is of whoever campaigns or commits meanwhile.
  Sealer sealer(sealing_keys_);
  auto opened = sealer.Open(PlaceOfShared(key), (*pair)->value());
  if (!opened.ok()) return WithEtcd(opened.status());
  return std::optional<std::string>(*std::move(opened));
}

absl::StatusOr<std::string> EtcdStore::AgreeShared(const std::string& key,
                                                   const std::string& value) {
  if (absl::Status status = CheckKey(key); !status.ok()) return status;
  if (value.empty() || value.size() > kMaxSharedBytes) {
    return absl::InvalidArgumentError(absl::StrCat(PlaceOfShared(key), " has ", value.size(),
                                                   " bytes, which is not within 1-",
                                                   kMaxSharedBytes));
  }
  TxnRequest txn;
  auto& leads = *txn.add_compare();
  leads.set_key(keys_.Leader());
  leads.set_target(etcdserverpb::Compare::CREATE);
  leads.set_create_revision(leader_revision_);
  auto& is_new = *txn.add_compare();
  is_new.set_key(keys_.SharedOf(key));
  is_new.set_target(etcdserverpb::Compare::CREATE);
  is_new.set_create_revision(0);
  auto& put = *txn.add_success()->mutable_request_put();
  put.set_key(keys_.SharedOf(key));
  put.set_value(sealer_->Seal(PlaceOfShared(key), value));
  while (true) {
    if (absl::Status status = CheckLeads(epoch_); !status.ok()) return status;
    TxnResponse answer;
    const absl::Status status = client_->Txn(txn, answer, options_.write_timeout);
    // Whatever became of it, what stands there now stands for good: no late try replaces it.
    const auto found = ReadShared(key);
    if (found.ok() && found->has_value()) return **found;
    if (!found.ok() && !EtcdClient::IsOfMember(found.status().code())) return found.status();
    if (status.ok() && !answer.succeeded())
      return LoseTo("another controller leads, or did; nothing was written");
    if (!status.ok() && (!EtcdClient::MayBeDone(status) || EtcdClient::IsFull(status)))
      return status;
    std::this_thread::sleep_for(kAgreePause);
  }
}

}  // namespace remuda
