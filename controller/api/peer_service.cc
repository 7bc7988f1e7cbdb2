#include "controller/api/peer_service.h"

#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "common/grpc_status.h"
#include "common/status.h"

namespace remuda {
namespace {

using controller::v1::ReplicateImagesRequest;
using controller::v1::ReplicateImagesResponse;

constexpr std::string_view kReplicateImages = "remuda.controller.v1.PeerService/ReplicateImages";

// One standby's call, all on the blob thread.
class PeerCall final
    : public grpc::ServerBidiReactor<ReplicateImagesRequest, ReplicateImagesResponse>,
      public ReplicaStream,
      public std::enable_shared_from_this<PeerCall> {
 public:
  static grpc::ServerBidiReactor<ReplicateImagesRequest, ReplicateImagesResponse>* Open(
      Controller& controller, BlobWorker worker, std::string name,
      std::function<absl::Status()> admit) {
    std::shared_ptr<PeerCall> call(new PeerCall(controller, worker));
    call->self_ = call;
    const absl::Status posted =
        controller.loop.PostRequest([call, admit = std::move(admit), name = std::move(name)] {
          const absl::Status may = admit();
          call->Post([call, may, name] {
            if (call->closed_) return;  // it has gone meanwhile
            if (!may.ok()) return call->Close(may);
            if (call->worker_.replicas == nullptr)
              return call->Close(Unimplemented("no other controller keeps images of this one's"));
            call->worker_.replicas->OnOpened(call, name, call->Now());
            call->Read();
          });
        });
    if (!posted.ok()) call->Post([call, posted] { call->Close(posted); });
    return call.get();
  }

  // The blob thread.
  void Send(ReplicateImagesResponse message) override {
    if (closed_) return;
    queue_.push_back(std::move(message));
    if (queue_.size() == 1) StartWrite(&queue_.front());
  }
  void Close(const absl::Status& status) override {
    if (closed_) return;
    closed_ = true;
    Finish(ToGrpcStatus(status));
  }

  // gRPC's threads.
  void OnReadDone(bool ok) override {
    Post([call = shared_from_this(), ok] {
      if (call->closed_) return;
      if (!ok) return call->Lost();
      call->worker_.replicas->OnMessage(call, call->in_, call->Now());
      call->in_.Clear();
      call->Read();
    });
  }
  void OnWriteDone(bool ok) override {
    Post([call = shared_from_this(), ok] {
      if (call->closed_) return;
      if (!ok) return call->Lost();
      call->queue_.pop_front();
      if (!call->queue_.empty()) call->StartWrite(&call->queue_.front());
    });
  }
  void OnCancel() override {
    Post([call = shared_from_this()] { call->Lost(); });
  }
  void OnDone() override {
    Post([call = shared_from_this()] { call->self_.reset(); });
  }

 private:
  PeerCall(Controller& controller, BlobWorker worker) : controller_(controller), worker_(worker) {}

  void Post(std::function<void()> task) { worker_.thread.Post(std::move(task)); }
  absl::Time Now() const { return controller_.engine.Now(); }
  void Read() {
    if (!closed_) StartRead(&in_);
  }
  void Lost() {
    if (closed_) return;
    Close(absl::CancelledError("the standby has gone"));
    if (worker_.replicas != nullptr) worker_.replicas->OnClosed(shared_from_this(), Now());
  }

  Controller& controller_;
  const BlobWorker worker_;
  std::shared_ptr<PeerCall> self_;  // until gRPC is done with it
  ReplicateImagesRequest in_;
  // The first is being written. Replicas bounds it: one wish of a kind, and one for each push.
  std::deque<ReplicateImagesResponse> queue_;
  bool closed_ = false;
};

}  // namespace

grpc::ServerBidiReactor<ReplicateImagesRequest, ReplicateImagesResponse>*
PeerService::ReplicateImages(grpc::CallbackServerContext* context) {
  const CallerPtr caller = calls_.CallerOf(context);
  std::string name = caller == nullptr || caller->is_local() ? "" : caller->peer.id.name;
  return PeerCall::Open(calls_.controller(), worker_, std::move(name),
                        calls_.AdmitTo(context, kReplicateImages, ReplicateImagesRequest()));
}

void PeerService::Stop() {
  if (worker_.replicas == nullptr) return;
  worker_.thread.Post([replicas = worker_.replicas] { replicas->Stop(); });
}

}  // namespace remuda
