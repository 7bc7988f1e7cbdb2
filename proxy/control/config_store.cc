#include "proxy/control/config_store.h"

#include <absl/status/status.h>
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/sha256.h"

namespace remuda::proxy {
namespace {

constexpr std::string_view kMagic = "remuda-proxy-config 1";

// Takes a line off `bytes`.
std::string_view TakeLine(std::string_view& bytes) {
  const size_t end = bytes.find('\n');
  const std::string_view line = bytes.substr(0, end);
  bytes = end == std::string_view::npos ? std::string_view() : bytes.substr(end + 1);
  return line;
}

std::string Payload(const StoredConfig& config) {
  return config.cluster_id + "\n" + std::to_string(config.epoch) + "\n" +
         config.update.SerializeAsString();
}

// The rename is durable only when the directory is.
void SyncDirectory(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

}  // namespace

std::string EncodeStoredConfig(const StoredConfig& config) {
  const std::string payload = Payload(config);
  return std::string(kMagic) + "\n" + Sha256Hex(payload) + "\n" + payload;
}

absl::StatusOr<StoredConfig> DecodeStoredConfig(std::string_view bytes) {
  if (TakeLine(bytes) != kMagic)
    return absl::DataLossError("it is not a config file of this version");
  const std::string_view digest = TakeLine(bytes);
  if (Sha256Hex(bytes) != digest)
    return absl::DataLossError("its checksum does not match its content");
  StoredConfig config;
  config.cluster_id = std::string(TakeLine(bytes));
  const std::string_view epoch = TakeLine(bytes);
  const auto [end, error] =
      std::from_chars(epoch.data(), epoch.data() + epoch.size(), config.epoch);
  if (error != std::errc() || end != epoch.data() + epoch.size())
    return absl::DataLossError("its epoch is not a number");
  if (!config.update.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError("its config cannot be parsed");
  }
  return config;
}

ConfigStore::ConfigStore(const std::string& directory) : path_(directory + "/config") {
  const std::filesystem::path path = std::filesystem::absolute(directory).lexically_normal();
  std::filesystem::create_directories(path.parent_path());
  // The file is closed to others by itself; a new directory is, too.
  mkdir(path.c_str(), 0700);
  std::filesystem::create_directories(path);  // throws if it is none
  thread_ = std::thread([this] { Run(); });
}

ConfigStore::~ConfigStore() {
  {
    std::lock_guard lock(mutex_);
    is_stopped_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

absl::StatusOr<StoredConfig> ConfigStore::Load() const {
  std::ifstream in(path_, std::ios::binary);
  if (!in) return absl::NotFoundError("there is no " + path_);
  std::stringstream bytes;
  bytes << in.rdbuf();
  auto config = DecodeStoredConfig(bytes.str());
  if (!config.ok())
    return absl::DataLossError(path_ + ": " + std::string(config.status().message()));
  return config;
}

void ConfigStore::Save(std::shared_ptr<const RoutingTable> table, std::string cluster_id,
                       int64_t epoch) {
  {
    std::lock_guard lock(mutex_);
    pending_ = Pending{std::move(table), std::move(cluster_id), epoch};
  }
  wake_.notify_one();
}

bool ConfigStore::is_idle() {
  std::lock_guard lock(mutex_);
  return !pending_ && !is_writing_;
}

void ConfigStore::Run() {
  while (true) {
    std::optional<Pending> next;
    {
      std::unique_lock lock(mutex_);
      is_writing_ = false;
      wake_.wait(lock, [&] { return pending_.has_value() || is_stopped_; });
      if (!pending_) return;
      next.swap(pending_);
      is_writing_ = true;
    }
    if (const absl::Status status = Write(*next); !status.ok()) {
      spdlog::error("{}; a restart without the controller would serve an older config",
                    std::string(status.message()));
    }
  }
}

absl::Status ConfigStore::Write(const Pending& pending) const {
  StoredConfig config;
  config.cluster_id = pending.cluster_id;
  config.epoch = pending.epoch;
  config.update.mutable_revision()->set_epoch(pending.table->revision.epoch);
  config.update.mutable_revision()->set_sequence(pending.table->revision.sequence);
  config.update.set_digest(pending.table->digest);
  *config.update.mutable_upserts() = ConfigOf(*pending.table);
  const std::string bytes = EncodeStoredConfig(config);
  const std::string temporary = path_ + ".new";
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const auto fail = [&](const char* what) {
    const std::string message = temporary + ": " + what + ": " + std::strerror(errno);
    if (fd >= 0) close(fd);
    return absl::InternalError(message);
  };
  if (fd < 0) return fail("open");
  // It holds private keys, and may have been there before with other permissions.
  if (fchmod(fd, 0600) != 0) return fail("fchmod");
  for (size_t written = 0; written < bytes.size();) {
    const ssize_t n = write(fd, bytes.data() + written, bytes.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail("write");
    written += static_cast<size_t>(n);
  }
  if (fsync(fd) != 0) return fail("fsync");
  close(fd);
  if (std::rename(temporary.c_str(), path_.c_str()) != 0) {
    return absl::InternalError(path_ + ": rename: " + std::strerror(errno));
  }
  SyncDirectory(std::filesystem::path(path_).parent_path().string());
  return absl::OkStatus();
}

}  // namespace remuda::proxy
