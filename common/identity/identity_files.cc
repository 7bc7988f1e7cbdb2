#include "common/identity/identity_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "common/identity/key.h"
#include "common/identity/verify_chain.h"
#include "common/private_directory.h"

namespace remuda::identity {
namespace {

namespace fs = std::filesystem;

absl::Status Fault(const std::string& path, const std::string& what) {
  return absl::FailedPreconditionError(path + ": " + what);
}

absl::Status Fault(const std::string& path, const char* what, int error) {
  return Fault(path, std::string(what) + ": " + std::strerror(error));
}

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

// The same error with the file's name.
absl::Status In(const std::string& path, const absl::Status& status) {
  return {status.code(), path + ": " + std::string(status.message())};
}

}  // namespace

absl::Status CheckPrivate(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return Fault(path, "cannot be read", errno);
  if (info.st_uid != geteuid() && geteuid() != 0)
    return Fault(path, "belongs to user " + std::to_string(info.st_uid) +
                           ", and this program runs as user " + std::to_string(geteuid()));
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return Fault(path, "holds a private key and others can read it (chmod 0600)");
  return absl::OkStatus();
}

IdentityFiles FilesIn(const std::string& directory) {
  return {.identity = directory + "/identity.pem", .authorities = directory + "/authorities.pem"};
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& path, size_t max_bytes) {
  const File file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.fd() < 0) {
    if (errno == ENOENT) return absl::NotFoundError(path + ": is not there");
    return Fault(path, "cannot be read", errno);
  }
  std::string bytes(max_bytes + 1, 0);
  size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t got = read(file.fd(), bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Fault(path, "cannot be read", errno);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > max_bytes) return Fault(path, "is over " + std::to_string(max_bytes) + " bytes");
  bytes.resize(size);
  return bytes;
}

absl::StatusOr<Identity> LoadIdentity(const IdentityFiles& files) {
  auto bytes = ReadSmallFile(files.identity, kMaxIdentityFileBytes);
  if (!bytes.ok()) return bytes.status();
  if (absl::Status status = CheckPrivate(files.identity); !status.ok()) return status;
  auto authorities = ReadSmallFile(files.authorities, kMaxIdentityFileBytes);
  if (!authorities.ok()) return authorities.status();
  auto key = ReadKey(*bytes);
  if (!key.ok()) return In(files.identity, key.status());
  constexpr size_t kMaxCertificates = 10;
  tls::ChainPtr chain;
  std::string error;
  if (!tls::ReadCertificates(*bytes, kMaxCertificates, chain, error))
    return In(files.identity, absl::InvalidArgumentError(error));
  X509* const leaf = sk_X509_value(chain.get(), 0);
  if (X509_check_private_key(leaf, key->get()) != 1) {
    tls::TakeErrors();
    return In(files.identity, absl::InvalidArgumentError("the key is not that of the certificate"));
  }
  auto peer = ReadPeer(leaf);
  if (!peer.ok()) return In(files.identity, peer.status());
  tls::ChainPtr trusted;
  if (!tls::ReadCertificates(*authorities, kMaxChainLength, trusted, error))
    return In(files.authorities, absl::InvalidArgumentError(error));
  auto key_pem = KeyPem(key->get());
  if (!key_pem.ok()) return key_pem.status();
  const size_t begin = bytes->find("-----BEGIN CERTIFICATE-----");
  return Identity{.peer = *std::move(peer),
                  .key_pem = *std::move(key_pem),
                  .certificate_pem = bytes->substr(begin),
                  .authorities_pem = *std::move(authorities)};
}

absl::Status WritePrivateFile(const std::string& path, std::string_view bytes) {
  const std::string parent = fs::path(path).parent_path().string();
  const File directory(
      open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // One writer at a time, of all programs (two commands may renew at once): else one would rename
  // what the other has not written whole. Until `directory` is closed.
  while (directory.fd() >= 0 && flock(directory.fd(), LOCK_EX) != 0 && errno == EINTR) continue;
  const std::string temporary = path + ".new";
  unlink(temporary.c_str());
  {
    const File file(
        open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file.fd() < 0) return Fault(temporary, "cannot be made", errno);
    if (!WriteAll(file.fd(), bytes) || fsync(file.fd()) != 0) {
      const int error = errno;
      unlink(temporary.c_str());
      return Fault(temporary, "cannot be written", error);
    }
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    unlink(temporary.c_str());
    return Fault(path, "cannot be written", error);
  }
  if (directory.fd() >= 0) fsync(directory.fd());
  return absl::OkStatus();
}

absl::Status SaveIdentity(const IdentityFiles& files, const std::string& key_pem,
                          const std::string& certificate_pem, const std::string& authorities_pem) {
  const std::string directory = fs::path(files.identity).parent_path().string();
  if (!directory.empty()) {
    const auto made = MakePrivateDirectory(directory, "identity.pem", "identity directory");
    if (!made.ok()) return made.status();
  }
  if (absl::Status status = WritePrivateFile(files.authorities, authorities_pem); !status.ok())
    return status;
  return WritePrivateFile(files.identity, key_pem + certificate_pem);
}

}  // namespace remuda::identity
