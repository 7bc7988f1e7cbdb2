// The small files through which the agent and a shim talk: lists of key=value, written whole by
// rename.
//
//   run      agent → shim: what to run and how
//   running  shim → agent: who runs it, written before the app's first instruction
//   stop     agent → shim: how to stop; the shim is then sent SIGTERM
//   exit     shim → agent: how it ended, written when nothing of the tree is left
//
// They survive both sides. None is synced: after a loss of power the boot id differs and nothing of
// them is true. Plain C++: the shim uses it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace remuda::agent {

// Ordered key=value pairs; a key may come more than once. Values may hold anything but NUL.
class Record {
 public:
  void Add(std::string key, std::string value) {
    fields_.emplace_back(std::move(key), std::move(value));
  }
  void Add(std::string key, int64_t value) { Add(std::move(key), std::to_string(value)); }

  // The first value of `key`; empty (0) if there is none.
  std::string Text(std::string_view key) const;
  int64_t Number(std::string_view key) const;
  std::vector<std::string> All(std::string_view key) const;

  std::string Encode() const;
  // nullopt: not a record (each field must end in NUL and hold a '=').
  static std::optional<Record> Decode(std::string_view bytes);

  // Returns 0 or an errno.
  int WriteTo(const std::string& path) const;
  // nullopt: no such file, or not a record.
  static std::optional<Record> ReadFrom(const std::string& path);

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

// Writes `bytes` to a new file beside `path` and renames it over `path`: readers see the old or the
// new, never a part. With `sync`, it is on disk when this returns. Returns 0 or an errno.
int WriteFileAtomically(const std::string& path, std::string_view bytes, bool sync,
                        unsigned mode = 0644);
// nullopt if it cannot be read.
std::optional<std::string> ReadWholeFile(const std::string& path);

}  // namespace remuda::agent
