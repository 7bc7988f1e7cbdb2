#include "cli/parts.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <vector>

namespace remuda::cli {
namespace {

constexpr const char* kCollections[] = {"loadBalancers", "listeners", "rules"};

size_t DepthOf(KindId kind) { return kind == KindId::kRule ? 3 : 2; }

std::vector<std::string> Split(std::string_view text) {
  return absl::StrSplit(std::string(text), '/');
}

// The ids in a full name; empty if it is none.
std::vector<std::string> IdsOf(const std::vector<std::string>& words) {
  std::vector<std::string> ids;
  if (words.size() % 2 != 0 || words.size() > 2 * std::size(kCollections)) return ids;
  for (size_t i = 0; i < words.size(); i += 2) {
    if (words[i] != kCollections[i / 2]) return {};
    ids.push_back(words[i + 1]);
  }
  return ids;
}

}  // namespace

bool IsPart(KindId kind) { return kind == KindId::kListener || kind == KindId::kRule; }

absl::StatusOr<std::string> ParsePartId(KindId kind, std::string_view word) {
  std::vector<std::string> words = Split(word);
  if (std::vector<std::string> ids = IdsOf(words); !ids.empty()) words = std::move(ids);
  const bool is_right =
      words.size() <= DepthOf(kind) &&
      std::none_of(words.begin(), words.end(), [](const auto& id) { return id.empty(); });
  if (is_right) return absl::StrJoin(words, "/");
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", std::string(word), "\" is not the name of a ", KindOf(kind).name, ": write ",
      kind == KindId::kRule ? "LOAD-BALANCER/LISTENER/RULE, for example shop/8080/10"
                            : "LOAD-BALANCER/LISTENER, for example shop/8080"));
}

bool IsOnePart(KindId kind, std::string_view id) { return Split(id).size() == DepthOf(kind); }

std::string PartFullName(std::string_view id) {
  const std::vector<std::string> ids = Split(id);
  std::string name;
  for (size_t i = 0; i < ids.size() && i < std::size(kCollections); ++i)
    absl::StrAppend(&name, i == 0 ? "" : "/", kCollections[i], "/", ids[i]);
  return name;
}

std::string PartParent(KindId kind, std::string_view id) {
  std::string parent(id);
  const size_t have = id.empty() ? 0 : Split(id).size();
  for (size_t i = have; i + 1 < DepthOf(kind); ++i)
    absl::StrAppend(&parent, parent.empty() ? "" : "/", "-");
  return PartFullName(parent);
}

std::string PartId(std::string_view full_name) {
  const std::vector<std::string> ids = IdsOf(Split(full_name));
  return ids.empty() ? std::string(full_name) : absl::StrJoin(ids, "/");
}

std::string ParentId(std::string_view id) {
  const size_t slash = id.rfind('/');
  return std::string(slash == std::string_view::npos ? std::string_view() : id.substr(0, slash));
}

}  // namespace remuda::cli
