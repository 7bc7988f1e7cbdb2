// Calls: a unary call's way to the loop and back. Thread: the public functions are gRPC's; what
// they post runs on the loop.
#pragma once

#include <grpcpp/impl/codegen/server_callback.h>

#include <string_view>
#include <utility>

#include "common/grpc_status.h"
#include "common/references.h"
#include "common/sha256.h"
#include "controller/api/controller.h"
#include "controller/api/door.h"
#include "controller/core/door/execute_once.h"
#include "controller/core/door/read.h"
#include "controller/identity/cluster_identity.h"
#include "controller/identity/gate.h"
#include "controller/limits.h"

namespace remuda {

class Calls {
 public:
  explicit Calls(Controller& controller) : controller_(controller) {}
  // Null where there are no identities. Constant once the server serves.
  ClusterIdentity* cluster_identity = nullptr;
  Gate* gate = nullptr;
  Controller& controller() { return controller_; }

  // Who calls; null: nobody that is known.
  CallerPtr CallerOf(const grpc::CallbackServerContext* context) const {
    return controller_.callers.Find(context->peer());
  }

  // A write: decided with others in one commit, answered when that is durable. `method` is its full
  // name ("remuda.v1.ApplyService/ApplyResources") and must stay until the call ends, as request
  // and answer do, which gRPC keeps.
  template <class Request, class Answer>
  grpc::ServerUnaryReactor* Write(grpc::CallbackServerContext* context, std::string_view method,
                                  const Request* request, Answer* answer) {
    return WriteAs(
        context, method, request, answer,
        [request, answer, method](core::Draft& draft, const core::Context& asked) -> absl::Status {
          auto decided = core::ExecuteOnce(draft, method, *request, asked, &Sha256Hex);
          if (!decided.ok()) return decided.status();
          *answer = *std::move(decided);
          return absl::OkStatus();
        });
  }
  // The same with a decision of its own, which fills the answer in.
  template <class Request, class Answer, class Decide>
  grpc::ServerUnaryReactor* WriteAs(grpc::CallbackServerContext* context,
                                    std::string_view /*method*/, const Request* request,
                                    Answer* answer, Decide decide) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    CallerPtr caller = CallerOf(context);
    absl::Status status = caller == nullptr ? Unknown() : CheckRequest(*request);
    if (!status.ok()) {
      Finish(reactor, status);
      return reactor;
    }
    return Post(reactor, [this, reactor, answer, caller = std::move(caller),
                          decide = std::move(decide)] {
      if (controller_.engine.queued() >= limits::kMaxQueuedRequests) {
        return Finish(
            reactor,
            LimitExceeded("kMaxQueuedRequests",
                          "the store is slow: too many commands wait already; try again later"));
      }
      controller_.engine.Add({
          .decide = [caller, decide](core::Draft& draft, const core::Context& now) -> absl::Status {
            const std::string actor = caller->actor();
            core::Context asked = now;
            asked.who = {.actor = actor, .serial = caller->peer.serial};
            return decide(draft, asked);
          },
          .done =
              [reactor, answer](const absl::Status& outcome, const core::State&) {
                if (outcome.ok()) ToFullNames(*answer);
                Finish(reactor, outcome);
              },
      });
    });
  }

  // Whatever answers at once, on the loop.
  template <class Request, class Fill>
  grpc::ServerUnaryReactor* ReadAs(grpc::CallbackServerContext* context,
                                   std::string_view /*method*/, const Request* /*request*/,
                                   Fill fill) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    CallerPtr caller = CallerOf(context);
    return Post(reactor, [reactor, caller = std::move(caller), fill = std::move(fill)] {
      Finish(reactor, caller == nullptr ? Unknown() : fill());
    });
  }

  // A read of what is committed and observed.
  template <class Request, class Answer>
  grpc::ServerUnaryReactor* Read(grpc::CallbackServerContext* context, const Request* request,
                                 Answer* answer) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    return Post(reactor, [this, reactor, request, answer] {
      auto found = core::Read(controller_.engine.snapshot(), *request);
      if (found.ok()) {
        *answer = *std::move(found);
        ToFullNames(*answer);
      }
      Finish(reactor, found.status());
    });
  }

  // An observation, not a command: nothing is committed.
  grpc::ServerUnaryReactor* PutMetricData(grpc::CallbackServerContext* context,
                                          const v1::PutMetricDataRequest* request) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    return Post(reactor, [this, reactor, request] {
      Engine& engine = controller_.engine;
      Finish(reactor, core::TakeMetricData(engine.state(), *request, engine.Now(),
                                           engine.observe().metrics));
    });
  }

  grpc::ServerUnaryReactor* GetCluster(grpc::CallbackServerContext* context, v1::Cluster* answer) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    return Post(reactor, [this, reactor, answer] {
      answer->set_cluster_id(controller_.identity.cluster_id);
      answer->set_epoch(controller_.identity.epoch);
      answer->set_version(controller_.version);
      *answer->mutable_start_time() = core::ToProto(controller_.engine.seen().start);
      answer->set_commit(controller_.engine.state().commit());
      answer->set_image_bytes(controller_.metrics.image_bytes);
      const core::StoreObservation& store = controller_.engine.seen().store;
      if (!store.error.empty()) {
        answer->set_store_error(store.error);
        *answer->mutable_store_failing_since() = core::ToProto(store.since);
      }
      Finish(reactor, absl::OkStatus());
    });
  }

  static void Finish(grpc::ServerUnaryReactor* reactor, const absl::Status& status) {
    reactor->Finish(ToGrpcStatus(status));
  }

  // Posts a call's work, or refuses the call at once.
  grpc::ServerUnaryReactor* Post(grpc::ServerUnaryReactor* reactor, Loop::Task task) {
    const absl::Status status = controller_.loop.PostRequest(std::move(task));
    if (!status.ok()) Finish(reactor, status);
    return reactor;
  }

 private:
  static absl::Status Unknown() {
    return absl::UnauthenticatedError("nobody is known behind this connection");
  }

  Controller& controller_;
};

}  // namespace remuda
