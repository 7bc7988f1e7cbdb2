// YAML (and so JSON) to any of our protobuf messages by reflection, and back, with the file, line,
// column and field in every error. The proxy's config file and the manifests of `remuda apply` are
// read by this.
//
// Owns: names of fields (JSON's or proto's), types, units of durations, enum values with or without
// their prefix, the map from field paths to lines. Does not own: which values make sense (whoever
// uses the message validates it). Thread: pure functions.
#pragma once

#include <absl/status/status.h>
#include <google/protobuf/message.h>

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/yaml_tree.h"

namespace remuda {

inline constexpr size_t kMaxReportedYamlErrors = 20;

// Where each field of a message was written. Paths are google.rpc.BadRequest's:
// `listeners[0].default_action.forward`, map entries as `labels[KEY]`; in snake_case, with any
// prefix the conversion was given.
class SourceMap {
 public:
  struct Place {
    SourcePosition position;
    std::string path;  // as the file spells it: `listeners[0].defaultAction.forward`
  };

  void Add(std::string path, Place place) { places_[std::move(path)] = std::move(place); }
  void Clear() { places_.clear(); }

  // The place of `path`, or of the nearest one around it that was written (a missing field is found
  // at its parent; the rest of the path is kept). nullptr-free: with nothing around it, line 1 and
  // the path itself.
  Place Find(std::string_view path) const;

 private:
  std::map<std::string, Place, std::less<>> places_;
};

struct MessageYamlOptions {
  std::string_view file_name;
  // Put before each path in the SourceMap, for example `resources[2].target_group`. Errors do not
  // show it.
  std::string path_prefix;
  // Keys of the outermost map that are not fields (`kind`).
  std::set<std::string> ignored_keys;
};

// Sets *out from one document. INVALID_ARGUMENT lists every mistake, a line each (at most
// kMaxReportedYamlErrors):
//   shop.yaml:12:3: healthCheck.intervall: unknown field; did you mean interval?
// *out is then partly set. `source_map` may be null; it is added to.
absl::Status MessageFromYaml(const YamlNode& root, const MessageYamlOptions& options,
                             google::protobuf::Message* out, SourceMap* source_map);

// A file of exactly one document. As MessageFromYaml.
absl::Status ParseMessageYaml(std::string_view text, std::string_view file_name,
                              google::protobuf::Message* out, SourceMap* source_map = nullptr);

// What the message says, in the order of its fields, with JSON's names, short enum values and
// durations like `500ms`. Fields that are not set are left out. Each can be read back by
// ParseMessageYaml and gives an equal message. `extra` comes first (for `kind`).
using ExtraFields = std::vector<std::pair<std::string, std::string>>;
std::string MessageToYaml(const google::protobuf::Message& message, const ExtraFields& extra = {});
std::string MessageToJson(const google::protobuf::Message& message, const ExtraFields& extra = {});

// `PROTOCOL_HTTP` as `HTTP`; a number that the enum does not name as that number.
std::string ShortEnumName(const google::protobuf::EnumDescriptor* type, int number);

// The one of `candidates` that `word` was probably meant to be, or empty.
std::string NearestWord(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace remuda
