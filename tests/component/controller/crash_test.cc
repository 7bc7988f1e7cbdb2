// Crash consistency: the real program is killed at random moments and at its failpoints, amid
// random writes of several callers, and started anew on what it left. Every write that was
// acknowledged is there; of each that was not, all or nothing is; a request that is sent again
// changes nothing twice and is answered as before.
#include <gtest/gtest.h>
#include <signal.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <thread>

#include "remuda/v1/apply.grpc.pb.h"
#include "remuda/v1/cluster.grpc.pb.h"
#include "remuda/v1/secret.grpc.pb.h"
#include "remuda/v1/target_group.grpc.pb.h"
#include "tests/component/controller/testing/controller_process.h"

namespace remuda {
namespace {

using Random = std::mt19937_64;

// Lanes are controllers of their own, side by side.
constexpr int kLanes = 4;
constexpr int kCallers = 3;
constexpr int kNames = 6;  // resources of a kind that a caller has
constexpr auto kCallTimeout = std::chrono::seconds(30);
// The longest that a controller without a failpoint lives once it is called.
constexpr int kMaxLifeMs = 60;
// Failpoints are met within so many commits of a caller's writes.
constexpr int kMaxMeeting = 12;

uint64_t NumberFrom(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

uint64_t Below(Random& random, uint64_t bound) { return random() % bound; }

// What there is, by full name: what tells one value of a resource from another.
using Contents = std::map<std::string, std::string>;

// The stubs of one life of a controller.
struct Client {
  explicit Client(const std::shared_ptr<grpc::Channel>& channel)
      : apply(v1::ApplyService::NewStub(channel)),
        cluster(v1::ClusterService::NewStub(channel)),
        secrets(v1::SecretService::NewStub(channel)),
        target_groups(v1::TargetGroupService::NewStub(channel)) {}
  std::unique_ptr<v1::ApplyService::Stub> apply;
  std::unique_ptr<v1::ClusterService::Stub> cluster;
  std::unique_ptr<v1::SecretService::Stub> secrets;
  std::unique_ptr<v1::TargetGroupService::Stub> target_groups;
};

template <class Stub, class Request, class Answer>
grpc::Status Call(Stub& stub,
                  grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Answer*),
                  const Request& request, Answer* answer) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
  return (stub.*method)(&context, request, answer);
}

// A write: how it is called, and what it makes of what there is.
struct Write {
  std::string text;                                           // for a failed test
  std::map<std::string, std::optional<std::string>> effects;  // by full name; none: it is gone
  // The answer's bytes.
  std::function<grpc::Status(Client&, std::string*)> call;

  void ApplyTo(Contents& contents) const {
    for (const auto& [name, value] : effects) {
      if (value.has_value()) {
        contents[name] = *value;
      } else {
        contents.erase(name);
      }
    }
  }
  // Whether all of it is there, by what it touches.
  bool IsIn(const Contents& contents) const {
    for (const auto& [name, value] : effects) {
      const auto it = contents.find(name);
      const std::optional<std::string> is =
          it == contents.end() ? std::nullopt : std::optional(it->second);
      if (is != value) return false;
    }
    return true;
  }
};

template <class Stub, class Request, class Answer>
std::function<grpc::Status(Client&, std::string*)> Calling(
    std::unique_ptr<Stub> Client::*stub,
    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Answer*), Request request) {
  return [stub, method, request](Client& client, std::string* bytes) {
    Answer answer;
    const grpc::Status status = Call(*(client.*stub), method, request, &answer);
    *bytes = answer.SerializeAsString();
    return status;
  };
}

// A caller with resources of its own, so that what it wrote is all that there is of them.
class Caller {
 public:
  Caller(int number, uint64_t seed) : prefix_("w" + std::to_string(number)), random_(seed) {}

  // Writes until a call fails, which the end of the controller is. Thread: its own.
  void WriteUntilTheEnd(Client& client) {
    while (true) {
      if (!pending_.has_value()) pending_ = MakeWrite();
      std::string answer;
      const grpc::Status status = pending_->call(client, &answer);
      if (!status.ok()) {
        if (status.error_code() != grpc::StatusCode::UNAVAILABLE &&
            status.error_code() != grpc::StatusCode::CANCELLED) {
          ADD_FAILURE() << pending_->text << ": " << status.error_message();
        }
        return;
      }
      Acknowledge(answer);
    }
  }

