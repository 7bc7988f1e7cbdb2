#include "controller/backup/manifest.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <set>

namespace remuda {
namespace {

constexpr char kFirstLine[] = "remuda-backup 1";
constexpr size_t kHexDigits = 64;
constexpr size_t kNameBytes = 200;

absl::Status Wrong(int line, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("manifest, line ", line, ": ", what));
}

std::vector<std::string> Words(std::string_view line) {
  std::vector<std::string> out;
  while (!line.empty()) {
    const size_t end = std::min(line.find(' '), line.size());
    out.emplace_back(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return out;
}

bool IsHex(std::string_view text, size_t digits) {
  return text.size() == digits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// A relative name whose parts are not empty and do not begin with a dot.
bool IsPlainName(const std::string& name) {
  if (name.empty() || name.size() > kNameBytes || name.back() == '/') return false;
  char before = '/';
  for (const char c : name) {
    const bool is_word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    if (!is_word && c != '.' && c != '/') return false;
    if (before == '/' && (c == '/' || c == '.')) return false;
    before = c;
  }
  return true;
}

// What is wrong with the entry's name; empty if nothing is.
std::string FaultOfName(const BackupEntry& entry, bool is_first) {
  if (is_first != (entry.name == BackupManifest::kState))
    return absl::StrCat("the first entry, and no other, is ", BackupManifest::kState);
  if (is_first) return entry.is_sealed ? "state.db is not sealed as a whole" : "";
  if (entry.name.starts_with(BackupManifest::kImages)) {
    const bool is_right = !entry.is_sealed && entry.name == BackupManifest::kImages + entry.sha256;
    return is_right ? "" : "an image's name is its digest";
  }
  return entry.is_sealed && IsPlainName(entry.name) ? "" : "is not a name that backups have";
}

absl::StatusOr<BackupEntry> ParseEntry(int line, const std::vector<std::string>& words,
                                       bool is_first) {
  BackupEntry entry;
  entry.is_sealed = words[0] == "sealed";
  if (words.size() != 4) return Wrong(line, "an entry has a name, a size and a digest");
  entry.name = words[1];
  entry.sha256 = words[3];
  if (!absl::SimpleAtoi(words[2], &entry.size_bytes) || entry.size_bytes < 0 ||
      entry.size_bytes > BackupManifest::kMaxEntryBytes) {
    return Wrong(line, absl::StrCat("the size is not 0-", BackupManifest::kMaxEntryBytes));
  }
  if (!IsHex(entry.sha256, kHexDigits)) return Wrong(line, "the digest is not 64 hex digits");
  if (std::string fault = FaultOfName(entry, is_first); !fault.empty()) return Wrong(line, fault);
  return entry;
}

absl::Status ParseFact(int line, const std::vector<std::string>& words, BackupManifest& out) {
  if (words.size() != 2) return Wrong(line, "is not a name and a value");
  const std::string& name = words[0];
  const std::string& value = words[1];
  if (name == "cluster_id" && value.size() <= kNameBytes) {
    out.cluster_id = value;
  } else if (name == "sealing_key" && IsHex(value, 16)) {
    out.sealing_key = value;
  } else if (name == "images" && (value == "with" || value == "without")) {
    out.has_images = value == "with";
  } else if (name == "epoch" && absl::SimpleAtoi(value, &out.epoch) && out.epoch > 0) {
  } else if (name == "commit" && absl::SimpleAtoi(value, &out.commit) && out.commit >= 0) {
  } else if (name == "schema" && absl::SimpleAtoi(value, &out.schema) && out.schema > 0) {
  } else {
    return Wrong(line, "is not what this version knows");
  }
  return absl::OkStatus();
}

}  // namespace

std::string Print(const BackupManifest& manifest) {
  std::string out = absl::StrCat(kFirstLine, "\ncluster_id ", manifest.cluster_id, "\nepoch ",
                                 manifest.epoch, "\ncommit ", manifest.commit, "\nschema ",
                                 manifest.schema, "\nsealing_key ", manifest.sealing_key,
                                 "\nimages ", manifest.has_images ? "with" : "without", "\n");
  for (const BackupEntry& entry : manifest.entries) {
    absl::StrAppend(&out, entry.is_sealed ? "sealed " : "file ", entry.name, " ", entry.size_bytes,
                    " ", entry.sha256, "\n");
  }
  return out;
}

absl::StatusOr<BackupManifest> ParseManifest(std::string_view text) {
  BackupManifest out;
  std::set<std::string> names;
  int number = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return Wrong(number + 1, "is not ended");
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    ++number;
    if (number == 1) {
      if (line != kFirstLine) return Wrong(1, "is not \"remuda-backup 1\"");
      continue;
    }
    const std::vector<std::string> words = Words(line);
    if (words.empty()) return Wrong(number, "is empty");
    if (words[0] != "file" && words[0] != "sealed") {
      if (absl::Status status = ParseFact(number, words, out); !status.ok()) return status;
      continue;
    }
    auto entry = ParseEntry(number, words, out.entries.empty());
    if (!entry.ok()) return entry.status();
    if (!names.insert(entry->name).second)
      return Wrong(number, absl::StrCat(entry->name, " is there twice"));
    if (out.entries.size() >= BackupManifest::kMaxEntries)
      return Wrong(number, absl::StrCat("has more than ", BackupManifest::kMaxEntries, " entries"));
    out.entries.push_back(*std::move(entry));
  }
  if (out.cluster_id.empty() || out.sealing_key.empty() || out.epoch == 0 || out.schema == 0)
    return Wrong(number, "cluster_id, epoch, schema or sealing_key is missing");
  if (out.entries.empty()) return Wrong(number, "there is no state.db");
  return out;
}

}  // namespace remuda
