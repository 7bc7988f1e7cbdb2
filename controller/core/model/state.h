// State: everything that is committed, as tables of resource messages by key, with the commit that
// wrote each.
//
// Owns: the values and the indexes over them. Does not own: what is observed (observations.h) or
// how it is stored (controller/store/store.h). Thread: owned by the loop thread; the values are
// immutable and may be shared with any thread.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "controller/core/model/host_use.h"
#include "remuda/store/v1/store.pb.h"
#include "remuda/v1/activity.pb.h"
#include "remuda/v1/auto_scaling.pb.h"
#include "remuda/v1/certificate.pb.h"
#include "remuda/v1/cluster.pb.h"
#include "remuda/v1/deployment.pb.h"
#include "remuda/v1/identity.pb.h"
#include "remuda/v1/image.pb.h"
#include "remuda/v1/launch_template.pb.h"
#include "remuda/v1/load_balancer.pb.h"
#include "remuda/v1/secret.pb.h"
#include "remuda/v1/security_group.pb.h"
#include "remuda/v1/target_group.pb.h"

namespace remuda::core {

// What a row is. The numbers are stored: never change one.
enum class Kind : int {
  kImage = 1,
  kLaunchTemplateVersion = 2,  // key LaunchTemplateKey()
  kTargetGroup = 3,
  kTarget = 4,  // registered by hand or by a source, key TargetKey()
  kLoadBalancer = 5,
  kAutoScalingGroup = 6,
  kInstance = 7,
  kDeployment = 8,
  kHost = 9,
  kProxy = 10,
  kActivity = 11,  // key: 20 digits, so that keys sort by time
  kCounter = 12,   // key: what is counted, for example "instance" or "launchTemplate/shop"
  kRequest = 13,   // key: the request_id
  kCertificate = 14,
  kLaunchTemplate = 15,
  kLoadHistory = 16,  // key LoadHistoryKey()
  kUser = 17,
  kJoinToken = 18,
  kRevocation = 19,
  kSecret = 20,
  kSecurityGroup = 21,
};
inline constexpr Kind kLastKind = Kind::kSecurityGroup;

// Ties a message type to its kind.
template <class T, Kind K>
struct KindIs {
  static constexpr Kind value = K;
};
template <class T>
struct KindOf;
template <>
struct KindOf<v1::Image> : KindIs<v1::Image, Kind::kImage> {};
template <>
struct KindOf<v1::LaunchTemplateVersion>
    : KindIs<v1::LaunchTemplateVersion, Kind::kLaunchTemplateVersion> {};
template <>
struct KindOf<v1::LaunchTemplate> : KindIs<v1::LaunchTemplate, Kind::kLaunchTemplate> {};
template <>
struct KindOf<v1::TargetGroup> : KindIs<v1::TargetGroup, Kind::kTargetGroup> {};
template <>
struct KindOf<v1::Target> : KindIs<v1::Target, Kind::kTarget> {};
template <>
struct KindOf<v1::LoadBalancer> : KindIs<v1::LoadBalancer, Kind::kLoadBalancer> {};
template <>
struct KindOf<v1::Certificate> : KindIs<v1::Certificate, Kind::kCertificate> {};
template <>
struct KindOf<v1::AutoScalingGroup> : KindIs<v1::AutoScalingGroup, Kind::kAutoScalingGroup> {};
template <>
struct KindOf<v1::Instance> : KindIs<v1::Instance, Kind::kInstance> {};
template <>
struct KindOf<v1::Deployment> : KindIs<v1::Deployment, Kind::kDeployment> {};
template <>
struct KindOf<v1::Host> : KindIs<v1::Host, Kind::kHost> {};
template <>
struct KindOf<v1::Proxy> : KindIs<v1::Proxy, Kind::kProxy> {};
template <>
struct KindOf<v1::Activity> : KindIs<v1::Activity, Kind::kActivity> {};
template <>
struct KindOf<store::v1::Counter> : KindIs<store::v1::Counter, Kind::kCounter> {};
template <>
struct KindOf<store::v1::RequestRecord> : KindIs<store::v1::RequestRecord, Kind::kRequest> {};
template <>
struct KindOf<store::v1::LoadHistory> : KindIs<store::v1::LoadHistory, Kind::kLoadHistory> {};
template <>
struct KindOf<v1::User> : KindIs<v1::User, Kind::kUser> {};
template <>
struct KindOf<v1::JoinToken> : KindIs<v1::JoinToken, Kind::kJoinToken> {};
template <>
struct KindOf<v1::Revocation> : KindIs<v1::Revocation, Kind::kRevocation> {};
template <>
struct KindOf<v1::Secret> : KindIs<v1::Secret, Kind::kSecret> {};
template <>
struct KindOf<v1::SecurityGroup> : KindIs<v1::SecurityGroup, Kind::kSecurityGroup> {};

// Keys. A resource's key is its id: its full name without the collection.
std::string LaunchTemplateKey(std::string_view id, int version);  // "shop/versions/00000002"
std::string TargetKey(std::string_view group,
                      std::string_view target);  // "blue/targets/10.0.0.1:80"
std::string LoadHistoryKey(std::string_view group, v1::ScalingMetric metric);  // "blue/2"

// One committed value. `commit` is the number of the commit that wrote it: what confirmation gates
// compare.
template <class T>
struct Entry {
  std::shared_ptr<const T> value;
  int64_t commit = 0;
  const T& operator*() const { return *value; }
  const T* operator->() const { return value.get(); }
};

// std::map, not absl::btree_map: Debian's Abseil cannot look a std::string_view up.
template <class T>
using Table = std::map<std::string, Entry<T>, std::less<>>;

// Ids by what they belong to.
using IdSet = std::set<std::string, std::less<>>;
using IdIndex = std::map<std::string, IdSet, std::less<>>;

// Instances by id.
using InstanceList = std::vector<std::pair<std::string, std::shared_ptr<const v1::Instance>>>;

// A list of instances as it was when it was asked for, whatever is edited while somebody walks it.
class Instances {
 public:
  explicit Instances(std::shared_ptr<const InstanceList> list) : list_(std::move(list)) {}
  const InstanceList& list() const { return *list_; }
  auto begin() const { return list_->begin(); }
  auto end() const { return list_->end(); }
  size_t size() const { return list_->size(); }

