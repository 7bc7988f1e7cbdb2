// The assignment that this host holds: what the controller said it shall run, at which revision.
//
// Pure: no clock, no I/O. An update is checked whole before any of it is applied.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "remuda/agent/v1/agent.pb.h"

namespace remuda::agent {

// Why an update was not taken up; goes to the controller as a Nack.
struct Refusal {
  std::string resource;  // id of the instance at fault; empty if the update as a whole is
  std::string reason;    // value and rule
};

class Assignment {
 public:
  // Limits of what a controller can make an agent hold.
  static constexpr int kMaxInstances = 2000;
  static constexpr int kMaxArguments = 1000;
  static constexpr int kMaxEnvironment = 1000;

  // Applies the whole update, or nothing of it and says why.
  // `min_epoch`: the highest epoch ever seen; an update of a lower one is refused (a controller
  // that was replaced). One instance that shall run at a lower generation than is held stays as it
  // is held.
  std::optional<Refusal> Apply(const v1::AssignmentUpdate& update, int64_t min_epoch);

  // Unset until the first update.
  const std::optional<remuda::v1::Revision>& revision() const { return revision_; }
  // As the controller names what is held (AssignmentUpdate.digest); empty: not known.
  const std::string& digest() const { return digest_; }
  const std::map<std::string, v1::InstanceAssignment>& instances() const { return instances_; }
  // nullptr: not named.
  const v1::InstanceAssignment* Find(const std::string& id) const;

  // The whole as an update without a base: what is written to disk, and taken up again with Apply.
  v1::AssignmentUpdate Whole() const;

 private:
  std::optional<remuda::v1::Revision> revision_;
  std::string digest_;
  std::map<std::string, v1::InstanceAssignment> instances_;
};

// Nothing, or what is wrong with one instance's assignment.
std::optional<std::string> WrongWith(const v1::InstanceAssignment& instance);

// The number of "SIGTERM" and the others a template may name; SIGTERM for an empty name; 0 for any
// other.
int StopSignalNumber(const std::string& name);

}  // namespace remuda::agent
