#include "proxy/exchange/worker_context.h"

#include <algorithm>
#include <ctime>
#include <random>
#include <utility>

#include "proxy/exchange/exchange.h"

namespace remuda::proxy {
namespace {

constexpr size_t kMaxFreeExchanges = 1024;

}  // namespace

uint64_t ThreadCpuNs() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

WorkerContext::WorkerContext(size_t index, const Settings& settings, AccessLog* log, Events events)
    : index_(index),
      settings_(settings),
      log_(log),
      events_(std::move(events)),
      pool_(loop_, index, settings, connection_count_),
      place_queues_(loop_, index, events_.on_place_free),
      held_requests_(loop_, index, events_.on_first_held),
      pipes_(settings.max_pipes),
      current_(std::make_unique<AdoptedTable>()),
      random_state_((static_cast<uint64_t>(std::random_device()()) << 32) |
                    (std::random_device()() | 1)) {
  current_->table = std::make_shared<const RoutingTable>();
  SetWallOffset();
}

WorkerContext::~WorkerContext() {
  mirrors_.DropAll();
  pool_.CloseAllIdle();
  loop_.RunDeferred();
}

void WorkerContext::AdoptTable(std::shared_ptr<const RoutingTable> table) {
  auto adopted = std::make_unique<AdoptedTable>();
  adopted->table = std::move(table);
  const RoutingTable& now = *adopted->table;
  for (const auto& group : now.changed_groups) AdoptGroup(index_, *group);
  for (const auto& group : now.removed_groups) group->picker(index_).group = nullptr;
  const std::vector<std::string>& secrets = now.shared_secrets;
  sticky_cookies_.SetSecrets(secrets.empty() ? std::vector{settings_.own_secret} : secrets);
  // Idle connections refer to targets of the table that is given up below.
  mirrors_.DropThoseTo(now.leaving);
  for (const LeavingTarget& leaving : now.leaving) pool_.CloseIdle(*leaving.target);
  std::swap(current_, adopted);
  adopted->is_current = false;
  if (adopted->pins > 0) retired_.push_back(std::move(adopted));
}

void WorkerContext::PreparePick(GroupState& group, PickRequest& request) {
  request.worker = index_;
  request.now = loop_.now();
  request.random = Random();
  if (!IsPickerStale(group, request)) return;
  const uint64_t begin_ns = ThreadCpuNs();
  RefreshPicker(group, request);
  metrics_.repick_time.Observe(ThreadCpuNs() - begin_ns);
}

Picked WorkerContext::Pick(GroupState& group, PickRequest request) {
  PreparePick(group, request);
  const Picked picked = PickTarget(group, request);
  if (picked.is_fail_open) metrics_.fail_open_picks.Add(1);
  return picked;
}

Picked WorkerContext::PickMirror(GroupState& group, const SubsetState* taken_by) {
  PickRequest request;
  PreparePick(group, request);
  return remuda::proxy::PickMirror(group, request, taken_by);
}

bool WorkerContext::HasUntried(GroupState& group, PickRequest request) {
  PreparePick(group, request);
  return remuda::proxy::HasUntried(group, request);
}

bool WorkerContext::HasHealthyUntried(GroupState& group, PickRequest request) {
  return HasUntried(group, request) && !group.picker(index_).is_fail_open;
}

AdoptedTable* WorkerContext::Pin() {
  ++current_->pins;
  return current_.get();
}

void WorkerContext::Unpin(AdoptedTable* table) {
  if (--table->pins > 0 || table->is_current) return;
  std::erase_if(retired_, [&](const auto& retired) { return retired.get() == table; });
}

Exchange* WorkerContext::TakeExchange() {
  if (free_exchanges_.empty()) return new Exchange(*this);
  Exchange* const exchange = free_exchanges_.back().release();
  free_exchanges_.pop_back();
  return exchange;
}

void WorkerContext::GiveExchange(Exchange* exchange) {
  if (free_exchanges_.size() < kMaxFreeExchanges) {
    free_exchanges_.emplace_back(exchange);
  } else {
    loop_.Defer([exchange] { delete exchange; });
  }
}

void WorkerContext::TargetReleased(TargetState& target) {
  if (target.is_leaving() && target.slot(index_).in_flight.Get() == 0 &&
      events_.on_drained_target) {
    events_.on_drained_target();
  }
}

void WorkerContext::TargetRefused(TargetState& target) {
  if (!target.SetPassivelyOut(true)) return;
  target.group().Changed();
  pool_.CloseIdle(target);
  if (events_.on_passively_out) events_.on_passively_out(&target);
}

// xorshift64*: for trace ids, which need to be unique, not secret.
uint64_t WorkerContext::Random() {
  random_state_ ^= random_state_ >> 12;
  random_state_ ^= random_state_ << 25;
  random_state_ ^= random_state_ >> 27;
  return random_state_ * 2685821657736338717ULL;
}

void WorkerContext::SetWallOffset() {
  using std::chrono::duration_cast;
  using std::chrono::microseconds;
  const auto steady = std::chrono::steady_clock::now().time_since_epoch();
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  wall_offset_us_ =
      (duration_cast<microseconds>(wall) - duration_cast<microseconds>(steady)).count();
}

void WorkerContext::Sweep() {
  SetWallOffset();
  pool_.CloseExpired(loop_.now());
}

}  // namespace remuda::proxy
