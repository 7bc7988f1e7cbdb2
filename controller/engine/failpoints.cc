#include "controller/engine/failpoints.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/status.h"

namespace remuda {
namespace {

constexpr std::string_view kDelay = "delay:";
constexpr int kMaxDelayMs = 60'000;

}  // namespace

struct Failpoints::PlaceName {
  Place place;
  std::string_view name;
};

const Failpoints::PlaceName Failpoints::kPlaces[] = {
    {Place::kCommitBefore, "commit-before"},
    {Place::kCommitAfter, "commit-after"},
    {Place::kPublishBefore, "publish-before"},
    {Place::kPublishAfter, "publish-after"},
    {Place::kStepBefore, "deployment-step-before"},
    {Place::kStepAfter, "deployment-step-after"},
    {Place::kStepPublished, "deployment-step-published"},
};

Failpoints::Effects Failpoints::RealEffects() {
  return {.kill =
              [] {
                spdlog::default_logger()->flush();
                ::kill(getpid(), SIGKILL);
                pause();
              },
          .sleep = [](absl::Duration delay) { absl::SleepFor(delay); }};
}

bool Failpoints::IsOfSteps(Place place) { return place >= Place::kStepBefore; }

absl::StatusOr<Failpoints::Point> Failpoints::ParseOne(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not NAME[@N]=ACTION"));
  }
  Point point;
  point.text = text;
  std::string name = text.substr(0, equals);
  if (const size_t at = name.find('@'); at != std::string::npos) {
    const std::string number = name.substr(at + 1);
    name.resize(at);
    if (number != "*" && (!absl::SimpleAtoi(number, &point.number) || point.number < 1)) {
      return absl::InvalidArgumentError(
          absl::StrCat(text, ": \"", number, "\" is neither a number from 1 nor *"));
    }
  }
  const auto* const place = std::find_if(std::begin(kPlaces), std::end(kPlaces),
                                         [&](const PlaceName& p) { return p.name == name; });
  if (place == std::end(kPlaces)) {
    std::string known;
    for (const PlaceName& p : kPlaces) {
      absl::StrAppend(&known, known.empty() ? "" : ", ", std::string(p.name));
    }
    return absl::InvalidArgumentError(
        absl::StrCat(text, ": there is no \"", name, "\", there are ", known));
  }
  point.place = place->place;
  const std::string action = text.substr(equals + 1);
  int ms = 0;
  if (action == "kill") {
    point.action = Action::kKill;
  } else if (action == "abort-commit") {
    point.action = Action::kAbortCommit;
    if (point.place != Place::kCommitBefore && point.place != Place::kStepBefore) {
      return absl::InvalidArgumentError(
          absl::StrCat(text, ": abort-commit is of commit-before and deployment-step-before only"));
    }
  } else if (action.starts_with(kDelay) && absl::SimpleAtoi(action.substr(kDelay.size()), &ms) &&
             ms >= 0 && ms <= kMaxDelayMs) {
    point.action = Action::kDelay;
    point.delay = absl::Milliseconds(ms);
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat(text, ": there is no action \"", action,
                     "\", there are kill, abort-commit and delay:MS with 0-", kMaxDelayMs, " ms"));
  }
  return point;
}

absl::StatusOr<std::unique_ptr<Failpoints>> Failpoints::Parse(const std::vector<std::string>& texts,
                                                              Effects effects) {
  std::vector<Point> points;
  for (const std::string& text : texts) {
    auto point = ParseOne(text);
    if (!point.ok()) return point.status();
    points.push_back(*std::move(point));
  }
  // The constructor is private.
  return std::unique_ptr<Failpoints>(new Failpoints(std::move(points), std::move(effects)));
}

void Failpoints::Learn(std::string_view deployment, int position) {
  const std::lock_guard lock(mutex_);
  positions_[std::string(deployment)] = position;
}

