// Rows for tests of stores, and what a store has of them. Thread: any.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "controller/store/store.h"

namespace remuda {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    char path[] = "/tmp/remuda-store-XXXXXX";
    if (mkdtemp(path) == nullptr) std::abort();
    path_ = path;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline core::Edit PutCounter(const std::string& key, int64_t last) {
  auto value = std::make_shared<store::v1::Counter>();
  value->set_last(last);
  return {core::Kind::kCounter, key, std::move(value)};
}

inline core::Edit PutImage(const std::string& key, size_t bytes) {
  auto value = std::make_shared<v1::Image>();
  value->set_name("images/" + key);
  value->set_digest(std::string(bytes, 'x'));
  return {core::Kind::kImage, key, std::move(value)};
}

inline core::Edit PutSecret(const std::string& key, const std::string& name) {
  auto value = std::make_shared<v1::Secret>();
  value->set_name(name);
  return {core::Kind::kSecret, key, std::move(value)};
}

inline core::Edit Delete(core::Kind kind, const std::string& key) { return {kind, key, nullptr}; }

// A row's message, serialized, and the commit that wrote it.
using Rows = std::map<std::pair<core::Kind, std::string>, std::pair<std::string, int64_t>>;

inline void ApplyTo(Rows& rows, const core::Changes& changes, int64_t commit) {
  for (const core::Edit& edit : changes.edits) {
    rows.erase({edit.kind, edit.key});
    if (edit.value != nullptr)
      rows[{edit.kind, edit.key}] = {edit.value->SerializeAsString(), commit};
  }
}

// Fails the test where rows come out of order.
inline Rows LoadRows(Store& store) {
  Rows rows;
  const absl::Status status = store.Load(
      [&](core::Kind kind, std::string_view key, std::string_view value, int64_t commit) {
        const std::pair place(kind, std::string(key));
        EXPECT_TRUE(rows.empty() || rows.rbegin()->first < place) << key;
        rows[place] = {std::string(value), commit};
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
  return rows;
}

}  // namespace remuda
