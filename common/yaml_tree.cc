#include "common/yaml_tree.h"

#include <absl/status/status.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <sstream>

#include "common/utf8.h"

namespace remuda {
namespace {

// Thrown through yaml-cpp's parser, which knows no other way to stop, and caught in ParseOn.
struct Refused {
  SourcePosition position;
  std::string why;
  bool ends_file = false;  // a bound of the file: what follows is not looked at
};

constexpr int kEndOfFile = std::numeric_limits<int>::max();

SourcePosition ToPosition(const YAML::Mark& mark) { return {mark.line + 1, mark.column + 1}; }

// NUL is refused too: no field may hold one.
bool IsCleanUtf8(std::string_view text) {
  return text.find('\0') == std::string_view::npos && IsUtf8(text);
}

class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(std::deque<YamlDocument>* documents, std::vector<YamlMistake>* mistakes)
      : documents_(documents), mistakes_(mistakes) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_->size() >= kMaxYamlDocuments) {
      throw Refused{ToPosition(mark),
                    "more than " + std::to_string(kMaxYamlDocuments) + " documents in one file",
                    true};
    }
    documents_->emplace_back().is_cut = true;
    anchors_.clear();
    open_.clear();
  }
  void OnDocumentEnd() override { documents_->back().is_cut = false; }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Add(mark, anchor, YamlNode::Kind::kNull);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto it = anchors_.find(anchor);
    if (it == anchors_.end()) throw Refused{ToPosition(mark), "an alias to no anchor"};
    Attach(it->second, ToPosition(mark));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (!IsCleanUtf8(value))
      throw Refused{ToPosition(mark), "text that is not valid UTF-8, or holds a NUL"};
    // yaml-cpp's own sign for a quoted one.
    static constexpr char kQuoted[] = "!";
    if (tag != kQuoted) CheckTag(mark, tag);
    YamlNode* node = Make(mark, anchor, YamlNode::Kind::kScalar);
    node->scalar = value;
    node->quoted = tag == kQuoted;
    Attach(node, node->position);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    CheckTag(mark, tag);
    Open(Add(mark, anchor, YamlNode::Kind::kSequence));
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    CheckTag(mark, tag);
    Open(Add(mark, anchor, YamlNode::Kind::kMap));
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  struct OpenCollection {
    YamlNode* node = nullptr;
    const YamlNode* key = nullptr;  // of a map: read, its value is awaited
    bool is_key_refused = false;    // its value is read, and left out
    std::set<std::string_view> keys;
  };

  // A mistake that does not keep the rest from being read.
  void Note(SourcePosition position, std::string why) {
    if (mistakes_->size() < kMaxYamlMistakes) mistakes_->push_back({position, std::move(why)});
  }

  void CheckTag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?") return;
    Note(ToPosition(mark), "the tag " + tag + " is not supported: leave it out");
  }

  YamlNode* Make(const YAML::Mark& mark, YAML::anchor_t anchor, YamlNode::Kind kind) {
    if (++node_count_ > kMaxYamlNodes) {
      throw Refused{ToPosition(mark),
                    "more than " + std::to_string(kMaxYamlNodes) + " values in one file", true};
    }
    YamlNode* node = &documents_->back().nodes.emplace_back();
    node->kind = kind;
    node->position = ToPosition(mark);
    if (anchor != 0) anchors_[anchor] = node;
    return node;
  }

  YamlNode* Add(const YAML::Mark& mark, YAML::anchor_t anchor, YamlNode::Kind kind) {
    YamlNode* node = Make(mark, anchor, kind);
    Attach(node, node->position);
    return node;
  }

  void Open(YamlNode* node) {
    if (open_.size() >= kMaxYamlDepth) {
      throw Refused{node->position, "nested deeper than " + std::to_string(kMaxYamlDepth)};
    }
    open_.push_back({node, nullptr, false, {}});
  }

  void Attach(const YamlNode* node, SourcePosition position) {
    if (open_.empty()) {
      documents_->back().root = node;
      return;
    }
    OpenCollection& parent = open_.back();
    if (parent.node->kind == YamlNode::Kind::kSequence) {
      parent.node->items.push_back(node);
      return;
    }
    if (parent.key != nullptr) {
      if (!parent.is_key_refused) parent.node->entries.emplace_back(parent.key, node);
      parent.key = nullptr;
      return;
    }
    if (node->kind != YamlNode::Kind::kScalar) throw Refused{position, "a key must be plain text"};
    parent.key = node;
    parent.is_key_refused = false;
    if (node->scalar == "<<" && !node->quoted) {
      Refuse(parent, position, "merge keys (<<) are not supported: write the fields out");
    } else if (!parent.keys.insert(node->scalar).second) {
      Refuse(parent, position, node->scalar + ": this key is here twice");
    }
  }

  void Refuse(OpenCollection& parent, SourcePosition position, std::string why) {
    parent.is_key_refused = true;
    Note(position, std::move(why));
  }

  std::deque<YamlDocument>* const documents_;
  std::vector<YamlMistake>* const mistakes_;
  std::map<YAML::anchor_t, YamlNode*> anchors_;
  std::vector<OpenCollection> open_;
  size_t node_count_ = 0;
};

