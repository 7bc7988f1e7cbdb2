// SliceSet: the EndpointSlices of a Service, and which addresses take its requests.
//
// Owns: the slices as they were told last. Does not own: how they come (SliceFollow). Pure; one
// thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "controller/core/door/follow_targets.h"
#include "remuda/kubernetes/v1/endpoint_slice.pb.h"

namespace remuda::kubernetes {

// The endpoints of a Service that take requests, each address and port once, by address and port.
struct Endpoints {
  std::vector<core::FollowedEndpoint> ready;
  // What could not be followed, for a person; empty: all could.
  std::string trouble;
};

class SliceSet {
 public:
  // Adds a slice, or replaces the one of its name. Of names that it does not know it takes at most
  // kMaxSlices.
  void Put(v1::EndpointSlice slice);
  void Remove(const std::string& name) { slices_.erase(name); }
  size_t size() const { return slices_.size(); }

  // Who takes requests: is ready (or does not say), and not terminating. `port`: the name of a port
  // of the slices, a number that is taken as it is, or nothing where they have one port of TCP.
  // Slices of names (FQDN), of other protocols and without such a port are told as trouble, and
  // give nothing; the others give what they have.
  Endpoints EndpointsOf(const std::string& port) const;

 private:
  std::map<std::string, v1::EndpointSlice> slices_;  // by name
  bool is_full_ = false;                             // one found no place
};

}  // namespace remuda::kubernetes
