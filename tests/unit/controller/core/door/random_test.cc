// Requests made at random from pools of good and bad values: none crashes, an error changes
// nothing, and what was accepted says the same when it is applied again. Prints the seed that
// fails.
#include <google/protobuf/message.h>

#include <random>

#include "controller/core/door/read.h"
#include "tests/unit/controller/core/door/execute_fixture.h"

namespace remuda::core {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr int kSeeds = 2000;
constexpr int kMaxDepth = 8;

class Generator {
 public:
  explicit Generator(unsigned seed) : random_(seed) {}

  void Fill(Message& message, int depth = 0) {
    const auto* type = message.GetDescriptor();
    if (type->full_name() == "google.protobuf.Duration") return FillDuration(message);
    for (int i = 0; i < type->field_count(); ++i) {
      const FieldDescriptor* field = type->field(i);
      if (depth > kMaxDepth || Below(4) == 0) continue;
      const int times = field->is_repeated() ? Below(4) : 1;
      for (int n = 0; n < times; ++n) SetOne(message, field, depth);
    }
  }

  // Changes one field somewhere in a message.
  void Mutate(Message& message) {
    const auto* type = message.GetDescriptor();
    if (type->field_count() == 0) return;
    if (type->full_name() == "google.protobuf.Duration") return FillDuration(message);
    const FieldDescriptor* field = type->field(Below(type->field_count()));
    const auto* reflection = message.GetReflection();
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field->is_map()) {
      const int size = field->is_repeated() ? reflection->FieldSize(message, field) : 0;
      if (size > 0)
        return Mutate(*reflection->MutableRepeatedMessage(&message, field, Below(size)));
      if (!field->is_repeated() && reflection->HasField(message, field)) {
        return Mutate(*reflection->MutableMessage(&message, field));
      }
    }
    SetOne(message, field, kMaxDepth - 1);
  }

  int Below(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }

 private:
  void FillDuration(Message& message) {
    static const std::vector<std::pair<int64_t, int>> kDurations = {
        {0, 0},       {1, 0}, {10, 0}, {0, 500'000'000}, {-1, 0}, {1, -1}, {INT64_MAX, 999'999'999},
        {100'000, 0}, {60, 0}};
    const auto& [seconds, nanos] =
        kDurations[static_cast<size_t>(Below(static_cast<int>(kDurations.size())))];
    auto& duration = static_cast<google::protobuf::Duration&>(message);
    duration.set_seconds(seconds);
    duration.set_nanos(nanos);
  }

  std::string Text() {
    static const std::vector<std::string> kTexts = {"blue",
                                                    "shop",
                                                    "shop-v1",
                                                    "targetGroups/blue",
                                                    "autoScalingGroups/blue",
                                                    "launchTemplates/shop",
                                                    "launchTemplates/shop/versions/1",
                                                    "$Latest",
                                                    "images/shop-v1",
                                                    "i-1",
                                                    "h1",
                                                    "p1",
                                                    "deployments/blue-1",
                                                    "",
                                                    "A",
                                                    "/",
                                                    "/health",
                                                    "*",
                                                    "200",
                                                    "200-299",
                                                    "127.0.0.1",
                                                    "10.0.0.0/8",
                                                    "::1",
                                                    "#{host}",
                                                    "#{",
                                                    "HTTPS",
                                                    "256Mi",
                                                    "500m",
                                                    "SIGTERM",
                                                    std::string("\0x", 2),
                                                    "é…",
                                                    std::string(400, 'z')};
    return kTexts[static_cast<size_t>(Below(static_cast<int>(kTexts.size())))];
  }

  int Number() {
    static const std::vector<int> kNumbers = {
        0, 1, 1, 1, 2, 2, 5, 80, 200, 302, 403, 8080, 50'000, 65'536, -1, INT32_MAX, INT32_MIN};
    return kNumbers[static_cast<size_t>(Below(static_cast<int>(kNumbers.size())))];
  }

  void SetOne(Message& message, const FieldDescriptor* field, int depth) {
    const auto* reflection = message.GetReflection();
    const bool list = field->is_repeated();
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return Fill(list ? *reflection->AddMessage(&message, field)
                         : *reflection->MutableMessage(&message, field),
                    depth + 1);
      case FieldDescriptor::CPPTYPE_STRING:
        return list ? reflection->AddString(&message, field, Text())
                    : reflection->SetString(&message, field, Text());
      case FieldDescriptor::CPPTYPE_INT32:
        return list ? reflection->AddInt32(&message, field, Number())
                    : reflection->SetInt32(&message, field, Number());
      case FieldDescriptor::CPPTYPE_INT64:
        return list ? reflection->AddInt64(&message, field, Number())
                    : reflection->SetInt64(&message, field, Number());
      case FieldDescriptor::CPPTYPE_ENUM:
        return list ? reflection->AddEnumValue(&message, field, Below(6))
                    : reflection->SetEnumValue(&message, field, Below(6));
      case FieldDescriptor::CPPTYPE_BOOL:
        return reflection->SetBool(&message, field, Below(2) == 0);
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return reflection->SetDouble(&message, field, Number() / 3.0);
      default:
        return;
    }
  }

  std::mt19937 random_;
};

class RandomTest : public ExecuteTest {
 protected:
  void SetUp() override {
    PlayLab();
    Put<v1::Host>("h1", R"(name: "hosts/h1")");
    Put<v1::Proxy>("p1", R"(name: "proxies/p1")");
    Put<v1::Instance>(
        "i-1",
        R"(name: "instances/i-1" auto_scaling_group: "blue" host: "h1" state: INSTANCE_STATE_IN_SERVICE launch_template { launch_template: "shop" version: "1" resolved_version: 1 })");
    lab_ = state_;
  }

