// One end of what passes through: where bytes come from and where they go, whatever carries them.
//
// Thread: its worker's. Results are bytes, or -errno; -EAGAIN: nothing can be done now, whoever
// uses the end is told when there can.
#pragma once

#include <sys/types.h>

#include <cstddef>

#include "proxy/io/splice_pipe.h"
#include "proxy/io/transport.h"

namespace remuda::proxy {

class StreamEnd {
 public:
  // Something may be there to be received. If not, Receive need not be asked.
  bool is_readable = false;

  virtual Received Receive(char* data, size_t size) = 0;
  // Sends what it can of the pieces, and takes that off them.
  virtual ssize_t Send(Gather& pieces) = 0;

  // Whether bytes may pass in the kernel, and then: from it into an empty pipe, from a pipe to it.
  virtual bool may_splice() const { return false; }
  virtual ssize_t FillPipe(SplicePipe& /*pipe*/, size_t /*max_bytes*/) { return -ENOTSUP; }
  virtual ssize_t DrainPipe(SplicePipe& /*pipe*/) { return -ENOTSUP; }
  // All that was to come from it through a pipe has come.
  virtual void EndSplice() {}

  // Others first: what can be done now is told of again. False: it is bounded by other means, and
  // nobody is told.
  virtual bool Yield() { return false; }

 protected:
  ~StreamEnd() = default;
};

}  // namespace remuda::proxy
