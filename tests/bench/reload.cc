// Changes the targets of a running proxy while requests pass, as a controller does, and counts what
// users would notice: requests that failed, connections that were closed. Says what a change costs.
//
//   bench_reload [--changes N] [--targets N] [--output FILE]
//
// The proxy is the real program, with two workers; the controller is the component tests' fake one.
// Exit 1 if a request failed, a connection was closed, or a change was not acknowledged.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/fake_controller.h"
#include "tests/component/proxy/testing/load.h"
#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/updates.h"

namespace remuda::proxy::testing {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kWorkers = 2;
constexpr int kClients = 4;
// The small set: what always serves, and what comes and goes.
constexpr size_t kSteadyTargets = 2;
constexpr size_t kChangingTargets = 4;
// The large set shares this many servers; each target is one of its own to the proxy.
constexpr size_t kServers = 4;

struct Options {
  int64_t changes = 1000;
  size_t targets = 10000;
  std::string output;
};

// bench_target with `count` ports: it holds ten thousand connections in one thread.
class Servers {
 public:
  explicit Servers(size_t count) {
    int out[2];
    if (pipe(out) != 0) throw std::runtime_error("pipe");
    const std::string program = REMUDA_BIN_DIR "/bench_target";
    std::vector<const char*> arguments(count + 2, "0");
    arguments.front() = program.c_str();
    arguments.back() = nullptr;
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      dup2(out[1], STDOUT_FILENO);
      execv(program.c_str(), const_cast<char**>(arguments.data()));
      _exit(127);
    }
    close(out[1]);
    FILE* const lines = fdopen(out[0], "r");
    int port = 0;
    while (ports_.size() < count && fscanf(lines, "%d", &port) == 1)
      ports_.push_back(static_cast<uint16_t>(port));
    fclose(lines);
    if (ports_.size() == count) return;
    End();
    throw std::runtime_error(program + " does not listen");
  }
  Servers(const Servers&) = delete;
  Servers& operator=(const Servers&) = delete;
  ~Servers() { End(); }
  // Many targets share a server.
  uint16_t PortOf(size_t target) const { return ports_[target % ports_.size()]; }

 private:
  void End() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  pid_t pid_ = -1;
  std::vector<uint16_t> ports_;
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

double Max(const std::vector<double>& values) {
  return values.empty() ? 0 : *std::max_element(values.begin(), values.end());
}

// What one part of the bench found.
struct Report {
  Report(std::string the_name, size_t target_count)
      : name(std::move(the_name)), targets(target_count) {}

  std::string name;
  size_t targets;
  std::vector<double> worker_us;  // CPU time a change, all workers together
  std::vector<double> ack_us;     // from sending a change to its acknowledgement
  std::vector<double> bytes;      // of a change's message
  double longest_step_us = 0;     // that one worker was busy with one step of a change
  int requests = 0;
  int failed = 0;  // answered, but not by 200
  int closed = 0;

  void Print() const {
    std::printf(
        "%s: %zu targets, %zu changes, %d requests: %d failed, %d connections closed\n"
        "  worker CPU a change, us: median %.1f, max %.1f; longest step of a worker %.1f\n"
        "  bytes a change: median %.0f, max %.0f\n"
        "  until acknowledged, us: median %.0f, max %.0f\n",
        name.c_str(), targets, bytes.size(), requests, failed, closed, Median(worker_us),
        Max(worker_us), longest_step_us, Median(bytes), Max(bytes), Median(ack_us), Max(ack_us));
    std::fflush(stdout);
  }
  std::string Json() const {
    char text[512];
    std::snprintf(text, sizeof text,
                  "{\"name\":\"%s\",\"targets\":%zu,\"changes\":%zu,\"requests\":%d,\"failed\":"
                  "%d,\"closed\":%d,\"worker_us_median\":%.1f,\"worker_us_max\":%.1f,"
                  "\"longest_step_us\":%.1f,\"bytes_median\":%.0f,\"bytes_max\":%.0f,"
                  "\"ack_us_median\":%.0f,\"ack_us_max\":%.0f}",
                  name.c_str(), targets, bytes.size(), requests, failed, closed, Median(worker_us),
                  Max(worker_us), longest_step_us, Median(bytes), Max(bytes), Median(ack_us),
                  Max(ack_us));
    return text;
  }
};

// A proxy with a controller and one target group.
class Bench {
 public:
  Bench()
      : servers_(std::max(kServers, kSteadyTargets + kChangingTargets)),
        controller_(1),
        proxy_("", {"--controller=" + controller_.address(), "--name=bench",
                    "--workers=" + std::to_string(kWorkers)}) {
    controller_.Expect([](const auto& m) { return m.has_hello(); });
  }

  // The load balancer and its group. A check is rare, so that it takes no time from the changes.
  v1::ConfigUpdate First() {
    v1::ConfigUpdate update = Whole(++sequence_, port_);
    auto* check = update.mutable_upserts()->mutable_target_groups(0)->mutable_health_check();
    check->clear_interval();
    check->mutable_interval()->set_seconds(300);
    return update;
  }
  // The next revision, as a delta on the present one.
  v1::ConfigUpdate Next() {
    ++sequence_;
    return Update(sequence_, sequence_ - 1);
  }
  v1::Target* Add(v1::ConfigUpdate& update, size_t index) {
    return AddTarget(update, "i-" + std::to_string(index), servers_.PortOf(index));
  }
  // Sends it and waits for the acknowledgement; microseconds.
  double Apply(v1::ConfigUpdate update) {
    const int64_t sequence = update.revision().sequence();
    const auto begin = Clock::now();
    controller_.Send(std::move(update));
    if (controller_.ExpectAck(sequence).revision().sequence() != sequence)
      throw std::runtime_error("revision " + std::to_string(sequence) + " was not acknowledged");
    return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
  }
  // The first update, with so many targets. Throws unless all become healthy.
  void Begin(size_t targets) {
    v1::ConfigUpdate first = First();
    for (size_t i = 0; i < targets; ++i) Add(first, i);
    Apply(std::move(first));
    if (!proxy_.WaitHealthy(static_cast<int>(targets)))
      throw std::runtime_error("the targets are not healthy");
  }

