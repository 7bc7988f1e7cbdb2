// EtcdCluster: real etcds for a test, on free ports, in a directory of their own that goes with
// them. Thread: the test's.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace remuda {

class EtcdCluster {
 public:
  struct Options {
    int members = 1;
    std::vector<std::string> flags = {};  // beside those that it needs
    bool has_tls = false;                 // and wants certificates of clients
  };
  EtcdCluster() : EtcdCluster(Options()) {}
  // Aborts if they do not come up.
  explicit EtcdCluster(Options options);
  EtcdCluster(const EtcdCluster&) = delete;
  EtcdCluster& operator=(const EtcdCluster&) = delete;
  ~EtcdCluster();

  int size() const { return static_cast<int>(members_.size()); }
  std::string endpoint(int member) const;  // 127.0.0.1:PORT
  std::vector<std::string> endpoints() const;
  int port(int member) const { return members_[static_cast<size_t>(member)].client_port; }
  std::string file(const std::string& name) const { return directory_ + "/" + name; }

  void Signal(int member, int signal);
  void Kill(int member);   // SIGKILL
  void Start(int member);  // again, with what is on its disk; does not wait
  // What is on a killed member's disk is kept aside, and takes the place of what is there later.
  void Save(int member);
  void PutBack(int member);
  // Until a write works; false: it does not in time.
  bool AwaitWritable();
  // The member that leads the others; -1: none.
  int Leader();

  // Runs etcdctl at all members with `input`; false if it fails. `out`: what it printed.
  bool Ctl(const std::string& arguments, std::string* out = nullptr, const std::string& input = "");

 private:
  struct Member {
    pid_t pid = -1;
    int client_port = 0;
    int peer_port = 0;
  };
  void MakeCertificates();
  void End();

  const Options options_;
  std::string directory_;
  std::vector<Member> members_;
};

}  // namespace remuda
