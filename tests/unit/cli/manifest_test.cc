#include "cli/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <utility>

#include "common/status.h"

namespace remuda::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kShop[] = R"(kind: LaunchTemplate
name: shop
image: shop-v1
command: [node, app.js]
port: 8000
env: { GREETING: "Hello, New World!" }
limits: { memory: 256Mi, cpu: 500m }
---
kind: TargetGroup
name: blue
protocol: HTTP
healthCheck: { path: /health, interval: 1s, timeout: 500ms, healthyThreshold: 2, unhealthyThreshold: 2 }
deregistrationDelay: 10s
---
kind: AutoScalingGroup
name: blue
launchTemplate: { launchTemplate: shop, version: 1 }
min: 1
max: 2
targetGroups: [blue]
policies:
  - name: rps
    targetTracking: { metric: REQUEST_COUNT_PER_TARGET, target: 100 }
---
kind: LoadBalancer
name: shop
listeners:
  - port: 8080
    protocol: HTTP
    rules:
      - priority: 10
        conditions: [{ pathPattern: { values: ["/admin/*"] } }]
        action: { fixedResponse: { status: 403 } }
    defaultAction: { forward: { targetGroups: [{ targetGroup: blue, weight: 1 }] } }
)";

std::string ErrorOf(const std::string& text) {
  return std::string(ParseManifests({{"shop.yaml", text}}).status().message());
}

TEST(Manifest, ReadsTheWholeShop) {
  const auto manifest = ParseManifests({{"shop.yaml", kShop}});
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  ASSERT_EQ(manifest->request.resources_size(), 4);
  EXPECT_EQ(manifest->request.resources(0).launch_template().limits().memory(), "256Mi");
  EXPECT_EQ(manifest->request.resources(1).target_group().health_check().timeout().nanos(),
            500'000'000);
  EXPECT_FALSE(manifest->request.resources(2).auto_scaling_group().has_desired());
  EXPECT_EQ(manifest->request.resources(3)
                .load_balancer()
                .listeners(0)
                .rules(0)
                .action()
                .fixed_response()
                .status(),
            403);
}

TEST(Manifest, TakesJsonAndSeveralFiles) {
  const auto manifest = ParseManifests({{"a.json", R"({"kind": "TargetGroup", "name": "a"})"},
                                        {"b.yaml", "kind: TargetGroup\nname: b\n"}});
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->request.resources(1).target_group().name(), "b");
  EXPECT_EQ(manifest->origins[1].file, "b.yaml");
}

// A version that was shown says its own kind; a manifest's words for it are the template's.
TEST(Manifest, AVersionThatWasShownIsATemplatesContent) {
  const auto manifest = ParseManifests(
      {{"a.yaml", "kind: LaunchTemplateVersion\nname: launchTemplates/shop/versions/2\nimage: a\n"},
       {"b.yaml",
        "kind: AutoScalingGroup\nname: b\nlaunchTemplate: { launchTemplate: shop, version: "
        "$Latest }\n"}});
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->request.resources(0).launch_template().image(), "a");
  EXPECT_EQ(manifest->request.resources(1).auto_scaling_group().launch_template().version(),
            "$Latest");
}

// What can be seen wrong without the controller.
TEST(Manifest, ATemplateThatWasShownSaysWhatCanBeApplied) {
  EXPECT_THAT(ErrorOf("kind: LaunchTemplate\nname: launchTemplates/shop\ndefaultVersion: 1\n"
                      "latestVersion: 2\n"),
              AllOf(StartsWith("shop.yaml:4:16: this is a launch template without"),
                    HasSubstr("remuda get version/NAME:default"), Not(HasSubstr("\n"))));
}