  // After a start: what there is is what was acknowledged, with or without the one that was not.
  void Check(const Contents& all) {
    Contents mine;
    for (const auto& [name, value] : all) {
      if (name.substr(name.find('/') + 1).starts_with(prefix_ + "-")) mine.emplace(name, value);
    }
    if (mine == contents_) {
      if (pending_.has_value()) ++absent_;
      return;
    }
    Contents with = contents_;
    if (pending_.has_value()) pending_->ApplyTo(with);
    ++present_;
    EXPECT_EQ(mine, with) << (pending_.has_value() ? pending_->text : "nothing was under way");
  }

  // Sends again what was not acknowledged, and what was acknowledged last. False: the controller
  // ended.
  bool SendAgain(Client& client) {
    if (last_.has_value()) {
      std::string answer;
      if (!last_->call(client, &answer).ok()) return false;
      ++repeated_;
      EXPECT_EQ(answer, last_answer_) << "another answer to " << last_->text;
    }
    if (!pending_.has_value()) return true;
    std::string answer;
    const grpc::Status status = pending_->call(client, &answer);
    if (!status.ok()) {
      EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE)
          << pending_->text << ": " << status.error_message();
      return false;
    }
    Acknowledge(answer);
    return true;
  }

  int64_t acknowledged() const { return acknowledged_; }
  int64_t present() const { return present_; }
  int64_t absent() const { return absent_; }
  int64_t repeated() const { return repeated_; }

 private:
  void Acknowledge(const std::string& answer) {
    pending_->ApplyTo(contents_);
    last_ = std::move(pending_);
    last_answer_ = answer;
    pending_.reset();
    ++acknowledged_;
  }

  std::string Name(const std::string& kind) {
    return prefix_ + "-" + kind + std::to_string(Below(random_, kNames));
  }
  std::string NewId() { return prefix_ + "-request-" + std::to_string(++requests_); }
  bool Has(const std::string& name) const { return contents_.contains(name); }

  Write MakeWrite() {
    const std::string number = std::to_string(++numbers_);
    switch (Below(random_, 5)) {
      case 0:
        return SetSecret(Name("s"));
      case 1:
        return DeleteSomething();
      case 2:
        return WriteTargetGroup(Name("t"), number);
      default:
        return ApplyMany(number);
    }
  }

  Write SetSecret(const std::string& id) {
    v1::SetSecretRequest request;
    request.set_secret_id(id);
    request.set_request_id(NewId());
    request.mutable_secret()->set_value("value " + request.request_id());
    const std::string name = "secrets/" + id;
    const int version = Has(name) ? std::stoi(contents_.at(name)) + 1 : 1;
    return {.text = "set " + name,
            .effects = {{name, std::to_string(version)}},
            .call = Calling(&Client::secrets, &v1::SecretService::Stub::SetSecret, request)};
  }

  Write DeleteSomething() {
    std::vector<std::string> names;
    for (const auto& [name, value] : contents_) {
      if (name.find("-m") == std::string::npos) names.push_back(name);
    }
    if (names.empty()) return SetSecret(Name("s"));
    const std::string& name = names[Below(random_, names.size())];
    Write out{.text = "delete " + name, .effects = {{name, std::nullopt}}, .call = {}};
    if (name.starts_with("secrets/")) {
      v1::DeleteSecretRequest request;
      request.set_name(name);
      request.set_request_id(NewId());
      out.call = Calling(&Client::secrets, &v1::SecretService::Stub::DeleteSecret, request);
    } else {
      v1::DeleteTargetGroupRequest request;
      request.set_name(name);
      request.set_request_id(NewId());
      out.call = Calling(&Client::target_groups, &v1::TargetGroupService::Stub::DeleteTargetGroup,
                         request);
    }
    return out;
  }

  Write WriteTargetGroup(const std::string& id, const std::string& number) {
    const std::string name = "targetGroups/" + id;
    Write out{.text = "write " + name, .effects = {{name, number}}, .call = {}};
    if (Has(name)) {
      v1::UpdateTargetGroupRequest request;
      request.mutable_target_group()->set_name(name);
      (*request.mutable_target_group()->mutable_labels())["n"] = number;
      request.mutable_update_mask()->add_paths("labels");
      request.set_request_id(NewId());
      out.call = Calling(&Client::target_groups, &v1::TargetGroupService::Stub::UpdateTargetGroup,
                         request);
    } else {
      v1::CreateTargetGroupRequest request;
      request.set_target_group_id(id);
      request.mutable_target_group()->set_protocol(v1::PROTOCOL_HTTP);
      (*request.mutable_target_group()->mutable_labels())["n"] = number;
      request.set_request_id(NewId());
      out.call = Calling(&Client::target_groups, &v1::TargetGroupService::Stub::CreateTargetGroup,
                         request);
    }
    return out;
  }

  // Several resources at once, some new, some changed.
  Write ApplyMany(const std::string& number) {
    v1::ApplyResourcesRequest request;
    request.set_request_id(NewId());
    Write out{.text = "apply " + number, .effects = {}, .call = {}};
    const size_t count = 2 + Below(random_, 5);
    for (size_t i = 0; i < count; ++i) {
      const std::string id = prefix_ + "-m" + std::to_string(i);
      v1::TargetGroup& group = *request.add_resources()->mutable_target_group();
      group.set_name(id);
      group.set_protocol(v1::PROTOCOL_HTTP);
      (*group.mutable_labels())["n"] = number;
      out.effects["targetGroups/" + id] = number;
    }
    out.call = Calling(&Client::apply, &v1::ApplyService::Stub::ApplyResources, request);
    return out;
  }

  const std::string prefix_;
  Random random_;
  int64_t numbers_ = 0;
  int64_t requests_ = 0;
  Contents contents_;  // as acknowledged
  std::optional<Write> pending_;
  std::optional<Write> last_;
  std::string last_answer_;
  int64_t acknowledged_ = 0, present_ = 0, absent_ = 0, repeated_ = 0;
};

