// What security groups come down to: addresses for proxies and for hosts' firewalls, and who is
// told when they change.
#include "controller/core/views/ingress.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <random>

#include "controller/core/model/addresses.h"
#include "controller/core/model/draft.h"
#include "controller/engine/touched.h"

namespace remuda::core {
namespace {

template <class T>
T Parse(const std::string& text) {
  T message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

TEST(Addresses, AreThoseThatOthersSee) {
  EXPECT_EQ(AddressesIn("10.0.0.5,2001:DB8::1,::ffff:10.0.0.6"),
            (std::vector<std::string>{"10.0.0.5", "2001:db8::1", "10.0.0.6"}));
  EXPECT_TRUE(AddressesIn("").empty());
  EXPECT_TRUE(AddressesIn("rack 7,127.0.0.1,::1").empty());
}

class IngressTest : public testing::Test {
 protected:
  template <class Edits>
  Ingress::Told Commit(Edits edits) {
    Draft draft(state_);
    edits(draft);
    const Changes changes = draft.Take();
    Touched touched;
    TouchEdits(state_, changes, touched);
    state_.Apply(changes, state_.commit() + 1);
    TouchEdits(state_, changes, touched);
    return ingress_.Refresh(
        state_, {.groups = touched.security_groups || touched.proxy_views.load_balancers,
                 .proxies = !touched.proxy_views.proxies.empty(),
                 .instances = &touched.instances,
                 .hosts = &touched.hosts});
  }
  template <class T>
  Ingress::Told Put(const std::string& id, const std::string& text) {
    return Commit([&](Draft& draft) { draft.Put(id, Parse<T>(text)); });
  }
  Ingress::Told PutInstance(const std::string& id, const std::string& group,
                            const std::string& host, bool has_ended = false) {
    return Commit([&](Draft& draft) {
      v1::Instance row;
      row.set_name("instances/" + id);
      row.set_auto_scaling_group(group);
      row.set_host(host);
      row.set_state(has_ended ? v1::INSTANCE_STATE_TERMINATED : v1::INSTANCE_STATE_PENDING);
      draft.Put(id, row);
    });
  }
  // "TCP 0 10.0.0.1,10.0.0.2; TCP 443 ..." ; "-": there is none.
  static std::string Text(const google::protobuf::RepeatedPtrField<v1::IngressRule>& rules) {
    std::string out;
    for (const v1::IngressRule& rule : rules) {
      out += (out.empty() ? "" : "; ") + std::to_string(rule.from_port());
      for (const std::string& cidr : rule.cidrs()) out += " " + cidr;
    }
    return out;
  }
  std::string Filter(const std::string& group) const {
    const auto filter = ingress_.FilterOf(group);
    return filter == nullptr ? "-" : (filter->required() ? "! " : "") + Text(filter->rules());
  }
  std::string Group(const std::string& id) const {
    const auto group = ingress_.SecurityGroupOf(id);
    return group == nullptr ? "-" : Text(group->ingress());
  }

  State state_;
  Ingress ingress_;
};

using Names = std::set<std::string>;

TEST_F(IngressTest, AGroupWithoutAnyFiltersNothing) {
  Put<v1::AutoScalingGroup>("web", R"(target_groups: "blue")");
  PutInstance("i-1", "web", "h1");
  EXPECT_EQ(Filter("web"), "-");
}

TEST_F(IngressTest, ProxiesThatServeItAreLetIn) {
  Put<v1::LoadBalancer>(
      "shop",
      R"(proxy_selector { key: "site" value: "a" } listeners { default_action { forward { target_groups { target_group: "blue" } } } })");
  Put<v1::Proxy>("p1", R"(address: "10.0.0.1" labels { key: "site" value: "a" })");
  Put<v1::Proxy>("p2", R"(address: "10.0.9.9" labels { key: "site" value: "b" })");
  const auto told =
      Put<v1::AutoScalingGroup>("web", R"(target_groups: "blue" require_ingress_filter: true)");
  EXPECT_EQ(told.auto_scaling_groups, Names{"web"});
  EXPECT_EQ(Filter("web"), "! 0 10.0.0.1");
  // As it says, and as it is seen.
  const Names web{"web"};
  EXPECT_EQ(
      Put<v1::Proxy>(
          "p3",
          R"(address: "edge-3" addresses: "10.0.1.1" addresses: "192.0.2.9" labels { key: "site" value: "a" })")
          .auto_scaling_groups,
      web);
  EXPECT_EQ(Filter("web"), "! 0 10.0.0.1 10.0.1.1 192.0.2.9");
  // Of before they were listed.
  EXPECT_TRUE(
      Put<v1::Proxy>("p3", R"(address: "10.0.1.1,192.0.2.9" labels { key: "site" value: "a" })")
          .auto_scaling_groups.empty());
  // One that serves others changes nothing here.
  EXPECT_TRUE(Put<v1::Proxy>("p4", R"(address: "10.0.9.8" labels { key: "site" value: "b" })")
                  .auto_scaling_groups.empty());
  Commit([](Draft& draft) { draft.Delete<v1::Proxy>("p1"); });
  EXPECT_EQ(Filter("web"), "! 0 10.0.1.1 192.0.2.9");
  Put<v1::LoadBalancer>("shop",
                        R"(listeners { default_action { fixed_response { status: 200 } } })");
  EXPECT_EQ(Filter("web"), "! ");
  EXPECT_EQ(Put<v1::AutoScalingGroup>("web", R"(target_groups: "blue")").auto_scaling_groups,
            Names{"web"});
  EXPECT_EQ(Filter("web"), "-");
}

TEST_F(IngressTest, SourcesAreHostsAndProxies) {
  Put<v1::Host>("h1", R"(address: "10.1.0.1")");
  Put<v1::Host>("h2", R"(address: "10.1.0.2")");
  Put<v1::SecurityGroup>("app", R"(name: "securityGroups/app" ingress { cidrs: "192.0.2.0/24" })");
  Put<v1::SecurityGroup>(
      "db",
      R"(name: "securityGroups/db" ingress { from_port: 5432 security_groups: "app" security_groups: "edge" })");
  Put<v1::SecurityGroup>("edge", R"(name: "securityGroups/edge" ingress { cidrs: "0.0.0.0/0" })");
  Put<v1::AutoScalingGroup>("web", R"(security_groups: "app")");
  Put<v1::AutoScalingGroup>("store", R"(security_groups: "db")");
  EXPECT_EQ(Filter("web"), "0 192.0.2.0/24");
  EXPECT_EQ(Filter("store"), "");
  // The first instance on a host, and no other, tells who is let in.
  EXPECT_EQ(PutInstance("i-1", "web", "h1").auto_scaling_groups, Names{"store"});
  EXPECT_EQ(Filter("store"), "5432 10.1.0.1");
  EXPECT_TRUE(PutInstance("i-2", "web", "h1").auto_scaling_groups.empty());
  EXPECT_TRUE(PutInstance("i-1", "web", "h1", true).auto_scaling_groups.empty());
  EXPECT_EQ(PutInstance("i-3", "web", "h2").auto_scaling_groups, Names{"store"});
  // The fewest blocks that say it: none for h2 beside h1 but their addresses.
  EXPECT_EQ(Filter("store"), "5432 10.1.0.1 10.1.0.2");
  EXPECT_EQ(PutInstance("i-2", "web", "h1", true).auto_scaling_groups, Names{"store"});
  EXPECT_EQ(Filter("store"), "5432 10.1.0.2");
  // Its host has another address.
  EXPECT_EQ(Put<v1::Host>("h2", R"(address: "10.1.0.9")").auto_scaling_groups, Names{"store"});
  EXPECT_EQ(Filter("store"), "5432 10.1.0.9");
  // Proxies of a load balancer that the source is attached to.
  Put<v1::Proxy>("p1", R"(address: "10.2.0.1")");
  const auto told =
      Put<v1::LoadBalancer>("shop", R"(security_groups: "edge" security_groups: "db")");
  EXPECT_EQ(told.auto_scaling_groups, Names{"store"});
  EXPECT_EQ(told.security_groups, (Names{"db", "edge"}));
  EXPECT_EQ(Filter("store"), "5432 10.1.0.9 10.2.0.1");
  EXPECT_EQ(Group("db"), "5432 10.1.0.9 10.2.0.1");
  EXPECT_EQ(Group("edge"), "0 0.0.0.0/0");
  EXPECT_EQ(Group("app"), "-");
  // A rule that is written anew.
  const auto written = Put<v1::SecurityGroup>(
      "db", R"(name: "securityGroups/db" ingress { from_port: 5433 security_groups: "app" })");
  EXPECT_EQ(written.security_groups, Names{"db"});
  EXPECT_EQ(written.auto_scaling_groups, Names{"store"});
  EXPECT_EQ(Filter("store"), "5433 10.1.0.9");
}

TEST_F(IngressTest, WhatFindsNoPlaceIsLeftOutAndCounted) {
  Commit([](Draft& draft) {
    v1::SecurityGroup all;
    all.set_name("securityGroups/all");
    all.add_ingress()->add_security_groups("all");
    draft.Put("all", all);
    draft.Put("web", Parse<v1::AutoScalingGroup>(R"(security_groups: "all")"));
    for (int i = 0; i < 5000; ++i) {
      const std::string id = std::to_string(i);
      // Every second address: no two of them are one block.
      draft.Put("h" + id, Parse<v1::Host>("address: \"10." + std::to_string(i / 100) + "." +
                                          std::to_string(i % 100) + ".1\""));
      v1::Instance row;
      row.set_auto_scaling_group("web");
      row.set_host("h" + id);
      draft.Put("i-" + id, row);
    }
  });
  ASSERT_EQ(ingress_.FilterOf("web")->rules_size(), 1);
  EXPECT_EQ(static_cast<size_t>(ingress_.FilterOf("web")->rules(0).cidrs_size()), kIngressBlocks);
  EXPECT_EQ(ingress_.LeftOutOf("web"), 5000 - kIngressBlocks);
}

// Whatever happens, what is brought up to date is what would be found from nothing, and everybody
// is told whose answer is another one.
TEST_F(IngressTest, UpToDateAsFromNothing) {
  std::mt19937 random(11);
  const auto below = [&](size_t n) { return static_cast<int>(random() % n); };
  const auto name = [&](const char* of, int n) {
    return of + std::to_string(below(static_cast<size_t>(n)));
  };
  const auto groups = [&] {
    std::string out;
    for (int i = below(3); i > 0; --i) out += "security_groups: \"" + name("s", 4) + "\" ";
    return out;
  };
  std::map<std::string, std::string> filters, shown;
  for (int step = 0; step < 3000; ++step) {
    Ingress::Told told;
    switch (below(12)) {
      case 0: {
        const std::string id = name("s", 4);
        told = Put<v1::SecurityGroup>(id,
                                      "name: \"securityGroups/" + id + "\" ingress { cidrs: \"10." +
                                          std::to_string(below(9)) + ".0.0/16\" " + groups() + "}");
        break;
      }
      case 1:
        told = Put<v1::AutoScalingGroup>(name("g", 3),
                                         groups() + "target_groups: \"" + name("t", 2) + "\" " +
                                             (below(3) == 0 ? "require_ingress_filter: true" : ""));
        break;
      case 2:
        told = Put<v1::LoadBalancer>(name("b", 2),
                                     groups() +
                                         "listeners { default_action { forward { target_groups { "
                                         "target_group: \"" +
                                         name("t", 2) + "\" } } } }");
        break;
      case 3:
        told = Put<v1::Proxy>(name("p", 3), "address: \"10.7.0." + std::to_string(below(9)) + "\"");
        break;
      case 4:
        told = Put<v1::Host>(name("h", 4), "address: \"10.8.0." + std::to_string(below(9)) + "\"");
        break;
      case 5: {
        const int what = below(4);
        told = Commit([&](Draft& draft) {
          if (what == 0) draft.Delete<v1::AutoScalingGroup>(name("g", 3));
          if (what == 1) draft.Delete<v1::LoadBalancer>(name("b", 2));
          if (what == 2) draft.Delete<v1::Proxy>(name("p", 3));
          if (what == 3) draft.Delete<v1::Instance>(name("i", 12));
        });
        break;
      }
      default:
        told = PutInstance(name("i", 12), name("g", 3), name("h", 4), below(3) == 0);
    }
    Ingress fresh;
    fresh.Refresh(state_, {});
    for (const char* id : {"g0", "g1", "g2"}) {
      const auto is = ingress_.FilterOf(id), wanted = fresh.FilterOf(id);
      ASSERT_EQ(is == nullptr, wanted == nullptr) << id << ", step " << step;
      const std::string text = Filter(id);
      if (is != nullptr) {
        ASSERT_EQ(is->DebugString(), wanted->DebugString()) << id << ", step " << step;
      }
      const std::string before = std::exchange(filters[id], text);
      if (before != text && !(before.empty() && text == "-")) {
        ASSERT_TRUE(told.auto_scaling_groups.contains(id)) << id << ", step " << step;
      }
    }
    for (const char* id : {"s0", "s1", "s2", "s3"}) {
      const auto is = ingress_.SecurityGroupOf(id), wanted = fresh.SecurityGroupOf(id);
      ASSERT_EQ(is == nullptr, wanted == nullptr) << id << ", step " << step;
      if (is != nullptr) {
        ASSERT_EQ(is->DebugString(), wanted->DebugString()) << id << ", step " << step;
      }
      const std::string text = Group(id);
      const std::string before = std::exchange(shown[id], text);
      if (before != text && !(before.empty() && text == "-")) {
        ASSERT_TRUE(told.security_groups.contains(id)) << id << ", step " << step;
      }
    }
  }
}

}  // namespace
}  // namespace remuda::core
