#include "tests/component/proxy/http/other_parser.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

namespace remuda::proxy::testing {

OtherParser::OtherParser(Messages messages) {
  int to[2], from[2];
  if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) return;
  pid_ = fork();
  if (pid_ == 0) {
    dup2(to[0], STDIN_FILENO);
    dup2(from[1], STDOUT_FILENO);
    execlp("node", "node", REMUDA_SOURCE_DIR "/tests/component/proxy/http/llhttp_frames.js",
           messages == Messages::kRequests ? "requests" : "responses", nullptr);
    _exit(127);
  }
  close(to[0]);
  close(from[1]);
  in_ = fdopen(to[1], "w");
  out_ = fdopen(from[0], "r");
}

OtherParser::~OtherParser() {
  if (in_ != nullptr) fclose(in_);
  if (out_ != nullptr) fclose(out_);
  if (pid_ > 0) kill(pid_, SIGKILL), waitpid(pid_, nullptr, 0);
}

std::vector<std::vector<std::string>> OtherParser::Read(const std::vector<std::string>& streams) {
  std::thread writer([&] {
    for (const std::string& stream : streams) {
      const uint32_t size = static_cast<uint32_t>(stream.size());
      fwrite(&size, sizeof size, 1, in_);
      fwrite(stream.data(), 1, stream.size(), in_);
    }
    fflush(in_);
  });
  std::vector<std::vector<std::string>> lines;
  char* line = nullptr;
  size_t capacity = 0;
  ssize_t size = 0;
  while (lines.size() < streams.size() && (size = getline(&line, &capacity, out_)) > 0) {
    std::vector<std::string> fields(1);
    for (const char c : std::string(line, static_cast<size_t>(size) - 1)) {
      if (c == '|') {
        fields.emplace_back();
      } else {
        fields.back() += c;
      }
    }
    lines.push_back(std::move(fields));
  }
  std::free(line);
  writer.join();
  return lines;
}

std::string ToText(const Frame& frame) {
  uint32_t hash = 0x811c9dc5;
  for (const char c : frame.body) hash = (hash ^ static_cast<uint8_t>(c)) * 0x01000193U;
  std::string hex;
  for (const char c : frame.target) {
    hex += "0123456789abcdef"[static_cast<uint8_t>(c) >> 4];
    hex += "0123456789abcdef"[static_cast<uint8_t>(c) & 15];
  }
  return frame.method + "," + hex + "," + std::to_string(frame.body.size()) + "," +
         std::to_string(hash);
}

std::string Escaped(const std::string& bytes) {
  std::string out;
  for (const char c : bytes) {
    char hex[8];
    if (c == '\r') {
      out += "\\r";
    } else if (c == '\n') {
      out += "\\n\n";
    } else if (c >= 0x20 && c < 0x7f) {
      out += c;
    } else {
      std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<uint8_t>(c));
      out += hex;
    }
  }
  return out;
}

}  // namespace remuda::proxy::testing
