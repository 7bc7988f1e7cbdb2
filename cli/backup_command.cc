// remuda backup, remuda restore: the cluster's state in a file, and back.
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <memory>
#include <ostream>
#include <vector>

#include "cli/commands.h"
#include "cli/printing.h"
#include "cli/settings.h"
#include "cli/table_layout.h"

namespace remuda::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::hours kMaxTime{12};  // of a backup; nothing read for a minute ends it

struct BackupOptions {
  std::string file;
  bool without_images = false;
};

// Flags of remuda-controller restore, which this command passes on as they are.
struct RestoreFlag {
  const char* name;
  const char* type;  // null: it has no value
  const char* help;
};
constexpr RestoreFlag kRestoreFlags[] = {
    {"--data-dir", "DIR", "The controller's data directory"},
    {"--sealing-key-file", "FILE",
     "File with the key that the backup is sealed under; by default sealing.key in the data "
     "directory"},
    {"--store", "STORE",
     "Where the state goes, which holds nothing: etcd://HOST:PORT[,HOST:PORT...][/PREFIX]; by "
     "default into the data directory"},
    {"--store-ca", "FILE", "Authorities that sign etcd's certificate: TLS"},
    {"--store-cert", "FILE", "The certificate that is shown to etcd"},
    {"--store-key", "FILE", "Its private key"},
    {"--store-user", "NAME", "User of etcd"},
    {"--store-password-file", "FILE", "File whose first line is the password"},
    {"--store-insecure", nullptr, "Reach etcd on other machines without TLS"},
    {"--blobs", "DIR",
     "Directory of images that all controllers share, as their --blobs says; by default images go "
     "into the data directory"},
    {"--force", nullptr, "The data directory may hold a state: it is put aside"},
};
struct RestoreOptions {
  std::string file;
  std::string values[std::size(kRestoreFlags)];
  bool is_given[std::size(kRestoreFlags)] = {};
};

// A file that takes the name it shall have when it is whole, for its owner alone; or the standard
// output. What is there and is no file (a device, a pipe) is written to, and stays what it is.
class Output {
 public:
  explicit Output(std::string file) : file_(std::move(file)) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() {
    if (fd_ > STDOUT_FILENO) close(fd_);
    if (!temporary_.empty()) unlink(temporary_.c_str());
  }

