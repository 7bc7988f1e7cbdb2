#include "cli/dev_plan.h"

#include <absl/strings/str_cat.h>

#include <map>

namespace remuda::cli {
namespace {

constexpr int kMaxPort = 65535;
constexpr int kZones = 26;
constexpr size_t kMaxZoneBytes = 63;

int Nth(int first_port, int index) { return first_port == 0 ? 0 : first_port + index; }

}  // namespace

std::string Loopback(int port) { return absl::StrCat("127.0.0.1:", port); }

absl::Status CheckDevOptions(const DevOptions& options) {
  if (options.hosts < 1 || options.hosts > kMaxDevHosts) {
    return absl::InvalidArgumentError(
        absl::StrCat("--hosts ", options.hosts, " is not within 1 and ", kMaxDevHosts));
  }
  if (options.proxies < 0 || options.proxies > kMaxDevProxies) {
    return absl::InvalidArgumentError(
        absl::StrCat("--proxies ", options.proxies, " is not within 0 and ", kMaxDevProxies));
  }
  for (const std::string& zone : options.zones) {
    if (zone.empty() || zone.size() > kMaxZoneBytes) {
      return absl::InvalidArgumentError(absl::StrCat("--zones: \"", zone,
                                                     "\" is not a zone's name of 1 to ",
                                                     kMaxZoneBytes, " bytes: write them as a,b"));
    }
  }
  std::map<int, std::string> owners;  // port → the flag and the program
  for (const DevProgram& program : PlanDev(options)) {
    for (const auto& [flag, port] : PortsOf(program)) {
      if (port == 0) continue;
      if (port < 0 || port > kMaxPort) {
        return absl::InvalidArgumentError(absl::StrCat(flag, ": port ", port, " of ", program.name,
                                                       " is not within 0 and ", kMaxPort));
      }
      const std::string owner = absl::StrCat(program.name, " (", flag, ")");
      if (const auto [it, is_new] = owners.emplace(port, owner); !is_new) {
        return absl::InvalidArgumentError(
            absl::StrCat("port ", port, " would be for both ", it->second, " and ", owner,
                         ": choose another, or 0 for any that is free"));
      }
    }
  }
  return absl::OkStatus();
}

std::vector<DevProgram> PlanDev(const DevOptions& options) {
  std::vector<DevProgram> programs;
  programs.push_back({.role = DevRole::kController,
                      .name = "controller",
                      .index = 0,
                      .grpc_port = options.controller_port,
                      .join_port = options.insecure ? 0 : options.join_port,
                      .http_port = options.controller_http_port});
  for (int i = 0; i < options.hosts; ++i) {
    programs.push_back({.role = DevRole::kAgent,
                        .name = absl::StrCat("h", i + 1),
                        .index = i,
                        .http_port = Nth(options.agent_http_port, i)});
  }
  for (int i = 0; i < options.proxies; ++i) {
    programs.push_back({.role = DevRole::kProxy,
                        .name = absl::StrCat("p", i + 1),
                        .index = i,
                        .http_port = Nth(options.proxy_http_port, i)});
  }
  return programs;
}

std::vector<DevPort> PortsOf(const DevProgram& program) {
  switch (program.role) {
    case DevRole::kController:
      return {{"--controller-port", program.grpc_port},
              {"--controller-http-port", program.http_port},
              {"--join-port", program.join_port}};
    case DevRole::kAgent:
      return {{"--agent-http-port", program.http_port}};
    case DevRole::kProxy:
      return {{"--proxy-http-port", program.http_port}};
  }
  return {};
}

std::string DevHostAddress(int index) { return absl::StrCat("127.0.1.", index + 1); }

std::string DevUserRange(int index) {
  constexpr int kFirst = 700'000;  // of the agent's own default
  const int first = kFirst + index * kDevUsersOfHost;
  return absl::StrCat(first, "-", first + kDevUsersOfHost - 1);
}

std::string DevHostZone(const DevOptions& options, int index) {
  if (!options.zones.empty()) return DevProxyZone(options, index);
  return std::string(1, static_cast<char>('a' + index % kZones));
}

std::string DevProxyZone(const DevOptions& options, int index) {
  if (options.zones.empty()) return "";
  return options.zones[static_cast<size_t>(index) % options.zones.size()];
}

std::string DevReadyFile(const DevOptions& options, const DevProgram& program) {
  return absl::StrCat(options.data_dir, "/run/", program.name, ".ready");
}

std::string DevLogFile(const DevOptions& options, const DevProgram& program) {
  return absl::StrCat(options.data_dir, "/logs/", program.name, ".log");
}

std::string DevProgramDataDir(const DevOptions& options, const DevProgram& program) {
  switch (program.role) {
    case DevRole::kController:
      return options.data_dir + "/controller";
    case DevRole::kAgent:
      return options.data_dir + "/agents/" + program.name;
    case DevRole::kProxy:
      return options.data_dir + "/proxies/" + program.name;
  }
  return "";
}

std::vector<std::string> DevArguments(const DevOptions& options, const DevProgram& program,
                                      const std::string& controller) {
  const std::vector<std::string> shared = {"--data-dir",   DevProgramDataDir(options, program),
                                           "--ready-file", DevReadyFile(options, program),
                                           "--log-level",  options.log_level};
  std::vector<std::string> out;
  switch (program.role) {
    case DevRole::kController:
      out = {options.program_dir + "/remuda-controller", "--listen", Loopback(program.grpc_port),
             "--http", Loopback(program.http_port)};
      if (!options.insecure) {
        // Its admin's token is used by each start.
        out.insert(out.end(), {"--join-listen", Loopback(program.join_port), "--new-admin-token"});
      }
      break;
    case DevRole::kAgent:
      out = {options.program_dir + "/remuda-agent",
             "--name",
             program.name,
             "--controller",
             controller,
             "--address",
             DevHostAddress(program.index),
             "--zone",
             DevHostZone(options, program.index),
             "--admin",
             Loopback(program.http_port),
             "--user-range",
             DevUserRange(program.index),
             "--stop-instances-on-exit"};
      break;
    case DevRole::kProxy:
      out = {options.program_dir + "/remuda-proxy", "--name", program.name, "--controller",
             controller, "--admin", Loopback(program.http_port),
             // A cluster to try things with is not for the network: whoever wants it there says
             // so in the listener's address.
             "--default-listen-address", "127.0.0.1"};
      if (const std::string zone = DevProxyZone(options, program.index); !zone.empty())
        out.insert(out.end(), {"--zone", zone});
      break;
  }
  out.insert(out.end(), shared.begin(), shared.end());
  if (options.insecure) out.emplace_back("--insecure");
  return out;
}

int StopStage(DevRole role) {
  switch (role) {
    case DevRole::kProxy:
      return 0;
    case DevRole::kController:
      return 1;
    case DevRole::kAgent:
      return 2;
  }
  return 0;
}

}  // namespace remuda::cli
