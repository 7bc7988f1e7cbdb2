// Reading, listing and deleting resources of any kind through the controller.
#pragma once

#include <absl/status/statusor.h>
#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <vector>

#include "cli/controller_client.h"
#include "cli/kinds.h"

namespace remuda::cli {

using ResourceList = std::vector<std::shared_ptr<google::protobuf::Message>>;

// Activities, if not said otherwise.
inline constexpr size_t kListedActivities = 100;
// Of one list call with all its pages; more is cut off (activities: see ListFilter.limit).
inline constexpr size_t kMaxListed = 100'000;

struct ListFilter {
  // Full name: instances and deployments of this group, shifts of this load balancer, versions of
  // this template, targets of this target group, listeners of this load balancer, rules of this
  // listener, activities about this resource. Empty: all.
  std::string of;
  bool show_terminated = false;  // of instances
  bool is_full = false;          // targets with their health at each proxy
  size_t limit = kMaxListed;
  std::string filter = {};  // `labels.team = a AND state = LOST`, as the API has it
};

absl::StatusOr<ResourceList> ListResources(const ControllerClient& client, KindId kind,
                                           const ListFilter& filter);
absl::StatusOr<std::shared_ptr<google::protobuf::Message>> GetResource(
    const ControllerClient& client, KindId kind, const std::string& id);
// `force`: of a group, with its instances.
absl::Status DeleteResource(const ControllerClient& client, KindId kind, const std::string& id,
                            bool force);

// Full name.
std::string NameOf(const google::protobuf::Message& resource);

// Whether ListFilter.of means something for the kind, and names of which kind it takes.
bool ListsByName(KindId kind);

}  // namespace remuda::cli
