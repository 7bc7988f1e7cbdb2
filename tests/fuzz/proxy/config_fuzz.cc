// The config compiler, with certificates: two updates, one behind the other (the first two bytes
// say where the second begins), over a good table. Each is refused with a resource and a reason or
// compiles to a table whose config comes back, and which answers every request.
//
// A PEM text of one character stands for one that is made here, for no mutation would come to one:
// see Place.
#include <google/protobuf/stubs/logging.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "proxy/core/match.h"
#include "proxy/core/redirect.h"
#include "proxy/core/routing_table.h"
#include "proxy/tls/compiler.h"
#include "remuda/proxy/v1/proxy.pb.h"
#include "tests/fuzz/require.h"
#include "tests/unit/proxy/tls/test_certificates.h"

namespace proxy = remuda::proxy;
using remuda::Require;

namespace {

using Table = std::shared_ptr<const proxy::RoutingTable>;

struct Pem {
  std::string certificate;
  std::string key;
};

// Right ones of two names and two kinds of key, and an authority.
const std::array<Pem, 3>& Pems() {
  static const std::array<Pem, 3> pems = [] {
    using proxy::testing::TestKey;
    const auto made = {proxy::testing::MakeCertificate({.names = {"a.example"}}),
                       proxy::testing::MakeCertificate(
                           {.names = {"*.b.example", "b.example"}, .key = TestKey::kP384}),
                       proxy::testing::MakeCertificate({.key_index = 1, .is_authority = true})};
    std::array<Pem, 3> out;
    std::transform(made.begin(), made.end(), out.begin(), [](const auto& one) {
      return Pem{one.pem, one.key_pem};
    });
    return out;
  }();
  return pems;
}

const Pem* PemOf(const std::string& text) {
  return text.size() != 1 ? nullptr : &Pems()[static_cast<uint8_t>(text[0]) % Pems().size()];
}

// The texts that one character stands for.
void Place(proxy::v1::ConfigUpdate& update) {
  auto& upserts = *update.mutable_upserts();
  for (auto& certificate : *upserts.mutable_certificates()) {
    if (const Pem* pem = PemOf(certificate.certificate_pem()))
      certificate.set_certificate_pem(pem->certificate);
    if (const Pem* pem = PemOf(certificate.private_key_pem()))
      certificate.set_private_key_pem(pem->key);
  }
  for (auto& group : *upserts.mutable_target_groups()) {
    if (const Pem* pem = PemOf(group.target_tls().ca_pem()))
      group.mutable_target_tls()->set_ca_pem(pem->certificate);
  }
  for (auto& balancer : *upserts.mutable_load_balancers()) {
    for (auto& listener : *balancer.mutable_listeners()) {
      if (const Pem* pem = PemOf(listener.mutual_authentication().ca_pem()))
        listener.mutable_mutual_authentication()->set_ca_pem(pem->certificate);
    }
  }
}

proxy::CompileResult CompileWithTls(const proxy::RoutingTable& previous,
                                    const proxy::v1::ConfigUpdate& update) {
  static proxy::tls::Compiler tls(1);
  return proxy::CompileUpdate(previous, update, {.workers = 1, .tls = &tls});
}

Table Base() {
  proxy::v1::ConfigUpdate update;
  auto* certificate = update.mutable_upserts()->add_certificates();
  certificate->set_name("web");
  certificate->set_certificate_pem("0");
  certificate->set_private_key_pem("0");
  for (const char* name : {"blue", "green"}) {
    update.mutable_upserts()->add_target_groups()->set_name(name);
    auto* target = update.mutable_upserts()->add_targets();
    target->set_target_group(name);
    target->set_address("127.0.0.1");
    target->set_port(80);
  }
  auto* balancer = update.mutable_upserts()->add_load_balancers();
  balancer->set_name("shop");
  auto* listener = balancer->add_listeners();
  listener->set_port(80);
  listener->mutable_default_action()->mutable_forward()->add_target_groups()->set_target_group(
      "blue");
  auto* https = balancer->add_listeners();
  *https = *listener;
  https->set_port(443);
  https->set_protocol(remuda::v1::PROTOCOL_HTTPS);
  https->add_certificates("web");
  Place(update);
  return std::get<Table>(CompileWithTls(proxy::RoutingTable(), update));
}

bool IsTls(proxy::ListenerProtocol protocol) {
  return protocol == proxy::ListenerProtocol::kHttps || protocol == proxy::ListenerProtocol::kTls;
}

// Every listener has a rule for any request, TLS where it ends here, and a redirect says where.
void AskAll(const proxy::RoutingTable& table) {
  std::string text = "GET /a/b?c=d HTTP/1.1\r\nHost: a.example:80\r\nX: 1\r\nCookie: a=b\r\n\r\n";
  proxy::http::RequestParser parser;
  proxy::http::RequestHead head;
  Require(parser.Parse(text.data(), text.size(), head) == proxy::http::ParseStatus::kDone);
  head.host = "a.example:80";
  head.path = "/a/b";
  head.query = "c=d";
  head.has_query = true;
  for (const auto& [id, balancer] : table.load_balancers) {
    for (const proxy::ListenerSpec& listener : balancer->listeners) {
      Require((listener.tls != nullptr) == IsTls(listener.protocol));
      const proxy::Rule* rule = proxy::MatchRule(listener, head, {});
      Require(rule != nullptr);
      // Both ways to match are one.
      Require(rule == proxy::MatchRuleOneByOne(listener.rules, head, {}));
      if (const auto* redirect = std::get_if<proxy::Redirect>(&rule->action)) {
        std::array<char, 8192> room;
        std::string_view location;
        if (proxy::ExpandRedirect(*redirect, head, 80, room, location) ==
            proxy::ExpandResult::kOk) {
          Require(location.find_first_of("\r\n") == std::string_view::npos);
        }
      }
    }
  }
}

// Null if it is refused.
Table Compile(const proxy::RoutingTable& previous, const uint8_t* data, size_t size) {
  proxy::v1::ConfigUpdate update;
  if (!update.ParseFromArray(data, static_cast<int>(size))) return nullptr;
  Place(update);
  const auto result = CompileWithTls(previous, update);
  if (const auto* error = std::get_if<proxy::ConfigError>(&result)) {
    Require(!error->reason.empty());
    return nullptr;
  }
  const Table table = std::get<Table>(result);
  proxy::Publish(*table);
  AskAll(*table);
  proxy::v1::ConfigUpdate whole;
  *whole.mutable_upserts() = proxy::ConfigOf(*table);
  const auto again = CompileWithTls(proxy::RoutingTable(), whole);
  Require(std::get_if<proxy::ConfigError>(&again) == nullptr);
  const auto config = proxy::ConfigOf(*std::get<Table>(again));
  Require(config.SerializeAsString() == whole.upserts().SerializeAsString());
  return table;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto silent = [] {
    spdlog::set_level(spdlog::level::off);
    // The system's authorities, which a group without its own asks for, take long to read.
    setenv("SSL_CERT_FILE", "/dev/null", 1);
    return google::protobuf::SetLogHandler(nullptr);
  }();
  (void)silent;
  static const Table base = Base();
  if (size < 2) return 0;
  const size_t first = std::min<size_t>(data[0] * 256U + data[1], size - 2);
  const Table table = Compile(*base, data + 2, first);
  Compile(table != nullptr ? *table : *base, data + 2 + first, size - 2 - first);
  return 0;
}
