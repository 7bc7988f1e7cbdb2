// Options: the controller's settings: flag > environment (REMUDA_*) > file (--config) > default.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/endpoint.h"
#include "controller/core/door/execute.h"
#include "controller/core/model/observations.h"
#include "controller/identity/identity_options.h"
#include "controller/kubernetes/api_address.h"
#include "controller/limits.h"
#include "controller/store/store_options.h"

namespace remuda {

struct Options {
  std::string controller_name;  // as identities are named; default: the machine's
  std::string listen = "127.0.0.1:7400";
  std::string http = "127.0.0.1:7480";
  std::string data_dir;
  StoreFlags store_flags;
  StoreOptions store;            // what they say
  std::string sealing_key_file;  // see controller/store/sealing_keys.h; default: in data_dir
  bool insecure = false;
  IdentityOptions identity;
  bool open_admin = false;
  core::Patience patience;
  core::AnalysisCommands analysis_commands;
  KubernetesFlags kubernetes_flags;
  ApiAddress kubernetes;  // what they say, or what a pod finds
  absl::Duration metric_period = absl::Seconds(5);
  int64_t image_limit_bytes = limits::kDefaultImageLimitBytes;
  // Where images' bytes are kept; empty: in data_dir. Set: all controllers have the directory in
  // common.
  std::string blobs;
  // Controllers that must hold what is pushed, this one included, 1-64. 0: the default of the
  // store.
  int image_copies = 0;
  std::string image_keys;  // a file; see ImageKeys. Empty: images need no signature
  std::string ready_file;
  std::string log_level = "info";
  std::vector<std::string> failpoints;  // valid ones; see Failpoints::Parse
};

// Fills `options`. -1: go on; else the program's exit code (0 after --help and --version, 2 for a
// wrong use), with what is to be said already printed.
int ParseOptions(int argc, char** argv, Options& options);

// The command line for a program that takes this one's place: `words` with the ports that it really
// has.
std::vector<std::string> WordsToBeginAnew(const std::vector<std::string>& words,
                                          const Options& options);

// Names and addresses by which the controller is reached.
std::vector<std::string> HostsOf(const Options& options);

}  // namespace remuda
