#include "common/yaml_tree.h"

#include <absl/status/status.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <map>
#include <set>
#include <sstream>

#include "common/utf8.h"

namespace remuda {
namespace {

// Thrown through yaml-cpp's parser, which knows no other way to stop, and caught in ParseYaml.
struct Refused {
  SourcePosition position;
  std::string why;
};

SourcePosition ToPosition(const YAML::Mark& mark) { return {mark.line + 1, mark.column + 1}; }

// NUL is refused too: no field may hold one.
bool IsCleanUtf8(std::string_view text) {
  return text.find('\0') == std::string_view::npos && IsUtf8(text);
}

class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::deque<YamlDocument>* documents) : documents_(documents) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_->size() >= kMaxYamlDocuments) {
      throw Refused{ToPosition(mark),
                    "more than " + std::to_string(kMaxYamlDocuments) + " documents in one file"};
    }
    documents_->emplace_back();
    anchors_.clear();
    open_.clear();
  }
  void OnDocumentEnd() override {}

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
    CheckTag(mark, tag, "tag:yaml.org,2002:str");
    YamlNode* node = Make(mark, anchor, YamlNode::Kind::kScalar);
    node->scalar = value;
    node->quoted = tag != "?" && !tag.empty();
    Attach(node, node->position);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    CheckTag(mark, tag, "tag:yaml.org,2002:seq");
    Open(Add(mark, anchor, YamlNode::Kind::kSequence));
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    CheckTag(mark, tag, "tag:yaml.org,2002:map");
    Open(Add(mark, anchor, YamlNode::Kind::kMap));
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  struct OpenCollection {
    YamlNode* node = nullptr;
    const YamlNode* key = nullptr;  // of a map: read, its value is awaited
    std::set<std::string_view> keys;
  };

  static void CheckTag(const YAML::Mark& mark, const std::string& tag, std::string_view allowed) {
    if (tag.empty() || tag == "?" || tag == "!" || tag == allowed) return;
    throw Refused{ToPosition(mark), "the tag " + tag + " is not supported"};
  }

  YamlNode* Make(const YAML::Mark& mark, YAML::anchor_t anchor, YamlNode::Kind kind) {
    if (++node_count_ > kMaxYamlNodes) {
      throw Refused{ToPosition(mark),
                    "more than " + std::to_string(kMaxYamlNodes) + " values in one file"};
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
    open_.push_back({node, nullptr, {}});
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
      parent.node->entries.emplace_back(parent.key, node);
      parent.key = nullptr;
      return;
    }
    if (node->kind != YamlNode::Kind::kScalar) throw Refused{position, "a key must be plain text"};
    if (node->scalar == "<<" && !node->quoted) {
      throw Refused{position, "merge keys (<<) are not supported: write the fields out"};
    }
    if (!parent.keys.insert(node->scalar).second) {
      throw Refused{position, node->scalar + ": this key is here twice"};
    }
    parent.key = node;
  }

  std::deque<YamlDocument>* const documents_;
  std::map<YAML::anchor_t, YamlNode*> anchors_;
  std::vector<OpenCollection> open_;
  size_t node_count_ = 0;
};

absl::Status Error(std::string_view file_name, SourcePosition position, std::string_view why) {
  return absl::InvalidArgumentError(FormatPosition(file_name, position) + ": " + std::string(why));
}

}  // namespace

std::string FormatPosition(std::string_view file_name, SourcePosition position) {
  return std::string(file_name) + ":" + std::to_string(position.line) + ":" +
         std::to_string(position.column);
}

absl::StatusOr<std::deque<YamlDocument>> ParseYaml(std::string_view text,
                                                   std::string_view file_name) {
  if (text.size() > kMaxYamlBytes) {
    return Error(file_name, {},
                 "the file has more than " + std::to_string(kMaxYamlBytes) + " bytes");
  }
  std::deque<YamlDocument> documents;
  TreeBuilder builder(&documents);
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Refused& refused) {
    return Error(file_name, refused.position, refused.why);
  } catch (const YAML::Exception& error) {
    return Error(file_name, ToPosition(error.mark), "not YAML: " + error.msg);
  }
  std::erase_if(documents, [](const YamlDocument& document) {
    return document.root == nullptr || document.root->kind == YamlNode::Kind::kNull;
  });
  return documents;
}

}  // namespace remuda
