// Lines of a panel that fit the terminal: cut, wrapped, bars, and what is left out of a long list.
// Pure.
#pragma once

#include <string>
#include <vector>

#include "cli/table_layout.h"

namespace remuda::cli {

struct PanelLine {
  std::string text;
  Tone tone = Tone::kPlain;
};

class PanelLayout {
 public:
  // Narrower than 40 columns is drawn as 40 are.
  explicit PanelLayout(size_t width);

  // What does not fit is cut off.
  void Cut(const std::string& text, Tone tone = Tone::kPlain);
  // What does not fit goes on below, at spaces, in at most kMaxWrapped lines; `indent` before each.
  void Wrapped(const std::string& indent, const std::string& text, Tone tone = Tone::kPlain);
  // "  NAME [###.......]  30% of the traffic   REST".
  void Bar(const std::string& name, int percent, const std::string& rest);

  // `room` of the lines, around the one at `centre`; how many are left out is said. Fewer than
  // three lines: the one at `centre` alone.
  std::vector<PanelLine> Around(std::vector<PanelLine> lines, size_t centre, size_t room) const;

  const std::vector<PanelLine>& lines() const { return lines_; }

 private:
  std::string Fit(const std::string& text) const;

  const size_t width_;
  std::vector<PanelLine> lines_;
};

}  // namespace remuda::cli
