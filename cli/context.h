// What every command of `remuda` is given, and what it gives back.
// Thread: everything in cli/ runs on the main thread unless a header says otherwise.
#pragma once

#include <absl/status/status.h>

#include <chrono>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>

namespace remuda::identity {
struct Dial;
}

namespace remuda::cli {

// The process's exit code; a part of the user's contract.
enum class ExitCode { kOk = 0, kFailed = 1, kUsage = 2, kTimedOut = 3, kRolledBack = 4 };

enum class OutputFormat {
  kTable,
  kWide,  // a table with more columns
  kName,  // full names only, for other commands
  kJson,
  kYaml,
};

// Flag > environment > file > default, already decided.
struct Settings {
  std::string controller = "127.0.0.1:7400";  // HOST:PORT; of several with commas between
  std::string controller_source = "default";  // "--controller", "REMUDA_CONTROLLER", a file's name
  std::chrono::milliseconds timeout{10'000};  // of one call
  std::string identity_dir;                   // where the person's key and certificate are
  std::string path;                           // of the settings file; empty: nowhere
  std::string context;                        // the one that is used; empty: none
  // Where is kept what the controllers of the context say of where they are; empty: nowhere.
  std::string controllers_file;
  bool insecure = false;  // the controller has no identities
  // How it is dialled; filled before a command runs, unless that is offline.
  std::shared_ptr<const identity::Dial> dial;
};

struct Context {
  Context(std::ostream& out_stream, std::ostream& err_stream) : out(out_stream), err(err_stream) {}

  Settings settings;
  OutputFormat output = OutputFormat::kTable;
  bool is_offline = false;     // the command calls no controller
  bool shows_secrets = false;  // else `***` stands for them
  std::ostream& out;           // data
  std::ostream& err;           // progress and errors
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  bool out_has_colours = false;  // a terminal that shows them, and the user does not refuse
  bool out_has_blocks = false;   // a terminal whose text is UTF-8
  // Set by the command line's parser: what to do once all of it has been read.
  std::function<ExitCode()> run;
};

// Whether it says that no controller could be reached, or that the connection broke. What a
// controller itself has answered is neither.
bool IsUnreachable(const absl::Status& status);
// Whether a controller says that none leads just now, or that it does not any more.
bool HasNoLeader(const absl::Status& status);

// Says what failed, in one or two lines: what, which value, what to do. Returns the exit code that
// goes with it.
ExitCode Fail(Context& context, const absl::Status& status);

// A mistake in how the command was called.
ExitCode FailUsage(Context& context, const std::string& what);

}  // namespace remuda::cli
