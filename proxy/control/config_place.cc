#include "proxy/control/config_place.h"

#include <algorithm>
#include <iostream>
#include <thread>

#include "common/words.h"
#include "proxy/control/config_file.h"
#include "proxy/core/config_check.h"
#include "proxy/core/fault.h"
#include "proxy/tls/compiler.h"
#include "remuda/proxy/v1/proxy.pb.h"

namespace remuda::proxy {
namespace {

// Takes "WORD " and a number off the front of `text`, up to ": ". -1: it does not begin so.
int TakeNumbered(std::string_view word, std::string_view& text) {
  if (text.substr(0, word.size()) != word) return -1;
  const size_t end = text.find(": ");
  int number = 0;
  if (end == std::string_view::npos ||
      !ParseInt(text.substr(word.size(), end - word.size()), number)) {
    return -1;
  }
  text.remove_prefix(end + 2);
  return number;
}

// Whether the words of `path` are fields, each of the message before.
bool IsFieldPath(const google::protobuf::Descriptor* type, std::string_view path) {
  while (type != nullptr) {
    const size_t dot = path.find('.');
    const auto* field = type->FindFieldByName(std::string(path.substr(0, dot)));
    if (field == nullptr) return false;
    if (dot == std::string_view::npos) return true;
    type = field->message_type();
    path.remove_prefix(dot + 1);
  }
  return false;
}

// The word that `text` begins with, if it may be a field ("redirect.host: ..."). A sentence begins
// with one too: only those that are of the message count.
std::string WordOf(std::string_view text) {
  const size_t end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_.");
  if (end == std::string_view::npos || end == 0 || (text[end] != ':' && text[end] != ' '))
    return "";
  return std::string(text.substr(0, end));
}

// ".FIELD" of the message that `text` begins with, or nothing.
template <typename M>
std::string FieldOf(std::string_view text) {
  const std::string word = WordOf(text);
  return !word.empty() && IsFieldPath(M::descriptor(), word) ? "." + word : "";
}

// The last of `items` that `matches`: of two of one name the second is wrong.
template <typename Items, typename Matches>
int LastOf(const Items& items, Matches matches) {
  for (int i = items.size() - 1; i >= 0; --i) {
    if (matches(items.Get(i))) return i;
  }
  return -1;
}

std::string At(std::string_view list, int index) {
  return std::string(list) + "[" + std::to_string(index) + "]";
}

bool IsNamed(const std::string& name, std::string_view collection, std::string_view resource) {
  std::string id;
  return name == resource ||
         (NormalizeId(name, collection, id) && std::string(collection) + "/" + id == resource);
}

// Whether a message has that field set, as conditions and actions name their kind.
bool HasField(const google::protobuf::Message& message, std::string_view field) {
  const auto* descriptor =
      message.GetDescriptor()->FindFieldByName(std::string(field.substr(0, field.find('.'))));
  if (descriptor == nullptr) return false;
  const auto* reflection = message.GetReflection();
  return descriptor->is_repeated() ? reflection->FieldSize(message, descriptor) > 0
                                   : reflection->HasField(message, descriptor);
}

// Within a rule faults name fields without saying whose they are.
std::string PathInRule(const remuda::v1::Rule& rule, std::string_view reason) {
  const std::string field = WordOf(reason);
  if (field.empty()) return "";
  const auto names = [&](const google::protobuf::Message& message) {
    return HasField(message, field) && IsFieldPath(message.GetDescriptor(), field);
  };
  if (names(rule.action())) return ".action." + field;
  const int condition = LastOf(rule.conditions(), names);
  if (condition >= 0) return "." + At("conditions", condition) + "." + field;
  return FieldOf<remuda::v1::Rule>(reason);
}

std::string PathInListener(const remuda::v1::Listener& listener, std::string_view reason) {
  constexpr std::string_view kDefault = "default_";
  if (const int priority = TakeNumbered("rule ", reason); priority >= 0) {
    const int rule =
        LastOf(listener.rules(), [&](const auto& r) { return r.priority() == priority; });
    if (rule < 0) return ".rules";
    return "." + At("rules", rule) + PathInRule(listener.rules(rule), reason);
  }
  const std::string field = FieldOf<remuda::v1::Listener>(reason);
  if (!field.empty() || reason.substr(0, kDefault.size()) != kDefault) return field;
  return ".default_action" + FieldOf<remuda::v1::Action>(reason.substr(kDefault.size()));
}

std::string PathInBalancer(const remuda::v1::LoadBalancer& balancer, std::string_view reason) {
  if (const int port = TakeNumbered("listener ", reason); port >= 0) {
    const int listener =
        LastOf(balancer.listeners(), [&](const auto& l) { return l.port() == port; });
    if (listener < 0) return ".listeners";
    return "." + At("listeners", listener) + PathInListener(balancer.listeners(listener), reason);
  }
  return FieldOf<remuda::v1::LoadBalancer>(reason);
}

// The path of what `error` is about in the config message.
std::string PathOf(const v1::ProxyConfig& config, const ConfigError& error) {
  const auto is_at = [&](const v1::Target& target) {
    std::string group;
    if (!NormalizeId(target.target_group(), "targetGroups", group)) group = target.target_group();
    const std::string of_group = "targetGroups/" + group + "/targets/";
    const std::string of_text = "targetGroups/" + target.target_group() + "/targets/";
    const std::string id = TargetIdOf(target);
    return error.resource == of_group + id || error.resource == of_text + id;
  };
  if (const int i = LastOf(config.targets(), is_at); i >= 0)
    return At("targets", i) + FieldOf<v1::Target>(error.reason);
  if (const int i =
          LastOf(config.load_balancers(),
                 [&](const auto& b) { return IsNamed(b.name(), "loadBalancers", error.resource); });
      i >= 0) {
    return At("load_balancers", i) + PathInBalancer(config.load_balancers(i), error.reason);
  }
  if (const int i =
          LastOf(config.target_groups(),
                 [&](const auto& g) { return IsNamed(g.name(), "targetGroups", error.resource); });
      i >= 0) {
    return At("target_groups", i) + FieldOf<remuda::v1::TargetGroup>(error.reason);
  }
  if (const int i = LastOf(
          config.traffic_splits(),
          [&](const auto& s) { return "trafficSplits/" + s.target_group() == error.resource; });
      i >= 0) {
    return At("traffic_splits", i) + FieldOf<v1::TrafficSplit>(error.reason);
  }
  if (const int i =
          LastOf(config.certificates(),
                 [&](const auto& c) { return IsNamed(c.name(), "certificates", error.resource); });
      i >= 0) {
    return At("certificates", i) + FieldOf<remuda::v1::Certificate>(error.reason);
  }
  const std::string field = FieldOf<v1::ProxyConfig>(error.reason);
  return field.empty() ? "" : field.substr(1);
}

}  // namespace

std::string Explain(const std::string& path, const v1::ProxyConfig& config, const SourceMap& places,
                    const ConfigError& error) {
  const SourceMap::Place place = places.Find(PathOf(config, error));
  std::string out = FormatPosition(path, place.position) + ": ";
  if (!place.path.empty()) out += place.path + ": ";
  return out + error.resource + ": " + error.reason;
}

int CheckConfigFile(const std::string& path) {
  v1::ConfigUpdate update;
  SourceMap places;
  const absl::Status status = ReadConfigFile(path, update.mutable_upserts(), &places);
  if (!status.ok()) {
    std::cerr << status.message() << "\n";
    return 2;
  }
  tls::Compiler tls(std::max(1U, std::thread::hardware_concurrency()));
  const CompileResult result =
      CompileUpdate(RoutingTable(), update, {.workers = 1, .allow_port_zero = true, .tls = &tls});
  if (const auto* error = std::get_if<ConfigError>(&result)) {
    std::cerr << Explain(path, update.upserts(), places, *error) << "\n";
    return 2;
  }
  const auto& table = *std::get<std::shared_ptr<const RoutingTable>>(result);
  std::cout << path << ": ok ("
            << Counted(static_cast<int64_t>(table.load_balancers.size()), "load balancer") << ", "
            << Counted(static_cast<int64_t>(table.groups.size()), "target group") << ")\n";
  return 0;
}

}  // namespace remuda::proxy