 private:
  friend class Draft;
  std::shared_ptr<const InstanceList> list_;
};

// One change of one row: `value` null deletes it.
struct Edit {
  Kind kind;
  std::string key;
  std::shared_ptr<const google::protobuf::Message> value;
};

// What a decision changes, in order. Activities are rows like others.
struct Changes {
  std::vector<Edit> edits;
  bool empty() const { return edits.empty(); }
};

class State {
 public:
  // Every row of T by key.
  template <class T>
  const Table<T>& All() const {
    return std::get<Table<T>>(tables_);
  }
  // Null if there is none.
  template <class T>
  const Entry<T>* Find(std::string_view key) const {
    const auto& table = All<T>();
    const auto it = table.find(key);
    return it == table.end() ? nullptr : &it->second;
  }
  // Ids of instances (of any state) of a group, on a host; empty set if none.
  const IdSet& InstancesOfGroup(std::string_view group) const;
  const IdSet& InstancesOnHost(std::string_view host) const;
  // What the instances on a host take up.
  const HostUse& UseOfHost(std::string_view host) const;
  // The rows of InstancesOfGroup. Drawn up once for all who ask until one of them changes.
  Instances ListOfGroup(std::string_view group) const;

  // The newest commit that is applied.
  int64_t commit() const { return commit_; }

  // Applies committed changes. `commit` is above commit().
  void Apply(const Changes& changes, int64_t commit);

