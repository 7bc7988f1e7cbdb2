// Who may call what: the table against the schema and against its page, and what each role may do
// with requests that are about some group.
#include "controller/identity/roles.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "remuda/v1/apply.pb.h"
#include "remuda/v1/deployment.pb.h"
#include "remuda/v1/identity.pb.h"
#include "remuda/v1/image.pb.h"
#include "remuda/v1/lifecycle.pb.h"
#include "remuda/v1/target_group.pb.h"

namespace remuda {
namespace {

using absl::StatusCode;

std::string ReadText(const std::filesystem::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// Every method of every service of the schema that is served, as its files say it.
std::set<std::string> SchemaMethods() {
  std::set<std::string> methods;
  const std::regex package(R"(\npackage ([a-z0-9.]+);)");
  const std::regex service_or_rpc(R"(\n(?:service|  rpc) (\w+)( \{|\())");
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(REMUDA_SOURCE_DIR "/proto")) {
    if (entry.path().extension() != ".proto") continue;
    const std::string text = ReadText(entry.path());
    std::smatch found;
    if (!std::regex_search(text, found, package)) continue;
    const std::string prefix = found[1];
    if (prefix == "etcdserverpb") continue;  // called, not served
    std::string service;
    for (std::sregex_iterator it(text.begin(), text.end(), service_or_rpc), end; it != end; ++it) {
      if ((*it)[2] == " {") {
        service = (*it)[1];
      } else {
        methods.insert(prefix + "." + service + "/" + (*it)[1].str());
      }
    }
  }
  return methods;
}

TEST(RolesTest, EveryMethodOfTheSchemaIsInTheTable) {
  const std::set<std::string> schema = SchemaMethods();
  EXPECT_GT(schema.size(), 100u);
  for (const std::string& method : schema) {
    EXPECT_NE(FindMethod(method), nullptr)
        << method << ": say in controller/identity/method_needs.cc what it needs";
  }
  std::set<std::string_view> seen;
  for (const MethodNeed& row : MethodNeeds()) {
    EXPECT_TRUE(seen.insert(row.method).second) << row.method << " is there twice";
    if (!row.method.starts_with("remuda.")) continue;
    EXPECT_TRUE(schema.contains(std::string(row.method))) << row.method << " is no method";
  }
}

// docs/security.md holds the table between two marks. REMUDA_WRITE_DOCS=1 writes it.
TEST(RolesTest, ThePageHasTheTable) {
  const std::string path = REMUDA_SOURCE_DIR "/docs/security.md";
  std::string text = ReadText(path);
  const std::string begin = "<!-- roles: begin -->\n";
  const std::string end = "<!-- roles: end -->";
  const size_t from = text.find(begin);
  const size_t to = text.find(end);
  ASSERT_NE(from, std::string::npos);
  ASSERT_NE(to, std::string::npos);
  const size_t at = from + begin.size();
  if (std::getenv("REMUDA_WRITE_DOCS") != nullptr) {
    std::ofstream(path) << text.substr(0, at) + RolesAsMarkdown() + text.substr(to);
    return;
  }
  EXPECT_EQ(text.substr(at, to - at), RolesAsMarkdown()) << "REMUDA_WRITE_DOCS=1 writes it anew";
}

template <class T>
T Parse(const std::string& text) {
  T message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

class AuthorizeTest : public testing::Test {
 protected:
  AuthorizeTest() {
    Put<v1::User>("vera", R"(name: "users/vera" role: USER_ROLE_VIEWER)");
    Put<v1::User>(
        "dan",
        R"(name: "users/dan" role: USER_ROLE_DEPLOYER auto_scaling_groups: ["blue", "green"])");
    Put<v1::User>("olga", R"(name: "users/olga" role: USER_ROLE_OPERATOR)");
    Put<v1::User>("ann", R"(name: "users/ann" role: USER_ROLE_ADMIN)");
    Put<v1::AutoScalingGroup>("blue", R"(name: "autoScalingGroups/blue" target_groups: "blue")");
    Put<v1::AutoScalingGroup>("green", R"(name: "autoScalingGroups/green" target_groups: "green")");
    Put<v1::AutoScalingGroup>("red", R"(name: "autoScalingGroups/red" target_groups: "red")");
    Put<v1::LoadBalancer>("shop", R"(
      name: "loadBalancers/shop"
      listeners { name: "loadBalancers/shop/listeners/l1" port: 80
        default_action { forward { target_groups { target_group: "blue" weight: 1 } } }
        rules { name: "loadBalancers/shop/listeners/l1/rules/r1" priority: 1
          action { forward { target_groups { target_group: "blue" weight: 1 } target_groups { target_group: "red" } } } } })");
    Put<v1::Deployment>("blue-1", R"(name: "deployments/blue-1" auto_scaling_group: "blue")");
    Put<v1::Deployment>("red-1", R"(name: "deployments/red-1" auto_scaling_group: "red")");
    Put<v1::Instance>("i-1", R"(name: "instances/i-1" auto_scaling_group: "blue" host: "h1"
      launch_template { launch_template: "shop" resolved_version: 1 })");
    Put<v1::Instance>("i-2", R"(name: "instances/i-2" auto_scaling_group: "red" host: "h2")");
    Put<v1::LaunchTemplateVersion>(
        core::LaunchTemplateKey("shop", 1),
        R"(name: "launchTemplates/shop/versions/1" image_digest: "sha256:a")");
  }

  template <class T>
  void Put(const std::string& key, const std::string& text) {
    core::Draft draft(state_);
    draft.Put(key, Parse<T>(text));
    state_.Apply(draft.Take(), state_.commit() + 1);
  }

  static Caller As(v1::IdentityRole role, const std::string& name) {
    Caller caller;
    caller.peer.id = {.cluster = "c1", .role = role, .name = name};
    return caller;
  }
  static Caller Person(const std::string& name) { return As(v1::IDENTITY_ROLE_PERSON, name); }
  static Caller Agent(const std::string& name) { return As(v1::IDENTITY_ROLE_AGENT, name); }

  absl::Status Ask(const Caller& caller, const std::string& method,
                   const google::protobuf::Message& request) {
    return Authorize(core::Draft(state_), caller, "remuda.v1." + method, request);
  }
  template <class Request>
  StatusCode Code(const Caller& caller, const std::string& method, const std::string& text) {
    return Ask(caller, method, Parse<Request>(text)).code();
  }
  StatusCode Deploys(const std::string& name, const std::string& text) {
    return Code<v1::CreateDeploymentRequest>(Person(name), "DeploymentService/CreateDeployment",
                                             text);
  }

  core::State state_;
};

TEST_F(AuthorizeTest, EachRoleMayWhatThoseBeforeItMay) {
  const struct {
    const char* method;
    std::set<std::string> may;
  } rows[] = {
      {"TargetGroupService/ListTargetGroups", {"vera", "dan", "olga", "ann"}},
      {"LaunchTemplateService/CreateLaunchTemplateVersion", {"dan", "olga", "ann"}},
      {"TargetGroupService/CreateTargetGroup", {"olga", "ann"}},
      {"SecurityGroupService/CreateSecurityGroup", {"ann"}},
      {"IdentityService/CreateUser", {"ann"}},
      {"IdentityService/GetCaller", {"vera", "dan", "olga", "ann"}},
      {"NoService/NoMethod", {}},
  };
  for (const auto& row : rows) {
    for (const char* name : {"vera", "dan", "olga", "ann", "gone"}) {
      EXPECT_EQ(Ask(Person(name), row.method, v1::ListTargetGroupsRequest()).ok(),
                row.may.contains(name))
          << name << " " << row.method;
    }
  }
  EXPECT_EQ(
      Ask(Person("vera"), "TargetGroupService/CreateTargetGroup", v1::GetCallerRequest()).message(),
      "person/vera (viewer) may not call remuda.v1.TargetGroupService/CreateTargetGroup: it needs "
      "operator");
  EXPECT_EQ(
      Ask(Person("gone"), "IdentityService/GetCaller", v1::GetCallerRequest()).message(),
      "person/gone may not call remuda.v1.IdentityService/GetCaller: users/gone is not there");
}

TEST_F(AuthorizeTest, ProgramsMayWhatTheyAreFor) {
  const v1::GetCallerRequest none;
  const Caller proxy = As(v1::IDENTITY_ROLE_PROXY, "p1");
  const Caller controller = As(v1::IDENTITY_ROLE_CONTROLLER, "c");
  const auto may = [&](const Caller& caller, const char* method) {
    return Authorize(core::Draft(state_), caller, method, none).ok();
  };
  EXPECT_TRUE(may(Agent("h1"), "remuda.agent.v1.AgentService/Connect"));
  EXPECT_FALSE(may(Agent("h1"), "remuda.proxy.v1.ProxyService/Connect"));
  EXPECT_TRUE(may(proxy, "remuda.proxy.v1.ProxyService/Connect"));
  EXPECT_FALSE(may(proxy, "remuda.agent.v1.AgentService/Connect"));
  EXPECT_FALSE(may(Person("ann"), "remuda.agent.v1.AgentService/Connect"));
  EXPECT_TRUE(may(controller, "remuda.v1.ClusterService/GetCluster"));
  EXPECT_FALSE(may(controller, "remuda.v1.ClusterService/ListHosts"));
  for (const Caller& caller : {Agent("h1"), proxy, controller}) {
    EXPECT_TRUE(may(caller, "remuda.v1.IdentityService/RenewCertificate"));
    EXPECT_FALSE(may(caller, "remuda.v1.TargetGroupService/ListTargetGroups"));
    EXPECT_FALSE(may(caller, "remuda.v1.IdentityService/CreateUser"));
    EXPECT_FALSE(may(caller, "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"));
  }
  EXPECT_TRUE(may(Caller(), "remuda.v1.IdentityService/CreateUser")) << "local callers may all";
}

TEST_F(AuthorizeTest, ADeployerDeploysToTheGroupsThatItsUserNames) {
  const std::string blue = R"(deployment { auto_scaling_group: "blue" })";
  EXPECT_EQ(Deploys("dan", blue), StatusCode::kOk);
  EXPECT_EQ(
      Deploys("dan",
              R"(deployment { auto_scaling_group: "autoScalingGroups/blue" } validate_only: true)"),
      StatusCode::kOk);
  EXPECT_EQ(Deploys("dan", R"(deployment { auto_scaling_group: "red" })"),
            StatusCode::kPermissionDenied);
  EXPECT_EQ(Deploys("dan", R"(deployment { auto_scaling_group: "red" } validate_only: true)"),
            StatusCode::kPermissionDenied);
  EXPECT_EQ(Deploys("dan", "deployment { }"), StatusCode::kPermissionDenied);
  EXPECT_EQ(Deploys("vera", blue), StatusCode::kPermissionDenied);
  EXPECT_EQ(Deploys("olga", R"(deployment { auto_scaling_group: "red" })"), StatusCode::kOk);
  const auto steers = [&](const std::string& name) {
    return Code<v1::RollbackDeploymentRequest>(
        Person("dan"), "DeploymentService/RollbackDeployment", "name: \"" + name + "\"");
  };
  EXPECT_EQ(steers("deployments/blue-1"), StatusCode::kOk);
  EXPECT_EQ(steers("blue-1"), StatusCode::kOk);
  EXPECT_EQ(steers("deployments/red-1"), StatusCode::kPermissionDenied);
  EXPECT_EQ(steers("deployments/none"), StatusCode::kNotFound);
  const auto refreshes = [&](const std::string& name) {
    return Code<v1::StartInstanceRefreshRequest>(
        Person("dan"), "LifecycleService/StartInstanceRefresh", "name: \"" + name + "\"");
  };
  EXPECT_EQ(refreshes("autoScalingGroups/green"), StatusCode::kOk);
  EXPECT_EQ(refreshes("autoScalingGroups/red"), StatusCode::kPermissionDenied);
  const auto images = [&](const std::string& instance) {
    return Code<v1::CreateImageRequest>(Person("dan"), "ImageService/CreateImage",
                                        "image_id: \"x\" instance: \"" + instance + "\"");
  };
  EXPECT_EQ(images("i-1"), StatusCode::kOk);
  EXPECT_EQ(images("i-2"), StatusCode::kPermissionDenied);
}

TEST_F(AuthorizeTest, ADeployerShiftsTrafficOfItsGroupsAlone) {
  const auto shift = [&](const std::string& text) {
    return Deploys("dan", "deployment { shift { " + text + " } }");
  };
  EXPECT_EQ(shift(R"(listener: "loadBalancers/shop/listeners/l1" to_target_group: "green")"),
            StatusCode::kOk);
  EXPECT_EQ(shift(R"(listener: "loadBalancers/shop/listeners/l1" to_target_group: "red")"),
            StatusCode::kPermissionDenied);
  // The rule's action names a group that is not among dan's.
  EXPECT_EQ(shift(R"(rule: "loadBalancers/shop/listeners/l1/rules/r1" to_target_group: "green")"),
            StatusCode::kPermissionDenied);
  EXPECT_EQ(shift(R"(listener: "loadBalancers/shop/listeners/none" to_target_group: "green")"),
            StatusCode::kNotFound);
  // Behind it is no group at all.
  EXPECT_EQ(shift(R"(listener: "loadBalancers/shop/listeners/l1" to_target_group: "alone")"),
            StatusCode::kPermissionDenied);
}

TEST_F(AuthorizeTest, WhatIsAppliedHangsOnTheRole) {
  const auto apply = [&](const std::string& name, const std::string& text) {
    return Code<v1::ApplyResourcesRequest>(Person(name), "ApplyService/ApplyResources", text);
  };
  const std::string launch = R"(resources { launch_template { name: "shop" } })";
  const std::string group = R"(resources { auto_scaling_group { name: "blue" } })";
  const std::string security = R"(resources { security_group { name: "web" } })";
  EXPECT_EQ(apply("vera", launch), StatusCode::kPermissionDenied);
  EXPECT_EQ(apply("dan", launch), StatusCode::kOk);
  EXPECT_EQ(apply("dan", launch + group), StatusCode::kPermissionDenied);
  EXPECT_EQ(apply("olga", launch + group), StatusCode::kOk);
  EXPECT_EQ(apply("olga", launch + security), StatusCode::kPermissionDenied);
  EXPECT_EQ(apply("ann", group + security), StatusCode::kOk);
}

TEST_F(AuthorizeTest, AnAgentHasImagesOfItsOwnInstancesAlone) {
  const auto fetch = [&](const std::string& host, const std::string& digest) {
    return Code<v1::FetchImageRequest>(Agent(host), "ImageService/FetchImage",
                                       "digest: \"" + digest + "\"");
  };
  EXPECT_EQ(fetch("h1", "sha256:a"), StatusCode::kOk);
  EXPECT_EQ(fetch("h1", "sha256:b"), StatusCode::kPermissionDenied);
  EXPECT_EQ(fetch("h2", "sha256:a"), StatusCode::kPermissionDenied);
  EXPECT_EQ(fetch("h1", ""), StatusCode::kPermissionDenied);
  Put<v1::Instance>(
      "i-1",
      R"(name: "instances/i-1" auto_scaling_group: "blue" host: "h1" state: INSTANCE_STATE_TERMINATED
      launch_template { launch_template: "shop" resolved_version: 1 })");
  EXPECT_EQ(fetch("h1", "sha256:a"), StatusCode::kPermissionDenied);
  const auto push = [&](const std::string& host, const std::string& source) {
    return Code<v1::PushImageRequest>(
        Agent(host), "ImageService/PushImage",
        "header { image_id: \"x\" source_instance: \"" + source + "\" }");
  };
  EXPECT_EQ(push("h2", "i-2"), StatusCode::kOk);
  EXPECT_EQ(push("h1", "i-2"), StatusCode::kPermissionDenied);
  EXPECT_EQ(push("h1", ""), StatusCode::kPermissionDenied);
}

TEST_F(AuthorizeTest, AControllerHasAllImagesAndOnlyItTalksAboutThem) {
  const Caller controller = As(v1::IDENTITY_ROLE_CONTROLLER, "b");
  EXPECT_EQ(
      Code<v1::FetchImageRequest>(controller, "ImageService/FetchImage", R"(digest: "sha256:b")"),
      StatusCode::kOk);
  EXPECT_EQ(Code<v1::PushImageRequest>(controller, "ImageService/PushImage",
                                       R"(header { image_id: "x" })"),
            StatusCode::kPermissionDenied);
  const std::string_view peers = "remuda.controller.v1.PeerService/ReplicateImages";
  EXPECT_TRUE(AuthorizeMethod(controller, v1::USER_ROLE_UNSPECIFIED, peers).ok());
  for (const Caller& other : {Agent("h1"), Person("ann")})
    EXPECT_EQ(AuthorizeMethod(other, v1::USER_ROLE_ADMIN, peers).code(),
              StatusCode::kPermissionDenied);
}

}  // namespace
}  // namespace remuda
