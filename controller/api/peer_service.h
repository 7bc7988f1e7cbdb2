// PeerService: the calls of standbys that keep images' bytes, each a stream of Replicas. Thread:
// gRPC's, which only post; every operation of a call is started on the blob thread.
#pragma once

#include "controller/api/blob_worker.h"
#include "controller/api/calls.h"
#include "remuda/controller/v1/peer.grpc.pb.h"

namespace remuda {

class PeerService final : public controller::v1::PeerService::CallbackService {
 public:
  // All outlive it and the server. Without worker.replicas calls are UNIMPLEMENTED.
  PeerService(Calls& calls, BlobWorker worker) : calls_(calls), worker_(worker) {}

  grpc::ServerBidiReactor<controller::v1::ReplicateImagesRequest,
                          controller::v1::ReplicateImagesResponse>*
  ReplicateImages(grpc::CallbackServerContext* context) override;

  // Ends all calls, and whatever waits for copies. Any thread.
  void Stop();

 private:
  Calls& calls_;
  const BlobWorker worker_;
};

}  // namespace remuda
