#include "controller/store/store_content.h"

#include <absl/strings/str_cat.h>

#include <utility>

namespace remuda {
namespace {

// Lengths before bytes: no two rows are one by being put together otherwise.
void AddBytes(Sha256& digest, std::string_view bytes) {
  digest.Update(absl::StrCat(bytes.size(), " "));
  digest.Update(bytes);
}

std::string Print(core::Kind kind, const RowTally::OfKind& of) {
  return absl::StrCat("kind ", static_cast<int>(kind), ": ", of.rows, " rows of digest ",
                      of.sha256.empty() ? "none" : of.sha256);
}

}  // namespace

void RowTally::Add(core::Kind kind, std::string_view key, std::string_view value, int64_t commit) {
  Open& open = open_[kind];
  ++open.rows;
  AddBytes(open.digest, key);
  AddBytes(open.digest, value);
  open.digest.Update(absl::StrCat(commit, "\n"));
}

RowTally::Result RowTally::Take() {
  Result out;
  for (auto& [kind, open] : std::exchange(open_, {}))
    out[kind] = {.rows = open.rows, .sha256 = open.digest.HexDigest()};
  return out;
}

std::string DifferenceOf(const RowTally::Result& put, const RowTally::Result& read) {
  RowTally::Result all = put;
  all.insert(read.begin(), read.end());
  for (const auto& [kind, unused] : all) {
    const auto a = put.find(kind);
    const auto b = read.find(kind);
    const RowTally::OfKind was = a == put.end() ? RowTally::OfKind() : a->second;
    const RowTally::OfKind is = b == read.end() ? RowTally::OfKind() : b->second;
    if (was != is) return absl::StrCat("put ", Print(kind, was), ", read ", Print(kind, is));
  }
  return "";
}

}  // namespace remuda
