// Filters of lists: which rows a List method answers. A small part of AIP-160:
//
//   filter     = clause { "AND" clause }
//   clause     = comparison { "OR" comparison }     (OR binds closer than AND, as AIP-160 has it)
//   comparison = field ( "=" | "!=" | ":" ) value
//   field      = name { "." name }                  state, labels.env, status.deployment
//   value      = word | "text with \" and \\"       HEALTHY, "two words", 3, true
//
// `labels.env = prod AND state = HEALTHY`. `:` asks whether a list or labels hold something
// (`labels:env`, `zones:a`), or with `*` whether a field is set (`labels.env:*`). A label or field
// that is not there is empty: `labels.env != prod` takes rows without the label. An enum's value is
// written with or without its type's prefix. Where a field refers to another resource (its option
// `reference`), id and full name are the same.
//
// Owns: the grammar and how fields are read, for lists of every kind. Does not own: which fields a
// list may be filtered by (its caller names them). Pure.
#pragma once

#include <absl/status/statusor.h>
#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace remuda::core {

inline constexpr size_t kFilterBytes = 1024;
inline constexpr size_t kFilterComparisons = 20;

// A field that a list can be filtered by: its path in the row as it is answered, through messages.
// Text, a number, a bool, an enum, a list of text, or a map of text to text (whose keys are then
// named behind it).
struct FilterField {
  std::string_view path;
};

class Filter {
 public:
  // Takes every row.
  Filter() = default;

  // INVALID_ARGUMENT on `filter`, naming the part that is wrong and what is allowed. Empty text:
  // takes every row. `fields` are of `type`; another one is a bug.
  static absl::StatusOr<Filter> Parse(const google::protobuf::Descriptor& type,
                                      const std::vector<FilterField>& fields,
                                      std::string_view text);
  template <class Row>
  static absl::StatusOr<Filter> For(const std::vector<FilterField>& fields, std::string_view text) {
    return Parse(*Row::descriptor(), fields, text);
  }

  bool empty() const { return clauses_.empty(); }

  // Whether the row, with what is computed when it is read, is one of them.
  bool Matches(const google::protobuf::Message& row) const;

 private:
  friend class FilterParser;

  enum class Relation { kEqual, kNotEqual, kHas };
  struct Comparison {
    std::vector<const google::protobuf::FieldDescriptor*> path;
    std::string key;  // of a map
    bool has_key = false;
    Relation relation = Relation::kEqual;
    std::string value;       // canonical: an enum's full name, a number without zeros
    bool is_any = false;     // `:*`
    std::string collection;  // of a reference: "hosts/", which its id and full name differ by
  };
  static bool Holds(const Comparison& comparison, const google::protobuf::Message& row);

  std::vector<std::vector<Comparison>> clauses_;  // all must hold; of each, one
};

}  // namespace remuda::core