// One controller that is killed again and again.
class Lane {
 public:
  Lane(int number, uint64_t seed)
      : controller_(std::filesystem::exists("/dev/shm") ? "/dev/shm" : "/tmp"), random_(seed) {
    for (int i = 0; i < kCallers; ++i) callers_.emplace_back(number * kCallers + i, random_());
  }

  void Run(std::atomic<int64_t>& rounds_left) {
    while (!testing::Test::HasFailure() && rounds_left.fetch_sub(1) > 0) Round();
    // And in the end, with nothing that could hinder it.
    if (controller_.TryStart()) {
      Client client(controller_.Channel());
      CheckAll(client);
      controller_.Stop(SIGTERM);
    } else {
      ADD_FAILURE() << controller_.Log();
    }
  }

  const std::vector<Caller>& callers() const { return callers_; }
  int64_t by_failpoint() const { return by_failpoint_; }

 private:
  void Round() {
    const std::string failpoint = PickFailpoint();
    std::vector<std::string> flags = {"--log-level", "warn"};
    if (!failpoint.empty()) flags.insert(flags.end(), {"--failpoint", failpoint});
    if (!controller_.TryStart(flags)) {
      EXPECT_FALSE(failpoint.empty()) << "it does not start:\n" << controller_.Log();
      ++by_failpoint_;
      return;
    }
    Client client(controller_.Channel());
    if (CheckAll(client)) Write(client, failpoint.empty());
    if (!failpoint.empty()) ++by_failpoint_;
    controller_.Stop(SIGKILL);
  }

  // Empty: killed from outside.
  std::string PickFailpoint() {
    constexpr std::array<const char*, 4> kPlaces = {"commit-before", "commit-after",
                                                    "publish-before", "publish-after"};
    if (Below(random_, 3) == 0) return "";
    return std::string(kPlaces[Below(random_, kPlaces.size())]) + "@" +
           std::to_string(1 + Below(random_, kMaxMeeting)) + "=kill";
  }

