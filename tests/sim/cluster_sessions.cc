// Sessions of the simulated cluster: who is connected, what is reported, what a broken session
// loses.
#include "tests/sim/cluster.h"

namespace remuda::sim {

using absl::Milliseconds;
using absl::Seconds;

void Cluster::WireHost(HostPart& part) {
  part.host->report = [this, &part](const agent::v1::InstanceStatus& status) {
    part.session->up.Send([this, &part, status] {
      core::Report(seen_.hosts[part.host->name()], status, scheduler_.now());
      Kick();
    });
  };
  part.host->forgot = [this, &part](const std::string& id) {
    part.session->up.Send([this, &part, id] {
      core::Forget(seen_.hosts[part.host->name()], id);
      Kick();
    });
  };
}

void Cluster::WireProxy(ProxyPart& part) {
  Proxy& proxy = *part.proxy;
  proxy.health_changed = [this, &part](const core::TargetId& target, v1::TargetState state) {
    if (!part.session->open) return;
    part.session->up.Send([this, &part, target, state] {
      seen_.proxies[part.proxy->name()].health[target].set_state(state);
      Kick();
    });
  };
  proxy.busy_changed = [this, &part] {
    if (!part.session->open) return;
    part.session->up.Send([this, &part, busy = part.proxy->Busy()] {
      seen_.proxies[part.proxy->name()].busy = busy;
      Kick();
    });
  };
  proxy.picked = [this, &part](const core::TargetId& target) {
    ++requests_;
    CheckPick(part, target);
  };
  proxy.failed = [this, &part](const std::string& why) {
    if (calm_ && part.has_picked && !MayServeNothing())
      Complain(part.proxy->name() + ": a request failed: " + why);
  };
}

// What it counts, from time to time.
void Cluster::ReportCounts(ProxyPart& part) {
  scheduler_.After(Seconds(1), [this, &part] { ReportCounts(part); });
  if (!part.session->open) return;
  part.session->up.Send([this, &part, stats = part.proxy->Stats()]() mutable {
    core::AddReport(state_, std::move(stats), seen_.proxies[part.proxy->name()].counted,
                    seen_.traffic);
  });
}

void Cluster::Connect(HostPart& part) {
  auto& session = *part.session;
  if (session.open || !running_) return;
  session.Open(scheduler_.now());
  part.host->has_session = true;
  std::map<std::string, agent::v1::InstanceStatus, std::less<>> all;
  for (const auto& [id, process] : part.host->processes()) all[id] = process.status;
  session.up.Send([this, &part, all] {
    auto& seen = seen_.hosts[part.host->name()];
    seen.connected = seen.reported = true;
    seen.last_seen = scheduler_.now();
    seen.hello.set_host(part.host->name());
    seen.hello.set_address("10.0.0." + part.host->name().substr(1));
    seen.hello.set_zone(part.host->name() == "h1" || part.host->name() == "h3" ? "a" : "b");
    seen.instances.clear();
    seen.on_the_way.clear();
    for (const auto& [id, status] : all) core::Report(seen, status, scheduler_.now());
    seen.assignment.set_confirmed_commit(0);
    Kick();
  });
}

void Cluster::Connect(ProxyPart& part) {
  auto& session = *part.session;
  if (session.open || !running_) return;
  session.Open(scheduler_.now());
  part.proxy->has_session = true;
  session.up.Send([this, &part, health = part.proxy->health(), busy = part.proxy->Busy(),
                   incarnation = part.proxy->Incarnation()] {
    auto& seen = seen_.proxies[part.proxy->name()];
    core::CountedProcess counted = std::move(seen.counted);
    seen = core::ProxyObservation();
    seen.counted = std::move(counted);
    seen.connected = seen.reported = true;
    seen.last_seen = scheduler_.now();
    seen.hello.set_proxy(part.proxy->name());
    seen.hello.set_incarnation(incarnation);
    core::BeginProcess(seen.hello, seen.counted);
    for (const auto& [target, state] : health) seen.health[target].set_state(state);
    seen.busy = busy;
    Kick();
  });
}

void Cluster::Break(HostPart& part) {
  auto& session = *part.session;
  if (!session.open) return;
  session.Break(scheduler_.now());
  part.host->LoseSession();
  seen_.hosts[part.host->name()].connected = false;
  seen_.hosts[part.host->name()].last_seen = scheduler_.now();
  Kick();
}

void Cluster::Break(ProxyPart& part) {
  auto& session = *part.session;
  if (!session.open) return;
  session.Break(scheduler_.now());
  part.proxy->has_session = false;
  seen_.proxies[part.proxy->name()].connected = false;
  seen_.proxies[part.proxy->name()].last_seen = scheduler_.now();
  Kick();
}

void Cluster::Reconnect() {
  const auto after = [this](absl::Duration longest) {
    if (trouble_ && random_.OneIn(5)) return random_.Between(Seconds(2), longest);
    return random_.Between(Milliseconds(10), Seconds(1));
  };
  // A proxy that is away for longer than its lease may send to what was stopped meanwhile: not
  // where no request may fail.
  const absl::Duration proxy_longest = calm_ ? Seconds(10) : Seconds(30);
  for (auto& [name, part] : hosts_) {
    if (!part.session->open) {
      scheduler_.After(after(Seconds(30)), [this, &part = part] { Connect(part); });
    }
  }
  for (auto& [name, part] : proxies_) {
    if (!part.session->open) {
      scheduler_.After(after(proxy_longest), [this, &part = part] { Connect(part); });
    }
  }
}

}  // namespace remuda::sim
