#include "cli/manifest.h"

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>

#include "common/status.h"

namespace remuda::cli {
namespace {

namespace fs = std::filesystem;

constexpr char kKindKey[] = "kind";
constexpr char kNameKey[] = "name";
constexpr char kNewestKey[] = "latestVersion";  // LaunchTemplate.latest_version
// certificate.proto: certificate_pem.
constexpr size_t kMaxPemBytes = 64 * 1024;
constexpr char kRoot[] = "resource";  // what a path in Origin::fields begins with

// What a version of a launch template is where it is shown; a manifest says LaunchTemplate for it,
// as it names the template.
constexpr char kVersionKind[] = "LaunchTemplateVersion";

// As manifests write it.
std::string KindNameOf(const google::protobuf::FieldDescriptor& field) {
  const std::string& type = field.message_type()->name();
  return type == kVersionKind ? "LaunchTemplate" : type;
}

// kind as manifests write it → the field of v1::Resource.
const google::protobuf::FieldDescriptor* ResourceField(const std::string& kind) {
  const auto* type = v1::Resource::descriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    if (KindNameOf(*type->field(i)) == kind || type->field(i)->message_type()->name() == kind)
      return type->field(i);
  }
  return nullptr;
}

std::vector<std::string> KindNames() {
  std::vector<std::string> names;
  const auto* type = v1::Resource::descriptor();
  names.reserve(static_cast<size_t>(type->field_count()));
  for (int i = 0; i < type->field_count(); ++i) names.push_back(KindNameOf(*type->field(i)));
  return names;
}

const YamlNode* ValueOf(const YamlNode& map, std::string_view key) {
  for (const auto& [name, value] : map.entries) {
    if (name->scalar == key) return value;
  }
  return nullptr;
}

class ManifestParser {
 public:
  void File(const ManifestFile& file) {
    const YamlFile parsed = ReadYaml(file.text);
    const auto before = static_cast<std::ptrdiff_t>(errors_.size());
    for (const YamlMistake& mistake : parsed.mistakes)
      Error(file.name, mistake.position, mistake.why);
    for (const YamlDocument& document : parsed.documents)
      Document(file.name, *document.root, document.is_cut);
    // As they stand in the file, whoever found them.
    const auto line = [&](const std::string& error) {
      int number = 0;
      const std::string_view rest =
          std::string_view(error).substr(std::min(error.size(), file.name.size() + 1));
      return absl::SimpleAtoi(std::string(rest.substr(0, rest.find(':'))), &number) ? number : 0;
    };
    std::stable_sort(errors_.begin() + before, errors_.end(),
                     [&](const auto& a, const auto& b) { return line(a) < line(b); });
  }

  absl::StatusOr<Manifest> Result() && {
    if (errors_.empty() && manifest_.origins.empty())
      errors_.emplace_back("no resource in what was given");
    if (manifest_.request.resources_size() > kMaxManifestResources) {
      errors_.push_back(absl::StrCat(manifest_.request.resources_size(), " resources; at most ",
                                     kMaxManifestResources, " can be applied at once"));
    }
    if (!errors_.empty()) return absl::InvalidArgumentError(absl::StrJoin(errors_, "\n"));
    return std::move(manifest_);
  }

 private:
  void Error(const std::string& file, SourcePosition position, const std::string& why) {
    errors_.push_back(FormatPosition(file, position) + ": " + why);
  }

