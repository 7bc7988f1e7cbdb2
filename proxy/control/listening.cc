#include "proxy/control/listening.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "proxy/io/settings.h"
#include "proxy/io/socket.h"

namespace remuda::proxy {
namespace {

const char* NameOf(const std::string& address) { return address.empty() ? "*" : address.c_str(); }

void LogError(const ListenerReport& report) {
  spdlog::error("cannot listen on {}:{} for loadBalancers/{}: {}; it is tried again",
                NameOf(report.address), report.port, report.load_balancer, report.error);
}

// Not the port, which may be any: the listener's name says that.
bool IsBoundTo(int fd, const std::string& address) {
  const PeerAddress bound = LocalAddress(fd);
  if (address.empty()) {
    const std::string_view text(bound.text, bound.text_size);
    return text == "::" || text == "0.0.0.0";
  }
  return bound.bytes == ToPeerAddress(MakeSocketAddress(address, 0).storage).bytes;
}

}  // namespace

Listening::Listening(EventLoop& loop, Options options, std::function<void(Opened)> on_opened)
    : loop_(loop),
      options_(std::move(options)),
      on_opened_(std::move(on_opened)),
      table_(std::make_shared<const RoutingTable>()),
      retry_([this] { Retry(); }) {}

const std::string& Listening::AddressOf(const ListenerSpec& spec) const {
  return spec.address.empty() ? options_.default_listen_address : spec.address;
}

// The sockets of another process go round among the workers, however many those were.
Listening::Entry Listening::Inherit(const ListenerSpec& spec, const ListenerReport& report,
                                    ListenerSockets from, Opened& opened) const {
  Entry entry{report, std::vector<std::vector<int>>(options_.workers), true};
  entry.report.actual_port = from.port;
  for (size_t i = 0; i < from.sockets.size(); ++i) {
    const size_t worker = i % options_.workers;
    const int fd = from.sockets[i].Release();
    entry.sockets[worker].push_back(fd);
    opened[worker].push_back({spec.Key(), fd, from.port});
  }
  spdlog::info("listening on {}:{} for loadBalancers/{}, with the sockets of the process before",
               NameOf(report.address), entry.report.actual_port, report.load_balancer);
  return entry;
}

// A socket for each worker; the report says if that failed.
Listening::Entry Listening::OpenListener(const ListenerSpec& spec, Opened& opened) {
  const std::string& address = AddressOf(spec);
  Entry entry;
  ListenerReport& report = entry.report;
  report = {spec.load_balancer->id, address, spec.port, spec.port, ""};
  if (is_stopped_) {
    report.error = "the proxy is draining";
    return entry;
  }
  const auto it = options_.inherited.find(spec.Key());
  if (it != options_.inherited.end() && IsBoundTo(it->second.sockets.front().get(), address))
    return Inherit(spec, report, std::move(it->second), opened);
  std::vector<int> fds;
  for (size_t i = 0; i < options_.workers; ++i) {
    // The first socket of port 0 gets a port from the system, the others share it.
    const int fd = OpenListeningSocket(address, report.actual_port, kListenBacklog);
    if (fd < 0) {
      report.error = std::strerror(-fd);
      for (const int earlier : fds) close(earlier);
      return entry;
    }
    fds.push_back(fd);
    report.actual_port = LocalPort(fd);
  }
  for (size_t i = 0; i < fds.size(); ++i) {
    opened[i].push_back({spec.Key(), fds[i], report.actual_port});
    entry.sockets.push_back({fds[i]});
  }
  spdlog::info("listening on {}:{} for loadBalancers/{}", NameOf(address), report.actual_port,
               report.load_balancer);
  return entry;
}

void Listening::Take(std::shared_ptr<const RoutingTable> table, Opened& opened,
                     std::vector<std::string>& closed) {
  table_ = std::move(table);
  std::map<std::string, Entry> wanted;
  for (const auto& [id, balancer] : table_->load_balancers) {
    for (const ListenerSpec& spec : balancer->listeners) {
      const std::string key = spec.Key();
      const auto it = listeners_.find(key);
      if (it != listeners_.end() && it->second.report.error.empty()) {
        wanted[key] = it->second;
        wanted[key].report.load_balancer = id;
        continue;
      }
      Entry& entry = wanted[key] = OpenListener(spec, opened);
      if (!entry.report.error.empty() && !is_stopped_) LogError(entry.report);
    }
  }
  // The process before accepts what waits in them, and closes them.
  options_.inherited.clear();
  for (const auto& [key, entry] : listeners_) {
    if (wanted.count(key) == 0 && entry.report.error.empty()) {
      closed.push_back(key);
      spdlog::info("no longer listening on port {}", entry.report.actual_port);
    }
  }
  listeners_ = std::move(wanted);
  backoff_ = kFirstRetry;
  ArmRetry();
}

void Listening::ArmRetry() {
  retry_.Cancel();
  const bool is_any_closed = std::any_of(listeners_.begin(), listeners_.end(), [](const auto& l) {
    return !l.second.report.error.empty();
  });
  if (!is_any_closed || is_stopped_ || is_paused_) return;
  retry_.Arm(loop_, std::chrono::steady_clock::now() + backoff_);
  backoff_ = std::min(backoff_ * 2, kLongestRetry);
}

// What kept a port may be gone: whoever had it has ended, an address has come.
void Listening::Retry() {
  Opened opened(options_.workers);
  bool is_changed = false;
  for (const auto& [id, balancer] : table_->load_balancers) {
    for (const ListenerSpec& spec : balancer->listeners) {
      const auto it = listeners_.find(spec.Key());
      if (it == listeners_.end() || it->second.report.error.empty()) continue;
      Entry entry = OpenListener(spec, opened);
      if (entry.report.error == it->second.report.error) continue;
      if (!entry.report.error.empty()) LogError(entry.report);
      it->second = std::move(entry);
      is_changed = true;
    }
  }
  ArmRetry();
  if (is_changed) on_opened_(std::move(opened));
}

std::vector<ListenerReport> Listening::Reports() const {
  std::vector<ListenerReport> reports;
  for (const auto& [key, entry] : listeners_) reports.push_back(entry.report);
  return reports;
}

void Listening::Stop() {
  is_stopped_ = true;
  retry_.Cancel();
}

void Listening::Pause(bool is_paused) {
  is_paused_ = is_paused;
  ArmRetry();
}

std::map<std::string, Listening::Open> Listening::Sockets() const {
  std::map<std::string, Open> all;
  for (const auto& [key, entry] : listeners_) {
    if (!entry.report.error.empty()) continue;
    Open& open = all[key];
    open.port = entry.report.actual_port;
    for (const std::vector<int>& of_worker : entry.sockets)
      open.sockets.insert(open.sockets.end(), of_worker.begin(), of_worker.end());
  }
  return all;
}

std::vector<std::string> Listening::Inherited() const {
  std::vector<std::string> keys;
  for (const auto& [key, entry] : listeners_) {
    if (entry.is_inherited) keys.push_back(key);
  }
  return keys;
}

void Listening::Complete() {
  Opened opened(options_.workers);
  bool is_any = false;
  for (auto& [key, entry] : listeners_) {
    if (!entry.is_inherited) continue;
    for (size_t i = 0; i < entry.sockets.size(); ++i) {
      if (!entry.sockets[i].empty()) continue;
      int fd = OpenListeningSocket(entry.report.address, entry.report.actual_port, kListenBacklog);
      // Of another user's sockets there is no further one: two workers share what one has.
      if (fd < 0) fd = fcntl(entry.sockets.front().front(), F_DUPFD_CLOEXEC, 0);
      if (fd < 0) continue;
      entry.sockets[i].push_back(fd);
      opened[i].push_back({key, fd, entry.report.actual_port});
      is_any = true;
    }
  }
  if (is_any) on_opened_(std::move(opened));
}

}  // namespace remuda::proxy