  // Puts one row that the store holds; used while loading. An error names the row that cannot be
  // read.
  absl::Status Load(Kind kind, std::string_view key, std::string_view bytes, int64_t commit);
  void SetCommit(int64_t commit) { commit_ = commit; }

 private:
  template <class T>
  void Put(const std::string& key, std::shared_ptr<const T> value, int64_t commit);
  void Reindex(const std::string& key, const v1::Instance* before, const v1::Instance* after);
  void CountUse(const v1::Instance* before, const v1::Instance* after);

  std::tuple<Table<v1::Image>, Table<v1::LaunchTemplateVersion>, Table<v1::TargetGroup>,
             Table<v1::Target>, Table<v1::LoadBalancer>, Table<v1::AutoScalingGroup>,
             Table<v1::Instance>, Table<v1::Deployment>, Table<v1::Host>, Table<v1::Proxy>,
             Table<v1::Activity>, Table<store::v1::Counter>, Table<store::v1::RequestRecord>,
             Table<v1::Certificate>, Table<v1::LaunchTemplate>, Table<store::v1::LoadHistory>,
             Table<v1::User>, Table<v1::JoinToken>, Table<v1::Revocation>, Table<v1::Secret>,
             Table<v1::SecurityGroup>>
      tables_;
  IdIndex instances_by_group_;
  IdIndex instances_by_host_;
  std::map<std::string, HostUse, std::less<>> use_by_host_;  // none that is empty
  // What ListOfGroup has answered and is still so.
  mutable std::map<std::string, Instances, std::less<>> lists_by_group_;
  int64_t commit_ = 0;
};

// Calls fn with a null `T*` as a tag, T the message type of `kind`. `kind` is one of the
// enumerators.
template <class Fn>
decltype(auto) VisitKind(Kind kind, Fn&& fn) {
  switch (kind) {
    case Kind::kImage:
      return fn(static_cast<v1::Image*>(nullptr));
    case Kind::kLaunchTemplateVersion:
      return fn(static_cast<v1::LaunchTemplateVersion*>(nullptr));
    case Kind::kLaunchTemplate:
      return fn(static_cast<v1::LaunchTemplate*>(nullptr));
    case Kind::kTargetGroup:
      return fn(static_cast<v1::TargetGroup*>(nullptr));
    case Kind::kTarget:
      return fn(static_cast<v1::Target*>(nullptr));
    case Kind::kLoadBalancer:
      return fn(static_cast<v1::LoadBalancer*>(nullptr));
    case Kind::kCertificate:
      return fn(static_cast<v1::Certificate*>(nullptr));
    case Kind::kAutoScalingGroup:
      return fn(static_cast<v1::AutoScalingGroup*>(nullptr));
    case Kind::kInstance:
      return fn(static_cast<v1::Instance*>(nullptr));
    case Kind::kDeployment:
      return fn(static_cast<v1::Deployment*>(nullptr));
    case Kind::kHost:
      return fn(static_cast<v1::Host*>(nullptr));
    case Kind::kProxy:
      return fn(static_cast<v1::Proxy*>(nullptr));
    case Kind::kActivity:
      return fn(static_cast<v1::Activity*>(nullptr));
    case Kind::kLoadHistory:
      return fn(static_cast<store::v1::LoadHistory*>(nullptr));
    case Kind::kCounter:
      return fn(static_cast<store::v1::Counter*>(nullptr));
    case Kind::kUser:
      return fn(static_cast<v1::User*>(nullptr));
    case Kind::kJoinToken:
      return fn(static_cast<v1::JoinToken*>(nullptr));
    case Kind::kRevocation:
      return fn(static_cast<v1::Revocation*>(nullptr));
    case Kind::kSecret:
      return fn(static_cast<v1::Secret*>(nullptr));
    case Kind::kSecurityGroup:
      return fn(static_cast<v1::SecurityGroup*>(nullptr));
    case Kind::kRequest:
      break;
  }
  return fn(static_cast<store::v1::RequestRecord*>(nullptr));
}

}  // namespace remuda::core
