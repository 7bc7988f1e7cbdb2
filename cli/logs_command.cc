// remuda logs: what an instance, or every instance of a group, printed.
#include <absl/strings/str_cat.h>

#include <array>
#include <atomic>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <ostream>
#include <set>
#include <thread>

#include "cli/commands.h"
#include "cli/controller_client.h"
#include "cli/log_mark.h"
#include "cli/resources.h"
#include "cli/watching.h"

namespace remuda::cli {
namespace {

// Instances of a group at once: a thread each. Fewer than the streams that the controller allows on
// one connection (100): the list of instances needs one too.
constexpr size_t kMaxFollowed = 90;
constexpr size_t kMaxLineBytes = 64 << 10;  // a longer one is printed in pieces

struct LogsOptions {
  std::string source = {};
  bool follow = false;
  int tail = 100;
};

// Whole lines of several instances on one output, each behind its instance's name.
class LineOutput {
 public:
  explicit LineOutput(Context& context) : context_(context) {}

  // Any thread. `rest` keeps what is no whole line yet.
  void Write(const std::string& prefix, std::string_view data, std::string& rest) {
    rest.append(data);
    const std::lock_guard lock(mutex_);
    size_t begin = 0;
    for (size_t end = rest.find('\n'); end != std::string::npos; end = rest.find('\n', begin)) {
      context_.out << prefix << std::string_view(rest).substr(begin, end + 1 - begin);
      begin = end + 1;
    }
    rest.erase(0, begin);
    if (rest.size() > kMaxLineBytes) Finish(prefix, rest);
    context_.out.flush();
  }
  void End(const std::string& prefix, std::string& rest) {
    const std::lock_guard lock(mutex_);
    if (!rest.empty()) Finish(prefix, rest);
    context_.out.flush();
  }
  void Say(const std::string& what) {
    const std::lock_guard lock(mutex_);
    context_.err << "remuda: " << what << std::endl;
  }

 private:
  void Finish(const std::string& prefix, std::string& rest) {
    context_.out << prefix << rest << "\n";
    rest.clear();
  }

