#include "agent/assignment_file.h"

#include <absl/strings/str_cat.h>

#include <string_view>
#include <utility>

#include "agent/record_file.h"
#include "common/sha256.h"

namespace remuda::agent {
namespace {

// The first line: this, the checksum of what follows the line, a newline.
constexpr std::string_view kHead = "remuda-assignment 1 ";
constexpr size_t kBody = kHead.size() + 64 + 1;

}  // namespace

absl::StatusOr<std::optional<v1::AssignmentUpdate>> AssignmentFile::Load() const {
  const auto bytes = ReadWholeFile(path_);
  if (!bytes) return std::optional<v1::AssignmentUpdate>();
  if (bytes->size() < kBody || std::string_view(*bytes).substr(0, kHead.size()) != kHead) {
    return absl::DataLossError(absl::StrCat(path_, ": has another form"));
  }
  if (Sha256Hex(std::string_view(*bytes).substr(kBody)) != bytes->substr(kHead.size(), 64)) {
    return absl::DataLossError(absl::StrCat(path_, ": its checksum is wrong"));
  }
  v1::AssignmentUpdate whole;
  if (!whole.ParseFromArray(bytes->data() + kBody, static_cast<int>(bytes->size() - kBody))) {
    return absl::DataLossError(absl::StrCat(path_, ": cannot be parsed"));
  }
  return std::optional<v1::AssignmentUpdate>(std::move(whole));
}

void AssignmentFile::Save(const v1::AssignmentUpdate& whole) {
  const std::string body = whole.SerializeAsString();
  std::string bytes = absl::StrCat(std::string(kHead), Sha256Hex(body), "\n", body);
  const std::lock_guard lock(mutex_);
  newest_ = std::move(bytes);
}

absl::Status AssignmentFile::Write() {
  const std::lock_guard writing(write_mutex_);
  std::optional<std::string> bytes;
  {
    const std::lock_guard lock(mutex_);
    bytes = std::exchange(newest_, std::nullopt);
  }
  if (!bytes) return absl::OkStatus();
  // With secrets of apps' environments in it, it is the agent's alone.
  const int error = WriteFileAtomically(path_, *bytes, /*sync=*/true, 0600);
  return error == 0 ? absl::OkStatus() : absl::ErrnoToStatus(error, absl::StrCat("write ", path_));
}

}  // namespace remuda::agent
