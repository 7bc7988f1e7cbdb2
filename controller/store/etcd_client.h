// EtcdClient: calls of etcd's v3 API, at whichever of its members answers.
//
// Owns: connections, the login, which member is asked, errors in words. Does not own: what is
// asked (etcd_store.h). Every call has a deadline. Any thread; calls block.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "controller/store/store_options.h"
#include "etcd/rpc.grpc.pb.h"

namespace remuda {

class EtcdClient {
 public:
  using Clock = std::chrono::steady_clock;
  using Duration = std::chrono::milliseconds;

  // One try at one member; then the next one is asked.
  static constexpr Duration kTryTimeout{1000};
  // An answer at most; a page of rows that has more is asked for in smaller ones.
  static constexpr int kMaxReceiveBytes = 64 << 20;

  // Files are looked at so often, at most. What has changed is taken when it is still the same at
  // the next look, and is right, for new connections: half of what is being replaced is no pair.
  static constexpr Duration kFileLookPeriod{2500};

  // Reads the files that `address` names, and again when they change; the password with each login.
  // FAILED_PRECONDITION: one cannot be read, or is not what it should be.
  static absl::StatusOr<std::unique_ptr<EtcdClient>> Make(const EtcdAddress& address);
  EtcdClient(const EtcdClient&) = delete;
  EtcdClient& operator=(const EtcdClient&) = delete;

  // Harmless to repeat: asked of one member after the other until `end`. UNAVAILABLE: none has
  // answered by then.
  absl::Status Range(const etcdserverpb::RangeRequest& request,
                     etcdserverpb::RangeResponse& response, Clock::time_point end);
  absl::Status Grant(const etcdserverpb::LeaseGrantRequest& request,
                     etcdserverpb::LeaseGrantResponse& response, Clock::time_point end);
  absl::Status Revoke(int64_t lease, Clock::time_point end);
  absl::Status Compact(int64_t revision, Clock::time_point end);

  // One try each; on errors the next call asks another member.
  absl::Status KeepAlive(int64_t lease, etcdserverpb::LeaseKeepAliveResponse& response,
                         Duration timeout);
  // After most errors (MayBeDone) the transaction may have been done, or be done later.
  absl::Status Txn(const etcdserverpb::TxnRequest& request, etcdserverpb::TxnResponse& response,
                   Duration timeout);
  // Whether another member, or this one later, may answer better.
  static bool IsOfMember(absl::StatusCode code);
  static bool MayBeDone(const absl::Status& status);
  // Whether etcd has refused it for want of space.
  static bool IsFull(const absl::Status& status);

  // Tells what changes from `request` on. Ends with an error after a silence of `silence`, or when
  // `on_response` answers one, which is answered then. `open` has the context for whom another
  // thread may cancel, as long as the call is under way; null after.
  absl::Status Watch(
      const etcdserverpb::WatchCreateRequest& request, Duration silence,
      const std::function<void(grpc::ClientContext*)>& open,
      const std::function<absl::Status(const etcdserverpb::WatchResponse&)>& on_response);

 private:
  struct Member {
    std::string endpoint;
    std::shared_ptr<grpc::Channel> channel;
  };
  using Members = std::vector<Member>;
  using MembersPtr = std::shared_ptr<const Members>;
  // Contents of --store-ca, --store-cert and --store-key.
  struct TlsFiles {
    std::string ca;
    std::string certificate;
    std::string key;
    bool operator==(const TlsFiles&) const = default;
  };
  using Invoke = std::function<grpc::Status(const Member&, grpc::ClientContext&)>;

  explicit EtcdClient(const EtcdAddress& address) : address_(address) {}
  static absl::StatusOr<TlsFiles> ReadTlsFiles(const EtcdAddress& address);
  static MembersPtr Connect(const EtcdAddress& address, const TlsFiles& files);
  // Those of now; looks at the files if it is time.
  MembersPtr members();
  absl::StatusOr<std::string> ReadPassword() const;
  absl::Status Once(const char* what, Duration timeout, const Invoke& invoke);
  absl::Status Repeat(const char* what, Clock::time_point end, const Invoke& invoke);
  grpc::Status Login(const Member& member, Duration timeout);
  std::string token() const;
  // Has others asked from now on, if `member` is still the one.
  void Leave(size_t member);
  static absl::Status ErrorOf(const Member& member, const char* what, const grpc::Status& status);

  const EtcdAddress address_;
  std::atomic<size_t> current_ = 0;
  mutable std::mutex mutex_;  // guards what follows
  std::string token_;
  MembersPtr members_;
  TlsFiles files_;          // that members_ were made of
  TlsFiles seen_;           // at the last look
  std::string file_fault_;  // of the last look; empty: none
  Clock::time_point next_look_;
};

}  // namespace remuda
