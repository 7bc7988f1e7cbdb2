#include "controller/core/model/addresses.h"

#include "common/traffic/address.h"

namespace remuda::core {
namespace {

bool IsLoopback(const std::string& address) {
  return address == "::1" || address.starts_with("127.");
}

}  // namespace

std::vector<std::string> AddressesIn(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string address = traffic::CanonicalAddress(std::string(text.substr(0, comma)));
    if (!address.empty() && !IsLoopback(address)) out.push_back(address);
    text = comma == std::string_view::npos ? "" : text.substr(comma + 1);
  }
  return out;
}

std::vector<std::string> AddressesOf(const v1::Proxy& proxy) {
  if (proxy.addresses().empty()) return AddressesIn(proxy.address());
  return {proxy.addresses().begin(), proxy.addresses().end()};
}

}  // namespace remuda::core
