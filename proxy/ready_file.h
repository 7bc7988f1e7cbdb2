// The file that says that the proxy serves, and where (--ready-file). Thread: the control loop's.
#pragma once

#include <string>
#include <vector>

#include "proxy/control/listening.h"

namespace remuda::proxy {

class ReadyFile {
 public:
  // An empty path: there is none.
  explicit ReadyFile(std::string path) : path_(std::move(path)) {}

  // In one step, so that whoever waits for the file never reads half of it; and only when it says
  // something new: a busy disk holds the control loop up for seconds, and with it the next ACK.
  void Write(const std::string& admin, const std::vector<ListenerReport>& listeners);

 private:
  const std::string path_;
  std::string text_;  // what it says
};

}  // namespace remuda::proxy
