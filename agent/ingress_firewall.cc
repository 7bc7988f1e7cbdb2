#include "agent/ingress_firewall.h"

#include <absl/strings/str_cat.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <utility>

#include "agent/nft.h"

namespace remuda::agent {

// The table as it shall be, and who makes it so. Any thread.
class IngressFirewall::Table {
 public:
  explicit Table(std::string program) : program_(std::move(program)) {}
  void Set(std::string wanted) {
    const std::lock_guard lock(mutex_);
    wanted_ = std::move(wanted);
    ++edition_;
  }
  struct Outcome {
    std::string error;    // empty: it is so
    int64_t edition = 0;  // the newest Set that it was made by
  };
  // Makes it as it shall be by now. One at a time, so that what is newer wins.
  Outcome Apply() {
    const std::lock_guard one(applying_);
    Outcome out;
    std::string wanted;
    {
      const std::lock_guard lock(mutex_);
      wanted = wanted_;
      out.edition = edition_;
    }
    out.error = RunNft(program_, wanted);
    return out;
  }
  int64_t edition() {
    const std::lock_guard lock(mutex_);
    return edition_;
  }
  std::string Try(const std::string& text) {
    if (program_.empty())
      return "there is no program nft (package nftables), or --nft none is given";
    return RunNft(program_, text, /*only_check=*/true);
  }

 private:
  const std::string program_;
  std::mutex applying_;
  std::mutex mutex_;
  std::string wanted_;   // guarded by mutex_
  int64_t edition_ = 0;  // guarded by mutex_
};

IngressFirewall::IngressFirewall(EventLoop& loop, TaskThreads& workers, Options options)
    : loop_(loop),
      workers_(workers),
      table_name_(TableName(options.host)),
      table_(std::make_shared<Table>(std::move(options.program))) {}

IngressFirewall::~IngressFirewall() { loop_.Cancel(timer_); }

void IngressFirewall::Open() {
  why_not_ = table_->Try(RulesetToTry(table_name_));
  can_ = why_not_.empty();
}

bool IngressFirewall::Take(const std::vector<FilteredPort>& ports) {
  std::string error;
  std::string wanted = RulesetFor(table_name_, ports, error);
  if (!error.empty()) {
    if (why_not_ != error) spdlog::error("filter of what comes in: {}", error);
    why_not_ = std::move(error);
    return false;
  }
  filters_ = !ports.empty();
  wanted_ = std::move(wanted);
  table_->Set(wanted_);
  return true;
}

void IngressFirewall::Want(const std::vector<FilteredPort>& ports) {
  if (!can_ || (ports.empty() && !filters_ && !wanted_.empty())) return;
  const std::string before = wanted_;
  if (Take(ports) && wanted_ != before) ApplyLater();
}

absl::Status IngressFirewall::Enforce(const std::vector<FilteredPort>& ports) {
  if (!can_) return absl::FailedPreconditionError(why_not_);
  const std::string before = wanted_;
  if (!Take(ports)) return absl::FailedPreconditionError(why_not_);
  // What is in force already, or what a worker is about, needs no other run only if it is the same.
  if (wanted_ == before && why_not_.empty() && !is_under_way_) return absl::OkStatus();
  const Table::Outcome outcome = table_->Apply();
  OnApplied(outcome.error);
  return outcome.error.empty() ? absl::OkStatus() : absl::UnavailableError(outcome.error);
}

void IngressFirewall::ApplyLater() {
  if (std::exchange(is_under_way_, true)) return;
  workers_.Post([this, table = table_] {
    loop_.Post([this, outcome = table->Apply()] {
      is_under_way_ = false;
      OnApplied(outcome.error);
      // What was wanted meanwhile.
      if (outcome.error.empty() && outcome.edition < table_->edition()) return ApplyLater();
      for (const auto& done : std::exchange(waiting_, {})) done();
    });
  });
}

void IngressFirewall::WhenTried(std::function<void()> done) {
  if (!is_under_way_) return done();
  waiting_.push_back(std::move(done));
}

void IngressFirewall::OnApplied(const std::string& error) {
  loop_.Cancel(timer_);
  timer_ = 0;
  if (error.empty()) {
    if (!why_not_.empty()) spdlog::info("the filter of what comes in is in force again");
    why_not_.clear();
    retry_ = kFirstRetry;
    if (filters_) timer_ = loop_.After(kPutBack, [this] { ApplyLater(); });
    return;
  }
  if (why_not_ != error) spdlog::error("the filter of what comes in is not in force: {}", error);
  why_not_ = error;
  timer_ = loop_.After(retry_, [this] { ApplyLater(); });
  retry_ = std::min(kMaxRetry, retry_ * 2);
}

}  // namespace remuda::agent
