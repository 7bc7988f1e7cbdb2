// What the API's schema must say of its fields: which hold secrets, and which refer to other
// resources.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>

#include "common/references.h"
#include "common/sensitive.h"
#include "remuda/agent/v1/agent.pb.h"
#include "remuda/join/v1/join.pb.h"
#include "remuda/proxy/v1/config.pb.h"
#include "remuda/proxy/v1/proxy.pb.h"
#include "remuda/store/v1/store.pb.h"
#include "remuda/v1/activity.pb.h"
#include "remuda/v1/apply.pb.h"
#include "remuda/v1/cluster.pb.h"
#include "remuda/v1/deployment.pb.h"
#include "remuda/v1/identity.pb.h"
#include "remuda/v1/image.pb.h"
#include "remuda/v1/secret.pb.h"

namespace remuda {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;

void VisitFields(const Descriptor& type, const std::function<void(const FieldDescriptor&)>& visit) {
  if (type.options().map_entry()) return;
  for (int i = 0; i < type.field_count(); ++i) visit(*type.field(i));
  for (int i = 0; i < type.nested_type_count(); ++i) VisitFields(*type.nested_type(i), visit);
}

// Every field of every message of ours, the streams' and the store's with them.
void VisitFields(const std::function<void(const FieldDescriptor&)>& visit) {
  std::set<const FileDescriptor*> seen;
  const std::function<void(const FileDescriptor&)> walk = [&](const FileDescriptor& file) {
    if (file.package().rfind("remuda.", 0) != 0 || !seen.insert(&file).second) return;
    for (int i = 0; i < file.message_type_count(); ++i) VisitFields(*file.message_type(i), visit);
    for (int i = 0; i < file.dependency_count(); ++i) walk(*file.dependency(i));
  };
  for (const FileDescriptor* file :
       {v1::ApplyResourcesRequest::descriptor()->file(), v1::Cluster::descriptor()->file(),
        v1::Deployment::descriptor()->file(), v1::Image::descriptor()->file(),
        v1::Activity::descriptor()->file(), agent::v1::InstanceAssignment::descriptor()->file(),
        proxy::v1::ProxyConfig::descriptor()->file(), proxy::v1::ConfigUpdate::descriptor()->file(),
        store::v1::RequestRecord::descriptor()->file(), v1::User::descriptor()->file(),
        v1::Secret::descriptor()->file(), join::v1::JoinRequest::descriptor()->file()}) {
    walk(*file);
  }
  ASSERT_GT(seen.size(), 12u);
}

TEST(Schema, WhatSoundsLikeASecretIsMarkedAsOne) {
  const std::set<std::string> public_names = {
      "page_token",       "next_page_token",  // of a list
      "certificate_pem",  "ca_pem",           // certificates are shown to everyone
      "authorities_pem",  "certificate_request_pem",
      "private_key_file",  // a path
      "secret",           "secrets",
      "secret_id",                        // names of secrets, and messages that hold values
      "join_token",       "join_tokens",  // messages that hold one
  };
  int marked = 0;
  VisitFields([&](const FieldDescriptor& field) {
    marked += IsSensitive(field);
    if (public_names.contains(field.name())) return;
    if (field.full_name() == "remuda.v1.SecretReference.env") return;  // a variable's name
    bool sounds_so = field.name() == "env" || field.name() == "keys";
    for (const char* word : {"password", "token", "secret", "private", "credential", "pem"})
      sounds_so = sounds_so || field.name().find(word) != std::string::npos;
    EXPECT_TRUE(!sounds_so || IsSensitive(field))
        << field.full_name() << " needs [(sensitive) = true], or a place in this test's list";
  });
  EXPECT_GE(marked, 4);
}

TEST(Schema, WhatIsNamedAfterAResourceIsMarkedAsAReference) {
  const std::set<std::string> names = {
      "activity", "auto_scaling_group", "deployment",    "image",       "instance",
      "proxy",    "source_instance",    "target_group",  "rollback_of", "withheld_by",
      "replaces", "launched_for",       "target_groups", "certificates"};
  VisitFields([&](const FieldDescriptor& field) {
    if (field.file()->package() != "remuda.v1") return;
    if (field.type() != FieldDescriptor::TYPE_STRING || !names.contains(field.name())) return;
    EXPECT_NE(CollectionOf(field), "") << field.full_name() << " needs [(reference) = …]";
  });
  EXPECT_EQ(CollectionOf(*v1::Instance::descriptor()->FindFieldByName("host")), "hosts");
  EXPECT_EQ(CollectionOf(*v1::Instance::descriptor()->FindFieldByName("zone")), "");
}

TEST(References, IdsBecomeFullNamesWhereverTheyAre) {
  v1::ListInstancesResponse list;
  v1::Instance& instance = *list.add_instances();
  instance.set_name("instances/i-1");
  instance.set_auto_scaling_group("blue");
  instance.set_host("hosts/h1");
  instance.set_zone("a");
  instance.mutable_launch_template()->set_launch_template("shop");
  ToFullNames(list);
  EXPECT_EQ(list.ShortDebugString(),
            R"(instances { name: "instances/i-1" auto_scaling_group: "autoScalingGroups/blue" )"
            R"(launch_template { launch_template: "launchTemplates/shop" } host: "hosts/h1" )"
            R"(zone: "a" })")
      << "a name that is full, and one that is none, stay";
  v1::AutoScalingGroup group;
  group.add_target_groups("blue");
  group.add_target_groups("targetGroups/green");
  ToFullNames(group);
  EXPECT_THAT(group.target_groups(),
              testing::ElementsAre("targetGroups/blue", "targetGroups/green"));
}

}  // namespace
}  // namespace remuda
