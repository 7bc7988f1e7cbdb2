// remuda secret: values go in, and do not come out.
#include <absl/strings/str_cat.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <ostream>

#include "cli/commands.h"
#include "cli/printing.h"

namespace remuda::cli {
namespace {

constexpr size_t kMaxValueBytes = 64 * 1024;  // secret.proto

struct SecretOptions {
  std::string name;
  std::string file;
  std::string description;
  std::vector<std::string> labels;
};

// A terminal that does not show what is typed, for as long as this lives.
class Unseen {
 public:
  explicit Unseen(int fd) : fd_(fd), changed_(tcgetattr(fd, &before_) == 0) {
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    if (changed_) tcsetattr(fd_, TCSAFLUSH, &quiet);
  }
  Unseen(const Unseen&) = delete;
  Unseen& operator=(const Unseen&) = delete;
  ~Unseen() {
    if (changed_) tcsetattr(fd_, TCSAFLUSH, &before_);
  }

 private:
  const int fd_;
  termios before_{};
  const bool changed_;
};

// At most one byte more than a value may have, which is then refused.
std::string ReadAtMost(std::istream& in) {
  std::string value(kMaxValueBytes + 1, '\0');
  in.read(value.data(), static_cast<std::streamsize>(value.size()));
  value.resize(static_cast<size_t>(in.gcount()));
  return value;
}

absl::StatusOr<std::string> ReadValue(Context& context, const std::string& file) {
  std::string value;
  if (!file.empty() && file != "-") {
    std::ifstream in(file, std::ios::binary);
    if (in) value = ReadAtMost(in);
    if (!in.is_open() || in.bad())
      return absl::InvalidArgumentError(
          absl::StrCat(file, ": cannot be read: ", std::strerror(errno)));
  } else if (isatty(STDIN_FILENO) != 0) {
    context.err << "Value (it is not shown; one line): " << std::flush;
    const Unseen unseen(STDIN_FILENO);
    std::getline(std::cin, value);
    context.err << std::endl;
    if (value.empty()) return absl::InvalidArgumentError("no value was given");
    return value;
  } else {
    value = ReadAtMost(std::cin);
  }
  const std::string source = file.empty() || file == "-" ? "the standard input" : file;
  if (value.empty()) return absl::InvalidArgumentError(absl::StrCat(source, ": there is no value"));
  if (value.size() > kMaxValueBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, ": has more than ", kMaxValueBytes, " bytes"));
  }
  if (value.back() == '\n') {
    context.err << "remuda secret set: the value ends with a newline, which is part of it; `printf "
                   "%s` writes none\n";
  }
  return value;
}

ExitCode RunSet(Context& context, const SecretOptions& options) {
  const auto id = ParseIdOf(KindId::kSecret, options.name);
  if (!id.ok()) return FailUsage(context, std::string(id.status().message()));
  v1::SetSecretRequest request;
  request.set_secret_id(*id);
  v1::Secret& secret = *request.mutable_secret();
  secret.set_description(options.description);
  for (const std::string& label : options.labels) {
    const size_t equals = label.find('=');
    if (equals == std::string::npos)
      return FailUsage(context, absl::StrCat("--label: \"", label, "\" is not KEY=VALUE"));
    (*secret.mutable_labels())[label.substr(0, equals)] = label.substr(equals + 1);
  }
  auto value = ReadValue(context, options.file);
  if (!value.ok()) return FailUsage(context, std::string(value.status().message()));
  secret.set_value(*std::move(value));
  request.set_request_id(NewRequestId());
  const ControllerClient client(context.settings);
  const auto made =
      client.Call<v1::Secret>(*client.secrets, &v1::SecretService::Stub::SetSecret, request);
  if (!made.ok()) return Fail(context, made.status());
  if (!IsTable(context.output)) {
    PrintResource(context, KindId::kSecret, *made);
    return ExitCode::kOk;
  }
  context.out << made->name() << " version " << made->version() << std::endl;
  if (made->version() > 1) context.err << "Instances have it from their next start on.\n";
  return ExitCode::kOk;
}

ExitCode DeleteSecret(Context& context, const std::string& name) {
  const auto id = ParseIdOf(KindId::kSecret, name);
  if (!id.ok()) return FailUsage(context, std::string(id.status().message()));
  const ControllerClient client(context.settings);
  if (absl::Status status = DeleteResource(client, KindId::kSecret, *id, false); !status.ok())
    return Fail(context, status);
  context.err << "Deleted " << FullName(KindId::kSecret, *id) << std::endl;
  return ExitCode::kOk;
}

ExitCode ShowSecret(Context& context, const std::string& name) {
  const auto id = ParseIdOf(KindId::kSecret, name);
  if (!id.ok()) return FailUsage(context, std::string(id.status().message()));
  const ControllerClient client(context.settings);
  const auto secret = GetResource(client, KindId::kSecret, *id);
  if (!secret.ok()) return Fail(context, secret.status());
  PrintResource(context, KindId::kSecret, **secret);
  return ExitCode::kOk;
}

}  // namespace

void AddSecretCommand(CLI::App& app, Context& context) {
  auto* command =
      app.add_subcommand("secret", "Keep values that apps are given and nobody is shown");
  command->require_subcommand(1);
  auto options = std::make_shared<SecretOptions>();
  auto* set = command->add_subcommand(
      "set", "Make a secret, or give it another value; the value comes from the standard input");
  set->add_option("name", options->name, "The secret")->required();
  set->add_option("--from-file", options->file, "Read the value from this file, byte by byte")
      ->type_name("FILE");
  set->add_option("--description", options->description, "What it is for");
  set->add_option("--label", options->labels, "A label; may be given several times")
      ->type_name("KEY=VALUE");
  AddOutputFlag(set, context);
  SetExample(set, "printf %s \"$PASSWORD\" | remuda secret set db-password");
  SetRun(set, context, [&context, options] { return RunSet(context, *options); });

  auto* get = command->add_subcommand("get", "Show a secret: its version and age, not its value");
  get->add_option("name", options->name, "The secret")->required();
  AddOutputFlag(get, context);
  SetExample(get, "remuda secret get db-password");
  SetRun(get, context, [&context, options] { return ShowSecret(context, options->name); });

  auto* list = command->add_subcommand("list", "Show all secrets, without their values");
  AddOutputFlag(list, context);
  SetExample(list, "remuda secret list");
  SetRun(list, context, [&context] { return ShowList(context, KindId::kSecret, {}); });

  auto* remove =
      command->add_subcommand("delete", "Delete a secret that no launch template version names");
  remove->add_option("name", options->name, "The secret")->required();
  SetExample(remove, "remuda secret delete db-password");
  SetRun(remove, context, [&context, options] { return DeleteSecret(context, options->name); });
  SetExample(command, "printf %s \"$PASSWORD\" | remuda secret set db-password");
}

}  // namespace remuda::cli