  absl::Status Open() {
    if (file_ == "-") {
      fd_ = STDOUT_FILENO;
      return absl::OkStatus();
    }
    struct stat there {};
    if (stat(file_.c_str(), &there) == 0 && !S_ISREG(there.st_mode)) {
      fd_ = open(file_.c_str(), O_WRONLY | O_CLOEXEC);
      return fd_ >= 0 ? absl::OkStatus() : Failed("written");
    }
    temporary_ = absl::StrCat(file_, ".part-", getpid());
    fd_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd_ >= 0) return absl::OkStatus();
    const absl::Status status = Failed("made");
    temporary_.clear();
    return status;
  }
  absl::Status Write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = write(fd_, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return Failed("written");
      bytes.remove_prefix(static_cast<size_t>(count));
    }
    return absl::OkStatus();
  }
  absl::Status Finish() {
    if (temporary_.empty()) return absl::OkStatus();
    if (fsync(fd_) != 0) return Failed("written");
    if (rename(temporary_.c_str(), file_.c_str()) != 0) return Failed("put in place");
    temporary_.clear();
    std::string directory = fs::path(file_).parent_path().string();
    if (directory.empty()) directory = ".";
    const int parent = open(directory.c_str(), O_RDONLY | O_CLOEXEC);
    if (parent >= 0) {
      fsync(parent);
      close(parent);
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Failed(const std::string& what) const {
    return absl::UnavailableError(absl::StrCat(file_ == "-" ? "the standard output" : file_,
                                               ": cannot be ", what, ": ", std::strerror(errno)));
  }

  const std::string file_;
  std::string temporary_;
  int fd_ = -1;
};

// Bytes that came of a backup, held against what its header promised.
absl::StatusOr<v1::BackupHeader> Receive(const ControllerClient& client, bool without_images,
                                         Output& output) {
  grpc::ClientContext call;
  ControllerClient::SetDeadline(call, kMaxTime);
  v1::CreateBackupRequest request;
  request.set_without_images(without_images);
  const auto stream = client.backups->CreateBackup(&call, request);
  v1::CreateBackupResponse response;
  v1::BackupHeader header;
  int64_t came = 0;
  absl::Status status;
  while (status.ok() && stream->Read(&response)) {
    if (response.has_header()) {
      header = response.header();
      continue;
    }
    came += static_cast<int64_t>(response.chunk().size());
    status = output.Write(response.chunk());
  }
  if (!status.ok()) call.TryCancel();
  const absl::Status ended = FromGrpcStatus(stream->Finish());
  if (!status.ok()) return status;
  if (!ended.ok()) return ended;
  if (came != header.size_bytes()) {
    return absl::DataLossError(absl::StrCat("the controller promised ", header.size_bytes(),
                                            " bytes of a backup and sent ", came));
  }
  return header;
}

ExitCode RunBackup(Context& context, const BackupOptions& options) {
  if (options.file == "-" && context.out_is_terminal)
    return FailUsage(context, "a backup is not for a terminal: name a file, or a pipe's end");
  Output output(options.file);
  if (absl::Status status = output.Open(); !status.ok()) return Fail(context, status);
  const ControllerClient client(context.settings);
  const auto header = Receive(client, options.without_images, output);
  if (!header.ok()) return Fail(context, header.status());
  if (absl::Status status = output.Finish(); !status.ok()) return Fail(context, status);
  context.err << "Backup of cluster " << header->cluster_id() << " as of commit "
              << header->commit() << ", " << FormatBytes(header->size_bytes())
              << (options.without_images ? ", without images" : "")
              << ". The controller's sealing key is not in it: keep a copy of that elsewhere.\n";
  return ExitCode::kOk;
}

// Where the controller's program is: beside this one, else wherever PATH has it.
std::string ControllerProgram() {
  const std::string directory = ProcessEnvironment("REMUDA_BIN_DIR");
  std::error_code error;
  const fs::path own = directory.empty() ? fs::read_symlink("/proc/self/exe", error).parent_path()
                                         : fs::path(directory);
  const std::string beside = (own / "remuda-controller").string();
  return access(beside.c_str(), X_OK) == 0 ? beside : "remuda-controller";
}

ExitCode RunRestore(Context& context, const RestoreOptions& options) {
  std::vector<std::string> words = {ControllerProgram(), "restore", "--from", options.file};
  for (size_t i = 0; i < std::size(kRestoreFlags); ++i) {
    const RestoreFlag& flag = kRestoreFlags[i];
    if (flag.type == nullptr && options.is_given[i]) words.emplace_back(flag.name);
    if (!options.values[i].empty())
      words.push_back(absl::StrCat(flag.name, "=", options.values[i]));
  }
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  context.out << std::flush;
  execvp(argv[0], argv.data());
  return Fail(context, absl::NotFoundError(
                           absl::StrCat(words[0], ": cannot be run: ", std::strerror(errno),
                                        "; restore where the controller's program is installed")));
}

}  // namespace

void AddBackupCommand(CLI::App& app, Context& context) {
  auto options = std::make_shared<BackupOptions>();
  auto* backup = app.add_subcommand(
      "backup", "Write the cluster's state, as of one moment, to a file; nothing stops for it");
  backup->add_option("file", options->file, "The file; - is the standard output")->required();
  backup->add_flag("--without-images", options->without_images,
                   "Leave the bytes of images out: they are pushed again, or on the hosts");
  SetExample(backup, "remuda backup cluster.tar");
  SetRun(backup, context, [&context, options] { return RunBackup(context, *options); });
}

void AddRestoreCommand(CLI::App& app, Context& context) {
  auto options = std::make_shared<RestoreOptions>();
  auto* restore = app.add_subcommand(
      "restore", "Put a backup where the state of a controller that does not run here is kept");
  restore->add_option("file", options->file, "The backup; - is the standard input")->required();
  for (size_t i = 0; i < std::size(kRestoreFlags); ++i) {
    const RestoreFlag& flag = kRestoreFlags[i];
    if (flag.type == nullptr) {
      restore->add_flag(flag.name, options->is_given[i], flag.help);
    } else {
      restore->add_option(flag.name, options->values[i], flag.help)->type_name(flag.type);
    }
  }
  restore->get_option("--data-dir")->required();
  SetExample(restore, "remuda restore cluster.tar --data-dir /var/lib/remuda/controller");
  SetOfflineRun(restore, context, [&context, options] { return RunRestore(context, *options); });
}

}  // namespace remuda::cli
