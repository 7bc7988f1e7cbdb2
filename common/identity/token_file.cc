#include "common/identity/token_file.h"

#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iostream>

#include "common/identity/identity_files.h"

namespace remuda::identity {
namespace {

// While one lives, what is typed is not shown.
class Unseen {
 public:
  Unseen() {
    has_before_ = tcgetattr(STDIN_FILENO, &before_) == 0;
    if (!has_before_) return;
    termios unseen = before_;
    unseen.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &unseen);
  }
  ~Unseen() {
    if (!has_before_) return;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
    std::cerr << std::endl;
  }
  Unseen(const Unseen&) = delete;
  Unseen& operator=(const Unseen&) = delete;

 private:
  termios before_{};
  bool has_before_ = false;
};

// Up to the first line's end; byte by byte, so that what follows is left to others.
std::string ReadLine(int fd) {
  std::string line;
  char c = 0;
  while (line.size() < kMaxTokenFileBytes) {
    const ssize_t got = read(fd, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 || c == '\n') break;
    line += c;
  }
  return line;
}

bool IsTokenCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '=';
}

}  // namespace

absl::StatusOr<std::string> ReadTokenFile(const std::string& path) {
  std::string text;
  if (path != "-") {
    auto bytes = ReadSmallFile(path, kMaxTokenFileBytes);
    if (!bytes.ok()) return bytes.status();
    text = bytes->substr(0, bytes->find('\n'));
  } else if (isatty(STDIN_FILENO) == 1) {
    const Unseen unseen;
    std::cerr << "Token: " << std::flush;
    text = ReadLine(STDIN_FILENO);
  } else {
    text = ReadLine(STDIN_FILENO);
  }
  while (!text.empty() && (text.back() == '\r' || text.back() == ' ')) text.pop_back();
  const std::string where = path == "-" ? "standard input" : path;
  if (text.empty()) return absl::InvalidArgumentError(where + ": holds no token");
  if (!std::all_of(text.begin(), text.end(), IsTokenCharacter))
    return absl::InvalidArgumentError(where + ": what its first line holds is no token");
  return text;
}

}  // namespace remuda::identity
