// SliceFollow: how the EndpointSlices of one Service are followed: list, then watch, and what to do
// about each thing that can go wrong. It says what is to be asked next and is told what came.
//
// Owns: the slices, where the watch goes on, the count of failures. Does not own: connections, time
// (SliceReader). What is known stays as it is until a whole list, or an event, says otherwise.
// Pure; one thread.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <random>
#include <string>
#include <string_view>

#include "controller/kubernetes/limits.h"
#include "controller/kubernetes/slice_set.h"

namespace remuda::kubernetes {

// Whose slices, and at which port.
struct Service {
  std::string name_space;
  std::string name;
  std::string port;
  friend bool operator==(const Service&, const Service&) = default;
};

// What is to be done next.
struct Step {
  bool is_watch = false;   // the answer comes line by line, for as long as it likes
  std::string target;      // path and query of the request
  absl::Duration wait;     // before it
  absl::Duration longest;  // of a watch: it is over then, whatever the API does
};

// How an answer refuses, or why none came.
struct Refusal {
  int status = 0;             // of HTTP; 0: none came
  std::string why = {};       // for a person: the answer's body, or what broke
  absl::Duration after = {};  // what Retry-After asks for
};

class SliceFollow {
 public:
  // Times that tests shorten.
  struct Pace {
    absl::Duration min_backoff = limits::kMinBackoff;
    absl::Duration max_backoff = limits::kMaxBackoff;
    absl::Duration watch_time = limits::kWatchTime;
    absl::Duration watch_grace = limits::kWatchGrace;
  };
  // `seed`: of the jitter.
  SliceFollow(Service service, Pace pace, uint32_t seed);

  Step Next();
  // What came of the step: a page of the list,
  void OnPage(std::string_view json);
  // a refusal, or nothing at all,
  void OnRefused(const Refusal& refusal);
  // or a watch that begins,
  void OnWatchBegun();
  // says a line (false: it is over, and may be closed),
  bool OnLine(std::string_view json);
  // a line that is longer than kMaxEventBytes, of which nothing was told (it is over),
  void OnTooLong();
  // and ends: by itself where `why` is empty.
  void OnWatchEnded(const std::string& why);

  // Whether a whole list has come: before, endpoints() means nothing.
  bool has_list() const { return has_list_; }
  Endpoints endpoints() const { return slices_.EndpointsOf(service_.port); }
  bool has_slices() const { return slices_.size() > 0; }
  // Why it is not followed just now; empty: it is.
  const std::string& error() const { return error_; }

 private:
  void Fail(std::string why, absl::Duration at_least = absl::ZeroDuration());
  // What is known stays; all is asked for again.
  void ListAnew();
  void ForgetPlace();
  bool OnError(std::string_view json);
  bool OnObject(const std::string& type, v1::EndpointSlice slice);

  const Service service_;
  const Pace pace_;
  std::minstd_rand random_;
  SliceSet slices_;
  SliceSet pages_;                // of the list that is under way
  int page_ = 0;                  // how many of them there are
  std::string next_page_;         // empty: the first
  std::string resource_version_;  // where the watch goes on; empty: a list comes first
  bool has_list_ = false;
  std::string error_;
  int failures_ = 0;             // in a row
  int anew_ = 0;                 // lists that were begun anew since a watch said something
  bool said_something_ = false;  // the watch that is under way
  absl::Duration wait_;
};

}  // namespace remuda::kubernetes