std::vector<int> Failpoints::MovesOf(const core::Changes& changes) {
  const std::lock_guard lock(mutex_);
  std::map<std::string, int> moves;  // of several edits of one row the last counts
  for (const core::Edit& edit : changes.edits) {
    if (edit.kind != core::Kind::kDeployment) continue;
    moves.erase(edit.key);
    if (edit.value == nullptr) continue;
    const int position = static_cast<const v1::Deployment&>(*edit.value).current_step();
    const auto known = positions_.find(edit.key);
    if (known == positions_.end() || known->second != position) moves[edit.key] = position;
  }
  std::vector<int> out;
  for (const auto& [deployment, position] : moves) out.push_back(position);
  return out;
}

std::vector<Failpoints::Point> Failpoints::MetAt(Place place, const std::vector<int>& positions) {
  const std::lock_guard lock(mutex_);
  std::vector<Point> out;
  for (Point& point : points_) {
    if (point.place != place) continue;
    ++point.met;
    const bool is_met =
        IsOfSteps(place)
            ? std::any_of(positions.begin(), positions.end(),
                          [&](int at) { return point.number == 0 || at == point.number; })
            : point.number == 0 || point.met == point.number;
    if (is_met) out.push_back(point);
  }
  return out;
}

absl::Status Failpoints::Hit(Place place, const std::vector<int>& positions) {
  absl::Status outcome;
  for (const Point& point : MetAt(place, positions)) {
    spdlog::warn("failpoint {}", point.text);
    switch (point.action) {
      case Action::kKill:
        effects_.kill();
        break;
      case Action::kAbortCommit:
        outcome = Unavailable(absl::StrCat("failpoint ", point.text));
        break;
      case Action::kDelay:
        effects_.sleep(point.delay);
        break;
    }
  }
  return outcome;
}

absl::Status Failpoints::BeforeCommit(const core::Changes& changes) {
  absl::Status outcome = Hit(Place::kCommitBefore);
  const std::vector<int> moves = MovesOf(changes);
  outcome.Update(Hit(Place::kStepBefore, moves));
  return outcome;
}

void Failpoints::AfterCommit(const core::Changes& changes) {
  std::vector<int> moves = MovesOf(changes);
  {
    const std::lock_guard lock(mutex_);
    for (const core::Edit& edit : changes.edits) {
      if (edit.kind != core::Kind::kDeployment) continue;
      positions_.erase(edit.key);
      if (edit.value == nullptr) continue;
      positions_[edit.key] = static_cast<const v1::Deployment&>(*edit.value).current_step();
    }
    moves_ = moves;
  }
  Hit(Place::kCommitAfter).IgnoreError();
  Hit(Place::kStepAfter, moves).IgnoreError();
}

void Failpoints::BeforePublish() { Hit(Place::kPublishBefore).IgnoreError(); }

void Failpoints::AfterPublish() {
  Hit(Place::kPublishAfter).IgnoreError();
  std::vector<int> moves;
  {
    const std::lock_guard lock(mutex_);
    moves.swap(moves_);
  }
  Hit(Place::kStepPublished, moves).IgnoreError();
}

absl::Status FailpointStore::Load(const RowFn& row) {
  return store_->Load(
      [&](core::Kind kind, std::string_view key, std::string_view value, int64_t commit) {
        v1::Deployment deployment;
        if (kind == core::Kind::kDeployment &&
            deployment.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
          failpoints_.Learn(key, deployment.current_step());
        }
        return row(kind, key, value, commit);
      });
}

absl::StatusOr<int64_t> FailpointStore::Commit(const core::Changes& changes, int64_t epoch) {
  if (absl::Status status = failpoints_.BeforeCommit(changes); !status.ok()) return status;
  absl::StatusOr<int64_t> commit = store_->Commit(changes, epoch);
  if (commit.ok()) failpoints_.AfterCommit(changes);
  return commit;
}

}  // namespace remuda