  // One write, from the state so far.
  template <class Request>
  void Write(Generator& generator, int& accepted) {
    Request request;
    generator.Fill(request);
    Send(request, accepted);
  }

  // The same for a good request with a few fields changed.
  template <class Request>
  void WriteLike(Request request, Generator& generator, int& accepted) {
    for (int n = generator.Below(4); n > 0; --n) generator.Mutate(request);
    Send(request, accepted);
  }

  template <class Request>
  void Send(const Request& request, int& accepted) {
    Draft draft(state_);
    const auto answer = ExecuteOnce(draft, request.GetTypeName(), request, Now(),
                                    [](std::string_view bytes) { return std::string(bytes); });
    if (!answer.ok()) {
      ASSERT_TRUE(draft.empty()) << request.DebugString() << answer.status();
      ASSERT_NE(answer.status().code(), absl::StatusCode::kInternal) << answer.status();
      ASSERT_FALSE(answer.status().message().empty());
      return;
    }
    ++accepted;
    Commit(draft);
  }

  template <class Request>
  void ReadOne(Generator& generator) {
    Request request;
    generator.Fill(request);
    const auto answer = Read(Snapshot{state_, seen_, now_}, request);
    ASSERT_NE(answer.status().code(), absl::StatusCode::kInternal) << answer.status();
  }

  // Everything that there is, applied as it is, changes nothing.
  void ExpectNormalized() {
    v1::ApplyResourcesRequest all;
    for (const auto& [id, row] : state_.All<v1::TargetGroup>())
      *all.add_resources()->mutable_target_group() = *row;
    for (const auto& [id, row] : state_.All<v1::LoadBalancer>())
      *all.add_resources()->mutable_load_balancer() = *row;
    for (const auto& [id, row] : state_.All<v1::AutoScalingGroup>()) {
      if (!row->deleting()) *all.add_resources()->mutable_auto_scaling_group() = *row;
    }
    if (all.resources().empty()) return;
    Draft draft(state_);
    const auto answer = Execute(draft, all, Now());
    ASSERT_TRUE(answer.ok()) << answer.status();
    ASSERT_TRUE(draft.empty()) << answer->DebugString();
  }

