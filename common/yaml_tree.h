// YAML (and so JSON) text as a tree of plain nodes that know their line and column; everything
// about it is bounded.
//
// Owns: the syntax, duplicate keys, anchors and aliases (an alias is the same node again, so it
// costs nothing here; whoever walks the tree bounds the walk), the limits below. Does not own: what
// the values mean (common/message_yaml.h). Thread: pure functions.
#pragma once

#include <absl/status/statusor.h>

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace remuda {

// Where something stands in a file; both count from 1.
struct SourcePosition {
  int line = 1;
  int column = 1;
};

inline constexpr size_t kMaxYamlBytes = size_t{8} << 20;  // of one file
inline constexpr size_t kMaxYamlNodes = 500'000;  // of one file; also after aliases are followed
inline constexpr size_t kMaxYamlDepth = 64;
inline constexpr size_t kMaxYamlDocuments = 500;  // of one file
inline constexpr size_t kMaxYamlMistakes = 20;    // told of one file

struct YamlNode {
  enum class Kind { kNull, kScalar, kSequence, kMap };

  Kind kind = Kind::kNull;
  SourcePosition position;
  std::string scalar;   // valid UTF-8, without NUL
  bool quoted = false;  // a scalar that was quoted is text, whatever it looks like
  std::vector<const YamlNode*> items;
  // In the file's order; keys are scalars and none is there twice.
  std::vector<std::pair<const YamlNode*, const YamlNode*>> entries;
};

// One document. `root` points into `nodes`, which never move.
struct YamlDocument {
  std::deque<YamlNode> nodes;
  const YamlNode* root = nullptr;
  bool is_cut = false;  // a mistake in it ended its reading: what came before is here
};

struct YamlMistake {
  SourcePosition position;
  std::string why;
};

struct YamlFile {
  std::deque<YamlDocument> documents;  // those that are not empty
  std::vector<YamlMistake> mistakes;
};

// As much of `text` as can be read: behind a mistake of syntax the reading goes on at the next
// document, so that whoever wrote the file learns all of its mistakes at once.
YamlFile ReadYaml(std::string_view text);

// Every document of `text` that is not empty. INVALID_ARGUMENT: "FILE:LINE:COLUMN: what is wrong",
// of the first mistake.
absl::StatusOr<std::deque<YamlDocument>> ParseYaml(std::string_view text,
                                                   std::string_view file_name);

// "FILE:LINE:COLUMN".
std::string FormatPosition(std::string_view file_name, SourcePosition position);

}  // namespace remuda