TEST(Manifest, MistakesNameFileLineFieldAndRule) {
  struct Case {
    const char* text;
    const char* error;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"kind: TargetGroup\nname: a\nhealtCheck: {}\n",
            "shop.yaml:3:1: healtCheck: unknown field; did you mean healthCheck?"},
           {"kind: TargetGroup\nname: a\nhealthCheck:\n  interval: 5 sec\n",
            "shop.yaml:4:13: healthCheck.interval: \"5 sec\": unknown unit \" sec\"; units are h, "
            "m, s, ms, us, ns"},
           {"name: a\n",
            "shop.yaml:1:1: kind: is missing; one of LaunchTemplate, TargetGroup, "
            "AutoScalingGroup, LoadBalancer, Certificate, SecurityGroup"},
           {"kind: Targetgroups\nname: a\n",
            "shop.yaml:1:7: kind: there is no kind \"Targetgroups\"; did you mean TargetGroup?"},
           {"kind: Rule\nname: loadBalancers/a/listeners/80/rules/1\n",
            "shop.yaml:1:7: kind: a Rule is a part of a load balancer, which is applied as a "
            "whole; "
            "`remuda rule update -f` writes one"},
           {"kind: TargetGroup\n", "shop.yaml:1:1: name: is missing"},
           {"kind: TargetGroup\nname: [a]\n", "shop.yaml:2:7: name: expected text, found a list"},
           {"kind: TargetGroup\nname: a\n---\nkind: TargetGroup\nname: a\n",
            "shop.yaml:4:1: name: TargetGroup a is also at shop.yaml:1:1"},
           {"- a\n", "shop.yaml:1:1: expected a resource: kind, name and its fields"},
           {"", "no resource in what was given"},
           {"kind: [\n", "shop.yaml:2:1: not YAML: end of sequence flow not found"}}) {
    EXPECT_EQ(ErrorOf(c.text), c.error) << c.text;
  }
}

TEST(Manifest, AllMistakesOfAllFilesAreTold) {
  const auto status =
      ParseManifests({{"a.yaml", "kind: TargetGroup\nname: a\nx: 1\n"}, {"b.yaml", "kind: X\n"}})
          .status();
  EXPECT_THAT(status.message(), HasSubstr("a.yaml:3:1: "));
  EXPECT_THAT(status.message(), HasSubstr("b.yaml:1:7: "));
}

// A mistake of syntax hides neither what is before it nor the documents behind it.
TEST(Manifest, MistakesBesideASyntaxErrorAreToldToo) {
  EXPECT_EQ(ErrorOf("kind: TargetGroup\nname: a\nslowStrat: 1s\nlabels: [\n---\n"
                    "kind: TargetGroup\nname: b\nname: c\nslowStart: !!str 5\n---\n"
                    "kind: X\n---\nkind: TargetGroup\nname: \"a\n"),
            "shop.yaml:3:1: slowStrat: unknown field; did you mean slowStart?\n"
            "shop.yaml:4:9: labels: expected a map, found a list\n"
            "shop.yaml:5:1: not YAML: end of sequence flow not found\n"
            "shop.yaml:8:1: name: this key is here twice\n"
            "shop.yaml:9:12: the tag tag:yaml.org,2002:str is not supported: leave it out\n"
            "shop.yaml:9:12: slowStart: \"5\" has no unit: write for example 5s (h, m, s, ms, us, "
            "ns)\n"
            "shop.yaml:11:7: kind: there is no kind \"X\"; one of LaunchTemplate, TargetGroup, "
            "AutoScalingGroup, LoadBalancer, Certificate, SecurityGroup\n"
            "shop.yaml:15:2: not YAML: the file ends within quoted text: a quote before is never "
            "closed");
}

// The text that is shown has line breaks; a mistake is one line, with its place.
TEST(Manifest, AMistakeInATextOfSeveralLinesIsOneMistake) {
  EXPECT_THAT(ErrorOf("kind: LaunchTemplate\nname: a\nport: |\n  80\n"),
              AllOf(StartsWith("shop.yaml:3:7: port: "), Not(HasSubstr("\n"))));
  EXPECT_THAT(ErrorOf("kind: LaunchTemplate\nname: a\nport: |\n  80\n  x\nuser: [u]\n"),
              AllOf(StartsWith("shop.yaml:3:7: port: "), HasSubstr("\nshop.yaml:6:7: user: ")));
}

// Reading goes on at the next document, and a PEM's first line begins none.
TEST(Manifest, OnlyAMarkerBeginsADocument) {
  EXPECT_EQ(ErrorOf("kind: a: b\n-----BEGIN CERTIFICATE-----\nkind: X\n----\nkind: X\n---x\n"
                    "kind: X\n---\nkind: Y\n"),
            ErrorOf("kind: a: b\n\n\n\n\n\n\n---\nkind: Y\n"));
  for (const char* marker : {"---", "--- ", "---\t", "---\r", "--- # next"}) {
    EXPECT_THAT(ErrorOf(std::string("kind: [\n") + marker + "\nkind: Y\n"),
                HasSubstr("there is no kind \"Y\""))
        << marker;
  }
}

