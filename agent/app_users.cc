#include "agent/app_users.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>
#include <system_error>

#include "agent/process.h"
#include "agent/record_file.h"
#include "common/random_bytes.h"

namespace remuda::agent {
namespace {

constexpr uint32_t kLeastId = 1000;
constexpr int kMaxGroups = 256;

// Users that any process of this host runs as: another agent's instances may be of the same range.
std::set<uint32_t> RunningUsers() {
  std::set<uint32_t> users;
  for (const ProcessStat& process : AllProcesses()) {
    for (const uid_t user : UsersOf(process.pid)) users.insert(user);
  }
  return users;
}

std::optional<uint32_t> ReadId(const std::string& path) {
  const auto text = ReadWholeFile(path);
  uint32_t id = 0;
  if (!text || !absl::SimpleAtoi(absl::string_view(text->data(), text->size()), &id)) return {};
  return id;
}

}  // namespace

std::string ParseUserRange(const std::string& text, UserRange& range) {
  const size_t dash = text.find('-');
  UserRange parsed{0, 0};
  if (dash == std::string::npos ||
      !absl::SimpleAtoi(absl::string_view(text.data(), dash), &parsed.first) ||
      !absl::SimpleAtoi(absl::string_view(text.data() + dash + 1, text.size() - dash - 1),
                        &parsed.last)) {
    return absl::StrCat("\"", text, "\" must be FIRST-LAST, two ids");
  }
  if (parsed.first < kLeastId || parsed.last < parsed.first || parsed.last == ~uint32_t{0}) {
    return absl::StrCat("\"", text, "\": FIRST must be ", kLeastId,
                        " or more, and LAST not below FIRST");
  }
  range = parsed;
  return "";
}

absl::StatusOr<std::optional<UserIds>> FindUser(const std::string& name, bool allow_root) {
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> buffer(size_t{64} * 1024);
  const int error = getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("user \"", name,
                     "\": ", error == 0 ? "does not exist on this host" : std::strerror(error)));
  }
  if (geteuid() != 0) {
    if (geteuid() == entry.pw_uid) return std::optional<UserIds>();
    return absl::FailedPreconditionError(
        absl::StrCat("user \"", name, "\": the agent is not root, so it cannot become it"));
  }
  if (entry.pw_uid == 0 && !allow_root) {
    return absl::FailedPreconditionError(
        absl::StrCat("user \"", name,
                     "\": is root, which apps may be only where the agent runs with "
                     "--allow-root-apps"));
  }
  UserIds user{.uid = entry.pw_uid, .gid = entry.pw_gid, .name = name};
  int count = kMaxGroups;
  std::vector<gid_t> groups(static_cast<size_t>(count));
  if (getgrouplist(name.c_str(), entry.pw_gid, groups.data(), &count) >= 0) {
    groups.resize(static_cast<size_t>(count));
    user.groups.assign(groups.begin(), groups.end());
  }
  return std::optional<UserIds>(std::move(user));
}

AppUsers::AppUsers(Options options) : options_(std::move(options)), is_root_(geteuid() == 0) {
  if (const auto last = ReadId(options_.counter)) last_ = *last;
}

void AppUsers::Load(const std::string& id, const InstanceDir& dir) {
  // One of another range than today's stays the instance's, whose files are its.
  if (const auto own = ReadId(dir.User()); is_root_ && own && *own >= kLeastId) ids_[id] = *own;
}

absl::Status AppUsers::Check(const std::string& name) const {
  return name.empty() ? absl::OkStatus() : FindUser(name, options_.allow_root).status();
}

absl::StatusOr<std::optional<UserIds>> AppUsers::Ensure(const std::string& id,
                                                        const InstanceDir& dir,
                                                        const std::string& name) {
  if (!name.empty()) return FindUser(name, options_.allow_root);
  if (!is_root_) return std::optional<UserIds>();
  if (ids_.count(id) == 0) {
    const auto picked = Pick();
    if (!picked.ok()) return picked.status();
    std::error_code error;
    std::filesystem::create_directories(dir.path, error);
    chmod(dir.path.c_str(), 0711);
    int failed = WriteFileAtomically(dir.User(), absl::StrCat(*picked), /*sync=*/false, 0600);
    // Without the counter an id may be given again sooner.
    if (failed == 0)
      failed = WriteFileAtomically(options_.counter, absl::StrCat(*picked), /*sync=*/false, 0600);
    if (failed != 0) {
      return absl::UnavailableError(
          absl::StrCat("write ", dir.User(), ": ", std::strerror(failed)));
    }
    last_ = *picked;
    ids_[id] = *picked;
  }
  const uint32_t own = ids_.at(id);
  return std::optional<UserIds>(UserIds{.uid = own, .gid = own, .is_own = true});
}

std::string AppUsers::KeyOf(const std::string& id, const std::string& name) const {
  if (!name.empty() || !is_root_) return name;
  const auto it = ids_.find(id);
  // No name begins so.
  return it == ids_.end() ? "#" : absl::StrCat("#", it->second);
}

absl::StatusOr<uint32_t> AppUsers::Pick() {
  const UserRange& range = options_.range;
  std::set<uint32_t> taken = RunningUsers();
  for (const auto& [id, own] : ids_) taken.insert(own);
  const uint64_t count = uint64_t{range.last} - range.first + 1;
  // Begins anywhere: another agent of this host may have the same range.
  uint32_t next = range.Has(last_)
                      ? last_
                      : range.first + static_cast<uint32_t>(
                                          std::strtoull(RandomHex().c_str(), nullptr, 16) % count);
  for (uint64_t i = 0; i < count; ++i) {
    next = next == range.last ? range.first : next + 1;
    if (taken.count(next) == 0) return next;
  }
  return absl::UnavailableError(
      absl::StrCat("no user is left: all of ", range.first, "-", range.last, " are in use"));
}

}  // namespace remuda::agent
