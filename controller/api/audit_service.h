// AuditService: shows the audit log. Thread: gRPC's; what it posts runs on the loop or is answered
// by the log's thread.
#pragma once

#include "controller/api/calls.h"
#include "remuda/v1/audit.grpc.pb.h"

namespace remuda {

class AuditService final : public v1::AuditService::CallbackService {
 public:
  explicit AuditService(Calls& calls) : calls_(calls) {}

  grpc::ServerUnaryReactor* ListAuditRecords(grpc::CallbackServerContext* context,
                                             const v1::ListAuditRecordsRequest* request,
                                             v1::ListAuditRecordsResponse* answer) override;
  grpc::ServerWriteReactor<v1::WatchAuditRecordsResponse>* WatchAuditRecords(
      grpc::CallbackServerContext* context, const v1::WatchAuditRecordsRequest* request) override;

 private:
  Calls& calls_;
};

}  // namespace remuda
