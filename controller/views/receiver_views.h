// ReceiverViews: the views of one kind of receiver, as its sessions follow them.
//
// Thread: the loop thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "controller/views/frame.h"
#include "controller/views/view_log.h"
#include "remuda/v1/cluster.pb.h"

namespace remuda {

class ReceiverViews {
 public:
  // The view that a receiver follows; null while the state does not know the receiver.
  virtual const ViewLog* ViewOf(std::string_view receiver) const = 0;

  // The newest commit that a revision of it covers; 0 if that is not known.
  virtual int64_t CoveredBy(std::string_view receiver, int64_t sequence) const = 0;

  // Whether `held` is a revision of this receiver's view that a delta may build on.
  virtual bool CanBuildOn(std::string_view receiver, int64_t held) const = 0;

  // Makes the receiver's newest revision one above `held`, of which its view knows nothing. It is
  // the view as of the last refresh, and covers no later commit. No effect if it is above.
  virtual void Surpass(std::string_view receiver, int64_t held) = 0;

  // The update from `base` (nullopt: the whole view) to the newest revision, as a serialized
  // ConnectResponse.
  virtual Frame UpdateFor(std::string_view receiver, std::optional<int64_t> base) = 0;

  // Names what the newest revision holds, as updates say it; the same for the same content, of an
  // earlier epoch too.
  virtual std::string DigestOf(std::string_view receiver) const = 0;

  // The update for one that holds what the newest revision does as `held`, which may be of another
  // epoch: nothing but the new revision.
  virtual Frame RenamingOf(std::string_view receiver, const v1::Revision& held) const = 0;

 protected:
  ~ReceiverViews() = default;
};

}  // namespace remuda
