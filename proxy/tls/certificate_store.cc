#include "proxy/tls/certificate_store.h"

#include <algorithm>

namespace remuda::proxy::tls {
namespace {

void Add(CertificateStore::Entry& entry, const Certificate* certificate) {
  const Certificate*& place = certificate->kind() == KeyKind::kRsa ? entry.rsa : entry.ecdsa;
  if (place == nullptr) place = certificate;
}

}  // namespace

CertificateStore::CertificateStore(std::vector<std::shared_ptr<const Certificate>> certificates)
    : certificates_(std::move(certificates)) {
  size_t names = 0;
  for (const auto& certificate : certificates_) names += certificate->dns_names().size();
  exact_.reserve(names);
  for (const auto& certificate : certificates_) {
    for (std::string_view name : certificate->dns_names()) {
      Add(name.front() == '*' ? wildcard_[name.substr(1)] : exact_[name], certificate.get());
    }
  }
  const Certificate* const first = certificates_.front().get();
  Add(fallback_, first);
  if (first->dns_names().empty()) return;
  const std::string_view name = first->dns_names().front();
  const Entry& same = name.front() == '*' ? wildcard_[name.substr(1)] : exact_[name];
  if (same.rsa != nullptr) Add(fallback_, same.rsa);
  if (same.ecdsa != nullptr) Add(fallback_, same.ecdsa);
}

const CertificateStore::Entry& CertificateStore::Find(std::string_view server_name) const {
  if (!server_name.empty() && server_name.back() == '.') server_name.remove_suffix(1);
  if (server_name.empty() || server_name.size() > kMaxDnsNameBytes) return fallback_;
  char lower[kMaxDnsNameBytes];
  std::transform(server_name.begin(), server_name.end(), lower, [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const std::string_view name(lower, server_name.size());
  if (const auto it = exact_.find(name); it != exact_.end()) return it->second;
  const size_t dot = name.find('.');
  if (dot == std::string_view::npos || dot == 0) return fallback_;
  const auto it = wildcard_.find(name.substr(dot));
  return it != wildcard_.end() ? it->second : fallback_;
}

}  // namespace remuda::proxy::tls
