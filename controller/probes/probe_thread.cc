#include "controller/probes/probe_thread.h"

#include <absl/strings/str_cat.h>
#include <signal.h>

#include <map>
#include <optional>
#include <thread>
#include <utility>

#include "controller/probes/question.h"

namespace remuda {

namespace asio = boost::asio;

struct ProbeThread::Running {
  using Work = asio::executor_work_guard<asio::io_context::executor_type>;

  asio::io_context context{1};
  Work work{context.get_executor()};
  // The thread's:
  std::map<int64_t, std::shared_ptr<Question>> questions;
  int64_t next_id = 0;
  bool is_stopping = false;
  std::thread thread;  // last: it uses the others

  void Start(const core::Probe& probe, std::string body, Asker::Done done) {
    if (is_stopping) return done({.trouble = "the controller ends"});
    const int64_t id = next_id++;
    const auto end = [this, id, done = std::move(done)](core::ProbeOutcome outcome) {
      questions.erase(id);
      done(std::move(outcome));
    };
    const auto make =
        probe.kind == core::Probe::Kind::kCommand ? MakeCommandQuestion : MakeHttpQuestion;
    const auto question = make(context, probe, std::move(body), end);
    questions[id] = question;
    question->Start();
  }

  void Stop() {
    is_stopping = true;
    work.reset();
    // Each leaves the map when it ends, which may be at once.
    for (const auto& [id, question] : std::map(questions)) question->Abort();
  }
};

ProbeThread::ProbeThread(Loop& loop, core::AnalysisCommands commands)
    : loop_(loop), commands_(std::move(commands)), running_(std::make_unique<Running>()) {
  running_->thread = std::thread([context = &running_->context] {
    // A program that does not read what it is sent is an error of the write, and no signal.
    sigset_t signals;
    sigfillset(&signals);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    context->run();
  });
}

ProbeThread::~ProbeThread() { Stop(); }

void ProbeThread::Ask(const core::Probe& probe, std::string body, Done done) {
  auto answer = [this, done = std::move(done)](core::ProbeOutcome outcome) {
    loop_.Post([done, outcome = std::move(outcome)] { done(outcome); });
  };
  // Named when the deployment began, and not any more.
  if (probe.kind == core::Probe::Kind::kCommand &&
      (probe.argv.empty() || !commands_.contains(probe.argv[0]))) {
    return answer({.trouble = absl::StrCat("the controller may not run ",
                                           probe.argv.empty() ? "" : probe.argv[0],
                                           ": it has no --analysis-command of that path")});
  }
  asio::post(running_->context, [running = running_.get(), probe, body = std::move(body),
                                 answer = std::move(answer)]() mutable {
    running->Start(probe, std::move(body), std::move(answer));
  });
}

void ProbeThread::Stop() {
  if (!running_->thread.joinable()) return;
  asio::post(running_->context, [running = running_.get()] { running->Stop(); });
  running_->thread.join();
}

}  // namespace remuda