  Context& context_;
  std::mutex mutex_;
};

std::string LostText(int64_t bytes) {
  return absl::StrCat(bytes, bytes == 1 ? " byte was" : " bytes were", " lost to rotation here");
}

// Hands each piece to `take` until the stream's end.
template <typename Take>
absl::Status ReadLogs(const ControllerClient& client, grpc::ClientContext& call,
                      const std::string& id, const LogsOptions& options, Take take) {
  v1::WatchInstanceLogsRequest request;
  request.set_name(FullName(KindId::kInstance, id));
  request.set_tail_lines(options.tail);
  request.set_follow(options.follow);
  const auto stream = client.auto_scaling->WatchInstanceLogs(&call, request);
  v1::WatchInstanceLogsResponse response;
  while (stream->Read(&response)) take(response);
  return FromGrpcStatus(stream->Finish());
}

// The calls of one following: what there is, for fewer lines each time, and then what comes.
struct FollowCalls {
  explicit FollowCalls(const Settings& settings) : timeout(settings.timeout) {
    ControllerClient::SetDeadline(coming, kWatchDeadline);
  }
  // From any thread.
  void Cancel() {
    for (auto& call : there) call.TryCancel();
    coming.TryCancel();
  }
  const decltype(Settings::timeout) timeout;
  std::array<grpc::ClientContext, 8> there;  // from LogMark::kMaxLines to 1, a quarter each time
  grpc::ClientContext coming;
};

// What there is. The controller ends a read that falls behind by 4 MiB, and lines may be long.
absl::StatusOr<std::string> ReadThere(const ControllerClient& client, FollowCalls& calls,
                                      const std::string& id, int tail, LogMark& mark) {
  absl::Status status;
  for (grpc::ClientContext& call : calls.there) {
    std::string all;
    ControllerClient::SetDeadline(call, calls.timeout);
    status = ReadLogs(client, call, id, {.tail = mark.LinesToCatchUp(tail)},
                      [&](const auto& response) { all += response.data(); });
    if (status.ok()) return all;
    const bool is_too_much =
        absl::IsResourceExhausted(status) || (absl::IsDeadlineExceeded(status) && !all.empty());
    if (!is_too_much || !mark.AskForFewer(tail)) break;
  }
  return status;
}

// Hands what is new since `mark` to `print`, and what is to be said of lines that are missing to
// `say`, until the log's end or a break. After one, it goes on with the same mark.
absl::Status FollowLogs(const ControllerClient& client, FollowCalls& calls, const std::string& id,
                        int tail, LogMark& mark,
                        const std::function<void(const std::string&)>& print,
                        const std::function<void(const std::string&)>& say) {
  const auto all = ReadThere(client, calls, id, tail, mark);
  if (!all.ok()) return all.status();
  const std::string fresh = mark.CatchUp(*all, tail);
  if (mark.has_skipped()) say("lines may be missing here: more came than can be read again");
  print(fresh);
  return ReadLogs(client, calls.coming, id, {.follow = true, .tail = mark.LinesToFollow()},
                  [&](const auto& response) {
                    if (response.lost_bytes() > 0) {
                      say(LostText(response.lost_bytes()));
                      mark.Lost();
                    }
                    print(mark.Follow(response.data()));
                  });
}

// Why it broke off: the controller may be there and say so, of the instance's host.
void SayBroken(Context& context, const ControllerClient& client, const std::string& id,
               const absl::Status& status, bool& was_there) {
  if (!was_there || !GetResource(client, KindId::kInstance, id).ok())
    return SayAway(context, was_there);
  context.err << "remuda: " << status.message() << "; trying again" << std::endl;
  was_there = false;
}

// Until the instance's end. A break is waited out; but what cannot be read at first is told.
ExitCode FollowInstance(Context& context, const ControllerClient& client, const std::string& id,
                        int tail) {
  LogMark mark;
  bool has_begun = false;
  bool was_there = true;
  while (true) {
    FollowCalls calls(context.settings);
    const absl::Status status = FollowLogs(
        client, calls, id, tail, mark,
        [&](const std::string& text) {
          has_begun = true;
          was_there = was_there || !text.empty();  // else what breaks off at once is told each time
          context.out << text << std::flush;
        },
        [&](const std::string& what) { context.err << "remuda: " << what << std::endl; });
    if (status.ok()) return ExitCode::kOk;
    if (!has_begun || !IsAway(status)) return Fail(context, status);
    SayBroken(context, client, id, status, was_there);
    std::this_thread::sleep_for(kWatchInterval);
  }
}

ExitCode LogsOfInstance(Context& context, const std::string& id, const LogsOptions& options) {
  const ControllerClient client(context.settings);
  if (options.follow) return FollowInstance(context, client, id, options.tail);
  grpc::ClientContext call;
  ControllerClient::SetDeadline(call, context.settings.timeout);
  const absl::Status status = ReadLogs(client, call, id, options, [&](const auto& response) {
    if (response.lost_bytes() > 0)
      context.err << "remuda: " << LostText(response.lost_bytes()) << std::endl;
    context.out << response.data() << std::flush;
  });
  return status.ok() ? ExitCode::kOk : Fail(context, status);
}

std::string PrefixOf(const std::string& id) { return id + " | "; }

absl::Status PrefixedLogs(const ControllerClient& client, grpc::ClientContext& call,
                          const std::string& id, const LogsOptions& options, LineOutput& out) {
  std::string rest;
  const absl::Status status = ReadLogs(client, call, id, options, [&](const auto& response) {
    if (response.lost_bytes() > 0) out.Say(id + ": " + LostText(response.lost_bytes()));
    out.Write(PrefixOf(id), response.data(), rest);
  });
  out.End(PrefixOf(id), rest);
  return status;
}

// How far one instance's logs were followed: outlives a break.
struct Followed {
  LogMark mark;
  std::string rest;  // printed when its line is whole
};

// Reads one instance's logs on a thread of its own, which ends with the object.
class Follower {
 public:
  Follower(const ControllerClient& client, const Settings& settings, std::string id, int tail,
           Followed before, LineOutput& out)
      : id_(std::move(id)),
        calls_(settings),
        followed_(std::move(before)),
        thread_([this, &client, tail, &out] {
          status_ = FollowLogs(
              client, calls_, id_, tail, followed_.mark,
              [&](const std::string& text) { out.Write(PrefixOf(id_), text, followed_.rest); },
              [&](const std::string& what) { out.Say(id_ + ": " + what); });
          if (!IsAway(status_) || status_.ok()) out.End(PrefixOf(id_), followed_.rest);
          has_ended_ = true;
        }) {}
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;
  ~Follower() {
    calls_.Cancel();
    thread_.join();
  }

  const std::string& id() const { return id_; }
  bool has_ended() const { return has_ended_; }
  // Once it has ended.
  const absl::Status& status() const { return status_; }
  Followed TakeFollowed() { return std::move(followed_); }

 private:
  const std::string id_;
  FollowCalls calls_;
  Followed followed_;    // the thread's until has_ended_
  absl::Status status_;  // written by the thread before has_ended_
  std::atomic<bool> has_ended_{false};
  std::thread thread_;  // last: it uses the others
};

absl::StatusOr<std::vector<std::string>> InstancesOf(const ControllerClient& client,
                                                     const std::string& group) {
  ListFilter filter;
  filter.of = FullName(KindId::kAutoScalingGroup, group);
  const auto instances = ListResources(client, KindId::kInstance, filter);
  if (!instances.ok()) return instances.status();
  std::vector<std::string> ids;
  for (const auto& instance : *instances) ids.push_back(ShortId(NameOf(*instance)));
  return ids;
}

// The instances of a group that are there, and those that come.
class GroupFollower {
 public:
  GroupFollower(Context& context, const ControllerClient& client, int tail)
      : client_(client), settings_(context.settings), tail_(tail), out_(context) {}

