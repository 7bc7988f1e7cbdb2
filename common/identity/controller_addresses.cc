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
#include <utility>

#include "common/endpoint.h"
#include "common/identity/identity_files.h"

namespace remuda::identity {
namespace {

constexpr char kMagic[] = "remuda-controllers 1";
constexpr std::string_view kEarlier = "earlier ";  // before an address that is one
constexpr size_t kMaxFileBytes =
    (kMaxControllers + kMaxEarlierControllers + 1) * (kEarlier.size() + kMaxControllerBytes + 1);
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
// learned again. Two processes may do so at once: a proxy and the one that takes over from it, or
// two commands. Empty, or what failed.
std::string Replace(const std::string& path, const std::string& bytes) {
  const std::string temporary = absl::StrCat(path, ".", getpid(), ".new");
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return temporary + ": " + std::strerror(errno);
  const ssize_t wrote = write(fd, bytes.data(), bytes.size());
  const int error = wrote < 0 ? errno : ENOSPC;
  close(fd);
  std::string wrong;
  if (wrote != static_cast<ssize_t>(bytes.size())) {
    wrong = temporary + ": " + std::strerror(error);
  } else if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    wrong = path + ": " + std::strerror(errno);
  }
  if (!wrong.empty()) unlink(temporary.c_str());
  return wrong;
}

bool Has(const std::vector<std::string>& all, const std::string& address) {
  return std::find(all.begin(), all.end(), address) != all.end();
}

struct Learned {
  std::vector<std::string> told;
  std::vector<std::string> earlier;
};

// False: it is no such file's.
bool ReadLearned(const std::string& text, Learned& out) {
  const std::vector<std::string> lines = Split(text, '\n');
  if (lines.size() < 3 || lines.front() != kMagic || !lines.back().empty()) return false;
  for (size_t i = 1; i + 1 < lines.size(); ++i) {
    const bool is_earlier = lines[i].starts_with(kEarlier);
    std::string address = lines[i].substr(is_earlier ? kEarlier.size() : 0);
    if (!IsHostAndPort(address)) return false;
    (is_earlier ? out.earlier : out.told).push_back(std::move(address));
  }
  return !out.told.empty() && out.told.size() <= kMaxControllers &&
         out.earlier.size() <= kMaxEarlierControllers;
}

Learned LoadLearned(const std::string& file) {
  if (file.empty()) return {};
  const auto text = ReadSmallFile(file, kMaxFileBytes);
  if (absl::IsNotFound(text.status())) return {};
  constexpr std::string_view kIgnored = "; what is in it is not used";
  Learned learned;
  if (!text.ok()) {
    spdlog::warn("{}{}", std::string(text.status().message()), kIgnored);
  } else if (!ReadLearned(*text, learned)) {
    spdlog::warn("{}: is no list of controllers{}", file, kIgnored);
    return {};
  }
  return learned;
}

}  // namespace

std::vector<std::string> LearnedControllers(const std::string& file) {
  Learned learned = LoadLearned(file);
  for (std::string& address : learned.earlier) learned.told.push_back(std::move(address));
  return std::move(learned.told);
}

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
    if (!Has(out, one)) out.push_back(std::move(one));
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
  Learned learned = LoadLearned(options_.file);
  learned_ = std::move(learned.told);
  earlier_ = std::move(learned.earlier);
  Order();
  current_ = all_.front();
}

void ControllerAddresses::Save() const {
  if (options_.file.empty()) return;
  std::string text = absl::StrCat(kMagic, "\n", absl::StrJoin(learned_, "\n"), "\n");
  for (const std::string& address : earlier_) text.append(kEarlier).append(address).append("\n");
  const std::string wrong = Replace(options_.file, text);
  if (!wrong.empty()) spdlog::error("where the controllers are is not kept: {}", wrong);
}

void ControllerAddresses::Order() {
  all_.clear();
  using Source = const std::vector<std::string>*;
  for (Source source :
       std::initializer_list<Source>{&learned_, &options_.given, &options_.joined}) {
    for (const std::string& address : *source) {
      if (options_.only_this_machine && !IsOnThisMachine(address)) continue;
      if (!Has(all_, address)) all_.push_back(address);
    }
  }
  if (all_.empty()) all_ = options_.given;
}

const std::string* ControllerAddresses::NextEarlier() {
  if (std::exchange(has_tried_earlier_, true)) return nullptr;
  for (size_t i = 0; i < earlier_.size(); ++i) {
    const std::string& address = earlier_[rounds_of_earlier_++ % earlier_.size()];
    const bool may_be_dialled = !options_.only_this_machine || IsOnThisMachine(address);
    if (may_be_dialled && !Has(all_, address)) return &address;
  }
  return nullptr;
}

bool ControllerAddresses::Next(bool was_settled) {
  if (was_settled) {
    tried_.clear();
    has_tried_earlier_ = false;
  }
  tried_.insert(current_);
  for (const std::string& address : all_) {
    if (tried_.contains(address)) continue;
    current_ = address;
    return true;
  }
  if (const std::string* earlier = NextEarlier(); earlier != nullptr) {
    current_ = *earlier;
    return true;
  }
  tried_.clear();
  has_tried_earlier_ = false;
  current_ = all_.front();
  return false;
}

void ControllerAddresses::Learn(const v1::ControllerAddresses& told) {
  std::vector<std::string> learned;
  for (const std::string& address : told.addresses()) {
    if (learned.size() == kMaxControllers) break;
    if (IsHostAndPort(address) && !Has(learned, address)) learned.push_back(address);
  }
  if (learned.empty() || learned == learned_) return;
  spdlog::info("the controllers are at {}", ControllersText(learned));
  std::vector<std::string> earlier;
  for (const std::vector<std::string>* before : {&learned_, &earlier_}) {
    for (const std::string& address : *before) {
      if (earlier.size() < kMaxEarlierControllers && !Has(learned, address))
        earlier.push_back(address);
    }
  }
  learned_ = std::move(learned);
  earlier_ = std::move(earlier);
  Order();
  Save();
}

}  // namespace remuda::identity
