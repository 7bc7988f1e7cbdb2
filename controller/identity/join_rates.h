// JoinRates: how often strangers may ask, and be refused. Token buckets; time is an argument.
//
// Thread: one at a time.
#pragma once

#include <absl/time/time.h>

#include <map>
#include <string>
#include <string_view>

namespace remuda {

class JoinRates {
 public:
  // Whether one more request, from `address` ("ADDRESS:PORT"), is looked at. It counts.
  bool Admit(std::string_view address, absl::Time now);
  // It was refused.
  void NoteFailure(std::string_view address, absl::Time now);

  size_t addresses() const { return failures_.size(); }  // that are remembered

 private:
  // What is left at `since`.
  struct Bucket {
    double left = 0;
    absl::Time since;
  };

  Bucket all_{.left = -1, .since = {}};  // below 0: nobody has asked yet
  std::map<std::string, Bucket> failures_;
};

}  // namespace remuda
