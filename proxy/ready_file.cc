#include "proxy/ready_file.h"

#include <spdlog/spdlog.h>

#include <cstdio>
#include <fstream>
#include <sstream>

namespace remuda::proxy {

void ReadyFile::Write(const std::string& admin, const std::vector<ListenerReport>& listeners) {
  if (path_.empty()) return;
  std::ostringstream text;
  text << "{\"http\":\"" << admin << "\",\"listeners\":[";
  bool is_first = true;
  for (const ListenerReport& report : listeners) {
    text << (is_first ? "" : ",") << "{\"load_balancer\":\"" << report.load_balancer
         << "\",\"port\":" << report.port << ",\"actual_port\":" << report.actual_port << "}";
    is_first = false;
  }
  text << "]}\n";
  if (text.str() == text_) return;
  text_ = text.str();
  const std::string temporary = path_ + ".new";
  std::ofstream out(temporary, std::ios::trunc);
  out << text_;
  out.close();
  if (!out || std::rename(temporary.c_str(), path_.c_str()) != 0) {
    spdlog::error("{}: cannot be written", path_);
    text_.clear();
  }
}

}  // namespace remuda::proxy