  // CPU time of all workers for changes so far.
  double WorkerUs() {
    const std::string page = proxy_.Admin("/metrics");
    return 1e6 * (Value(page, "adopt_seconds_sum") + Value(page, "repick_seconds_sum"));
  }
  double LongestStepUs() {
    const std::string page = proxy_.Admin("/metrics");
    return 1e6 * std::max(Value(page, "adopt_max_seconds"), Value(page, "repick_max_seconds"));
  }
  uint16_t port() const { return port_; }

 private:
  // Of a series without labels. The page of ten thousand targets is too long to be parsed at each
  // change.
  static double Value(const std::string& page, const std::string& name) {
    const std::string line = "\nremuda_proxy_" + name + " ";
    const size_t at = page.find(line);
    if (at == std::string::npos) throw std::runtime_error(name + " is not on the page");
    return std::atof(page.c_str() + at + line.size());
  }

  Servers servers_;
  FakeController controller_;
  ProxyProcess proxy_;
  int64_t sequence_ = 0;
  const uint16_t port_ = FreePort();
};

// Applies one change and notes what it cost, including the workers' next picks.
void Measure(Bench& bench, Load& load, v1::ConfigUpdate update, Report& report) {
  v1::ConnectResponse message;
  *message.mutable_update() = update;
  report.bytes.push_back(static_cast<double>(message.ByteSizeLong()));
  const double before = bench.WorkerUs();
  report.ack_us.push_back(bench.Apply(std::move(update)));
  if (!load.WaitForMore(2 * kClients)) throw std::runtime_error("requests are not answered");
  report.worker_us.push_back(bench.WorkerUs() - before);
}

void Finish(Bench& bench, Load& load, Report& report) {
  load.Stop();
  report.longest_step_us = bench.LongestStepUs();
  report.requests = load.answered();
  report.failed = load.bad() - load.closed();
  report.closed = load.closed();
  report.Print();
}

// Targets come and go: each in turn drains, leaves the config, and is put back.
Report ChangeTheSet(const Options& options) {
  Report report("changing set", kSteadyTargets + kChangingTargets);
  Bench bench;
  bench.Begin(report.targets);
  Load load(bench.port(), kClients, Load::AtBad::kGoOn);
  for (int64_t i = 0; i < options.changes; ++i) {
    const size_t index = kSteadyTargets + static_cast<size_t>(i / 3) % kChangingTargets;
    v1::ConfigUpdate update = bench.Next();
    if (i % 3 == 1) {
      update.add_removed_targets("blue/i-" + std::to_string(index));
    } else {
      bench.Add(update, index)
          ->set_state(i % 3 == 0 ? v1::Target::STATE_DRAINING : v1::Target::STATE_ACTIVE);
    }
    Measure(bench, load, std::move(update), report);
  }
  Finish(bench, load, report);
  return report;
}

// One of many targets drains, then the same one is taken back, and so on.
Report ChangeOneOfMany(const Options& options) {
  Report report("one of many", options.targets);
  Bench bench;
  bench.Begin(report.targets);
  Load load(bench.port(), kClients, Load::AtBad::kGoOn);
  for (int64_t i = 0; i < options.changes; ++i) {
    v1::ConfigUpdate update = bench.Next();
    bench.Add(update, static_cast<size_t>(i / 2 * 7919) % options.targets)
        ->set_state(i % 2 == 0 ? v1::Target::STATE_DRAINING : v1::Target::STATE_ACTIVE);
    Measure(bench, load, std::move(update), report);
  }
  Finish(bench, load, report);
  return report;
}

Options Parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const char* const value = i + 1 < argc ? argv[++i] : nullptr;
    if (name == "--changes" && value != nullptr && std::atoll(value) > 0) {
      options.changes = std::atoll(value);
    } else if (name == "--targets" && value != nullptr && std::atoll(value) > 0) {
      options.targets = static_cast<size_t>(std::atoll(value));
    } else if (name == "--output" && value != nullptr) {
      options.output = value;
    } else {
      std::fprintf(stderr, "usage: bench_reload [--changes N] [--targets N] [--output FILE]\n");
      std::exit(name == "--help" ? 0 : 2);
    }
  }
  return options;
}

int Run(const Options& options) {
  std::vector<Report> reports;
  reports.push_back(ChangeTheSet(options));
  reports.push_back(ChangeOneOfMany(options));
  if (!options.output.empty()) {
    std::ofstream out(options.output);
    out << "[\n" << reports[0].Json() << ",\n" << reports[1].Json() << "\n]\n";
  }
  const bool is_clean = std::all_of(reports.begin(), reports.end(), [](const Report& report) {
    return report.failed == 0 && report.closed == 0;
  });
  return is_clean ? 0 : 1;
}

}  // namespace
}  // namespace remuda::proxy::testing

int main(int argc, char** argv) {
  try {
    return remuda::proxy::testing::Run(remuda::proxy::testing::Parse(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_reload: %s\n", error.what());
    return 1;
  }
}