// What only the controller can see wrong: its field paths become places.
TEST(Manifest, TheControllersObjectionsGetFileAndLine) {
  const auto manifest = ParseManifests({{"shop.yaml", kShop}});
  ASSERT_TRUE(manifest.ok());
  struct Case {
    const char* field;
    const char* expected;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"resources[2].max", "shop.yaml:19:1: AutoScalingGroup blue: max: WHY"},
           {"resources[2].auto_scaling_group.max",
            "shop.yaml:19:1: AutoScalingGroup blue: max: WHY"},
           {"resources[2].launch_template.launch_template",
            "shop.yaml:17:19: AutoScalingGroup blue: launchTemplate.launchTemplate: WHY"},
           {"resources[0].launch_template.limits.memory",
            "shop.yaml:7:11: LaunchTemplate shop: limits.memory: WHY"},
           {"resources[3].load_balancer.listeners[0].default_action.forward.target_groups[0]."
            "target_group",
            "shop.yaml:34:50: LoadBalancer shop: "
            "listeners[0].defaultAction.forward.targetGroups[0].targetGroup: WHY"},
           {"resources[3].listeners[0].port",
            "shop.yaml:28:5: LoadBalancer shop: listeners[0].port: WHY"},
           {"resources[1].health_check.port",
            "shop.yaml:12:1: TargetGroup blue: healthCheck.port: WHY"},
           {"resources[1].algorithm", "shop.yaml:9:1: TargetGroup blue: algorithm: WHY"},
           {"resources[1]", "shop.yaml:9:1: TargetGroup blue: WHY"},
           {"resources[99].x", "resources[99].x: WHY"},
           {"request_id", "request_id: WHY"}}) {
    EXPECT_EQ(ExplainApplyError(*manifest, InvalidField(c.field, "WHY")), c.expected);
  }
  EXPECT_EQ(ExplainApplyError(
                *manifest, InvalidFields({{"resources[2].min", "A"}, {"resources[2].max", "B"}})),
            "shop.yaml:18:1: AutoScalingGroup blue: min: A\nshop.yaml:19:1: AutoScalingGroup blue: "
            "max: B");
  EXPECT_EQ(ExplainApplyError(*manifest, FailedPrecondition("X", "no fields here")),
            "no fields here");
}

TEST(Manifest, CertificatesAreReadFromFilesBesideTheManifest) {
  const std::string folder = ::testing::TempDir();
  std::ofstream(folder + "/manifest_test_cert.pem") << "CERT";
  std::ofstream(folder + "/manifest_test_key.pem") << "KEY";
  const std::string text =
      "kind: Certificate\nname: shop\ncertificateFile: manifest_test_cert.pem\n"
      "privateKeyFile: manifest_test_key.pem\n";
  const auto manifest = ParseManifests({{folder + "/shop.yaml", text}});
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  const v1::Certificate& certificate = manifest->request.resources(0).certificate();
  EXPECT_EQ(certificate.certificate_pem(), "CERT");
  EXPECT_EQ(certificate.private_key_pem(), "KEY");
  EXPECT_EQ(certificate.certificate_file(), "");
}

TEST(Manifest, ACertificatesFileThatCannotBeReadIsToldWithItsLine) {
  EXPECT_THAT(ErrorOf("kind: Certificate\nname: shop\nprivateKeyFile: no/such.pem\n"),
              HasSubstr("shop.yaml:3:17: privateKeyFile: no/such.pem cannot be read"));
  EXPECT_THAT(ErrorOf("kind: Certificate\nname: shop\ncertificatePem: x\ncertificateFile: a.pem\n"),
              HasSubstr("certificateFile: the text itself is given as well"));
}

