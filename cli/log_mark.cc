#include "cli/log_mark.h"

#include <algorithm>

namespace remuda::cli {
namespace {

// A last one that is not whole counts.
int LinesOf(std::string_view text) {
  const auto ends = std::count(text.begin(), text.end(), '\n');
  return static_cast<int>(ends) + (text.empty() || text.back() == '\n' ? 0 : 1);
}

// Where the line behind the one at `begin` begins; the end, if there is none.
size_t NextLine(std::string_view text, size_t begin) {
  const size_t end = text.find('\n', begin);
  return end == std::string_view::npos ? text.size() : end + 1;
}

std::string_view LastLines(std::string_view text, int lines) {
  size_t begin = 0;
  for (int left = LinesOf(text); left > lines; --left) begin = NextLine(text, begin);
  return text.substr(begin);
}

// How much of the begin of `text` is the end of `mark`, from the begin of a line of it on: the
// most that is.
size_t Overlap(std::string_view mark, std::string_view text) {
  for (size_t begin = 0; begin < mark.size(); begin = NextLine(mark, begin)) {
    const std::string_view rest = mark.substr(begin);
    if (rest.size() <= text.size() && text.substr(0, rest.size()) == rest) return rest.size();
  }
  return 0;
}

// Where the last occurrence of `mark` in `text` that begins with a line ends; 0: nowhere.
size_t EndOfMark(std::string_view mark, std::string_view text) {
  for (size_t at = text.rfind(mark); at != std::string_view::npos && !mark.empty();
       at = at == 0 ? std::string_view::npos : text.rfind(mark, at - 1)) {
    if (at == 0 || text[at - 1] == '\n') return at + mark.size();
  }
  return 0;
}

}  // namespace

int LogMark::LinesToCatchUp(int first_lines) const {
  return std::min(most_lines_, has_begun_ ? kMaxLines : std::max(first_lines, kFirstLines));
}

bool LogMark::AskForFewer(int first_lines) {
  const int before = LinesToCatchUp(first_lines);
  most_lines_ = std::max({before / 4, first_lines, 1});
  return most_lines_ < before;
}

std::string LogMark::CatchUp(const std::string& all, int first_lines) {
  std::string_view fresh = all;
  is_whole_ = LinesOf(all) < LinesToCatchUp(first_lines);
  has_skipped_ = false;
  if (!has_begun_ || is_place_lost_) {
    fresh = LastLines(all, first_lines);
    has_skipped_ = is_place_lost_;
  } else if (const size_t end = EndOfMark(text_, all); end > 0) {
    fresh.remove_prefix(end);
  } else {
    const size_t known = Overlap(text_, all);
    fresh.remove_prefix(known);
    has_skipped_ = known == 0 && !(text_.empty() && is_whole_);
  }
  std::string out(fresh);
  is_place_lost_ = false;
  most_lines_ = kMaxLines;
  has_begun_ = true;
  is_level_ = false;
  again_.clear();
  text_.clear();
  is_within_line_ = false;
  Add(all);
  return out;
}

int LogMark::LinesToFollow() const { return is_whole_ ? kMaxLines : LinesOf(text_); }

std::string LogMark::Follow(std::string_view piece) {
  if (is_level_) {
    Add(piece);
    return std::string(piece);
  }
  again_.append(piece);
  const std::string_view mark = text_;
  for (size_t begin = 0; begin < mark.size(); begin = NextLine(mark, begin)) {
    const std::string_view rest = mark.substr(begin);
    const size_t common = std::min(rest.size(), again_.size());
    if (rest.compare(0, common, again_, 0, common) != 0) continue;
    if (common < rest.size()) return "";  // it may reach the end of the mark yet
    again_.erase(0, common);
    break;
  }
  is_level_ = true;
  std::string out = std::move(again_);
  again_.clear();
  Add(out);
  return out;
}

void LogMark::Lost() {
  // What was read before has no place in what comes.
  text_.clear();
  again_.clear();
  is_place_lost_ = true;
  is_whole_ = false;
  is_level_ = true;
  is_within_line_ = true;
}

void LogMark::Add(std::string_view text) {
  if (is_within_line_) {
    const size_t line = NextLine(text, 0);
    is_within_line_ = line == text.size() && (text.empty() || text.back() != '\n');
    text.remove_prefix(line);
  }
  text_.append(text);
  if (!text_.empty()) is_place_lost_ = false;
  if (text_.size() <= 2 * kMaxBytes) return;  // not with every piece
  text_.erase(0, NextLine(text_, text_.size() - kMaxBytes));
  is_whole_ = false;
}

}  // namespace remuda::cli
