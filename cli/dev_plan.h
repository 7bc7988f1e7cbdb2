// Which programs `remuda dev` runs, and with which arguments. Pure.
#pragma once

#include <absl/status/status.h>

#include <string>
#include <vector>

namespace remuda::cli {

inline constexpr int kMaxDevHosts = 100;
inline constexpr int kMaxDevProxies = 16;

// Ports of 0 are picked by the system. Those of agents and proxies are the first one's; the next
// follow it.
struct DevOptions {
  int hosts = 2;
  int proxies = 1;
  std::vector<std::string> zones;  // of hosts and of proxies, in turn; empty: see DevHostZone
  std::string data_dir = ".remuda/dev";
  int controller_port = 7400;
  int controller_http_port = 7480;
  int agent_http_port = 7470;
  int proxy_http_port = 7490;
  std::string log_level = "info";
  std::string program_dir;      // where remuda-controller, remuda-agent and remuda-proxy are
  std::string ready_file;       // empty: none
  int join_port = 7443;         // where the controller's join endpoint is
  bool insecure = false;        // no identities
  std::string context = "dev";  // of the settings file; empty: none is put there
};

// The order is the one they are started in; they are stopped in StopStage's.
enum class DevRole { kController, kAgent, kProxy };

// One program. A port of 0 is replaced by the picked one once it is known, so that a restart takes
// the same again.
struct DevProgram {
  DevRole role = DevRole::kController;
  std::string name;   // controller, h1, p1
  int index = 0;      // from 0 within its role
  int grpc_port = 0;  // the controller's
  int join_port = 0;  // the controller's
  int http_port = 0;
};

// The controller first. INVALID_ARGUMENT names the flag: a count out of range, or one port for two
// programs.
absl::Status CheckDevOptions(const DevOptions& options);
std::vector<DevProgram> PlanDev(const DevOptions& options);

// A port that a program listens on, and the flag that decides it, for messages.
struct DevPort {
  std::string flag;
  int port = 0;  // 0: any
};
std::vector<DevPort> PortsOf(const DevProgram& program);

// "127.0.0.1:PORT".
std::string Loopback(int port);

// FIRST-LAST: the user ids that hN's instances get, none of which another host of this machine
// gives.
inline constexpr int kDevUsersOfHost = 1'000;
std::string DevUserRange(int index);

// Where hN's instances listen: 127.0.1.N.
std::string DevHostAddress(int index);
// hN's zone: of the options' zones, or else a, b, …
std::string DevHostZone(const DevOptions& options, int index);
// pN's: of the options' zones, or else none.
std::string DevProxyZone(const DevOptions& options, int index);

std::string DevReadyFile(const DevOptions& options, const DevProgram& program);
std::string DevLogFile(const DevOptions& options, const DevProgram& program);
std::string DevProgramDataDir(const DevOptions& options, const DevProgram& program);

// argv of a program, its path first. `controller` is HOST:PORT.
std::vector<std::string> DevArguments(const DevOptions& options, const DevProgram& program,
                                      const std::string& controller);

// Proxies first (they finish requests while the apps still run), then the controller (so that it
// does not replace what is about to end), then the agents with their apps.
int StopStage(DevRole role);
inline constexpr int kStopStages = 3;

}  // namespace remuda::cli
