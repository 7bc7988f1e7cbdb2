#include "tests/component/proxy/testing/proxy_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "tests/component/proxy/testing/metrics_text.h"

namespace remuda::proxy::testing {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

int CountOf(const std::string& text, const std::string& part) {
  int count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++count;
  return count;
}

ProxyProcess::ProxyProcess(const std::string& config, std::vector<std::string> flags,
                           size_t descriptors) {
  std::string pattern =
      (std::filesystem::temp_directory_path() / "remuda-proxy-test-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
  directory_ = pattern;
  std::vector<std::string> args = {REMUDA_BIN_DIR "/remuda-proxy", "--admin=127.0.0.1:0",
                                   "--ready-file=" + directory_ + "/ready",
                                   "--access-log=" + directory_ + "/access.log"};
  if (!config.empty()) {
    std::ofstream(directory_ + "/proxy.yaml") << config;
    args.push_back("--config=" + directory_ + "/proxy.yaml");
  }
  const auto names_identity = [](const std::string& flag) {
    return flag.rfind("--identity-dir", 0) == 0;
  };
  if (std::none_of(flags.begin(), flags.end(), names_identity)) args.emplace_back("--insecure");
  args.insert(args.end(), flags.begin(), flags.end());
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  const std::string log = directory_ + "/log";
  pid_ = fork();
  if (pid_ == 0) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that is killed leaves none behind
    const rlimit limit{descriptors, descriptors};
    if (descriptors > 0) setrlimit(RLIMIT_NOFILE, &limit);
    const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
}

ProxyProcess::~ProxyProcess() {
  if (is_running()) {
    kill(-pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

bool ProxyProcess::WaitReady() {
  return WaitUntil(
             [&] { return std::filesystem::exists(directory_ + "/ready") || !is_running(); }) &&
         is_running();
}

uint16_t ProxyProcess::Port(int port) {
  const std::string ready = ReadFile(directory_ + "/ready");
  const std::string key = "\"port\":" + std::to_string(port) + ",\"actual_port\":";
  const size_t at = ready.find(key);
  return at == std::string::npos
             ? 0
             : static_cast<uint16_t>(std::atoi(ready.c_str() + at + key.size()));
}

void ProxyProcess::Signal(int signal) { kill(pid_, signal); }

bool ProxyProcess::is_running() {
  if (pid_ <= 0) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return true;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  pid_ = -1;
  return false;
}

int ProxyProcess::WaitExit() {
  return WaitUntil([&] { return !is_running(); }) ? exit_code_ : -1;
}

std::string ProxyProcess::Admin(const std::string& path) {
  const std::string ready = ReadFile(directory_ + "/ready");
  const std::string key = "\"http\":\"127.0.0.1:";
  const size_t at = ready.find(key);
  if (at == std::string::npos) return "";
  RawSocket socket =
      RawSocket::Connect(static_cast<uint16_t>(std::atoi(ready.c_str() + at + key.size())));
  if (!socket.is_open() || !socket.Send("GET " + path + " HTTP/1.1\r\nHost: admin\r\n\r\n"))
    return "";
  const std::string answer = socket.ReadToEnd();
  const size_t body = answer.find("\r\n\r\n");
  return body == std::string::npos ? "" : answer.substr(body + 4);
}

double ProxyProcess::Metric(const std::string& name) {
  return ParseMetrics(Admin("/metrics")).Sum(name);
}

std::string ProxyProcess::AccessLog() { return ReadFile(directory_ + "/access.log"); }

std::chrono::milliseconds ProxyProcess::CpuTime() const {
  const std::string stat = ReadFile("/proc/" + std::to_string(pid_) + "/stat");
  std::istringstream fields(stat.substr(stat.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  long user = 0, system = 0;
  fields >> user >> system;
  return std::chrono::milliseconds((user + system) * 1000 / sysconf(_SC_CLK_TCK));
}

size_t ProxyProcess::ResidentBytes() const {
  std::istringstream fields(ReadFile("/proc/" + std::to_string(pid_) + "/statm"));
  size_t total = 0, resident = 0;
  fields >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

size_t ProxyProcess::Descriptors() const {
  const std::filesystem::directory_iterator all("/proc/" + std::to_string(pid_) + "/fd");
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

std::string ProxyProcess::Log() { return ReadFile(directory_ + "/log"); }

bool ProxyProcess::WaitHealthy(int count) {
  return WaitUntil([&] { return CountOf(Admin("/targets"), "\"health\":\"healthy\"") == count; });
}

ServingProxy::ServingProxy(const std::string& config, std::vector<std::string> flags)
    : ProxyProcess(config, std::move(flags)) {
  // Each target of the config is a line of its own; forward actions name groups too.
  if (!WaitReady() || !WaitHealthy(CountOf(config, "- { targetGroup: ")))
    throw std::runtime_error("the proxy does not serve:\n" + Admin("/targets") + Log());
}

}  // namespace remuda::proxy::testing
