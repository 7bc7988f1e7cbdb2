#include "proxy/worker.h"

#include <utility>

#include "proxy/io/kept_memory.h"

namespace remuda::proxy {
namespace {

constexpr std::chrono::milliseconds kSweepInterval{500};

}  // namespace

Worker::Worker(size_t index, const Settings& settings, AccessLog* log, Events events)
    : ClientWorker(index, settings, log, std::move(events)), acceptor_(*this), sweep_timer_([this] {
        Sweep();
        sweep_timer_.Arm(loop(), loop().now() + kSweepInterval);
      }) {}

Worker::~Worker() {
  Join();
  AbortAll();
}

void Worker::Start() {
  thread_ = std::thread([this] {
    sweep_timer_.Arm(loop(), loop().now() + kSweepInterval);
    KeepMemoryOfThisThread();
    loop().Run();
  });
}

void Worker::Join() {
  if (!thread_.joinable()) return;
  loop().Stop();
  thread_.join();
}

void Worker::Adopt(std::shared_ptr<const RoutingTable> table,
                   const std::vector<ListenerChange>& opened,
                   const std::vector<std::string>& closed) {
  const uint64_t begin_ns = ThreadCpuNs();
  AdoptUntimed(std::move(table), opened, closed);
  counters().adopt_time.Observe(ThreadCpuNs() - begin_ns);
  held_requests().ServeChanged();
}

void Worker::AdoptUntimed(std::shared_ptr<const RoutingTable> table,
                          const std::vector<ListenerChange>& opened,
                          const std::vector<std::string>& closed) {
  // While all is of one table still: what is accepted, and who makes room for it, may begin
  // requests.
  acceptor_.AcceptBacklog(closed);
  AdoptTable(std::move(table));
  acceptor_.Close(closed);
  if (!closed.empty()) CloseOrphans();
  Listen(opened);
  TellOfLeaving();
}

void Worker::HandOver(std::chrono::milliseconds timeout, const std::set<std::string>& kept) {
  if (is_draining()) return;
  BeginDrain(/*keeps_idle=*/true);
  acceptor_.Drain(kept);
  held_requests().CloseLater(loop().now() + timeout * 9 / 10);
  CloseAllWhenIdle();
}

void Worker::LetIdleGo() {
  if (!keeps_idle()) return;
  BeginDrain(/*keeps_idle=*/false);
  CloseAllWhenIdle();
}

void Worker::Drain(std::chrono::milliseconds timeout) {
  if (is_draining()) return LetIdleGo();
  // Before anything that is accepted below is served.
  BeginDrain();
  acceptor_.Drain();
  // They have an answer before all is cut.
  held_requests().Close(loop().now() + timeout * 9 / 10);
  CloseAllWhenIdle();
}

}  // namespace remuda::proxy
