// BackupService: an archive by stream, made on a thread of its own.
#pragma once

#include <atomic>
#include <memory>

#include "controller/api/calls.h"
#include "controller/api/image_service.h"
#include "controller/backup/backups.h"
#include "remuda/v1/backup.grpc.pb.h"

namespace remuda {

// What makes backups, and the one thread that does: it waits for whoever reads.
struct BackupWorker {
  Backups& backups;
  TaskThread& thread;
};

class BackupService final : public v1::BackupService::CallbackService {
 public:
  // All outlive it and the server.
  BackupService(Calls& calls, BackupWorker worker, BlobWorker blobs)
      : calls_(calls), worker_(worker), blobs_(blobs) {}

  grpc::ServerWriteReactor<v1::CreateBackupResponse>* CreateBackup(
      grpc::CallbackServerContext* context, const v1::CreateBackupRequest* request) override;

 private:
  Calls& calls_;
  const BackupWorker worker_;
  const BlobWorker blobs_;
  // Shared with the call, which may outlive the server for a moment.
  const std::shared_ptr<std::atomic<bool>> busy_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace remuda
