// The real remuda-proxy as a child in its own process group and directory, ended with a deadline.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "tests/component/proxy/testing/raw_socket.h"
#include "tests/wait.h"

namespace remuda::proxy::testing {

class ProxyProcess {
 public:
  // Starts it; `config` (YAML) is written to a file and given as --config if it is not empty. Port
  // 0 everywhere. `descriptors`: how many it may have at most; 0: as many as the test.
  ProxyProcess(const std::string& config, std::vector<std::string> flags, size_t descriptors = 0);
  ProxyProcess(const ProxyProcess&) = delete;
  ProxyProcess& operator=(const ProxyProcess&) = delete;
  virtual ~ProxyProcess();  // SIGKILL if it still runs

  // Waits for the ready file.
  bool WaitReady();
  // The real port of the listener configured as `port`; 0 if there is none.
  uint16_t Port(int port = 0);
  const std::string& directory() const { return directory_; }
  pid_t pid() const { return pid_; }
  void Signal(int signal);
  // Its exit code, or -1 if it does not end in time.
  int WaitExit();
  bool is_running();

  // The body of an admin page.
  std::string Admin(const std::string& path);
  // The sum of a metric's series that have at least these labels, as "request_count_total" or
  // "http_code_elb_total{class=\"5XX\"}"; -1 if there is none.
  double Metric(const std::string& name);
  std::string AccessLog();
  // Of all its threads so far.
  std::chrono::milliseconds CpuTime() const;
  size_t ResidentBytes() const;
  // How many descriptors it has open.
  size_t Descriptors() const;
  // What it has said so far, for failures.
  std::string Log();
  // Waits until that many targets are healthy.
  bool WaitHealthy(int count);

 private:
  std::string directory_;
  pid_t pid_ = -1;
  int exit_code_ = -1;
};

// How often `part` stands in `text`.
int CountOf(const std::string& text, const std::string& part);

// One that serves once it is made: it is ready, and every target of `config` is healthy. Throws if
// that does not come about in time.
class ServingProxy : public ProxyProcess {
 public:
  explicit ServingProxy(const std::string& config,
                        std::vector<std::string> flags = {"--workers=1"});
};

}  // namespace remuda::proxy::testing