  // `is_cut`: only what stands in it can be wrong, not what is missing.
  void Document(const std::string& file, const YamlNode& root, bool is_cut) {
    if (root.kind != YamlNode::Kind::kMap) {
      return Error(file, root.position, "expected a resource: kind, name and its fields");
    }
    const YamlNode* kind = ValueOf(root, kKindKey);
    if (kind == nullptr || kind->kind != YamlNode::Kind::kScalar) {
      if (is_cut) return;
      return Error(file, root.position,
                   absl::StrCat("kind: is missing; one of ", absl::StrJoin(KindNames(), ", ")));
    }
    if (kind->scalar == "Listener" || kind->scalar == "Rule") {
      return Error(
          file, kind->position,
          absl::StrCat("kind: a ", kind->scalar,
                       " is a part of a load balancer, which is applied as a whole; `remuda ",
                       kind->scalar == "Rule" ? "rule" : "listener", " update -f` writes one"));
    }
    const auto* field = ResourceField(kind->scalar);
    if (field == nullptr) {
      const std::string nearest = NearestWord(kind->scalar, KindNames());
      return Error(
          file, kind->position,
          absl::StrCat("kind: there is no kind \"", kind->scalar, "\"; ",
                       nearest.empty() ? absl::StrCat("one of ", absl::StrJoin(KindNames(), ", "))
                                       : absl::StrCat("did you mean ", nearest, "?")));
    }
    const YamlNode* newest = ValueOf(root, kNewestKey);
    if (newest != nullptr && field->message_type()->name() == kVersionKind) {
      return Error(
          file, newest->position,
          "this is a launch template without what its versions say, which nobody can apply; "
          "`remuda get version/NAME:default -o yaml` prints what can be");
    }
    const YamlNode* name = ValueOf(root, kNameKey);
    if (name == nullptr && !is_cut) return Error(file, root.position, "name: is missing");

    Manifest::Origin origin{file, kind->scalar, name == nullptr ? "" : name->scalar, {}};
    v1::Resource* resource = manifest_.request.add_resources();
    auto* message = resource->GetReflection()->MutableMessage(resource, field);
    const absl::Status status =
        MessageFromYaml(root, {.file_name = file, .path_prefix = kRoot, .ignored_keys = {kKindKey}},
                        message, &origin.fields);
    for (const auto error : absl::StrSplit(status.message(), '\n', absl::SkipEmpty())) {
      // A value that is shown may have line breaks of its own.
      if (errors_.empty() || absl::StartsWith(error, file + ":")) {
        errors_.emplace_back(error);
      } else {
        absl::StrAppend(&errors_.back(), " ", error);
      }
    }
    if (resource->has_certificate()) InlineFiles(file, root, *resource->mutable_certificate());
    if (origin.name.empty()) return manifest_.origins.push_back(std::move(origin));
    const auto [it, is_new] =
        seen_.emplace(kind->scalar + " " + origin.name, FormatPosition(file, root.position));
    if (!is_new) {
      Error(file, root.position,
            absl::StrCat("name: ", kind->scalar, " ", origin.name, " is also at ", it->second));
    }
    manifest_.origins.push_back(std::move(origin));
  }

  // A certificate's texts may lie in files beside the manifest: the controller gets the texts.
  void InlineFiles(const std::string& file, const YamlNode& root, v1::Certificate& certificate) {
    InlineFile(file, root, "certificateFile", *certificate.mutable_certificate_file(),
               *certificate.mutable_certificate_pem());
    InlineFile(file, root, "privateKeyFile", *certificate.mutable_private_key_file(),
               *certificate.mutable_private_key_pem());
  }
  void InlineFile(const std::string& file, const YamlNode& root, std::string_view field,
                  std::string& path, std::string& text) {
    if (path.empty()) return;
    const YamlNode* at = ValueOf(root, field);
    const SourcePosition position = at == nullptr ? root.position : at->position;
    const std::string name(field);
    if (!text.empty()) return Error(file, position, name + ": the text itself is given as well");
    const fs::path full = fs::path(file).parent_path() / path;
    std::ifstream in(full, std::ios::binary);
    if (!in) return Error(file, position, name + ": " + full.string() + " cannot be read");
    text.resize(kMaxPemBytes + 1);
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(in.gcount()));
    if (text.size() > kMaxPemBytes) {
      return Error(
          file, position,
          absl::StrCat(name, ": ", full.string(), " has more than ", kMaxPemBytes, " bytes"));
    }
    path.clear();
  }

  Manifest manifest_;
  std::vector<std::string> errors_;
  std::map<std::string, std::string> seen_;  // "KIND NAME" → where
};

