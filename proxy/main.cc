#include <iostream>

#include "common/logging.h"
#include "proxy/kept_memory.h"
#include "proxy/options.h"
#include "proxy/program.h"

int main(int argc, char** argv) {
  remuda::proxy::KeepMemoryOfOpenSsl();
  remuda::proxy::ProgramOptions options;
  if (const int code = remuda::proxy::ParseOptions(argc, argv, options); code >= 0) return code;
  if (const std::string error = remuda::InitLogging("remuda-proxy", options.log_level);
      !error.empty()) {
    std::cerr << "remuda-proxy: --log-level: " << error << "\n";
    return 2;
  }
  try {
    return remuda::proxy::RunProgram(options);
  } catch (const std::exception& error) {
    std::cerr << "remuda-proxy: " << error.what() << "\n";
    return 1;
  }
}
