// How far a log was read, to go on after a break with no line lost or printed twice.
//
// The API names no places in a log, only lines from its end, so the newest lines that were read are
// the mark: they are looked for in what comes next. Lines that are alike cannot be told apart:
// where a log is nothing but repetitions, some of those from the break may be missing. Pure; one
// thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace remuda::cli {

class LogMark {
 public:
  // What the controller gives at most.
  static constexpr int kMaxLines = 10'000;
  // The first read asks for so many, though fewer may be printed.
  static constexpr int kFirstLines = 1'000;
  // Of one that has grown to twice as much, the older lines are dropped.
  static constexpr size_t kMaxBytes = size_t{1} << 20;

  // A read of what there is, `LinesToCatchUp` lines from the end (`first_lines`, if more, before
  // anything was read), gave `all`: what of it is new. The first time: its last `first_lines`; and
  // where nothing says what is new.
  int LinesToCatchUp(int first_lines) const;
  // So many were too many at once: the next read asks for a quarter. False: that would be fewer
  // than `first_lines`, or none.
  bool AskForFewer(int first_lines);
  std::string CatchUp(const std::string& all, int first_lines);

  // Whether, before what CatchUp gave last, lines may be missing.
  bool has_skipped() const { return has_skipped_; }

  // Then the log is followed, from `LinesToFollow` lines from the end on. What of each piece is
  // new.
  int LinesToFollow() const;
  std::string Follow(std::string_view piece);
  // Some bytes before the next piece are gone from the log.
  void Lost();

 private:
  void Add(std::string_view text);

  bool has_begun_ = false;
  bool has_skipped_ = false;
  bool is_place_lost_ = false;   // text_ is empty, though lines were read
  int most_lines_ = kMaxLines;   // of the next read
  bool is_whole_ = false;        // text_ is all that the log has
  bool is_level_ = false;        // the pieces have reached the end of text_
  bool is_within_line_ = false;  // what comes next is not the begin of a line
  std::string text_;             // the newest that was read; begins at the begin of a line
  std::string again_;            // of this following, while it is not level: all pieces
};

}  // namespace remuda::cli
