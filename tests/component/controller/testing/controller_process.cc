#include "tests/component/controller/testing/controller_process.h"

#include <fcntl.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/wait.h"

namespace remuda {
namespace {

constexpr auto kStartTimeout = std::chrono::seconds(60);

std::string ReadFile(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

// The text of a key in the ready file.
std::string Field(const std::string& json, const std::string& key) {
  const size_t at = json.find("\"" + key + "\": \"");
  if (at == std::string::npos) return "";
  const size_t begin = at + key.size() + 5;
  return json.substr(begin, json.find('"', begin) - begin);
}

// Runs the program with its output in a file.
pid_t Spawn(const std::vector<std::string>& flags, const std::string& output) {
  std::vector<std::string> arguments = {REMUDA_BIN_DIR "/remuda-controller"};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int fd = open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  dup2(fd, STDOUT_FILENO);
  dup2(fd, STDERR_FILENO);
  execv(argv[0], argv.data());
  _exit(127);
}

int WaitFor(pid_t pid) {
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

std::string MakeDirectory(const std::string& base = "/tmp") {
  std::string path = base + "/remuda-controller-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) std::abort();
  return path;
}

}  // namespace

ControllerProcess::ControllerProcess(const std::string& base)
    : directory_(MakeDirectory(base)), data_dir_(directory_ + "/data"), grpc_("127.0.0.1:0") {}

ControllerProcess::~ControllerProcess() {
  if (pid_ > 0) Stop(SIGKILL);
  std::filesystem::remove_all(directory_);
}

void ControllerProcess::Start(std::vector<std::string> more_flags) {
  if (Launch(grpc_, std::move(more_flags))) return;
  std::fprintf(stderr, "remuda-controller does not get ready:\n%s\n", Log().c_str());
  std::abort();
}

bool ControllerProcess::TryStart(std::vector<std::string> more_flags) {
  if (Launch("127.0.0.1:0", std::move(more_flags))) return true;
  if (pid_ > 0) Stop(SIGKILL);
  return false;
}

void ControllerProcess::Signal(int signal) const { kill(pid_, signal); }

void ControllerProcess::Begin(std::vector<std::string> more_flags) {
  Spawn(grpc_, std::move(more_flags));
}

void ControllerProcess::Spawn(const std::string& grpc, std::vector<std::string> more_flags) {
  const std::string ready = directory_ + "/ready";
  std::filesystem::remove(ready);
  std::vector<std::string> flags = {"--listen",   grpc,      "--http",       "127.0.0.1:0",
                                    "--data-dir", data_dir_, "--ready-file", ready};
  if (has_identities_) {
    flags.insert(flags.end(), {"--join-listen", "127.0.0.1:0"});
  } else {
    flags.push_back("--insecure");
  }
  flags.insert(flags.end(), more_flags.begin(), more_flags.end());
  pid_ = remuda::Spawn(flags, directory_ + "/log");
}

bool ControllerProcess::Launch(const std::string& grpc, std::vector<std::string> more_flags) {
  const std::string ready = directory_ + "/ready";
  Spawn(grpc, std::move(more_flags));
  WaitUntil([&] { return std::filesystem::exists(ready) || !IsAlive(); }, kStartTimeout);
  if (!std::filesystem::exists(ready)) return false;
  const std::string text = ReadFile(ready);
  grpc_ = Field(text, "grpc");
  http_ = Field(text, "http");
  join_ = Field(text, "join");
  return true;
}

int ControllerProcess::RunToEnd(const std::vector<std::string>& flags, std::string* output) {
  const std::string directory = MakeDirectory();
  const int code = WaitFor(remuda::Spawn(flags, directory + "/log"));
  *output = ReadFile(directory + "/log");
  std::filesystem::remove_all(directory);
  return code;
}

int ControllerProcess::Stop(int signal) {
  kill(pid_, signal);
  const int code = WaitFor(pid_);
  pid_ = -1;
  return code;
}

bool ControllerProcess::IsAlive() const {
  return pid_ > 0 &&
         waitid(P_PID, static_cast<id_t>(pid_), nullptr, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         kill(pid_, 0) == 0 &&
         ReadFile("/proc/" + std::to_string(pid_) + "/stat").find(") Z ") == std::string::npos;
}

std::shared_ptr<grpc::Channel> ControllerProcess::Channel() const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(grpc_, grpc::InsecureChannelCredentials(), arguments);
}

std::string ControllerProcess::Log() const { return ReadFile(directory_ + "/log"); }

}  // namespace remuda
