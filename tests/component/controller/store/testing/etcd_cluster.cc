#include "tests/component/controller/store/testing/etcd_cluster.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/wait.h"

namespace remuda {
namespace {

constexpr int kStartTries = 5;  // another program may take a port that was free

int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::abort();
  }
  close(fd);
  return ntohs(address.sin_port);
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void Run(const std::string& command) {
  if (std::system(command.c_str()) != 0) {
    std::fprintf(stderr, "failed: %s\n", command.c_str());
    std::abort();
  }
}

}  // namespace

EtcdCluster::EtcdCluster(Options options) : options_(std::move(options)) {
  char path[] = "/tmp/remuda-etcd-XXXXXX";
  if (mkdtemp(path) == nullptr) std::abort();
  directory_ = path;
  if (options_.has_tls) MakeCertificates();
  for (int tries = 0; tries < kStartTries; ++tries) {
    for (int i = 0; i < options_.members; ++i) {
      std::filesystem::remove_all(file("data-" + std::to_string(i)));
      members_.push_back({.client_port = FreePort(), .peer_port = FreePort()});
    }
    for (int i = 0; i < options_.members; ++i) Start(i);
    if (AwaitWritable()) return;
    std::fprintf(stderr, "etcd did not start:\n%s\n", ReadFile(file("log-0")).c_str());
    End();
  }
  std::abort();
}

EtcdCluster::~EtcdCluster() {
  End();
  std::filesystem::remove_all(directory_);
}

void EtcdCluster::End() {
  for (int i = 0; i < size(); ++i) Kill(i);
  members_.clear();
}

std::string EtcdCluster::endpoint(int member) const {
  return "127.0.0.1:" + std::to_string(port(member));
}

std::vector<std::string> EtcdCluster::endpoints() const {
  std::vector<std::string> out;
  for (int i = 0; i < size(); ++i) out.push_back(endpoint(i));
  return out;
}

void EtcdCluster::MakeCertificates() {
  const std::string quiet = " >/dev/null 2>&1";
  const std::string key = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes ";
  Run("cd " + directory_ + " && " + key + "-x509 -days 2 -subj /CN=ca -keyout ca.key -out ca.pem" +
      quiet);
  std::ofstream(file("names")) << "subjectAltName=IP:127.0.0.1\n";
  for (const std::string name : {"server", "client"}) {
    Run("cd " + directory_ + " && " + key + "-subj /CN=" + name + " -keyout " + name +
        ".key -out " + name + ".csr" + quiet + " && openssl x509 -req -days 2 -in " + name +
        ".csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out " + name + ".pem" +
        quiet);
  }
}

void EtcdCluster::Start(int member) {
  const std::string scheme = options_.has_tls ? "https://" : "http://";
  const auto peer = [this](int i) {
    return "http://127.0.0.1:" + std::to_string(members_[static_cast<size_t>(i)].peer_port);
  };
  std::string cluster;
  for (int i = 0; i < size(); ++i)
    cluster += (i == 0 ? "m" : ",m") + std::to_string(i) + "=" + peer(i);
  const std::string name = "m" + std::to_string(member);
  const std::string client = scheme + endpoint(member);
  std::vector<std::string> arguments = {"etcd",
                                        "--name=" + name,
                                        "--data-dir=" + file("data-" + std::to_string(member)),
                                        "--listen-client-urls=" + client,
                                        "--advertise-client-urls=" + client,
                                        "--listen-peer-urls=" + peer(member),
                                        "--initial-advertise-peer-urls=" + peer(member),
                                        "--initial-cluster=" + cluster,
                                        "--initial-cluster-token=" + directory_,
                                        "--heartbeat-interval=50",
                                        "--election-timeout=500",
                                        "--logger=zap",
                                        "--log-level=error"};
  if (options_.has_tls) {
    arguments.insert(arguments.end(),
                     {"--cert-file=" + file("server.pem"), "--key-file=" + file("server.key"),
                      "--client-cert-auth", "--trusted-ca-file=" + file("ca.pem")});
  }
  arguments.insert(arguments.end(), options_.flags.begin(), options_.flags.end());
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const std::string log = file("log-" + std::to_string(member));
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  members_[static_cast<size_t>(member)].pid = pid;
}

void EtcdCluster::Signal(int member, int signal) {
  const pid_t pid = members_[static_cast<size_t>(member)].pid;
  if (pid > 0) kill(pid, signal);
}

void EtcdCluster::Kill(int member) {
  Member& one = members_[static_cast<size_t>(member)];
  if (one.pid <= 0) return;
  kill(one.pid, SIGKILL);
  waitpid(one.pid, nullptr, 0);
  one.pid = -1;
}

void EtcdCluster::Save(int member) {
  const std::string data = file("data-" + std::to_string(member));
  std::filesystem::copy(data, data + "-saved", std::filesystem::copy_options::recursive);
}

void EtcdCluster::PutBack(int member) {
  const std::string data = file("data-" + std::to_string(member));
  std::filesystem::remove_all(data);
  std::filesystem::copy(data + "-saved", data, std::filesystem::copy_options::recursive);
}

bool EtcdCluster::Ctl(const std::string& arguments, std::string* out, const std::string& input) {
  std::string endpoints;
  for (const std::string& one : this->endpoints())
    endpoints += (endpoints.empty() ? "" : ",") + one;
  std::string command = "ETCDCTL_API=3 etcdctl --endpoints=" + endpoints;
  if (options_.has_tls) {
    command += " --cacert=" + file("ca.pem") + " --cert=" + file("client.pem") +
               " --key=" + file("client.key");
  }
  std::ofstream(file("input")) << input;
  command +=
      " " + arguments + " <" + file("input") + " >" + file("output") + " 2>" + file("errors");
  const bool is_ok = std::system(command.c_str()) == 0;
  if (out != nullptr) *out = ReadFile(file("output"));
  return is_ok;
}

bool EtcdCluster::AwaitWritable() {
  return WaitUntil([this] { return Ctl("--command-timeout=1s put test/writable 1"); });
}

int EtcdCluster::Leader() {
  for (int i = 0; i < size(); ++i) {
    std::string out;
    // The fifth column: whether it leads.
    Ctl("--command-timeout=1s endpoint status", &out);
    std::istringstream lines(out);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with(endpoint(i) + ",") && line.find(", true,") != std::string::npos)
        return i;
    }
  }
  return -1;
}

}  // namespace remuda