  void Follow(const std::vector<std::string>& ids) {
    for (const std::string& id : ids) {
      if (known_.contains(id)) continue;
      if (followers_.size() >= kMaxFollowed) {
        if (!is_full_told_)
          out_.Say(absl::StrCat("only ", kMaxFollowed, " instances are followed at once"));
        is_full_told_ = true;
        return;
      }
      Followed before;
      if (auto broken = broken_.extract(id)) before = std::move(broken.mapped());
      known_.insert(id);
      followers_.push_back(
          std::make_unique<Follower>(client_, settings_, id, tail_, std::move(before), out_));
    }
  }

  // Those whose stream broke are followed anew; an instance that is gone is not.
  void Tidy() {
    followers_.remove_if([this](const auto& follower) {
      if (!follower->has_ended()) return false;
      const absl::Status& status = follower->status();
      if (status.ok()) return true;
      if (IsAway(status)) {
        known_.erase(follower->id());
        broken_[follower->id()] = follower->TakeFollowed();
      } else {
        out_.Say(absl::StrCat(follower->id(), ": ", std::string(status.message())));
      }
      return true;
    });
  }

 private:
  const ControllerClient& client_;
  const Settings& settings_;
  const int tail_;
  LineOutput out_;
  std::set<std::string> known_;             // followed, or done with
  std::map<std::string, Followed> broken_;  // to be followed again
  bool is_full_told_ = false;
  std::list<std::unique_ptr<Follower>> followers_;
};

// Until the user ends it.
ExitCode FollowGroup(Context& context, const ControllerClient& client, const std::string& group,
                     int tail) {
  GroupFollower follower(context, client, tail);
  bool was_there = true;
  while (true) {
    const auto ids = InstancesOf(client, group);
    if (ids.ok()) {
      was_there = true;
      follower.Follow(*ids);
    } else if (IsAway(ids.status())) {
      SayAway(context, was_there);
    } else {
      return Fail(context, ids.status());
    }
    follower.Tidy();
    std::this_thread::sleep_for(kWatchInterval);
  }
}

ExitCode LogsOfGroup(Context& context, const std::string& group, const LogsOptions& options) {
  const ControllerClient client(context.settings);
  const auto found = GetResource(client, KindId::kAutoScalingGroup, group);
  if (!found.ok()) return Fail(context, found.status());
  if (options.follow) return FollowGroup(context, client, group, options.tail);
  const auto ids = InstancesOf(client, group);
  if (!ids.ok()) return Fail(context, ids.status());
  if (ids->empty()) context.err << "No instances." << std::endl;
  LineOutput out(context);
  ExitCode code = ExitCode::kOk;
  for (const std::string& id : *ids) {
    grpc::ClientContext call;
    ControllerClient::SetDeadline(call, context.settings.timeout);
    const absl::Status status = PrefixedLogs(client, call, id, options, out);
    if (status.ok()) continue;
    out.Say(absl::StrCat(id, ": ", std::string(status.message())));
    code = ExitCode::kFailed;
  }
  return code;
}

ExitCode RunLogs(Context& context, const LogsOptions& options) {
  if (options.source.find('/') != std::string::npos) {
    const auto ref = ParseRef(options.source);
    if (!ref.ok()) return FailUsage(context, std::string(ref.status().message()));
    if (ref->kind->id == KindId::kAutoScalingGroup) return LogsOfGroup(context, ref->id, options);
  }
  const auto id = ParseIdOf(KindId::kInstance, options.source);
  if (!id.ok()) return FailUsage(context, std::string(id.status().message()));
  return LogsOfInstance(context, *id, options);
}

}  // namespace

void AddLogsCommand(CLI::App& app, Context& context) {
  auto* command =
      app.add_subcommand("logs", "Show what an instance printed, or all of a group's instances");
  auto options = std::make_shared<LogsOptions>();
  command
      ->add_option("source", options->source,
                   "The instance; or asg/NAME: each of the group's, with its name before each line")
      ->required();
  command->add_flag("-f,--follow", options->follow, "Go on as more is printed");
  command->add_option("--tail", options->tail, "Lines from the end to begin with, of each")
      ->check(CLI::Range(0, 10'000))
      ->capture_default_str();
  SetExample(command, "remuda logs i-000000000c -f\n  remuda logs asg/blue --tail 20");
  SetRun(command, context, [&context, options] { return RunLogs(context, *options); });
}

}  // namespace remuda::cli
