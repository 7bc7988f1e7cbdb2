#include "controller/backup/state_file.h"

#include <absl/strings/str_cat.h>

#include <chrono>
#include <memory>
#include <utility>

#include "common/status.h"
#include "controller/store/authority_text.h"
#include "controller/store/etcd_store.h"
#include "controller/store/sqlite_store.h"

namespace remuda {
namespace {

// While it is filled, on a machine however loaded.
constexpr std::chrono::seconds kFillingLease{30};
constexpr char kCertificatesFile[] = "identity/ca.pem";
constexpr char kKeyFile[] = "identity/ca.key";

absl::StatusOr<std::unique_ptr<EtcdStore>> OpenPlace(const EtcdPlace& place) {
  EtcdStore::Options options;
  options.address = place.address;
  options.sealing_key_file = place.sealing_key_file;
  options.self.set_name("restore");
  options.time_to_live = kFillingLease;
  return EtcdStore::Open(std::move(options));
}

// All of a store to another one, but for what is shared: `shared` in place of it.
absl::StatusOr<StoreHead> CopyContent(StoreContent& from, StoreContent& to, const std::string& why,
                                      const std::map<std::string, std::string>* shared) {
  StoreHead out;
  std::unique_ptr<StoreFilling> filling;
  const absl::Status status = from.ReadAll(
      [&](const StoreHead& head) -> absl::Status {
        if (head.cluster_id.empty())
          return FailedPrecondition("EMPTY", "there is no cluster in the store yet");
        out = head;
        auto begun = to.Fill(head, why);
        if (begun.ok()) filling = *std::move(begun);
        return begun.status();
      },
      [&](core::Kind kind, std::string_view key, std::string_view value, int64_t commit) {
        return filling->Row(kind, key, value, commit);
      });
  if (!status.ok()) return status;
  if (shared != nullptr) filling->SetShared(*shared);
  const auto rows = filling->Finish();
  if (!rows.ok()) return rows.status();
  return out;
}

}  // namespace

absl::StatusOr<StateFiles> WriteStateFile(const EtcdPlace& from, const std::string& to) {
  const auto store = OpenPlace(from);
  if (!store.ok()) return store.status();
  auto file = SqliteStore::Open({.path = to, .sealing_key_file = from.sealing_key_file});
  if (!file.ok()) return file.status();
  const auto head = CopyContent(**store, **file, "a backup", nullptr);
  if (!head.ok()) return head.status();
  StateFiles out;
  const auto authority = head->shared.find(kAuthorityKey);
  if (authority == head->shared.end()) return out;
  const auto text = SplitAuthority(authority->second);
  if (!text.has_value())
    return absl::DataLossError(absl::StrCat("etcd: shared value ", authority->first,
                                            " is not certificates with a private key behind them"));
  out[kCertificatesFile] = text->certificates;
  out[kKeyFile] = text->key;
  return out;
}

absl::Status PutStateFile(const std::string& file, const StateFiles& files, const EtcdPlace& to) {
  const auto from = SqliteStore::Open({.path = file, .sealing_key_file = to.sealing_key_file});
  if (!from.ok()) return from.status();
  const auto store = OpenPlace(to);
  if (!store.ok()) return store.status();
  std::map<std::string, std::string> shared;
  const auto certificates = files.find(kCertificatesFile);
  const auto key = files.find(kKeyFile);
  if (certificates != files.end() && key != files.end())
    shared[kAuthorityKey] = JoinAuthority({certificates->second, key->second});
  return CopyContent(**from, **store, "a restore", &shared).status();
}

}  // namespace remuda
