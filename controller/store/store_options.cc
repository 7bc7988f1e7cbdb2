#include "controller/store/store_options.h"

#include <absl/status/status.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <algorithm>

#include "common/endpoint.h"

namespace remuda {
namespace {

constexpr char kEtcd[] = "etcd://";
constexpr char kSqlite[] = "sqlite:";

template <class... Parts>
absl::Status Wrong(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

absl::Status CheckEndpoint(const std::string& flag, const std::string& text) {
  if (const size_t at = text.rfind('@'); at != std::string::npos) {
    return Wrong(flag, ": \"...", text.substr(at), "\": the user stands in ", flag,
                 "-user, the password in the file of ", flag, "-password-file");
  }
  const size_t colon = text.rfind(':');
  const std::string digits = colon == std::string::npos ? "" : text.substr(colon + 1);
  int port = 0;
  if (colon == std::string::npos || colon == 0 ||
      digits.find_first_not_of("0123456789") != std::string::npos ||
      !absl::SimpleAtoi(digits, &port) || port < 1 || port > 65535) {
    return Wrong(flag, ": \"", text, "\" is not HOST:PORT with a port of 1-65535");
  }
  const std::string host = text.substr(0, colon);
  const bool is_bracketed = host.front() == '[' && host.back() == ']';
  if (!is_bracketed && host.find(':') != std::string::npos)
    return Wrong(flag, ": \"", text, "\": an IPv6 address stands in brackets");
  if (host.find_first_of(" \t@?#\\") != std::string::npos)
    return Wrong(flag, ": \"", text, "\" is not HOST:PORT");
  return absl::OkStatus();
}

absl::Status ParseEtcd(const std::string& text, EtcdAddress& out) {
  const std::string& flag = out.flag;
  const size_t slash = text.find('/');
  for (const auto& part : absl::StrSplit(text.substr(0, slash), ',')) {
    const std::string endpoint(part);
    if (absl::Status status = CheckEndpoint(flag, endpoint); !status.ok()) return status;
    if (std::find(out.endpoints.begin(), out.endpoints.end(), endpoint) != out.endpoints.end())
      return Wrong(flag, ": ", endpoint, " is there twice");
    out.endpoints.push_back(endpoint);
  }
  if (out.endpoints.size() > kMaxEtcdEndpoints) {
    return Wrong(flag, ": ", out.endpoints.size(), " endpoints are more than ", kMaxEtcdEndpoints);
  }
  if (slash == std::string::npos || slash + 1 == text.size()) return absl::OkStatus();
  out.prefix = text.substr(slash);
  if (out.prefix.back() != '/') out.prefix += '/';
  if (out.prefix.size() > kMaxEtcdPrefixBytes)
    return Wrong(flag, ": a prefix has at most ", kMaxEtcdPrefixBytes, " bytes");
  if (out.prefix.find("//") != std::string::npos ||
      std::any_of(out.prefix.begin(), out.prefix.end(),
                  [](char c) { return c <= ' ' || c > '~' || c == '?' || c == '#'; })) {
    return Wrong(flag, ": \"", out.prefix, "\" is no prefix of keys: printable ASCII, no // ? #");
  }
  return absl::OkStatus();
}

absl::Status CheckEtcd(const StoreFlags& flags) {
  const std::string& flag = flags.flag;
  if (flags.certificate.empty() != flags.key.empty())
    return Wrong(flag, "-cert and ", flag, "-key: one does not go without the other");
  if (!flags.certificate.empty() && flags.ca.empty())
    return Wrong(flag, "-cert: there is no TLS without ", flag, "-ca");
  if (flags.user.empty() != flags.password_file.empty())
    return Wrong(flag, "-user and ", flag, "-password-file: one does not go without the other");
  const int lease = flags.lease_seconds.value_or(kMinStoreLeaseSeconds);
  if (lease < kMinStoreLeaseSeconds || lease > kMaxStoreLeaseSeconds) {
    return Wrong(flag, "-lease: ", lease, " is not within ", kMinStoreLeaseSeconds, "-",
                 kMaxStoreLeaseSeconds, " seconds");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<StoreOptions> ParseStoreOptions(const StoreFlags& flags,
                                               const std::string& data_dir) {
  const std::string& flag = flags.flag;
  StoreOptions out;
  out.etcd.flag = flag;
  if (flags.store.starts_with(kEtcd)) {
    out.kind = StoreOptions::Kind::kEtcd;
    if (absl::Status status = CheckEtcd(flags); !status.ok()) return status;
    const std::string address = flags.store.substr(sizeof kEtcd - 1);
    if (absl::Status status = ParseEtcd(address, out.etcd); !status.ok()) return status;
    for (const std::string& endpoint : out.etcd.endpoints) {
      if (!flags.ca.empty() || flags.insecure || IsOnThisMachine(endpoint)) continue;
      return Wrong(flag, ": ", endpoint,
                   " is another machine and there is no TLS: whoever is on the way reads and "
                   "writes the state. Give ",
                   flag, "-ca, or ", flag, "-insecure if that is what you want");
    }
    out.lease = std::chrono::seconds(flags.lease_seconds.value_or(kMinStoreLeaseSeconds));
    out.etcd.ca = flags.ca;
    out.etcd.certificate = flags.certificate;
    out.etcd.key = flags.key;
    out.etcd.user = flags.user;
    out.etcd.password_file = flags.password_file;
    return out;
  }
  for (const auto& [suffix, value] :
       {std::pair{"-ca", &flags.ca}, std::pair{"-cert", &flags.certificate},
        std::pair{"-key", &flags.key}, std::pair{"-user", &flags.user},
        std::pair{"-password-file", &flags.password_file}}) {
    if (!value->empty()) return Wrong(flag, suffix, ": is of ", flag, "=etcd:// only");
  }
  if (flags.lease_seconds.has_value()) return Wrong(flag, "-lease: is of ", flag, "=etcd:// only");
  out.sqlite_path = data_dir + "/state.db";
  if (flags.store.empty()) return out;
  if (!flags.store.starts_with(kSqlite) || flags.store.size() == sizeof kSqlite - 1) {
    return Wrong(flag, ": \"", flags.store,
                 "\" is neither sqlite:PATH nor etcd://HOST:PORT[,HOST:PORT...][/PREFIX]");
  }
  out.sqlite_path = flags.store.substr(sizeof kSqlite - 1);
  return out;
}

}  // namespace remuda