std::string ReadBounded(std::istream& in) {
  std::string text;
  text.resize(kMaxYamlBytes + 1);  // One byte more: the parser then says that it is too large.
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  return text;
}

absl::Status AddFile(const std::string& path, std::vector<ManifestFile>& files) {
  if (files.size() >= kMaxManifestFiles) {
    return absl::InvalidArgumentError(absl::StrCat("more than ", kMaxManifestFiles, " files"));
  }
  std::ifstream in(path, std::ios::binary);
  if (!in)
    return absl::NotFoundError(
        absl::StrCat(path, ": cannot be read: no such file, or no permission"));
  files.push_back({path, ReadBounded(in)});
  return absl::OkStatus();
}

bool IsManifestName(const fs::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".yaml" || extension == ".yml" || extension == ".json";
}

absl::Status AddDirectory(const std::string& path, std::vector<ManifestFile>& files) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    if (IsManifestName(entry.path()) && !entry.is_directory())
      names.push_back(entry.path().string());
  }
  if (error) return absl::UnavailableError(absl::StrCat(path, ": ", error.message()));
  if (names.empty()) {
    return absl::NotFoundError(
        absl::StrCat(path, ": no *.yaml, *.yml or *.json file in this directory"));
  }
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    if (auto status = AddFile(name, files); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// `resources[2].load_balancer.listeners[0].port` → 2 and `listeners[0].port`. False: of another
// form.
bool SplitResourcePath(std::string_view path, const Manifest& manifest, size_t& index,
                       std::string& field) {
  static constexpr std::string_view kPrefix = "resources[";
  if (!path.starts_with(kPrefix)) return false;
  const size_t close = path.find(']');
  if (close == std::string_view::npos) return false;
  const std::string digits(path.substr(kPrefix.size(), close - kPrefix.size()));
  if (!absl::SimpleAtoi(digits, &index) || index >= manifest.origins.size()) return false;
  std::string_view rest = path.substr(close + 1);
  if (rest.starts_with(".")) rest.remove_prefix(1);
  // The resource's own field of the oneof may stand between.
  const auto* kind = ResourceField(manifest.origins[index].kind);
  const std::string step = kind == nullptr ? "" : kind->name();
  if (rest == step) {
    rest = "";
  } else if (rest.starts_with(step + ".")) {
    rest.remove_prefix(step.size() + 1);
  }
  field = std::string(rest);
  return true;
}

}  // namespace

absl::StatusOr<std::vector<ManifestFile>> ReadManifestFiles(const std::vector<std::string>& paths) {
  std::vector<ManifestFile> files;
  for (const std::string& path : paths) {
    absl::Status status;
    std::error_code error;
    if (path == "-") {
      files.push_back({"stdin", ReadBounded(std::cin)});
    } else if (fs::is_directory(path, error)) {
      status = AddDirectory(path, files);
    } else {
      status = AddFile(path, files);
    }
    if (!status.ok()) return status;
  }
  return files;
}

absl::StatusOr<Manifest> ParseManifests(const std::vector<ManifestFile>& files) {
  ManifestParser parser;
  for (const ManifestFile& file : files) parser.File(file);
  return std::move(parser).Result();
}

std::string ExplainApplyError(const Manifest& manifest, const absl::Status& status) {
  std::vector<std::string> lines;
  for (const FieldViolation& violation : ViolationsOf(status)) {
    size_t index = 0;
    std::string field;
    if (!SplitResourcePath(violation.field, manifest, index, field)) {
      lines.push_back(absl::StrCat(violation.field, ": ", violation.description));
      continue;
    }
    const Manifest::Origin& origin = manifest.origins[index];
    const SourceMap::Place place =
        origin.fields.Find(field.empty() ? std::string(kRoot) : absl::StrCat(kRoot, ".", field));
    lines.push_back(absl::StrCat(FormatPosition(origin.file, place.position), ": ", origin.kind,
                                 " ", origin.name, ": ", place.path, place.path.empty() ? "" : ": ",
                                 violation.description));
  }
  return lines.empty() ? std::string(status.message()) : absl::StrJoin(lines, "\n");
}

}  // namespace remuda::cli
