// Calls: a unary call's way to the loop and back. Thread: the public functions are gRPC's; what
// they post runs on the loop.
#pragma once

#include <absl/time/clock.h>
#include <grpcpp/impl/codegen/server_callback.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/grpc_status.h"
#include "common/references.h"
#include "common/sha256.h"
#include "controller/api/controller.h"
#include "controller/api/door.h"
#include "controller/core/door/execute_once.h"
#include "controller/core/door/read.h"
#include "controller/core/door/secret_calls.h"
#include "controller/identity/audit_record.h"
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

  // A write: decided with others in one commit, answered when that is durable, and recorded.
  // `method` is its full name ("remuda.v1.ApplyService/ApplyResources") and must stay until the
  // call ends, as request and answer do, which gRPC keeps.
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
  grpc::ServerUnaryReactor* WriteAs(grpc::CallbackServerContext* context, std::string_view method,
                                    const Request* request, Answer* answer, Decide decide) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    CallerPtr caller = CallerOf(context);
    absl::Status checked = CheckRequest(*request);
    return Post(reactor, [this, reactor, method, request, answer, caller = std::move(caller),
                          checked = std::move(checked), decide = std::move(decide)] {
      const auto finish = [this, reactor, answer](const AuditedWrite& write,
                                                  const absl::Status& status) {
        if (status.ok()) ToFullNames(*answer);
        Record(write, status, answer);
        if constexpr (std::is_same_v<Answer, v1::TargetGroup>) {
          if (status.ok()) controller_.target_sources.Show(*answer);
        }
        Finish(reactor, status);
      };
      // Nothing is done for one who may not call at all; with the draft it is asked again.
      absl::Status status = controller_.MayCall(caller.get(), method, *request);
      if (status.ok()) status = checked;
      if (status.ok()) status = CheckQueue();
      if (!status.ok()) {
        return finish(AuditedWrite(controller_.engine.state(), caller.get(), method, *request),
                      status);
      }
      const auto write = std::make_shared<std::optional<AuditedWrite>>();
      controller_.engine.Add({
          .decide = [this, method, request, caller, decide, write](
                        core::Draft& draft, const core::Context& context_now) -> absl::Status {
            write->emplace(draft.state(), caller.get(), method, *request);
            absl::Status may = controller_.MayCall(draft, caller.get(), method, *request);
            if (!may.ok()) return may;
            const std::string actor = caller->actor();
            core::Context asked = context_now;
            asked.who = {.actor = actor, .serial = caller->peer.serial};
            asked.wall = absl::Now();
            return decide(draft, asked);
          },
          .done =
              [finish, write, method, request, caller](const absl::Status& outcome,
                                                       const core::State& state) {
                // It may be refused undecided.
                if (!write->has_value()) write->emplace(state, caller.get(), method, *request);
                finish(**write, outcome);
              },
      });
    });
  }

  // A read of what is committed and observed.
  template <class Request, class Answer>
  grpc::ServerUnaryReactor* Read(grpc::CallbackServerContext* context, std::string_view method,
                                 const Request* request, Answer* answer) {
    return ReadAs(context, method, request, [this, request, answer]() -> absl::Status {
      auto found = core::Read(controller_.engine.snapshot(), *request);
      if (!found.ok()) return found.status();
      *answer = *std::move(found);
      ToFullNames(*answer);
      return absl::OkStatus();
    });
  }
  // Whatever answers at once, on the loop.
  template <class Request, class Fill>
  grpc::ServerUnaryReactor* ReadAs(grpc::CallbackServerContext* context, std::string_view method,
                                   const Request* request, Fill fill) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    CallerPtr caller = CallerOf(context);
    return Post(reactor, [this, reactor, method, request, caller = std::move(caller),
                          fill = std::move(fill)] {
      absl::Status status = controller_.MayCall(caller.get(), method, *request);
      if (status.ok()) status = controller_.CheckLeads();
      Finish(reactor, status.ok() ? fill() : status);
    });
  }

  // For what streams: asks on the loop whether the caller may. `method` stays.
  template <class Request>
  std::function<absl::Status()> AdmitTo(const grpc::CallbackServerContext* context,
                                        std::string_view method, const Request& request) {
    return [this, caller = CallerOf(context), method, request] {
      absl::Status status = controller_.MayCall(caller.get(), method, request);
      return status.ok() ? controller_.CheckLeads() : status;
    };
  }

  // Adds what became of a write to the audit log. On the loop.
  void Record(const AuditedWrite& write, const absl::Status& status,
              const google::protobuf::Message* answer) {
    if (controller_.audit == nullptr) return;
    v1::AuditRecord record = write.Done(controller_.engine.state(), status, answer);
    write.is_check() ? controller_.audit->WriteUndone(std::move(record))
                     : controller_.audit->Write(std::move(record));
  }

  // An observation, not a command: nothing is committed, and nothing recorded.
  grpc::ServerUnaryReactor* PutMetricData(grpc::CallbackServerContext* context,
                                          const v1::PutMetricDataRequest* request) {
    return ReadAs(context, "remuda.v1.MetricsService/PutMetricData", request, [this, request] {
      Engine& engine = controller_.engine;
      return core::TakeMetricData(engine.state(), *request, engine.Now(), engine.observe().metrics);
    });
  }

  // A read of target groups: with how far their sources are followed.
  template <class Request, class Answer>
  grpc::ServerUnaryReactor* ReadTargetGroups(grpc::CallbackServerContext* context,
                                             std::string_view method, const Request* request,
                                             Answer* answer) {
    return ReadAs(context, method, request, [this, request, answer]() -> absl::Status {
      auto found = core::Read(controller_.engine.snapshot(), *request);
      if (!found.ok()) return found.status();
      *answer = *std::move(found);
      ToFullNames(*answer);
      controller_.target_sources.Show(*answer);
      return absl::OkStatus();
    });
  }

  grpc::ServerUnaryReactor* GetCluster(grpc::CallbackServerContext* context,
                                       const v1::GetClusterRequest* request, v1::Cluster* answer) {
    return ReadAs(context, "remuda.v1.ClusterService/GetCluster", request, [this, answer] {
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
      return absl::OkStatus();
    });
  }

  grpc::ServerUnaryReactor* ListControllers(grpc::CallbackServerContext* context,
                                            const v1::ListControllersRequest* request,
                                            v1::ListControllersResponse* answer) {
    return ReadAs(context, "remuda.v1.ClusterService/ListControllers", request, [this, answer] {
      if (controller_.list_controllers != nullptr) {
        *answer = controller_.list_controllers();
        return absl::OkStatus();
      }
      v1::Controller& self = *answer->add_controllers();
      self.set_name("controllers/" + controller_.name);
      self.set_state(v1::CONTROLLER_STATE_LEADER);
      self.set_version(controller_.version);
      *self.mutable_start_time() = core::ToProto(controller_.engine.seen().start);
      // It leads as long as it runs.
      *self.mutable_lead_time() = self.start_time();
      self.set_epoch(controller_.identity.epoch);
      self.set_commit(controller_.engine.state().commit());
      return absl::OkStatus();
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

  // Whether one more command may wait. On the loop.
  absl::Status CheckQueue() const {
    if (controller_.engine.queued() < limits::kMaxQueuedRequests) return absl::OkStatus();
    return LimitExceeded("kMaxQueuedRequests",
                         "the store is slow: too many commands wait already; try again later");
  }

 private:
  Controller& controller_;
};

}  // namespace remuda
