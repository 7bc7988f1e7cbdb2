// ApiCall: one GET of Kubernetes' API on a connection of its own, over TLS or not.
//
// Owns: the connection, the times it may take, the bounds of what is read. Does not own: what the
// answer means. Lives in the handlers of its own operations. Thread: the context's.
#pragma once

#include <absl/time/time.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "controller/kubernetes/api_address.h"
#include "controller/kubernetes/slice_follow.h"

namespace remuda::kubernetes {

// What becomes of a call. OnRefused or OnEnd comes last, once, unless the call was dropped.
class ApiListener {
 public:
  virtual ~ApiListener() = default;
  // It is answered with 200,
  virtual void OnHead() = 0;
  // and more of the body has come. False: enough, nothing more is told.
  virtual bool OnBytes(std::string_view bytes) = 0;
  // The whole answer has come, or `trouble` says why not.
  virtual void OnEnd(const std::string& trouble) = 0;
  // Another status, or no answer at all (status 0).
  virtual void OnRefused(const Refusal& refusal) = 0;
};

struct ApiRequest {
  std::string target;  // path and query
  // From the head on, so long a silence ends the call; zero: all of it within answer_timeout.
  absl::Duration silence;
  // From the head on, it is at its end then: as if the API had ended it. Where silence is not zero.
  absl::Duration longest;
  absl::Duration connect_timeout = limits::kConnectTimeout;
  absl::Duration answer_timeout = limits::kAnswerTimeout;
};

class ApiCall {
 public:
  virtual ~ApiCall() = default;
  // Nothing more is told; the connection is closed.
  virtual void Drop() = 0;
};

// Begins at once; the listener hears of it later, never from inside. The token and the authorities
// are read from their files now. The listener outlives the call, or drops it.
std::shared_ptr<ApiCall> BeginCall(boost::asio::io_context& context, const ApiAddress& api,
                                   const ApiRequest& request, ApiListener& listener);

}  // namespace remuda::kubernetes
