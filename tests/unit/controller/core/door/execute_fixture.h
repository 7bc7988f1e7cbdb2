// A state to run commands on, requests as text, and what an error must say. For execute_*_test.cc.
#pragma once

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/status.h"
#include "controller/core/door/execute.h"
#include "controller/core/door/execute_once.h"

namespace remuda::core {

template <class T>
T Parse(const std::string& text) {
  T message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

class ExecuteTest : public ::testing::Test {
 protected:
  // Executes and commits; the command must succeed.
  template <class Answer, class Request>
  Answer Do(const Request& request) {
    Draft draft(state_);
    auto answer = Execute(draft, request, Now());
    EXPECT_TRUE(answer.ok()) << answer.status() << "\n" << DebugText(request);
    Commit(draft);
    return answer.ok() ? *answer : Answer();
  }

  // Executes without a commit; an error must leave the draft as it was.
  template <class Request>
  absl::Status Try(const Request& request) {
    Draft draft(state_);
    const auto answer = Execute(draft, request, Now());
    if (!answer.ok()) {
      EXPECT_TRUE(draft.empty()) << "an error left edits: " << DebugText(request);
    }
    return answer.status();
  }

  void Commit(Draft& draft) {
    const Changes changes = draft.Take();
    if (!changes.empty()) state_.Apply(changes, state_.commit() + 1);
  }

  template <class T>
  void Put(const std::string& key, const std::string& text) {
    Draft draft(state_);
    draft.Put(key, Parse<T>(text));
    Commit(draft);
  }

  template <class T>
  const T* Find(const std::string& key) const {
    const Entry<T>* entry = state_.Find<T>(key);
    return entry == nullptr ? nullptr : entry->value.get();
  }

  // The text of the newest activity.
  std::string LastActivity() const {
    const auto& all = state_.All<v1::Activity>();
    return all.empty()
               ? ""
               : all.rbegin()->second->description() + " | " + all.rbegin()->second->cause();
  }

  void PushImage(const std::string& id, char digit = 'a') {
    RegisterImage image;
    image.image.set_name("images/" + id);
    image.image.set_digest("sha256:" + std::string(64, digit));
    image.image.set_size_bytes(1000);
    Do<v1::Image>(image);
  }

  // Image shop-v1, launch template shop:1, target group blue, group blue, load balancer shop on
  // 8080.
  void PlayLab() {
    PushImage("shop-v1");
    Do<v1::ApplyResourcesResponse>(Parse<v1::ApplyResourcesRequest>(kLab));
  }

  // Launch template shop:2, of image shop-v2.
  void MakeVersion2() {
    PushImage("shop-v2", 'b');
    Do<v1::LaunchTemplateVersion>(Parse<v1::CreateLaunchTemplateVersionRequest>(
        R"(launch_template_version { name: "shop" image: "shop-v2" command: "node" })"));
  }

  virtual Context Now() const {
    Context context{seen_, now_};
    context.who = {.actor = actor_, .serial = "5e"};
    return context;
  }

  static constexpr char kLab[] = R"(
    resources { load_balancer { name: "shop" listeners { port: 8080 protocol: PROTOCOL_HTTP
      rules { priority: 10 conditions { path_pattern { values: "/admin/*" } } action { fixed_response { status: 403 } } }
      default_action { forward { target_groups { target_group: "blue" weight: 1 } } } } } }
    resources { auto_scaling_group { name: "blue" launch_template { launch_template: "shop" version: "1" } min: 1 max: 2
      target_groups: "blue" policies { name: "rps" target_tracking { metric: SCALING_METRIC_REQUEST_COUNT_PER_TARGET target: 100 } } } }
    resources { target_group { name: "blue" protocol: PROTOCOL_HTTP health_check { path: "/health" interval { seconds: 1 } } } }
    resources { launch_template { name: "shop" image: "shop-v1" command: "node" command: "app.js" port: 8000
      env { key: "GREETING" value: "Hello, New World!" } limits { memory: "256Mi" cpu: "500m" } } }
  )";

  State state_;
  std::string actor_ = "person/ann";
  Observations seen_ = [] {
    Observations seen;
    seen.find_zone = [](std::string_view name) -> std::optional<absl::TimeZone> {
      absl::TimeZone zone;
      if (!absl::LoadTimeZone(std::string(name), &zone)) return std::nullopt;
      return zone;
    };
    return seen;
  }();
  Time now_ = absl::FromUnixSeconds(1'800'000'000);

 private:
  static std::string DebugText(const google::protobuf::Message& message) {
    return message.DebugString();
  }
  static std::string DebugText(const RegisterImage& command) { return command.image.DebugString(); }
  static std::string DebugText(const AddJoinToken& command) { return command.token.DebugString(); }
  static std::string DebugText(const UseJoinToken& command) { return command.subject; }
};

// The status has the code, and a violation of `field` whose description contains `fragment` (for a
// code without fields: the message does).
inline void ExpectError(const absl::Status& status, absl::StatusCode code, const std::string& field,
                        const std::string& fragment) {
  EXPECT_EQ(status.code(), code) << status;
  if (field.empty()) {
    EXPECT_NE(std::string(status.message()).find(fragment), std::string::npos)
        << "want \"" << fragment << "\" in: " << status;
    return;
  }
  std::string told;
  for (const FieldViolation& violation : ViolationsOf(status)) {
    if (violation.field == field && violation.description.find(fragment) != std::string::npos)
      return;
    told += "\n  " + violation.field + ": " + violation.description;
  }
  ADD_FAILURE() << "want " << field << ": ..." << fragment << "..., got " << status << told;
}

}  // namespace remuda::core