// The certificates that the examples name are beside them only where a user has made them.
TEST(Manifest, TheExamplesAreRight) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(testing::TempDir()) / "examples";
  fs::remove_all(folder);
  fs::copy(REMUDA_EXAMPLES, folder);
  for (const char* name : {"shop.example", "api.example"}) {
    for (const char* kind : {".pem", ".key"})
      std::ofstream(folder / (std::string(name) + kind)) << "x";
  }
  int seen = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".yaml") continue;
    ++seen;
    const auto files = ReadManifestFiles({entry.path().string()});
    ASSERT_TRUE(files.ok()) << files.status();
    EXPECT_TRUE(ParseManifests(*files).ok()) << ParseManifests(*files).status();
  }
  EXPECT_GE(seen, 5);
  // And all of them together, beside the lab's shop: no name is there twice, and no port.
  const auto files = ReadManifestFiles({folder.string(), REMUDA_LAB_SHOP});
  ASSERT_TRUE(files.ok()) << files.status();
  const auto all = ParseManifests(*files);
  ASSERT_TRUE(all.ok()) << all.status();
  std::set<std::pair<std::string, std::string>> names;
  std::set<int> ports;
  for (int i = 0; i < all->request.resources_size(); ++i) {
    const Manifest::Origin& origin = all->origins[static_cast<size_t>(i)];
    EXPECT_TRUE(names.emplace(origin.kind, origin.name).second)
        << origin.file << ": " << origin.kind << " " << origin.name << " is there twice";
    for (const v1::Listener& listener : all->request.resources(i).load_balancer().listeners()) {
      EXPECT_TRUE(ports.insert(listener.port()).second)
          << origin.file << ": port " << listener.port() << " is there twice";
    }
  }
  EXPECT_GE(ports.size(), 6u);
  fs::remove_all(folder);
}

// What is shown of a resource is a manifest again: of every kind of policy, hooks, the warm pool, a
// group that rests at zero, requests that are held.
TEST(Manifest, WhatScalesComesBackAsItWasWritten) {
  int seen = 0;
  std::set<int> kinds;
  for (const auto& entry : std::filesystem::directory_iterator(REMUDA_SCALING_EXAMPLES)) {
    if (entry.path().extension() != ".yaml") continue;
    ++seen;
    const auto files = ReadManifestFiles({entry.path().string()});
    ASSERT_TRUE(files.ok()) << files.status();
    const auto first = ParseManifests(*files);
    ASSERT_TRUE(first.ok()) << first.status();
    std::string shown;
    for (const v1::Resource& resource : first->request.resources()) {
      for (const auto& policy : resource.auto_scaling_group().policies())
        kinds.insert(policy.kind_case());
      shown += "---\n";
      shown += resource.has_target_group()
                   ? MessageToYaml(resource.target_group(), {{"kind", "TargetGroup"}})
                   : MessageToYaml(resource.auto_scaling_group(), {{"kind", "AutoScalingGroup"}});
    }
    const auto again = ParseManifests({{"again.yaml", shown}});
    ASSERT_TRUE(again.ok()) << again.status() << "\n" << shown;
    EXPECT_EQ(again->request.ShortDebugString(), first->request.ShortDebugString()) << entry.path();
  }
  EXPECT_GE(seen, 7);
  EXPECT_EQ(kinds.size(), 5u) << "each kind of policy";
}

TEST(Manifest, MistakesInAPolicyAreToldByTheirPlace) {
  const std::string begin = "kind: AutoScalingGroup\nname: blue\npolicies:\n  - name: p\n    ";
  EXPECT_THAT(ErrorOf(begin + "targetTracking: { metric: CPU, target: 1 }\n"),
              HasSubstr("shop.yaml:5:31: policies[0].targetTracking.metric: "));
  EXPECT_THAT(ErrorOf(begin + "targetTracking: { target: 1, scaleInAfter: 3 }\n"),
              HasSubstr("policies[0].targetTracking.scaleInAfter: \"3\" has no unit"));
  EXPECT_THAT(ErrorOf(begin + "targetTracking: { target: 1 }\n    scheduled: { min: 1 }\n"),
              HasSubstr("shop.yaml:6:5: policies[0].scheduled: "));
  // `*` is YAML's own sign.
  for (const char* every : {"* 8 * * *", "*/5 * * * *"}) {
    EXPECT_THAT(ErrorOf(begin + "scheduled: { recurrence: " + every + ", min: 1 }\n"),
                AllOf(StartsWith("shop.yaml:5:"), HasSubstr("begins with * stands in quotes")));
  }
}

}  // namespace
}  // namespace remuda::cli
