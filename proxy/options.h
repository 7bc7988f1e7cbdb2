// What the program was told: flag > REMUDA_* environment > file (--settings) > default.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/identity/dial.h"
#include "proxy/core/access_line.h"
#include "proxy/io/settings.h"

namespace remuda::proxy {

struct ProgramOptions {
  std::string config;                    // file; empty: from the controller
  bool check = false;                    // only say whether the file is right
  std::vector<std::string> controllers;  // HOST:PORT of each; empty: from the file
  std::string identity_directory;
  bool insecure = false;
  identity::Dial dial;  // filled by TakeIdentity
  std::string name;     // empty: that of the identity
  std::string zone;
  std::string address;  // for people
  std::map<std::string, std::string> labels;
  std::string data_dir;     // empty: nothing is kept
  bool takes_over = false;  // from the process that serves from data_dir, if there is one
  std::string default_listen_address;  // of listeners that name none; empty: all addresses
  std::string admin_address = "127.0.0.1";
  uint16_t admin_port = 7490;
  size_t workers = 0;      // 0: one a core
  std::string access_log;  // file, "-" for stdout, empty: none
  AccessLogFormat access_log_format = AccessLogFormat::kAlb;
  std::string ready_file;
  std::string log_level = "info";
  std::chrono::milliseconds drain_delay{0};
  std::chrono::milliseconds drain_timeout{30000};
  bool is_ready_without_lease = false;
  Settings settings;
  std::vector<std::string> arguments;  // as it was started, from its name on
};

// Reads argv and the environment. Returns an exit code when the program shall end at once (--help,
// --version, bad usage), -1 to go on.
int ParseOptions(int argc, char** argv, ProgramOptions& options);

// How the controller is dialled, and by which name. Empty, or what is wrong, for a person.
std::string TakeIdentity(ProgramOptions& options);

}  // namespace remuda::proxy
