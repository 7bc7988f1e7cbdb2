// remuda image: an app's directory becomes an image.
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <ostream>

#include "cli/commands.h"
#include "cli/printing.h"
#include "cli/table_layout.h"
#include "common/archive.h"
#include "common/image_signature.h"
#include "common/words.h"

namespace remuda::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kChunkBytes = 256 * 1024;
constexpr std::chrono::minutes kMinUploadTime{10};  // an upload is given more than a small call
constexpr int kProgressSteps = 10;

struct ImageOptions {
  std::string name;
  std::string directory;
  std::string from_instance;
  std::string sign_key;
  std::string key_path;
};

// A directory of its own, gone with it.
class TempDirectory {
 public:
  TempDirectory() {
    std::error_code error;
    path_ = (fs::temp_directory_path(error) / "remuda-image-XXXXXX").string();
    if (mkdtemp(path_.data()) == nullptr) path_.clear();
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  ~TempDirectory() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

absl::StatusOr<v1::Image> Upload(Context& context, const std::string& id,
                                 const std::string& archive, const PackedArchive& packed,
                                 const std::optional<SignedDigest>& signature) {
  const ControllerClient client(context.settings);
  grpc::ClientContext call;
  ControllerClient::SetDeadline(
      call, std::max<std::chrono::milliseconds>(context.settings.timeout, kMinUploadTime));
  v1::Image image;
  const auto stream = client.images->PushImage(&call, &image);
  v1::PushImageRequest request;
  request.mutable_header()->set_image_id(id);
  request.mutable_header()->set_digest("sha256:" + packed.sha256);
  request.mutable_header()->set_size_bytes(static_cast<int64_t>(packed.archive_bytes));
  if (signature) {
    auto* added = request.mutable_header()->add_signatures();
    added->set_key_id(signature->key_id);
    added->set_signature(signature->signature);
  }
  bool is_open = stream->Write(request);

  std::ifstream in(archive, std::ios::binary);
  std::string chunk(kChunkBytes, '\0');
  uint64_t sent = 0;
  uint64_t told = 0;
  while (is_open && in) {
    in.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    const auto size = static_cast<size_t>(in.gcount());
    if (size == 0) break;
    request.set_chunk(chunk.data(), size);
    is_open = stream->Write(request);
    sent += size;
    const uint64_t tenths =
        packed.archive_bytes == 0 ? 0 : sent * kProgressSteps / packed.archive_bytes;
    if (tenths > told && packed.archive_bytes > 4 * kChunkBytes) {
      context.err << "  " << tenths * 100 / kProgressSteps << "% of "
                  << FormatBytes(static_cast<int64_t>(packed.archive_bytes)) << std::endl;
      told = tenths;
    }
  }
  // A stream that closed early has the reason in its status.
  if (is_open) stream->WritesDone();
  const absl::Status status = FromGrpcStatus(stream->Finish());
  if (!status.ok()) return status;
  return image;
}

ExitCode RunPush(Context& context, const ImageOptions& options) {
  const auto id = ParseIdOf(KindId::kImage, options.name);
  if (!id.ok()) return FailUsage(context, std::string(id.status().message()));
  const TempDirectory temporary;
  if (temporary.path().empty()) {
    context.err << "remuda image push: no temporary directory can be made; set TMPDIR to one that "
                   "can be written\n";
    return ExitCode::kFailed;
  }
  const std::string archive = temporary.path() + "/image.tar.zst";
  context.err << "Packing " << options.directory << std::endl;
  const auto packed = PackDirectory(options.directory, archive);
  if (!packed.ok()) return Fail(context, packed.status());
  std::optional<SignedDigest> signature;
  if (!options.sign_key.empty()) {
    auto made = SignDigest(options.sign_key, "sha256:" + packed->sha256);
    if (!made.ok()) return Fail(context, made.status());
    signature = *std::move(made);
    context.err << "Signed with key " << signature->key_id << std::endl;
  }
  context.err << "Pushing " << Counted(static_cast<int64_t>(packed->entries), "entry") << ", "
              << FormatBytes(static_cast<int64_t>(packed->archive_bytes))
              << " packed, sha256:" << packed->sha256.substr(0, 12) << std::endl;
  const auto image = Upload(context, *id, archive, *packed, signature);
  if (!image.ok()) return Fail(context, image.status());
  if (IsTable(context.output)) {
    context.out << image->name() << " " << image->digest() << std::endl;
  } else {
    PrintResource(context, KindId::kImage, *image);
  }
  return ExitCode::kOk;
}

ExitCode RunImageKeygen(Context& context, const ImageOptions& options) {
  const auto id = MakeImageKey(options.key_path);
  if (!id.ok()) return Fail(context, id.status());
  context.out << *id << std::endl;
  context.err << options.key_path << " signs (keep it); " << options.key_path
              << ".pub is for --image-keys of controllers and agents" << std::endl;
  return ExitCode::kOk;
}

ExitCode RunImageCreate(Context& context, const ImageOptions& options) {
  const auto id = ParseIdOf(KindId::kImage, options.name);
  if (!id.ok()) return FailUsage(context, std::string(id.status().message()));
  const auto instance = ParseIdOf(KindId::kInstance, options.from_instance);
  if (!instance.ok()) return FailUsage(context, std::string(instance.status().message()));
  v1::CreateImageRequest request;
  request.set_image_id(*id);
  request.set_instance(*instance);
  Settings patient = context.settings;
  patient.timeout = std::max<std::chrono::milliseconds>(patient.timeout, kMinUploadTime);
  const ControllerClient client(patient);
  const auto image =
      client.Call<v1::Image>(*client.images, &v1::ImageService::Stub::CreateImage, request);
  if (!image.ok()) return Fail(context, image.status());
  PrintResource(context, KindId::kImage, *image);
  return ExitCode::kOk;
}

}  // namespace

void AddImageCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("image", "Push images, make them from instances, list them");
  command->require_subcommand(1);
  auto options = std::make_shared<ImageOptions>();

  auto* push = command->add_subcommand("push", "Pack a directory and store it as an image");
  push->add_option("name", options->name,
                   "The image's name; the same name with other files is refused")
      ->required();
  push->add_option("directory", options->directory, "The app's files")->required();
  push->add_option("--sign-key", options->sign_key,
                   "PEM file of an Ed25519 private key, which vouches for the files");
  AddOutputFlag(push, context);
  SetExample(push, "remuda image push shop-v1 ./shop");
  SetRun(push, context, [&context, options] { return RunPush(context, *options); });

  auto* create =
      command->add_subcommand("create", "Make an image of a running instance's directory");
  create->add_option("name", options->name, "The image's name")->required();
  create->add_option("--from-instance", options->from_instance, "The instance")->required();
  AddOutputFlag(create, context);
  SetExample(create, "remuda image create shop-fixed --from-instance i-000000000c");
  SetRun(create, context, [&context, options] { return RunImageCreate(context, *options); });

  auto* keygen = command->add_subcommand("keygen", "Make a key to sign images with");
  keygen->add_option("file", options->key_path, "New file for the key; its public half is FILE.pub")
      ->required();
  SetExample(keygen, "remuda image keygen release.key");
  SetRun(keygen, context, [&context, options] { return RunImageKeygen(context, *options); });

  auto* list = command->add_subcommand("list", "Show all images");
  AddOutputFlag(list, context);
  SetExample(list, "remuda image list");
  SetRun(list, context, [&context] { return ShowList(context, KindId::kImage, {}); });
  SetExample(command, "remuda image push shop-v1 ./shop");
}

}  // namespace remuda::cli
