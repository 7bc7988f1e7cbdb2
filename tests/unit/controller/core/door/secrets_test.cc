// What is told of a change, and what is not; what a manifest that was read before undoes; what a
// listener's trouble leaves behind.
#include <gmock/gmock.h>

#include "common/sensitive.h"
#include "controller/core/door/read.h"
#include "remuda/proxy/v1/config.pb.h"
#include "tests/unit/controller/core/door/execute_fixture.h"

namespace remuda::core {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class SecretsTest : public ExecuteTest {
 protected:
  // Applies the template "shop" with this environment; answers what it says has changed.
  std::vector<std::string> ApplyEnv(const std::string& env) {
    const auto response = Do<v1::ApplyResourcesResponse>(Parse<v1::ApplyResourcesRequest>(
        R"(resources { launch_template { name: "shop" image: "shop-v1" command: "node" )" + env +
        "} }"));
    return {response.results(0).changes().begin(), response.results(0).changes().end()};
  }
  void Note(const NoteListener& note) {
    Draft draft(state_);
    EXPECT_TRUE(Execute(draft, note, Now()).ok());
    Commit(draft);
  }
  // Every activity there is.
  std::string History() const {
    std::string out;
    for (const auto& [key, activity] : state_.All<v1::Activity>())
      out += activity->ShortDebugString() + "\n";
    return out;
  }
};

TEST_F(SecretsTest, AChangedVariableIsNamedAndItsValueIsNot) {
  PushImage("shop-v1");
  ApplyEnv(R"(env { key: "A" value: "hunter1" } env { key: "B" value: "hunter2" })");
  EXPECT_THAT(
      ApplyEnv(R"(env { key: "A" value: "hunter3" } env { key: "C" value: "hunter4" })"),
      ElementsAre("env[A]: *** -> *** (another)", "env[B]: *** -> none", "env[C]: none -> ***"));
  EXPECT_THAT(ApplyEnv(R"(env { key: "A" value: "hunter3" } env { key: "C" value: "hunter4" })"),
              ElementsAre());
  EXPECT_THAT(History(), HasSubstr("env[A]"));
  EXPECT_THAT(History(), Not(HasSubstr("hunter")));
}

TEST(SensitiveTest, EveryMarkedFieldIsRedacted) {
  v1::LaunchTemplateVersion shop;
  shop.set_name("shop");
  (*shop.mutable_env())["PASSWORD"] = "hunter1";
  EXPECT_EQ(RedactedText(shop), R"(name: "shop" env { key: "PASSWORD" value: "***" })");
  proxy::v1::ProxyConfig config;
  config.add_shared_secrets("hunter2");
  config.add_certificates()->set_private_key_pem("hunter4");
  EXPECT_EQ(RedactedText(config),
            R"(certificates { private_key_pem: "***" } shared_secrets: "***")");
}

TEST_F(SecretsTest, TextsThatDifferBehindWhatIsShownDiffer) {
  PushImage("shop-v1");
  const std::string apply =
      R"(resources { launch_template { name: "shop" image: "shop-v1" command: "node" command: ")";
  const std::string beginning(300, 'x');
  Do<v1::ApplyResourcesResponse>(Parse<v1::ApplyResourcesRequest>(apply + beginning + "1\" } }"));
  const auto response = Do<v1::ApplyResourcesResponse>(
      Parse<v1::ApplyResourcesRequest>(apply + beginning + "2\" } }"));
  EXPECT_EQ(response.results(0).outcome(), v1::AppliedResource::OUTCOME_UPDATED);
  ASSERT_EQ(response.results(0).changes_size(), 1);
  EXPECT_THAT(response.results(0).changes(0), HasSubstr("differs further on"));
}

