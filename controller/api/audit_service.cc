#include "controller/api/audit_service.h"

#include <memory>
#include <string>
#include <utility>

#include "common/status.h"
#include "controller/api/response_stream.h"
#include "controller/api/watchers.h"

namespace remuda {
namespace {

using RecordStream = ResponseStream<v1::WatchAuditRecordsResponse>;

absl::Status NoLog() {
  return FailedPrecondition("NO_AUDIT_LOG", "this controller keeps no audit log");
}

// A watcher of the audit log. Thread: the loop thread.
class AuditWatcher final : public Watcher, public std::enable_shared_from_this<AuditWatcher> {
 public:
  AuditWatcher(Controller& controller, std::shared_ptr<RecordStream> stream)
      : controller_(controller), stream_(std::move(stream)) {}

  static void Begin(Controller& controller, const std::shared_ptr<RecordStream>& stream,
                    const std::string& filter) {
    if (controller.audit == nullptr) return stream->Close(NoLog());
    auto watcher = std::make_shared<AuditWatcher>(controller, stream);
    const auto id = controller.audit->Watch(
        filter,
        [&loop = controller.loop, weak = watcher->weak_from_this()](const v1::AuditRecord& record) {
          loop.Post([weak, record] {
            if (const auto self = weak.lock(); self != nullptr) self->Show(record);
          });
        });
    if (!id.ok()) return stream->Close(id.status());
    watcher->id_ = *id;
    if (absl::Status status = controller.watchers.Add(watcher); !status.ok()) {
      controller.audit->Unwatch(*id);
      return stream->Close(status);
    }
    stream->set_on_closed([raw = watcher.get()] { raw->End(); });
  }

  void Look(const Touched&) override {}
  void Close(const absl::Status& status) override {
    controller_.audit->Unwatch(id_);
    stream_->Close(status);
  }

 private:
  void Show(const v1::AuditRecord& record) {
    if (stream_->closed()) return;
    if (stream_->queued() >= limits::kMaxWatchBacklog) {
      stream_->Close(
          LimitExceeded("kMaxWatchBacklog", "this watcher is more than " +
                                                std::to_string(limits::kMaxWatchBacklog) +
                                                " records behind; list them and watch again"));
      return End();
    }
    v1::WatchAuditRecordsResponse response;
    *response.add_audit_records() = record;
    stream_->Send(std::move(response));
  }
  void End() {
    controller_.audit->Unwatch(id_);
    controller_.watchers.Remove(this);
  }

  Controller& controller_;
  const std::shared_ptr<RecordStream> stream_;
  int64_t id_ = 0;
};

}  // namespace

grpc::ServerUnaryReactor* AuditService::ListAuditRecords(grpc::CallbackServerContext* context,
                                                         const v1::ListAuditRecordsRequest* request,
                                                         v1::ListAuditRecordsResponse* answer) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  CallerPtr caller = calls_.CallerOf(context);
  return calls_.Post(reactor, [this, reactor, request, answer, caller = std::move(caller)] {
    Controller& controller = calls_.controller();
    absl::Status may =
        controller.MayCall(caller.get(), "remuda.v1.AuditService/ListAuditRecords", *request);
    if (may.ok() && controller.audit == nullptr) may = NoLog();
    if (!may.ok()) return Calls::Finish(reactor, may);
    controller.audit->List(*request,
                           [reactor, answer](absl::StatusOr<v1::ListAuditRecordsResponse> page) {
                             if (page.ok()) *answer = *std::move(page);
                             Calls::Finish(reactor, page.status());
                           });
  });
}

grpc::ServerWriteReactor<v1::WatchAuditRecordsResponse>* AuditService::WatchAuditRecords(
    grpc::CallbackServerContext* context, const v1::WatchAuditRecordsRequest* request) {
  Controller& controller = calls_.controller();
  return RecordStream::Open(
      controller.loop,
      calls_.AdmitTo(context, "remuda.v1.AuditService/WatchAuditRecords", *request),
      [&controller, filter = request->filter()](const std::shared_ptr<RecordStream>& stream) {
        AuditWatcher::Begin(controller, stream, filter);
      });
}

}  // namespace remuda
