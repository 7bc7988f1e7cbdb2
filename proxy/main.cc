#include <spdlog/spdlog.h>

#include <iostream>

#include "common/grpc_log.h"
#include "common/identity/join_command.h"
#include "common/logging.h"
#include "proxy/io/kept_memory.h"
#include "proxy/options.h"
#include "proxy/program.h"

int main(int argc, char** argv) {
  if (remuda::identity::IsJoinCommand(argc, argv)) {
    return remuda::identity::RunJoinCommand(argc, argv,
                                            {.program = "remuda-proxy",
                                             .role = remuda::v1::IDENTITY_ROLE_PROXY,
                                             .data_directory = "/var/lib/remuda/proxy",
                                             .next = ""});
  }
  remuda::proxy::KeepMemoryOfOpenSsl();
  remuda::proxy::ProgramOptions options;
  if (const int code = remuda::proxy::ParseOptions(argc, argv, options); code >= 0) return code;
  // Workers log: a reader that has stalled must not stall them.
  if (const std::string error =
          remuda::InitLogging("remuda-proxy", options.log_level, remuda::LogWriter::kBackground);
      !error.empty()) {
    std::cerr << "remuda-proxy: --log-level: " << error << "\n";
    return 2;
  }
  remuda::TakeLogOfGrpc();
  if (!options.controllers.empty()) {
    if (const std::string wrong = remuda::proxy::TakeIdentity(options); !wrong.empty()) {
      std::cerr << "remuda-proxy: " << wrong << "\n";
      return 2;
    }
  }
  int code = 1;
  try {
    code = remuda::proxy::RunProgram(options);
  } catch (const std::exception& error) {
    std::cerr << "remuda-proxy: " << error.what() << "\n";
  }
  spdlog::shutdown();  // what is logged is written
  return code;
}
