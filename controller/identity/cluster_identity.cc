#include "controller/identity/cluster_identity.h"

#include <absl/time/clock.h>
#include <arpa/inet.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "common/identity/key.h"
#include "common/identity/verify_chain.h"
#include "common/private_directory.h"
#include "common/tls/dns_name.h"
#include "controller/identity/authority_files.h"

namespace remuda {
namespace {

using identity::Authority;

std::string HostName() {
  constexpr size_t kMaxHostName = 256;
  std::array<char, kMaxHostName> text{};
  return gethostname(text.data(), text.size() - 1) == 0 ? text.data() : "";
}

// A name of an identity from that of the machine.
std::string NameFrom(std::string host) {
  host = host.substr(0, host.find('.'));
  std::transform(host.begin(), host.end(), host.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return identity::IsIdentityName(host) ? host : "controller";
}

bool IsAddress(const std::string& text) {
  in6_addr room{};
  return inet_pton(AF_INET, text.c_str(), &room) == 1 ||
         inet_pton(AF_INET6, text.c_str(), &room) == 1;
}

bool IsWildcard(const std::string& text) { return text == "0.0.0.0" || text == "::"; }

// Each once; what is no name (a machine may be called anything) is left out.
void AddHosts(const std::vector<std::string>& hosts, identity::IssueRequest& request) {
  const auto add = [](std::vector<std::string>& to, const std::string& host) {
    if (std::find(to.begin(), to.end(), host) == to.end()) to.push_back(host);
  };
  for (const std::string& host : hosts) {
    std::string normal;
    if (IsWildcard(host)) continue;
    if (IsAddress(host)) {
      add(request.addresses, host);
    } else if (tls::NormalizeDnsName(host, false, normal)) {
      add(request.dns_names, normal);
    }
  }
}

std::string PortOf(const std::string& address) { return address.substr(address.rfind(':') + 1); }

// Where one that listens on all addresses is reached, as far as it can be known here.
std::string ReachableAt(const std::string& address) {
  AdvertisedAddress parsed;
  if (!ParseAdvertised(address, parsed) || !IsWildcard(parsed.host)) return address;
  const std::string name = HostName();
  return HostPort(name.empty() ? "127.0.0.1" : name, parsed.port);
}

absl::Status WrongIdentity(const std::string& what) { return absl::InvalidArgumentError(what); }

absl::Status In(const std::string& path, const absl::Status& status) {
  return {status.code(), path + ": " + std::string(status.message())};
}

}  // namespace

absl::Status CheckShown(const ShownIdentity& shown, const std::string& cluster, absl::Time now) {
  const identity::SpiffeId& id = shown.peer.id;
  if (id.role != v1::IDENTITY_ROLE_CONTROLLER)
    return WrongIdentity(identity::Text(id) + " is no controller");
  if (id.cluster != cluster)
    return WrongIdentity(identity::Text(id) + " is of another cluster than " + cluster);
  auto key = identity::ReadKey(shown.key_pem);
  if (!key.ok()) return WrongIdentity("the key: " + std::string(key.status().message()));
  const auto certified = identity::PublicKeyOf(shown.certificate_pem);
  if (!certified.ok()) return certified.status();
  if (EVP_PKEY_eq(certified->get(), key->get()) != 1) {
    tls::TakeErrors();
    return WrongIdentity("the key is not that of the certificate");
  }
  return identity::VerifyChain(shown.certificate_pem, shown.authorities_pem,
                               identity::ChainUse::kServer, now);
}

absl::StatusOr<std::unique_ptr<ClusterIdentity>> ClusterIdentity::Open(Options options,
                                                                       absl::Time now) {
  if (options.name.empty()) options.name = DefaultControllerName();
  const auto made = MakePrivateDirectory(options.directory, "identity.pem", "identity directory");
  if (!made.ok()) return made.status();
  std::unique_ptr<ClusterIdentity> opened(new ClusterIdentity(std::move(options)));
  const Options& of = opened->options_;
  if (!of.given.is_external()) {
    auto authority =
        of.given.ca_certificate.empty()
            ? LoadOrMakeAuthority(AuthorityFilesIn(of.directory), of.cluster, now)
            : LoadAuthority({.certificates = of.given.ca_certificate, .key = of.given.ca_key});
    if (!authority.ok()) return authority.status();
    opened->authority_ = *std::move(authority);
  }
  if (auto refreshed = opened->Refresh(now); !refreshed.ok()) return refreshed.status();
  return opened;
}

ClusterIdentity::~ClusterIdentity() { Stop(); }

void ClusterIdentity::Start(OnChange on_change) {
  AddListener(std::move(on_change));
  thread_ = std::thread([this] { Run(); });
}

void ClusterIdentity::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_one();
  if (thread_.joinable()) thread_.join();
}

ShownIdentityPtr ClusterIdentity::current() const {
  const std::lock_guard lock(mutex_);
  return shown_;
}

std::string ClusterIdentity::authority_pin() const {
  // They were read before they were shown.
  return identity::PinOf(std::string_view(current()->authorities_pem)).value_or("");
}

void ClusterIdentity::SetListening(const std::string& api, const std::string& join) {
  const std::lock_guard lock(mutex_);
  api_ = api;
  join_ = join;
}

std::vector<std::string> ApiAddresses(const IdentityOptions& given, const std::string& api) {
  std::vector<std::string> addresses;
  for (const std::string& text : given.advertise) {
    AdvertisedAddress address;
    if (!ParseAdvertised(text, address)) continue;
    addresses.push_back(HostPort(address.host, address.port.empty() ? PortOf(api) : address.port));
  }
  if (addresses.empty()) addresses.push_back(ReachableAt(api));
  return addresses;
}

std::string JoinAddress(const IdentityOptions& given, const std::string& join) {
  AdvertisedAddress address;
  if (!given.advertise.empty() && ParseAdvertised(given.advertise.front(), address))
    return HostPort(address.host, PortOf(join));
  return ReachableAt(join);
}

std::string DefaultControllerName() { return NameFrom(HostName()); }

std::vector<std::string> ClusterIdentity::api_addresses() const {
  const std::lock_guard lock(mutex_);
  return ApiAddresses(options_.given, api_);
}

std::string ClusterIdentity::join_address() const {
  const std::lock_guard lock(mutex_);
  return JoinAddress(options_.given, join_);
}

absl::Status ClusterIdentity::CanIssue() const {
  if (authority_.has_value()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "this cluster's certificates are issued elsewhere (--tls-cert): ask who issues them");
}

absl::StatusOr<ClusterIdentity::Issued> ClusterIdentity::Issue(std::string_view request_pem,
                                                               v1::IdentityRole role,
                                                               const std::string& name,
                                                               absl::Time now) const {
  if (absl::Status status = CanIssue(); !status.ok()) return status;
  auto key = identity::ReadCertificateRequest(request_pem);
  if (!key.ok()) return key.status();
  auto certificate = authority_->Issue(
      key->get(),
      {.id = {.cluster = options_.cluster, .role = role, .name = name},
       .now = now,
       .lifetime = role == v1::IDENTITY_ROLE_PERSON ? identity::kPersonLifetime
                                                    : options_.given.certificate_lifetime});
  if (!certificate.ok()) return certificate.status();
  auto peer = identity::ReadPeer(std::string_view(*certificate));
  if (!peer.ok()) return absl::InternalError(std::string(peer.status().message()));
  return Issued{.peer = *std::move(peer),
                .certificate_pem = *std::move(certificate),
                .authorities_pem = current()->authorities_pem};
}

absl::StatusOr<std::string> ClusterIdentity::Trusted() const {
  std::string trusted = authority_.has_value() ? authority_->bundle_pem() : "";
  const std::string& path = options_.given.ca_bundle;
  if (path.empty()) return trusted;
  auto more = identity::ReadSmallFile(path, identity::kMaxIdentityFileBytes);
  if (!more.ok()) return more.status();
  tls::ChainPtr read;
  std::string error;
  if (!tls::ReadCertificates(*more, identity::kMaxChainLength, read, error))
    return In(path, WrongIdentity(error));
  return trusted + *more;
}

absl::StatusOr<ShownIdentity> ClusterIdentity::IssueOwn(absl::Time now) const {
  auto trusted = Trusted();
  const ShownIdentityPtr held = current();
  // One that is not good yet is of before the clock was set back.
  if (held != nullptr && now < identity::RenewalTime(held->peer, 0) &&
      now >= held->peer.issue_time - identity::kBackdate) {
    if (!trusted.ok()) return trusted.status();
    ShownIdentity same = *held;
    same.authorities_pem = *std::move(trusted);
    return same;
  }
  // A bundle that cannot be read now is no reason to let the certificate end.
  if (!trusted.ok() && held != nullptr) trusted = held->authorities_pem;
  if (!trusted.ok()) return trusted.status();
  auto key = identity::MakeKey();
  if (!key.ok()) return key.status();
  auto key_pem = identity::KeyPem(key->get());
  if (!key_pem.ok()) return key_pem.status();
  identity::IssueRequest request{
      .id = {.cluster = options_.cluster,
             .role = v1::IDENTITY_ROLE_CONTROLLER,
             .name = options_.name},
      .now = now,
      .lifetime = options_.given.certificate_lifetime,
  };
  AddHosts({"localhost", "127.0.0.1", "::1", HostName()}, request);
  AddHosts(options_.hosts, request);
  for (const std::string& text : options_.given.advertise) {
    AdvertisedAddress address;
    if (ParseAdvertised(text, address)) AddHosts({address.host}, request);
  }
  auto certificate = authority_->Issue(key->get(), request);
  if (!certificate.ok()) return certificate.status();
  auto peer = identity::ReadPeer(std::string_view(*certificate));
  if (!peer.ok()) return peer.status();
  return ShownIdentity{.peer = *std::move(peer),
                       .certificate_pem = *std::move(certificate),
                       .key_pem = *std::move(key_pem),
                       .authorities_pem = *std::move(trusted)};
}

absl::StatusOr<ShownIdentity> ClusterIdentity::ReadGiven(absl::Time now) const {
  const std::string& path = options_.given.tls_certificate;
  auto certificate = identity::ReadSmallFile(path, identity::kMaxIdentityFileBytes);
  if (!certificate.ok()) return certificate.status();
  auto key = identity::ReadSmallFile(options_.given.tls_key, identity::kMaxKeyPemBytes);
  if (!key.ok()) return key.status();
  if (absl::Status status = identity::CheckPrivate(options_.given.tls_key); !status.ok())
    return status;
  auto trusted = Trusted();
  // As in IssueOwn.
  const ShownIdentityPtr held = current();
  if (!trusted.ok() && held != nullptr && held->certificate_pem != *certificate)
    trusted = held->authorities_pem;
  if (!trusted.ok()) return trusted.status();
  auto peer = identity::ReadPeer(std::string_view(*certificate));
  if (!peer.ok()) return In(path, peer.status());
  ShownIdentity read{.peer = *std::move(peer),
                     .certificate_pem = *std::move(certificate),
                     .key_pem = *std::move(key),
                     .authorities_pem = *std::move(trusted)};
  if (absl::Status status = CheckShown(read, options_.cluster, now); !status.ok())
    return In(path, status);
  return read;
}

absl::StatusOr<bool> ClusterIdentity::Refresh(absl::Time now) {
  auto shown = authority_.has_value() ? IssueOwn(now) : ReadGiven(now);
  if (!shown.ok()) return shown.status();
  const ShownIdentityPtr held = current();
  const bool is_same = held != nullptr && *held == *shown;
  if (is_same && is_saved_) return false;
  if (absl::Status status = CheckShown(*shown, options_.cluster, now); !status.ok()) return status;
  const absl::Status saved = identity::SaveIdentity(files(), shown->key_pem, shown->certificate_pem,
                                                    shown->authorities_pem);
  is_saved_ = saved.ok();
  // What is shown needs no disk, but for the controller's own calls: it is tried again.
  if (!saved.ok() && (held == nullptr || is_same)) return saved;
  if (is_same) return false;
  const std::lock_guard lock(mutex_);
  shown_ = std::make_shared<const ShownIdentity>(*std::move(shown));
  return true;
}

void ClusterIdentity::Run() {
  std::string told;  // each error once
  while (true) {
    {
      std::unique_lock lock(mutex_);
      const absl::Duration wait = std::min(kLookInterval, options_.given.certificate_lifetime / 10);
      stopped_.wait_for(lock, absl::ToChronoNanoseconds(wait), [this] { return stopping_; });
      if (stopping_) return;
    }
    const absl::Time now = absl::Now();
    const auto changed = Refresh(now);
    std::string error;
    const identity::Peer peer = current()->peer;
    if (changed.ok() && *changed) {
      spdlog::info("the controller's certificate {} is good until {}", peer.serial,
                   absl::FormatTime(peer.expire_time, absl::UTCTimeZone()));
      for (const OnChange& listener : listeners_) listener(*current());
    } else if (!changed.ok()) {
      error = "the controller's own certificate: " + std::string(changed.status().message());
    }
    if (error.empty() && authority_.has_value() &&
        authority_->expire_time() - now < kWarnBeforeAuthorityEnds) {
      error = "the authority's certificate ends at " +
              absl::FormatTime(authority_->expire_time(), absl::UTCTimeZone()) +
              ", and with it all that it has issued: another must take its place before";
    }
    if (error.empty() && !authority_.has_value() && peer.expire_time - now < kWarnBeforeEnd) {
      error = options_.given.tls_certificate + ": ends at " +
              absl::FormatTime(peer.expire_time, absl::UTCTimeZone());
    }
    if (!error.empty() && error != told) spdlog::warn("{}", error);
    told = error;
  }
}

}  // namespace remuda