  // What is there, held against what must be, then every caller's last requests again. False: the
  // controller has ended meanwhile.
  bool CheckAll(Client& client) {
    v1::Cluster cluster;
    if (!Call(*client.cluster, &v1::ClusterService::Stub::GetCluster, v1::GetClusterRequest(),
              &cluster)
             .ok()) {
      return false;
    }
    EXPECT_GE(cluster.commit(), commit_);
    EXPECT_GT(cluster.epoch(), epoch_);
    commit_ = cluster.commit();
    epoch_ = cluster.epoch();
    const std::optional<Contents> contents = ReadAll(client);
    if (!contents.has_value()) return false;
    for (Caller& caller : callers_) caller.Check(*contents);
    for (Caller& caller : callers_) {
      if (!caller.SendAgain(client)) return false;
    }
    return true;
  }

  void Write(Client& client, bool kill) {
    std::vector<std::thread> threads;
    for (Caller& caller : callers_)
      threads.emplace_back([&caller, &client] { caller.WriteUntilTheEnd(client); });
    if (kill) {
      std::this_thread::sleep_for(std::chrono::milliseconds(Below(random_, kMaxLifeMs)));
      EXPECT_TRUE(controller_.IsAlive()) << "it ended by itself:\n" << controller_.Log();
      controller_.Signal(SIGKILL);
    }
    for (std::thread& thread : threads) thread.join();
  }

  static std::optional<Contents> ReadAll(Client& client) {
    Contents out;
    v1::ListTargetGroupsRequest groups_request;
    groups_request.set_page_size(1000);
    v1::ListTargetGroupsResponse groups;
    v1::ListSecretsRequest secrets_request;
    secrets_request.set_page_size(1000);
    v1::ListSecretsResponse secrets;
    if (!Call(*client.target_groups, &v1::TargetGroupService::Stub::ListTargetGroups,
              groups_request, &groups)
             .ok() ||
        !Call(*client.secrets, &v1::SecretService::Stub::ListSecrets, secrets_request, &secrets)
             .ok()) {
      return std::nullopt;
    }
    for (const auto& group : groups.target_groups()) out[group.name()] = group.labels().at("n");
    for (const auto& secret : secrets.secrets())
      out[secret.name()] = std::to_string(secret.version());
    return out;
  }

  ControllerProcess controller_;
  Random random_;
  std::vector<Caller> callers_;
  int64_t commit_ = 0;
  int64_t epoch_ = 0;
  int64_t by_failpoint_ = 0;
};

TEST(CrashTest, WhatIsAcknowledgedIsThereAndNothingIsThereByHalf) {
  const uint64_t rounds = NumberFrom("REMUDA_CRASH_ROUNDS", 1'000);
  const uint64_t seed = NumberFrom("REMUDA_CRASH_SEED", std::random_device()());
  std::printf("REMUDA_CRASH_SEED=%llu REMUDA_CRASH_ROUNDS=%llu\n",
              static_cast<unsigned long long>(seed), static_cast<unsigned long long>(rounds));
  std::atomic<int64_t> rounds_left = static_cast<int64_t>(rounds);
  std::vector<std::unique_ptr<Lane>> lanes;
  for (int i = 0; i < kLanes; ++i)
    lanes.push_back(std::make_unique<Lane>(i, seed + static_cast<uint64_t>(i)));
  std::vector<std::thread> threads;
  for (const auto& lane : lanes)
    threads.emplace_back([&lane, &rounds_left] { lane->Run(rounds_left); });
  for (std::thread& thread : threads) thread.join();
  int64_t acknowledged = 0, present = 0, absent = 0, repeated = 0, by_failpoint = 0;
  for (const auto& lane : lanes) {
    by_failpoint += lane->by_failpoint();
    for (const Caller& caller : lane->callers()) {
      acknowledged += caller.acknowledged();
      present += caller.present();
      absent += caller.absent();
      repeated += caller.repeated();
    }
  }
  std::printf(
      "%llu rounds, %lld ended at a failpoint; %lld writes acknowledged; of those that were not "
      "%lld were there whole and %lld not at all; %lld answers were asked for again\n",
      static_cast<unsigned long long>(rounds), static_cast<long long>(by_failpoint),
      static_cast<long long>(acknowledged), static_cast<long long>(present),
      static_cast<long long>(absent), static_cast<long long>(repeated));
  // Both kinds were met, or the test looked at nothing.
  EXPECT_GT(present, 0);
  EXPECT_GT(absent, 0);
}

}  // namespace
}  // namespace remuda
