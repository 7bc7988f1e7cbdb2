// Runs the real `remuda` program as a user does, for tests.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "tests/wait.h"

namespace remuda::testing_cli {

struct Finished {
  int exit_code = -1;  // -1: ended by a signal
  std::string out;
  std::string err;
};

// A running program with its outputs in files.
class RemudaProcess {
 public:
  // `environment` is added to a small, fixed one. `arguments` come after the program's name.
  RemudaProcess(const std::vector<std::string>& arguments,
                const std::map<std::string, std::string>& environment);
  RemudaProcess(const RemudaProcess&) = delete;
  RemudaProcess& operator=(const RemudaProcess&) = delete;
  ~RemudaProcess();  // kills

  void Signal(int signal) const;
  // Waits for its end; a test failure after 60 s.
  Finished Wait();
  std::string out() const;
  std::string err() const;
  pid_t pid() const { return pid_; }

 private:
  std::string directory_;
  pid_t pid_ = -1;
};

Finished RunRemuda(const std::vector<std::string>& arguments,
                   const std::map<std::string, std::string>& environment);

std::string MakeTempDir();
std::string ReadAll(const std::string& path);
void WriteAll(const std::string& path, const std::string& text);

}  // namespace remuda::testing_cli
