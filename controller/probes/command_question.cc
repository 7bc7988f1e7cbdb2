#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "controller/core/model/limits.h"
#include "controller/core/model/words.h"
#include "controller/probes/question.h"

namespace remuda {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Descriptor = asio::posix::basic_stream_descriptor<asio::io_context::executor_type>;

// Chunks that are read at once: as much as a pipe holds (pipe(7)).
constexpr int kChunksAtOnce = 16;

// How a program is begun: its ends of the pipes are 0 and 1, what it says beside is dropped, and it
// has none of the controller's descriptors, signals, groups or variables.
class Spawn {
 public:
  Spawn(int in, int out) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_adddup2(&actions_, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions_, out, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions_, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
    posix_spawn_file_actions_addchdir_np(&actions_, "/");
    posix_spawnattr_init(&attributes_);
    // A session of its own: what it begins can be ended with it.
    posix_spawnattr_setflags(&attributes_,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    sigset_t signals;
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes_, &signals);
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attributes_, &signals);
  }
  Spawn(const Spawn&) = delete;
  Spawn& operator=(const Spawn&) = delete;
  ~Spawn() {
    posix_spawnattr_destroy(&attributes_);
    posix_spawn_file_actions_destroy(&actions_);
  }

  // 0, or the error's number.
  int Run(std::vector<std::string> argv, pid_t& pid) const {
    const char* path = std::getenv("PATH");
    std::string environment = absl::StrCat("PATH=", path == nullptr ? "/usr/bin:/bin" : path);
    std::array<char*, 2> envp = {environment.data(), nullptr};
    std::vector<char*> pointers;
    for (std::string& argument : argv) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    return posix_spawn(&pid, pointers[0], &actions_, &attributes_, pointers.data(), envp.data());
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

class CommandQuestion final : public Question,
                              public std::enable_shared_from_this<CommandQuestion> {
 public:
  CommandQuestion(asio::io_context& context, const core::Probe& probe, std::string body, Done done)
      : argv_(probe.argv),
        timeout_(probe.timeout),
        body_(std::move(body)),
        done_(std::move(done)),
        process_(context.get_executor()),
        in_(context.get_executor()),
        out_(context.get_executor()),
        timer_(context.get_executor()) {}

  void Start() override {
    if (const std::string trouble = Begin(); !trouble.empty()) return End({.trouble = trouble});
    timer_.expires_after(absl::ToChronoNanoseconds(timeout_));
    timer_.async_wait([self = shared_from_this()](const error_code& error) {
      if (!error) self->Kill("timed out after " + core::DurationText(self->timeout_));
    });
    asio::async_write(in_, asio::buffer(body_),
                      [self = shared_from_this()](const error_code&, size_t) {
                        // All is written, or it does not read: its own affair.
                        error_code ignored;
                        self->in_.close(ignored);
                      });
    Read();
    process_.async_wait(Descriptor::wait_read,
                        [self = shared_from_this()](const error_code&) { self->OnEnded(); });
  }

  void Abort() override { Kill("the controller ends"); }

 private:
  // Why it could not be begun.
  std::string Begin() {
    std::array<int, 2> in{};
    std::array<int, 2> out{};
    if (pipe2(in.data(), O_CLOEXEC) != 0) return absl::StrCat("pipe: ", strerror(errno));
    in_.assign(in[1]);
    if (pipe2(out.data(), O_CLOEXEC) != 0) {
      close(in[0]);
      return absl::StrCat("pipe: ", strerror(errno));
    }
    out_.assign(out[0]);
    out_.non_blocking(true);
    const int error = Spawn(in[0], out[1]).Run(argv_, pid_);
    close(in[0]);
    close(out[1]);
    if (error != 0) {
      pid_ = -1;
      return absl::StrCat(argv_[0], " cannot be run: ", strerror(error));
    }
    const auto process = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
    if (process < 0) {
      const std::string why = strerror(errno);
      kill(-pid_, SIGKILL);
      Reap();
      return absl::StrCat("pidfd_open: ", why);
    }
    process_.assign(process);
    return "";
  }

  // What it began is ended with it; its own end is waited for.
  void Kill(std::string why) {
    if (pid_ <= 0) return;
    if (trouble_.empty()) trouble_ = std::move(why);
    kill(-pid_, SIGKILL);
  }

  // Whoever reads takes it at once: nothing that was read waits in a handler while it ends.
  void Read() {
    out_.async_wait(Descriptor::wait_read, [self = shared_from_this()](const error_code& error) {
      if (!error && self->KeepSome()) self->Read();
    });
  }

  // What there is, up to a pipe's size. What is beyond the bound is read, so that the program does
  // not wait for us, and dropped. Whether there may be more.
  bool KeepSome() {
    error_code error;
    for (int i = 0; i < kChunksAtOnce; ++i) {
      const size_t size = out_.read_some(asio::buffer(chunk_), error);
      if (error) return error == asio::error::would_block;
      printed_.append(chunk_.data(),
                      std::min(size, core::limits::kProbeAnswerBytes - printed_.size()));
    }
    return true;
  }

  // Ended, and not reaped: nobody else can have its number yet.
  void OnEnded() {
    kill(-pid_, SIGKILL);
    const int status = Reap();
    KeepSome();  // what it printed last is in the pipe still
    if (!trouble_.empty()) return End({.trouble = trouble_});
    if (WIFSIGNALED(status))
      return End({.trouble = absl::StrCat("it was ended by signal ", WTERMSIG(status))});
    End({.status = WEXITSTATUS(status), .body = std::move(printed_)});
  }

  int Reap() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }

  void End(core::ProbeOutcome outcome) {
    timer_.cancel();
    error_code ignored;
    in_.close(ignored);
    out_.close(ignored);
    process_.close(ignored);
    std::exchange(done_, nullptr)(std::move(outcome));
  }

  const std::vector<std::string> argv_;
  const absl::Duration timeout_;
  const std::string body_;
  Done done_;
  pid_t pid_ = -1;
  Descriptor process_;
  Descriptor in_;
  Descriptor out_;
  QuestionTimer timer_;
  std::array<char, 4096> chunk_{};
  std::string printed_;
  std::string trouble_;
};

}  // namespace

std::shared_ptr<Question> MakeCommandQuestion(asio::io_context& context, const core::Probe& probe,
                                              std::string body, Question::Done done) {
  return std::make_shared<CommandQuestion>(context, probe, std::move(body), std::move(done));
}

}  // namespace remuda