  State lab_;
};

TEST_F(RandomTest, NoRequestDoesHarm) {
  int accepted = 0;
  for (unsigned seed = 1; seed <= kSeeds && !HasFatalFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Generator generator(seed);
    state_ = lab_;
    Write<v1::ApplyResourcesRequest>(generator, accepted);
    WriteLike(Parse<v1::ApplyResourcesRequest>(kLab), generator, accepted);
    v1::UpdateLoadBalancerRequest update;
    *update.mutable_load_balancer() = *Find<v1::LoadBalancer>("shop");
    WriteLike(update, generator, accepted);
    Write<v1::CreateTargetGroupRequest>(generator, accepted);
    Write<v1::UpdateTargetGroupRequest>(generator, accepted);
    Write<v1::CreateLoadBalancerRequest>(generator, accepted);
    Write<v1::UpdateLoadBalancerRequest>(generator, accepted);
    WriteLike(Parse<v1::CreateListenerRequest>(
                  "parent: 'shop' listener_id: 'more' listener { port: 81 default_action { "
                  "fixed_response { status: 200 } } }"),
              generator, accepted);
    WriteLike(Parse<v1::CreateRuleRequest>(
                  "parent: 'loadBalancers/shop/listeners/8080' rule { priority: 5 conditions { "
                  "path_pattern { values: '/a' } } action { fixed_response { status: 200 } } }"),
              generator, accepted);
    WriteLike(Parse<v1::UpdateListenerRequest>(
                  "listener { name: 'loadBalancers/shop/listeners/8080' port: 82 default_action { "
                  "fixed_response { status: 200 } } }"),
              generator, accepted);
    WriteLike(Parse<v1::UpdateRuleRequest>(
                  "rule { name: 'loadBalancers/shop/listeners/8080/rules/10' priority: 5 } "
                  "update_mask { paths: 'priority' }"),
              generator, accepted);
    WriteLike(Parse<v1::SetRulePrioritiesRequest>(
                  "listener: 'loadBalancers/shop/listeners/8080' priorities { rule: '10' priority: "
                  "6 } priorities { rule: '5' priority: 10 }"),
              generator, accepted);
    WriteLike(Parse<v1::DeleteRuleRequest>("name: 'loadBalancers/shop/listeners/8080/rules/5'"),
              generator, accepted);
    WriteLike(Parse<v1::DeleteListenerRequest>("name: 'loadBalancers/shop/listeners/more'"),
              generator, accepted);
    Write<v1::UpdateAutoScalingGroupRequest>(generator, accepted);
    Write<v1::CreateLaunchTemplateVersionRequest>(generator, accepted);
    Write<v1::RegisterTargetsRequest>(generator, accepted);
    Write<v1::DeregisterTargetsRequest>(generator, accepted);
    Write<v1::CreateDeploymentRequest>(generator, accepted);
    Write<v1::RollbackDeploymentRequest>(generator, accepted);
    Write<v1::TerminateInstanceRequest>(generator, accepted);
    Write<v1::SetDesiredCapacityRequest>(generator, accepted);
    Write<v1::DrainHostRequest>(generator, accepted);
    Write<v1::DeleteProxyRequest>(generator, accepted);
    Write<v1::DeleteLoadBalancerRequest>(generator, accepted);
    Write<v1::DeleteAutoScalingGroupRequest>(generator, accepted);
    Write<v1::DeleteTargetGroupRequest>(generator, accepted);
    Write<v1::DeleteLaunchTemplateRequest>(generator, accepted);
    Write<v1::DeleteLaunchTemplateVersionRequest>(generator, accepted);
    Write<v1::UpdateLaunchTemplateRequest>(generator, accepted);
    Write<v1::DeleteImageRequest>(generator, accepted);
    ReadOne<v1::ListTargetsRequest>(generator);
    ReadOne<v1::ListListenersRequest>(generator);
    ReadOne<v1::ListRulesRequest>(generator);
    ReadOne<v1::ListInstancesRequest>(generator);
    ReadOne<v1::ListDeploymentsRequest>(generator);
    ReadOne<v1::ListLaunchTemplateVersionsRequest>(generator);
    ReadOne<v1::GetAutoScalingGroupRequest>(generator);
    ExpectNormalized();
  }
  // Pools without good values would test nothing.
  EXPECT_GT(accepted, kSeeds / 2);
}

}  // namespace
}  // namespace remuda::core