// yaml-cpp takes quoted text that is never closed if the file ends with a line's end. A comment
// there changes nothing else, and makes it see the end of the file within the text.
std::string Closed(std::string_view text) {
  std::string out(text);
  const size_t end = text.find_last_not_of(" \t\r\n");
  const size_t line_end = text.find_last_of("\r\n");
  if (end == std::string_view::npos || line_end == std::string_view::npos || line_end < end)
    return out;  // Within a line it sees it by itself.
  out += line_end + 1 == text.size() ? "#" : "\n#";
  return out;
}

std::string Explained(const YAML::Exception& error) {
  const bool is_file_end = error.msg == YAML::ErrorMsg::EOF_IN_SCALAR;
  if (is_file_end || error.msg == YAML::ErrorMsg::DOC_IN_SCALAR) {
    return std::string("not YAML: the ") + (is_file_end ? "file" : "document") +
           " ends within quoted text: a quote before is never closed";
  }
  // `recurrence: * 8 * * *` was no alias.
  const bool is_alias = error.msg == YAML::ErrorMsg::ALIAS_NOT_FOUND ||
                        error.msg == YAML::ErrorMsg::CHAR_IN_ALIAS ||
                        error.msg.starts_with(YAML::ErrorMsg::UNKNOWN_ANCHOR);
  return "not YAML: " + error.msg +
         (is_alias ? "; a text that begins with * stands in quotes" : "");
}

// Reads `text` until its end, or what no reading can go on behind: the line where that is, or
// kEndOfFile.
int ParseOn(const std::string& text, TreeBuilder& builder, std::vector<YamlMistake>& mistakes) {
  try {
    std::istringstream in{text};
    YAML::Parser parser(in);
    while (parser.HandleNextDocument(builder)) {
    }
    return kEndOfFile;
  } catch (const Refused& refused) {
    mistakes.push_back({refused.position, refused.why});
    if (refused.ends_file) return kEndOfFile;
  } catch (const YAML::Exception& error) {
    mistakes.push_back({ToPosition(error.mark), Explained(error)});
  }
  return std::max(1, mistakes.back().position.line);
}

bool IsBlank(char byte) { return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n'; }

// `text` with everything before the first document that begins at `line` or later replaced by as
// many empty lines, so that positions stay right; `line` becomes its own. Empty: there is none.
std::string NextDocument(const std::string& text, int& line) {
  size_t begin = 0;
  for (int at = 1; begin < text.size(); ++at) {
    const size_t behind = begin + 3;
    const bool is_marker =
        text.compare(begin, 3, "---") == 0 && (behind >= text.size() || IsBlank(text[behind]));
    if (at >= line && is_marker) {
      line = at;
      return std::string(static_cast<size_t>(at - 1), '\n') + text.substr(begin);
    }
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;
    begin = end + 1;
  }
  return "";
}

}  // namespace

std::string FormatPosition(std::string_view file_name, SourcePosition position) {
  return std::string(file_name) + ":" + std::to_string(position.line) + ":" +
         std::to_string(position.column);
}

YamlFile ReadYaml(std::string_view text) {
  YamlFile file;
  if (text.size() > kMaxYamlBytes) {
    file.mistakes.push_back(
        {{}, "the file has more than " + std::to_string(kMaxYamlBytes) + " bytes"});
    return file;
  }
  TreeBuilder builder(&file.documents, &file.mistakes);
  std::string rest = Closed(text);
  int begun_at = 0;
  while (!rest.empty() && file.mistakes.size() < kMaxYamlMistakes) {
    const int stopped_at = ParseOn(rest, builder, file.mistakes);
    if (stopped_at == kEndOfFile) break;
    begun_at = std::max(begun_at + 1, stopped_at);
    rest = NextDocument(rest, begun_at);
  }
  std::erase_if(file.documents, [](const YamlDocument& document) {
    return document.root == nullptr || document.root->kind == YamlNode::Kind::kNull;
  });
  return file;
}

absl::StatusOr<std::deque<YamlDocument>> ParseYaml(std::string_view text,
                                                   std::string_view file_name) {
  YamlFile file = ReadYaml(text);
  if (file.mistakes.empty()) return std::move(file.documents);
  const YamlMistake& first = file.mistakes.front();
  return absl::InvalidArgumentError(FormatPosition(file_name, first.position) + ": " + first.why);
}

}  // namespace remuda
