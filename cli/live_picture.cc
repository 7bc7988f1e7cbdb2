#include "cli/live_picture.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <ostream>

#include "cli/table_layout.h"

namespace remuda::cli {

TerminalSize SizeOfTerminal() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return {};
  return {.columns = size.ws_col, .rows = size.ws_row};
}

std::vector<std::string> FittingLines(std::vector<std::string> lines, TerminalSize size) {
  // The cursor stands on a row of its own.
  const size_t room = size.rows > 2 ? size.rows - 2 : 1;
  if (size.rows > 0 && lines.size() > room) {
    const size_t left_out = lines.size() - room;
    lines.resize(room);
    lines.push_back("... " + std::to_string(left_out) + " more");
  }
  if (size.columns == 0) return lines;
  for (std::string& line : lines) line.resize(BytesOf(line, size.columns));
  return lines;
}

void LivePicture::Draw(const std::vector<std::string>& lines) {
  if (drawn_lines_ > 0) out_ << "\x1b[" << drawn_lines_ << "A\x1b[J";
  for (const std::string& line : lines) out_ << line << "\n";
  drawn_lines_ = lines.size();
  out_.flush();
}

}  // namespace remuda::cli
