// JoinRates: how often strangers may ask, and be refused, and who was here before come back. Token
// buckets; time is an argument.
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
  // Whether `actor` ("agent/h1") may be renewed once more, as often as an address may be refused.
  // It counts.
  bool AdmitRenewal(const std::string& actor, absl::Time now);

  size_t addresses() const { return spent_.size(); }  // that are remembered, and actors

 private:
  // What is left at `since`.
  struct Bucket {
    double left = 0;
    absl::Time since;
  };

  bool HasLeft(const std::string& who, absl::Time now);
  void Spend(const std::string& who, absl::Time now);

  Bucket all_{.left = -1, .since = {}};  // below 0: nobody has asked yet
  std::map<std::string, Bucket> spent_;  // by network or actor
};

}  // namespace remuda
