#include "cli/contexts.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "common/identity/identity_files.h"

namespace remuda::cli {
namespace {

constexpr size_t kMaxNameBytes = 128;
constexpr size_t kMaxFileBytes = size_t{1} << 20;

absl::Status WrongAt(const std::string& path, const YamlNode& node, const std::string& what) {
  return absl::InvalidArgumentError(FormatPosition(path, node.position) + ": " + what);
}

template <class T>
auto FindNamed(const std::vector<T>& in, const std::string& name) {
  const auto it =
      std::find_if(in.begin(), in.end(), [&name](const T& one) { return one.name == name; });
  return it == in.end() ? nullptr : &*it;
}

// A list of maps, each of which has a name and what `fields` says.
template <class T>
absl::Status ReadList(const std::string& path, const YamlNode& list,
                      const std::map<std::string, std::string T::*>& fields, std::vector<T>& out) {
  if (list.kind == YamlNode::Kind::kNull) return absl::OkStatus();
  if (list.kind != YamlNode::Kind::kSequence) return WrongAt(path, list, "expected a list");
  if (list.items.size() > kMaxContexts)
    return WrongAt(path, list, "more than " + std::to_string(kMaxContexts));
  for (const YamlNode* item : list.items) {
    if (item->kind != YamlNode::Kind::kMap) return WrongAt(path, *item, "expected a map");
    T read;
    for (const auto& [key, value] : item->entries) {
      const auto field = fields.find(key->scalar);
      if (field == fields.end()) return WrongAt(path, *key, key->scalar + ": is not known");
      if (value->kind != YamlNode::Kind::kScalar) return WrongAt(path, *value, "expected text");
      read.*(field->second) = value->scalar;
    }
    if (!IsContextName(read.name))
      return WrongAt(
          path, *item,
          "name: must be letters, digits and .-_@, at most " + std::to_string(kMaxNameBytes));
    if (FindNamed(out, read.name) != nullptr)
      return WrongAt(path, *item, read.name + ": is there twice");
    out.push_back(std::move(read));
  }
  return absl::OkStatus();
}

// In quotes, as YAML and JSON have them; the texts are valid UTF-8 without control characters but
// for what is escaped here.
std::string Quote(const std::string& text) {
  static const char kDigits[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < ' ' || byte == 0x7f) {
      out += "\\u00";
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

void PrintEntry(std::string& out,
                const std::vector<std::pair<std::string, const std::string*>>& fields) {
  const char* lead = "  - ";
  for (const auto& [key, value] : fields) {
    if (value->empty()) continue;
    out += lead + key + ": " + Quote(*value) + "\n";
    lead = "    ";
  }
}

}  // namespace

bool IsContextName(const std::string& name) {
  return !name.empty() && name.size() <= kMaxNameBytes && name.front() != '.' &&
         name.front() != '-' && std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '-' || c == '_' || c == '@';
         });
}

const NamedContext* Contexts::Find(const std::string& name) const {
  return FindNamed(contexts, name);
}
const ContextCluster* Contexts::FindCluster(const std::string& name) const {
  return FindNamed(clusters, name);
}
const ContextUser* Contexts::FindUser(const std::string& name) const {
  return FindNamed(users, name);
}

void Contexts::Put(const std::string& name, const ContextCluster& cluster,
                   const ContextUser& user) {
  Remove(name);
  std::erase_if(clusters, [&](const ContextCluster& one) { return one.name == cluster.name; });
  std::erase_if(users, [&](const ContextUser& one) { return one.name == user.name; });
  contexts.push_back({.name = name, .cluster = cluster.name, .user = user.name});
  clusters.push_back(cluster);
  users.push_back(user);
}

bool Contexts::Remove(const std::string& name) {
  const NamedContext* const found = Find(name);
  if (found == nullptr) return false;
  const NamedContext gone = *found;
  std::erase_if(contexts, [&](const NamedContext& one) { return one.name == name; });
  const auto is_used = [this](const std::string& what, std::string NamedContext::*by) {
    return std::any_of(contexts.begin(), contexts.end(),
                       [&](const NamedContext& one) { return one.*by == what; });
  };
  if (!is_used(gone.cluster, &NamedContext::cluster))
    std::erase_if(clusters, [&](const ContextCluster& one) { return one.name == gone.cluster; });
  if (!is_used(gone.user, &NamedContext::user))
    std::erase_if(users, [&](const ContextUser& one) { return one.name == gone.user; });
  if (current == name) current.clear();
  return true;
}

bool Contexts::Rename(const std::string& name, const std::string& to) {
  if (Find(name) == nullptr || Find(to) != nullptr) return false;
  for (NamedContext& context : contexts) {
    if (context.name == name) context.name = to;
  }
  if (current == name) current = to;
  return true;
}

absl::StatusOr<Contexts> ParseContexts(const std::string& text, const std::string& path) {
  Contexts read;
  auto documents = ParseYaml(text, path);
  if (!documents.ok()) return documents.status();
  if (documents->empty()) return read;
  const YamlNode& root = *documents->front().root;
  if (root.kind != YamlNode::Kind::kMap) return WrongAt(path, root, "expected a map of settings");
  for (const auto& [key, value] : root.entries) {
    absl::Status status;
    if (key->scalar == "contexts") {
      status = ReadList(path, *value,
                        {{"name", &NamedContext::name},
                         {"cluster", &NamedContext::cluster},
                         {"user", &NamedContext::user}},
                        read.contexts);
    } else if (key->scalar == "clusters") {
      status = ReadList(path, *value,
                        {{"name", &ContextCluster::name},
                         {"controller", &ContextCluster::controller},
                         {"join", &ContextCluster::join},
                         {"pin", &ContextCluster::pin}},
                        read.clusters);
    } else if (key->scalar == "users") {
      status = ReadList(
          path, *value,
          {{"name", &ContextUser::name}, {"identity-dir", &ContextUser::identity_dir}}, read.users);
    } else if (value->kind != YamlNode::Kind::kScalar) {
      status = WrongAt(path, *key, key->scalar + ": expected text");
    } else if (key->scalar == "current-context") {
      read.current = value->scalar;
    } else {
      read.settings.emplace_back(key->scalar, value->scalar);
    }
    if (!status.ok()) return status;
  }
  return read;
}

std::string PrintContexts(const Contexts& contexts) {
  std::string out;
  for (const auto& [key, value] : contexts.settings) out += key + ": " + Quote(value) + "\n";
  if (!contexts.current.empty()) out += "current-context: " + Quote(contexts.current) + "\n";
  if (!contexts.contexts.empty()) out += "contexts:\n";
  for (const NamedContext& one : contexts.contexts)
    PrintEntry(out, {{"name", &one.name}, {"cluster", &one.cluster}, {"user", &one.user}});
  if (!contexts.clusters.empty()) out += "clusters:\n";
  for (const ContextCluster& one : contexts.clusters) {
    PrintEntry(out, {{"name", &one.name},
                     {"controller", &one.controller},
                     {"join", &one.join},
                     {"pin", &one.pin}});
  }
  if (!contexts.users.empty()) out += "users:\n";
  for (const ContextUser& one : contexts.users)
    PrintEntry(out, {{"name", &one.name}, {"identity-dir", &one.identity_dir}});
  return out;
}

absl::StatusOr<Contexts> LoadContexts(const std::string& path) {
  const auto text = identity::ReadSmallFile(path, kMaxFileBytes);
  if (absl::IsNotFound(text.status())) return Contexts();
  if (!text.ok()) return text.status();
  return ParseContexts(*text, path);
}

absl::Status SaveContexts(const std::string& path, const Contexts& contexts) {
  const std::filesystem::path directory = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!directory.empty() && std::filesystem::create_directories(directory, error))
    chmod(directory.c_str(), S_IRWXU);
  if (error)
    return absl::FailedPreconditionError(directory.string() +
                                         ": cannot be made: " + error.message());
  return identity::WritePrivateFile(path, PrintContexts(contexts));
}

}  // namespace remuda::cli
