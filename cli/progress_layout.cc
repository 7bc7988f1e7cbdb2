#include "cli/progress_layout.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace remuda::cli {
namespace {

constexpr size_t kMinWidth = 40;
constexpr size_t kLongBarWidth = 60;  // from here on bars are long
constexpr size_t kRoomyWidth = 90;    // from here on shares have their words
constexpr size_t kBarCells = 20;
constexpr size_t kShortBarCells = 6;
constexpr size_t kNameColumns = 12;
constexpr size_t kRoomyNameColumns = 16;
constexpr size_t kMaxWrapped = 6;

// Where a line of `rest` may end, `room` bytes on at most: at a space, not within a command in
// backticks if there is another; npos: nowhere.
size_t BreakBefore(const std::string& rest, size_t room) {
  size_t any = std::string::npos;
  size_t outside = std::string::npos;
  bool is_command = false;
  for (size_t i = 0; i < rest.size() && i <= room; ++i) {
    if (rest[i] == '`') is_command = !is_command;
    if (rest[i] != ' ' || i == 0) continue;
    any = i;
    if (!is_command) outside = i;
  }
  return outside == std::string::npos ? any : outside;
}

}  // namespace

PanelLayout::PanelLayout(size_t width) : width_(std::max(width, kMinWidth)) {}

std::string PanelLayout::Fit(const std::string& text) const {
  const std::string line = Printable(text);
  return line.substr(0, BytesOf(line, width_));
}

void PanelLayout::Cut(const std::string& text, Tone tone) { lines_.push_back({Fit(text), tone}); }

void PanelLayout::Wrapped(const std::string& indent, const std::string& text, Tone tone) {
  std::string rest = Printable(text);
  std::string before = indent;
  for (size_t n = 1; !rest.empty(); ++n) {
    const size_t room = BytesOf(rest, width_ - before.size());
    size_t end = room;
    // A word that alone is longer is cut.
    if (room < rest.size() && n < kMaxWrapped) {
      if (const size_t space = BreakBefore(rest, room); space != std::string::npos) end = space;
    }
    lines_.push_back({before + rest.substr(0, end), tone});
    if (n == kMaxWrapped) return;
    rest.erase(0, end);
    rest.erase(0, std::min(rest.size(), rest.find_first_not_of(' ')));
    before = indent + "  ";
  }
}

void PanelLayout::Bar(const std::string& name, int percent, const std::string& rest) {
  const bool is_roomy = width_ >= kRoomyWidth;
  const bool is_long = width_ >= kLongBarWidth;
  const size_t cells = is_long ? kBarCells : kShortBarCells;
  const auto filled = static_cast<size_t>(std::clamp(percent, 0, 100)) * cells / 100;
  std::string padded = name;
  if (is_long)
    padded.resize(std::max(padded.size(), is_roomy ? kRoomyNameColumns : kNameColumns), ' ');
  std::string share = absl::StrCat(percent, "%");
  share.insert(0, 5 - std::min<size_t>(5, share.size()), ' ');
  Cut(absl::StrCat("  ", padded, " [", std::string(filled, '#'), std::string(cells - filled, '.'),
                   "]", share, is_roomy ? " of the traffic   " : " ", rest));
}

std::vector<PanelLine> PanelLayout::Around(std::vector<PanelLine> lines, size_t centre,
                                           size_t room) const {
  for (PanelLine& line : lines) line.text = Fit(line.text);
  if (room >= lines.size()) return lines;
  centre = std::min(centre, lines.size() - 1);
  if (room < 3) return room == 0 ? std::vector<PanelLine>() : std::vector<PanelLine>{lines[centre]};
  const size_t begin = std::min(centre - std::min(centre, room / 2), lines.size() - room);
  std::vector<PanelLine> out(lines.begin() + static_cast<std::ptrdiff_t>(begin),
                             lines.begin() + static_cast<std::ptrdiff_t>(begin + room));
  // A line that tells of the left out ones stands in the place of one.
  if (begin > 0) out.front() = {absl::StrCat("  ... ", begin + 1, " before"), Tone::kPlain};
  if (const size_t after = lines.size() - begin - room; after > 0)
    out.back() = {absl::StrCat("  ... ", after + 1, " more"), Tone::kPlain};
  return out;
}

}  // namespace remuda::cli
