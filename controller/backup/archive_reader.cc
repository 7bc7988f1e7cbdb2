#include "controller/backup/archive_reader.h"

#include <absl/strings/str_cat.h>
#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/sha256.h"

namespace remuda {
namespace {

constexpr size_t kBlockBytes = 64 * 1024;
constexpr size_t kNameShown = 100;

}  // namespace

void ArchiveReader::Free::operator()(archive* reader) const { archive_read_free(reader); }

ArchiveReader::ArchiveReader(std::string from)
    : from_(std::move(from)), archive_(archive_read_new()) {}
ArchiveReader::~ArchiveReader() = default;

absl::Status ArchiveReader::Broken(const std::string& what) const {
  return absl::InvalidArgumentError(absl::StrCat(from_, ": ", what));
}

absl::StatusOr<std::unique_ptr<ArchiveReader>> ArchiveReader::Open(const std::string& from) {
  std::unique_ptr<ArchiveReader> reader(new ArchiveReader(from));
  archive* opened = reader->archive_.get();
  // Nothing that unpacks: what is read is as large as it is.
  archive_read_support_format_tar(opened);
  const int code = from == "-" ? archive_read_open_fd(opened, STDIN_FILENO, kBlockBytes)
                               : archive_read_open_filename(opened, from.c_str(), kBlockBytes);
  if (code != ARCHIVE_OK) {
    const char* why = archive_error_string(opened);
    return reader->Broken(absl::StrCat("is no backup: ", why == nullptr ? "it is empty" : why));
  }
  return reader;
}

absl::StatusOr<int64_t> ArchiveReader::Begin(const std::string& name) {
  archive_entry* entry = nullptr;
  const int code = archive_read_next_header(archive_.get(), &entry);
  if (code == ARCHIVE_EOF) return Broken(absl::StrCat("is cut: ", name, " is not in it"));
  if (code != ARCHIVE_OK) {
    const char* why = archive_error_string(archive_.get());
    return Broken(absl::StrCat("is cut or changed at ", name, ": ", why == nullptr ? "" : why));
  }
  const char* there = archive_entry_pathname(entry);
  if (there == nullptr || name != there) {
    return Broken(absl::StrCat("has \"",
                               there == nullptr ? "" : std::string(there).substr(0, kNameShown),
                               "\" where ", name, " must be"));
  }
  if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr ||
      archive_entry_size_is_set(entry) == 0) {
    return Broken(absl::StrCat(name, " is not a plain file in it"));
  }
  return archive_entry_size(entry);
}

absl::StatusOr<BackupManifest> ArchiveReader::ReadManifest() {
  const auto size = Begin(BackupManifest::kName);
  if (!size.ok()) return size.status();
  if (*size > BackupManifest::kMaxBytes)
    return Broken(absl::StrCat("its manifest has more than ", BackupManifest::kMaxBytes, " bytes"));
  std::string text(static_cast<size_t>(*size), '\0');
  const la_ssize_t count = archive_read_data(archive_.get(), text.data(), text.size());
  if (count != *size) return Broken("is cut: in its manifest");
  auto manifest = ParseManifest(text);
  if (!manifest.ok()) return Broken(std::string(manifest.status().message()));
  return manifest;
}

absl::Status ArchiveReader::ReadEntry(const BackupEntry& entry, const Write& write) {
  const auto size = Begin(entry.name);
  if (!size.ok()) return size.status();
  if (*size != entry.size_bytes) {
    return Broken(absl::StrCat(entry.name, " has ", *size, " bytes, and ", entry.size_bytes,
                               " by its manifest"));
  }
  std::string buffer(kBlockBytes, '\0');
  Sha256 digest;
  int64_t left = entry.size_bytes;
  while (left > 0) {
    const size_t most = std::min(buffer.size(), static_cast<size_t>(left));
    const la_ssize_t count = archive_read_data(archive_.get(), buffer.data(), most);
    if (count <= 0) return Broken(absl::StrCat("is cut: in ", entry.name));
    const std::string_view bytes(buffer.data(), static_cast<size_t>(count));
    digest.Update(bytes);
    if (absl::Status status = write(bytes); !status.ok()) return status;
    left -= count;
  }
  if (digest.HexDigest() == entry.sha256) return absl::OkStatus();
  return Broken(absl::StrCat(entry.name, " was changed: it has not the digest of its manifest"));
}

absl::Status ArchiveReader::ReadEnd() {
  archive_entry* entry = nullptr;
  const int code = archive_read_next_header(archive_.get(), &entry);
  if (code == ARCHIVE_EOF) return absl::OkStatus();
  return Broken("has more in it than its manifest says");
}

}  // namespace remuda
