#include "common/grpc_log.h"

#include <grpc/support/log.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <string_view>

namespace remuda {
namespace {

// gRPC's threads may log until the process ends, also after spdlog::shutdown().
std::weak_ptr<spdlog::logger>& Target() {
  static auto* const target = new std::weak_ptr<spdlog::logger>;
  return *target;
}

void Log(gpr_log_func_args* line) {
  const std::shared_ptr<spdlog::logger> logger = Target().lock();
  if (logger == nullptr) return;
  const bool is_end = std::string_view(line->message).starts_with("assertion failed");
  logger->log(is_end ? spdlog::level::critical : spdlog::level::debug, "gRPC: {} ({}:{})",
              line->message, line->file, line->line);
  if (is_end) logger->flush();
}

}  // namespace

void TakeLogOfGrpc() {
  Target() = spdlog::default_logger();
  gpr_set_log_function(&Log);
}

}  // namespace remuda