TEST_F(SecretsTest, AManifestWithAStaleEtagIsRefused) {
  PlayLab();
  const Snapshot snapshot{state_, seen_, now_};
  const auto group = Read(snapshot, Parse<v1::GetTargetGroupRequest>(R"(name: "blue")"));
  ASSERT_TRUE(group.ok()) << group.status();
  const std::string etag = group->etag();
  const auto apply = [](const std::string& name, const std::string& given, int delay) {
    return Parse<v1::ApplyResourcesRequest>(
        "resources { target_group { name: \"" + name + "\" etag: \"" + given +
        "\" deregistration_delay { seconds: " + std::to_string(delay) + " } } }");
  };
  Do<v1::ApplyResourcesResponse>(apply("blue", etag, 10));
  const absl::Status stale = Try(apply("blue", etag, 20));
  EXPECT_EQ(stale.code(), absl::StatusCode::kAborted) << stale;
  EXPECT_THAT(std::string(stale.message()), HasSubstr("targetGroups/blue"));
  EXPECT_EQ(Try(apply("new", "deadbeef", 20)).code(), absl::StatusCode::kAborted)
      << "it was deleted since it was read";
  Do<v1::ApplyResourcesResponse>(apply("blue", "", 20));
}

TEST_F(SecretsTest, ATemplatesEtagIsItsNewestVersions) {
  PlayLab();
  const auto read = [this] {
    return *Read(Snapshot{state_, seen_, now_},
                 Parse<v1::GetLaunchTemplateVersionRequest>(
                     R"(name: "launchTemplates/shop/versions/$Latest")"));
  };
  v1::ApplyResourcesRequest request;
  v1::LaunchTemplateVersion& shop = *request.add_resources()->mutable_launch_template();
  shop = read();
  shop.set_description("second");
  Do<v1::ApplyResourcesResponse>(request);
  EXPECT_EQ(read().version(), 2);
  shop.set_description("third");
  EXPECT_EQ(Try(request).code(), absl::StatusCode::kAborted) << "it was read before version 2";
  shop = read();
  shop.set_description("third");
  Do<v1::ApplyResourcesResponse>(request);
  EXPECT_EQ(read().version(), 3);
}

TEST_F(SecretsTest, AListenersTroubleIsAnActivityAndShownWithItsLoadBalancer) {
  PlayLab();
  Put<v1::Proxy>("p1", R"(name: "proxies/p1")");
  ProxyObservation& proxy = seen_.proxies["p1"];
  proxy.connected = true;
  proxy.listener_errors[{"shop", 8080}] = {"Address already in use", now_};
  proxy.listener_errors[{"shop2", 80}] = {"another load balancer's", now_};
  Note({"p1", {"shop", 8080}, "Address already in use"});
  EXPECT_EQ(LastActivity(),
            "Listener 8080 is not open at proxy p1; it tries again by itself | Address already in "
            "use");
  const auto read = [this] {
    return *Read(Snapshot{state_, seen_, now_},
                 Parse<v1::GetLoadBalancerRequest>(R"(name: "shop")"));
  };
  const v1::LoadBalancer shop = read();
  ASSERT_EQ(shop.listener_errors_size(), 1);
  EXPECT_EQ(shop.listener_errors(0).proxy(), "p1");
  EXPECT_EQ(shop.listener_errors(0).port(), 8080);
  EXPECT_EQ(shop.listener_errors(0).error(), "Address already in use");
  proxy.listener_errors.clear();
  Note({"p1", {"shop", 8080}, ""});
  EXPECT_EQ(LastActivity(),
            "Listener 8080 is open at proxy p1 again | the proxy could open it after all");
  EXPECT_EQ(read().listener_errors_size(), 0);
  EXPECT_EQ(read().etag(), shop.etag()) << "trouble is no change that a person must see first";
  // What was read goes back as it came.
  v1::ApplyResourcesRequest request;
  *request.add_resources()->mutable_load_balancer() = shop;
  const auto response = Do<v1::ApplyResourcesResponse>(request);
  EXPECT_EQ(response.results(0).outcome(), v1::AppliedResource::OUTCOME_UNCHANGED);
  EXPECT_EQ(Find<v1::LoadBalancer>("shop")->listener_errors_size(), 0);
}

TEST_F(SecretsTest, AGroupSaysThatTheStoreFails) {
  PlayLab();
  seen_.store = {"state.db: cannot write: database or disk is full", now_};
  const auto group =
      Read(Snapshot{state_, seen_, now_}, Parse<v1::GetAutoScalingGroupRequest>(R"(name: "blue")"));
  ASSERT_TRUE(group.ok()) << group.status();
  EXPECT_THAT(group->status().waiting(), HasSubstr("the store commits nothing"));
  EXPECT_THAT(group->status().waiting(), HasSubstr("disk is full"));
}

}  // namespace
}  // namespace remuda::core
