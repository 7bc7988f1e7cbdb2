#include "common/identity/controller_addresses.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "common/endpoint.h"
#include "common/identity/identity_files.h"

namespace remuda::identity {
namespace {

constexpr char kMagic[] = "remuda-controllers 1";
constexpr size_t kMaxFileBytes = (kMaxControllers + 1) * (kMaxControllerBytes + 1);
constexpr int kMaxPort = 65535;

std::vector<std::string> Split(std::string_view text, char by) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == by) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

bool IsOtherForm(std::string_view text) {
  for (const std::string_view scheme : {"unix:", "dns:", "ipv4:", "ipv6:"}) {
    if (text.size() > scheme.size() && text.starts_with(scheme)) return true;
  }
  return false;
}

bool IsHost(std::string_view host) {
  const bool is_bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (is_bracketed) host = host.substr(1, host.size() - 2);
  return !host.empty() && std::all_of(host.begin(), host.end(), [is_bracketed](char c) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
    return is_plain || (is_bracketed && (c == ':' || c == '%'));
  });
}

bool IsHostAndPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.size() > kMaxControllerBytes) return false;
  const std::string digits(text.substr(colon + 1));
  int port = 0;
  return IsHost(text.substr(0, colon)) && !digits.empty() &&
         digits.find_first_not_of("0123456789") == std::string::npos &&
         absl::SimpleAtoi(digits, &port) && port >= 1 && port <= kMaxPort;
}

// By a rename, so that a reader sees the old or the new; not synced: what a loss of power takes is
// learned again. Empty, or what failed.
std::string Replace(const std::string& path, const std::string& bytes) {
  const std::string temporary = path + ".new";
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return temporary + ": " + std::strerror(errno);
  const ssize_t wrote = write(fd, bytes.data(), bytes.size());
  const int error = wrote < 0 ? errno : ENOSPC;
  close(fd);
  if (wrote != static_cast<ssize_t>(bytes.size())) return temporary + ": " + std::strerror(error);
  if (std::rename(temporary.c_str(), path.c_str()) != 0) return path + ": " + std::strerror(errno);
  return "";
}

}  // namespace

std::string CheckControllerAddress(std::string_view text) {
  if (IsOtherForm(text) || IsHostAndPort(text)) return "";
  return absl::StrCat("\"", std::string(text.substr(0, kMaxControllerBytes)),
                      "\" is not HOST:PORT, with a port of 1-65535, as 10.0.0.1:7400");
}

absl::StatusOr<std::vector<std::string>> ParseControllers(std::string_view text) {
  std::vector<std::string> out;
  for (std::string& one : Split(text, ',')) {
    if (const std::string wrong = CheckControllerAddress(one); !wrong.empty())
      return absl::InvalidArgumentError(wrong);
    if (std::find(out.begin(), out.end(), one) == out.end()) out.push_back(std::move(one));
    if (out.size() > kMaxControllers) {
      return absl::InvalidArgumentError(
          absl::StrCat("there are more than ", kMaxControllers, " addresses (kMaxControllers)"));
    }
  }
  return out;
}

std::string ControllersText(const std::vector<std::string>& addresses) {
  return absl::StrJoin(addresses, ",");
}

ControllerAddresses::ControllerAddresses(Options options) : options_(std::move(options)) {
  if (!options_.file.empty()) Load();
  Order();
  current_ = all_.front();
}

void ControllerAddresses::Load() {
  const auto text = ReadSmallFile(options_.file, kMaxFileBytes);
  if (absl::IsNotFound(text.status())) return;
  const std::string ignored = "; what is in it is not used";
  if (!text.ok()) return spdlog::warn("{}{}", std::string(text.status().message()), ignored);
  std::vector<std::string> lines = Split(*text, '\n');
  const bool is_whole = lines.size() > 2 && lines.front() == kMagic && lines.back().empty() &&
                        lines.size() - 2 <= kMaxControllers &&
                        std::all_of(lines.begin() + 1, lines.end() - 1, IsHostAndPort);
  if (!is_whole) return spdlog::warn("{}: is no list of controllers{}", options_.file, ignored);
  learned_.assign(lines.begin() + 1, lines.end() - 1);
}

void ControllerAddresses::Save() const {
  if (options_.file.empty()) return;
  const std::string wrong =
      Replace(options_.file, absl::StrCat(kMagic, "\n", absl::StrJoin(learned_, "\n"), "\n"));
  if (!wrong.empty()) spdlog::error("where the controllers are is not kept: {}", wrong);
}

void ControllerAddresses::Order() {
  all_.clear();
  using Source = const std::vector<std::string>*;
  for (Source source :
       std::initializer_list<Source>{&learned_, &options_.given, &options_.joined}) {
    for (const std::string& address : *source) {
      if (options_.only_this_machine && !IsOnThisMachine(address)) continue;
      if (std::find(all_.begin(), all_.end(), address) == all_.end()) all_.push_back(address);
    }
  }
  if (all_.empty()) all_ = options_.given;
}

bool ControllerAddresses::Next(bool was_settled) {
  if (was_settled) tried_.clear();
  tried_.insert(current_);
  for (const std::string& address : all_) {
    if (tried_.contains(address)) continue;
    current_ = address;
    return true;
  }
  tried_.clear();
  current_ = all_.front();
  return false;
}

void ControllerAddresses::Learn(const v1::ControllerAddresses& told) {
  std::vector<std::string> learned;
  for (const std::string& address : told.addresses()) {
    if (learned.size() == kMaxControllers) break;
    if (IsHostAndPort(address) &&
        std::find(learned.begin(), learned.end(), address) == learned.end())
      learned.push_back(address);
  }
  if (learned.empty() || learned == learned_) return;
  spdlog::info("the controllers are at {}", ControllersText(learned));
  learned_ = std::move(learned);
  Order();
  Save();
}

}  // namespace remuda::identity
