// Rules: for any patterns and any request, the index finds the rule that judging them one by one
// finds; what is rewritten may be sent, and a redirect fits its bound.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "proxy/core/match.h"
#include "proxy/core/redirect.h"
#include "proxy/core/rewrite.h"
#include "proxy/core/routing_table.h"
#include "proxy/http/target.h"
#include "remuda/proxy/v1/proxy.pb.h"
#include "tests/unit/proxy/core/random_rules.h"
#include "tests/unit/proxy/core/requests.h"

namespace proxy = remuda::proxy;

namespace {

constexpr size_t kMaxRulesTried = 12;
constexpr size_t kRequests = 4;
constexpr size_t kMaxRawBytes = 40;

// The input as a row of choices, and of raw texts.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  size_t operator()(size_t below) { return size_ == 0 ? 0 : Take() % below; }
  std::string Raw() {
    std::string out;
    for (size_t left = std::min(size_, (*this)(kMaxRawBytes)); left > 0; --left)
      out += static_cast<char>(Take());
    return out;
  }

 private:
  uint8_t Take() {
    --size_;
    return *data_++;
  }
  const uint8_t* data_;
  size_t size_;
};

// Texts of the input's own as values of one kind.
void AddRawRule(Input& input, remuda::v1::Listener& listener) {
  auto& rule = *listener.add_rules();
  rule.set_priority(1000);
  auto& condition = *rule.add_conditions();
  switch (input(6)) {
    case 0:
      condition.mutable_host_header()->add_values(input.Raw());
      break;
    case 1:
      condition.mutable_path_pattern()->add_values(input.Raw());
      break;
    case 2:
      condition.mutable_path_pattern()->add_regex_values(input.Raw());
      break;
    case 3:
      condition.mutable_host_header()->add_regex_values(input.Raw());
      break;
    case 4:
      condition.mutable_http_header()->set_http_header_name("x-a");
      condition.mutable_http_header()->add_regex_values(input.Raw());
      break;
    default:
      condition.mutable_query_string()->add_values()->set_key(input.Raw());
      condition.mutable_query_string()->mutable_values(0)->set_value(input.Raw());
      break;
  }
  if (input(2) == 0) {
    auto& redirect = *rule.mutable_action()->mutable_redirect();
    redirect.set_path("/" + input.Raw());
    redirect.set_query(input.Raw());
    return;
  }
  rule.mutable_action()->mutable_forward()->add_target_groups()->set_target_group("blue");
  auto& url = *rule.add_transforms()->mutable_url_rewrite();
  url.set_regex(input.Raw());
  url.set_replace(input.Raw());
  auto& host = *rule.add_transforms()->mutable_host_header_rewrite();
  host.set_regex(input.Raw());
  host.set_replace(input.Raw());
}

void CheckAction(const proxy::Rule& rule, const proxy::http::RequestHead& head) {
  std::array<char, 600> scratch;
  std::array<char, 300> out;
  proxy::Rewritten rewritten;
  if (rule.rewrites != nullptr &&
      proxy::ApplyRewrites(*rule.rewrites, head, scratch, out, rewritten)) {
    std::string target(rewritten.target);
    std::string_view again = target;
    const bool target_ok =
        target.empty() || (proxy::http::CanonicalizeOrigin(again) && again == rewritten.target);
    const bool host_ok = rewritten.host.empty() || proxy::http::IsHost(rewritten.host);
    if (!target_ok || !host_ok) std::abort();
  }
  if (const auto* redirect = std::get_if<proxy::Redirect>(&rule.action)) {
    std::string_view location;
    if (proxy::ExpandRedirect(*redirect, head, 80, out, location) == proxy::ExpandResult::kOk &&
        (location.empty() || location.size() > out.size())) {
      std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  proxy::v1::ConfigUpdate update;
  update.mutable_upserts()->add_target_groups()->set_name("blue");
  auto* balancer = update.mutable_upserts()->add_load_balancers();
  balancer->set_name("shop");
  auto& listener = *balancer->add_listeners();
  listener = proxy::testing::RandomListener(input, kMaxRulesTried);
  if (input(2) == 0) AddRawRule(input, listener);
  const auto result = proxy::CompileUpdate(proxy::RoutingTable(), update, {.workers = 1});
  if (std::get_if<proxy::ConfigError>(&result) != nullptr) return 0;
  const auto& table = std::get<std::shared_ptr<const proxy::RoutingTable>>(result);
  const proxy::ListenerSpec& spec = table->load_balancers.at("shop")->listeners[0];
  for (size_t i = 0; i < kRequests; ++i) {
    std::string lines = proxy::testing::RandomRequest(input);
    if (input(4) == 0) lines = "GET /" + input.Raw() + " HTTP/1.1\r\nHost: " + input.Raw();
    const auto request = proxy::testing::ParseRequest(lines);
    if (request == nullptr) continue;
    const auto source = *proxy::ParseIp(proxy::testing::OneOf(input, proxy::testing::kClients));
    const proxy::Rule* rule = proxy::MatchRule(spec, request->head, source);
    if (rule == nullptr || rule != proxy::MatchRuleOneByOne(spec.rules, request->head, source))
      std::abort();
    CheckAction(*rule, request->head);
  }
  return 0;
}
