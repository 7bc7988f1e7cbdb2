#include "controller/store/sealing_keys.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "common/random_bytes.h"
#include "common/status.h"

namespace remuda {
namespace {

constexpr size_t kMaxFileBytes = 64 * 1024;
constexpr char kReason[] = "SEALING_KEY";

absl::Status Fault(const std::string& file, const std::string& what) {
  return FailedPrecondition(kReason, absl::StrCat("sealing key file ", file, ": ", what));
}

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

 private:
  const int fd_;
};

// Whether root reads what the owner of the file's directory keeps there, as it does to restore.
bool IsRootForOwner(const std::string& file, const struct stat& info) {
  std::string directory = std::filesystem::path(file).parent_path().string();
  if (directory.empty()) directory = ".";
  struct stat held {};
  return geteuid() == 0 && stat(directory.c_str(), &held) == 0 && held.st_uid == info.st_uid;
}

absl::StatusOr<std::string> ReadPrivately(const std::string& file) {
  const File opened(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (opened.fd() < 0) {
    if (errno == ENOENT) return absl::NotFoundError(absl::StrCat(file, ": there is no such file"));
    return Fault(file, absl::StrCat("cannot be read: ", std::strerror(errno)));
  }
  struct stat info {};
  if (fstat(opened.fd(), &info) != 0 || !S_ISREG(info.st_mode)) return Fault(file, "is not a file");
  if (info.st_uid != geteuid() && info.st_uid != 0 && !IsRootForOwner(file, info)) {
    return Fault(file, absl::StrCat("belongs to user ", info.st_uid,
                                    ", who is neither this program's user nor root"));
  }
  // Root's may be given to this program by its group, as systemd's credentials are.
  const mode_t forbidden =
      info.st_uid == 0 && geteuid() != 0 ? (S_IWGRP | S_IXGRP | S_IRWXO) : (S_IRWXG | S_IRWXO);
  if ((info.st_mode & forbidden) != 0) {
    return Fault(
        file, absl::StrFormat(
                  "others may read it (mode %04o): close it (chmod 0600), and put a new key before "
                  "the one that is in it if somebody may have read that",
                  info.st_mode & 07777));
  }
  std::string text(kMaxFileBytes + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t count = read(opened.fd(), text.data() + size, text.size() - size);
    if (count < 0) return Fault(file, absl::StrCat("cannot be read: ", std::strerror(errno)));
    if (count == 0) break;
    size += static_cast<size_t>(count);
  }
  if (size > kMaxFileBytes)
    return Fault(file, absl::StrCat("has more than ", kMaxFileBytes, " bytes"));
  text.resize(size);
  return text;
}

std::string Trim(std::string_view line) {
  line = line.substr(0, line.find('#'));
  const size_t begin = line.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return "";
  return std::string(line.substr(begin, line.find_last_not_of(" \t\r") - begin + 1));
}

bool IsKey(const std::string& text) {
  return text.size() == 2 * kSealingKeyBytes && std::all_of(text.begin(), text.end(), [](char c) {
           return std::isxdigit(static_cast<unsigned char>(c)) != 0;
         });
}

}  // namespace

absl::StatusOr<SealingKeys> ReadSealingKeys(const std::string& file) {
  const auto text = ReadPrivately(file);
  if (!text.ok()) return text.status();
  SealingKeys out{.file = file, .keys = {}};
  int number = 0;
  for (size_t begin = 0; begin < text->size();) {
    const size_t end = std::min(text->find('\n', begin), text->size());
    const std::string line = Trim(std::string_view(*text).substr(begin, end - begin));
    begin = end + 1;
    ++number;
    if (line.empty()) continue;
    if (!IsKey(line)) {
      return Fault(file, absl::StrCat("line ", number, " is not a key, which is ",
                                      2 * kSealingKeyBytes, " hexadecimal digits"));
    }
    out.keys.push_back(absl::HexStringToBytes(line));
  }
  if (out.keys.empty()) return Fault(file, "there is no key in it");
  if (out.keys.size() > kMaxSealingKeys)
    return Fault(file, absl::StrCat("has more than ", kMaxSealingKeys, " keys"));
  return out;
}

absl::StatusOr<SealingKeys> MakeSealingKeys(const std::string& file) {
  SealingKeys out{.file = file, .keys = {RandomBytes(kSealingKeyBytes)}};
  const std::string text = absl::StrCat(
      "# Opens what remuda-controller has sealed. Keep a copy apart from the backups.\n",
      absl::BytesToHexString(out.keys.front()), "\n");
  // Whole or not at all: half a key would lock the store that is sealed next.
  const std::string partial = file + ".new";
  unlink(partial.c_str());
  const File made(open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (made.fd() < 0) return Fault(file, absl::StrCat("cannot be made: ", std::strerror(errno)));
  if (write(made.fd(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      fsync(made.fd()) != 0 || link(partial.c_str(), file.c_str()) != 0) {
    const int error = errno;
    unlink(partial.c_str());
    return Fault(file, absl::StrCat("cannot be made: ", std::strerror(error)));
  }
  unlink(partial.c_str());
  const std::string directory = std::filesystem::path(file).parent_path().string();
  const File parent(open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_CLOEXEC));
  if (parent.fd() < 0 || fsync(parent.fd()) != 0)
    return Fault(file, absl::StrCat("is not on disk: ", std::strerror(errno)));
  return out;
}

}  // namespace remuda
