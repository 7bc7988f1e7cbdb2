// ControllerProcess: the real remuda-controller on ports of its own, in a directory of its own.
#pragma once

#include <grpcpp/channel.h>
#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

namespace remuda {

class ControllerProcess {
 public:
  // Its directory is made in `base`.
  explicit ControllerProcess(const std::string& base = "/tmp");
  ControllerProcess(const ControllerProcess&) = delete;
  ControllerProcess& operator=(const ControllerProcess&) = delete;
  ~ControllerProcess();  // kills it and removes the directory

  // Starts it and waits until it says that it is ready. On the port it had before, if it ran
  // before.
  void Start(std::vector<std::string> more_flags = {});
  // The same on a new port each time; false if it ends before it is ready, as a failpoint may wish.
  bool TryStart(std::vector<std::string> more_flags = {});
  // Starts it, on the port it had before, and does not wait: one that may never be ready.
  void Begin(std::vector<std::string> more_flags);
  // Starts a program with exactly these flags and waits for its end: its exit code, with all that
  // it printed in *output.
  static int RunToEnd(const std::vector<std::string>& flags, std::string* output);
  // Signals it.
  void Signal(int signal) const;
  // Signals it and waits: the exit code, or -signal.
  int Stop(int signal);
  bool IsAlive() const;
  pid_t pid() const { return pid_; }

  const std::string& data_dir() const { return data_dir_; }
  const std::string& grpc_address() const { return grpc_; }
  const std::string& http_address() const { return http_; }
  // Of the join endpoint; empty without identities.
  const std::string& join_address() const { return join_; }
  // A new connection.
  std::shared_ptr<grpc::Channel> Channel() const;
  // What it logged, for a failed test.
  std::string Log() const;

  // From the next start on the API is served with identities; Channel() has none then.
  void UseIdentities() { has_identities_ = true; }

 private:
  void Spawn(const std::string& grpc, std::vector<std::string> more_flags);
  bool Launch(const std::string& grpc, std::vector<std::string> more_flags);

  bool has_identities_ = false;
  std::string directory_;
  std::string data_dir_;
  std::string grpc_;
  std::string http_ = "127.0.0.1:0";
  std::string join_;
  pid_t pid_ = -1;
};

}  // namespace remuda
