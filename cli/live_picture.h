// A picture on the terminal that is drawn over itself. Thread: the main one.
#pragma once

#include <cstddef>
#include <iosfwd>
#include <string>
#include <vector>

namespace remuda::cli {

// Of the terminal on standard output, which may change at any time.
struct TerminalSize {
  size_t columns = 0;  // 0: not known
  size_t rows = 0;     // 0: not known
};
TerminalSize SizeOfTerminal();

// What of the lines the terminal has room for: the end of those that are longer is cut off, and of
// more than it has rows how many are left out is said. Pure.
std::vector<std::string> FittingLines(std::vector<std::string> lines, TerminalSize size);

class LivePicture {
 public:
  explicit LivePicture(std::ostream& out) : out_(out) {}

  // In place of what it drew last. Lines that are longer than the terminal, or more than it has,
  // could not be drawn over: the caller makes them fit.
  void Draw(const std::vector<std::string>& lines);
  // Something else was written below it: it stays, and the next one is drawn below that.
  void Leave() { drawn_lines_ = 0; }

 private:
  std::ostream& out_;
  size_t drawn_lines_ = 0;
};

}  // namespace remuda::cli
