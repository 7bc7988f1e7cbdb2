#include "controller/kubernetes/kubernetes_thread.h"

#include <signal.h>

#include <boost/asio.hpp>
#include <map>
#include <random>
#include <thread>
#include <utility>

#include "controller/kubernetes/slice_reader.h"

namespace remuda {

namespace asio = boost::asio;

struct KubernetesThread::Running {
  using Work = asio::executor_work_guard<asio::io_context::executor_type>;

  explicit Running(const kubernetes::ReaderPace& pace_of_all) : pace(pace_of_all) {}

  const kubernetes::ReaderPace pace;
  asio::io_context context{1};
  Work work{context.get_executor()};
  // The thread's:
  std::map<int64_t, std::unique_ptr<kubernetes::SliceReader>> readers;
  std::random_device seeds;
  bool is_stopping = false;
  std::thread thread;  // last: it uses the others

  void Stop() {
    is_stopping = true;
    readers.clear();
    work.reset();
  }
};

KubernetesThread::KubernetesThread(Loop& loop, ApiAddress api, const kubernetes::ReaderPace& pace)
    : loop_(loop), api_(std::move(api)), running_(std::make_unique<Running>(pace)) {
  running_->thread = std::thread([context = &running_->context] {
    // A connection that is gone is an error of the write, and no signal.
    sigset_t signals;
    sigfillset(&signals);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    context->run();
  });
}

KubernetesThread::~KubernetesThread() { Stop(); }

void KubernetesThread::Follow(int64_t id, const v1::KubernetesTargets& whose, Take take) {
  const auto tell = [this, take = std::move(take)](EndpointReport report) {
    loop_.Post([take, report = std::move(report)] { take(report); });
  };
  if (!api_.missing.empty()) return tell({.error = api_.missing});
  kubernetes::Service service{
      .name_space = whose.namespace_(), .name = whose.service(), .port = whose.port()};
  asio::post(running_->context,
             [this, running = running_.get(), id, service = std::move(service), tell] {
               if (running->is_stopping) return;
               auto& reader = running->readers[id];
               reader = std::make_unique<kubernetes::SliceReader>(
                   running->context, api_, service, running->pace, running->seeds(), tell);
               reader->Start();
             });
}

void KubernetesThread::Forget(int64_t id) {
  asio::post(running_->context, [running = running_.get(), id] { running->readers.erase(id); });
}

void KubernetesThread::Stop() {
  if (!running_->thread.joinable()) return;
  asio::post(running_->context, [running = running_.get()] { running->Stop(); });
  running_->thread.join();
}

}  // namespace remuda
