// Proxies that wait to be let in by hosts before they are told what to serve.
#include "controller/views/proxy_admission.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>

#include "controller/core/model/draft.h"
#include "controller/views/proxy_views.h"

namespace remuda {
namespace {

template <class T>
T Parse(const std::string& text) {
  T message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

using Names = std::set<std::string>;

// Group `web` filters; it has instances on h1 and h2, and every proxy serves it.
class ProxyAdmissionTest : public testing::Test {
 protected:
  ProxyAdmissionTest() {
    Commit([](core::Draft& draft) {
      draft.Put("blue", Parse<v1::TargetGroup>(R"(name: "targetGroups/blue")"));
      draft.Put(
          "shop",
          Parse<v1::LoadBalancer>(
              R"(name: "loadBalancers/shop" listeners { default_action { forward { target_groups { target_group: "blue" } } } })"));
      draft.Put("web", Parse<v1::AutoScalingGroup>(
                           R"(target_groups: "blue" require_ingress_filter: true)"));
      for (const std::string host : {"h1", "h2"}) {
        draft.Put(host, Parse<v1::Host>(R"(address: "10.1.0.1")"));
        draft.Put("i-" + host, Parse<v1::Instance>("auto_scaling_group: \"web\" host: \"" + host +
                                                   "\" state: INSTANCE_STATE_IN_SERVICE"));
      }
      draft.Put("old", Parse<v1::Proxy>(R"(address: "10.2.0.1")"));
    });
    for (const char* host : {"h1", "h2"}) {
      seen_.hosts[host].connected = true;
      Confirm(host);
    }
    Look({});
  }
  template <class Edits>
  void Commit(Edits edits) {
    core::Draft draft(state_);
    edits(draft);
    state_.Apply(draft.Take(), state_.commit() + 1);
    ingress_.Refresh(state_, {});
  }
  void PutProxy(const std::string& id, const std::string& address) {
    Commit([&](core::Draft& draft) {
      draft.Put(id, Parse<v1::Proxy>("address: \"" + address + "\""));
    });
    Look({id});
  }
  void Look(const Names& touched) { admission_.Look(state_, ingress_, touched, now_); }
  Names Admit() { return admission_.Admit(seen_, now_); }
  void Confirm(const std::string& host) {
    seen_.hosts[host].assignment.set_confirmed_commit(state_.commit());
  }

  absl::Time now_ = absl::FromUnixSeconds(1'000'000);
  core::State state_;
  core::Observations seen_;
  core::Ingress ingress_;
  ProxyAdmission admission_;
};

TEST_F(ProxyAdmissionTest, OneThatJoinsWaitsForEveryHostThatFilters) {
  PutProxy("new", "10.2.0.2");
  EXPECT_TRUE(admission_.IsWaiting("new"));
  EXPECT_EQ(admission_.due(), now_ + ProxyAdmission::kPatience);
  EXPECT_EQ(Admit(), Names());
  Confirm("h1");
  EXPECT_EQ(Admit(), Names());
  Confirm("h2");
  EXPECT_EQ(Admit(), Names{"new"});
  EXPECT_FALSE(admission_.IsWaiting("new"));
  EXPECT_EQ(admission_.due(), absl::InfiniteFuture());
}

TEST_F(ProxyAdmissionTest, AHostWithoutASessionIsNotWaitedFor) {
  PutProxy("new", "10.2.0.2");
  Confirm("h1");
  seen_.hosts["h2"].connected = false;
  EXPECT_EQ(Admit(), Names{"new"});
}

TEST_F(ProxyAdmissionTest, NobodyIsWaitedForForLong) {
  PutProxy("new", "10.2.0.2");
  now_ += ProxyAdmission::kPatience - absl::Milliseconds(1);
  EXPECT_EQ(Admit(), Names());
  now_ += absl::Milliseconds(1);
  EXPECT_EQ(Admit(), Names{"new"});
}

TEST_F(ProxyAdmissionTest, OneThatServesAlreadyGoesOn) {
  // It was there when the controller began, and has another address now.
  PutProxy("old", "10.2.0.9");
  EXPECT_FALSE(admission_.IsWaiting("old"));
  // One that has joined and waits no longer.
  PutProxy("new", "10.2.0.2");
  now_ += ProxyAdmission::kPatience;
  Admit();
  PutProxy("new", "10.2.0.3");
  EXPECT_FALSE(admission_.IsWaiting("new"));
}

TEST_F(ProxyAdmissionTest, OneThatIsForgottenAndComesBackIsNew) {
  Commit([](core::Draft& draft) { draft.Delete<v1::Proxy>("old"); });
  Look({"old"});
  PutProxy("old", "10.2.0.1");
  EXPECT_TRUE(admission_.IsWaiting("old"));
}

TEST_F(ProxyAdmissionTest, WhereNobodyFiltersNobodyWaits) {
  Commit([](core::Draft& draft) {
    draft.Put("web", Parse<v1::AutoScalingGroup>(R"(target_groups: "blue")"));
  });
  PutProxy("new", "10.2.0.2");
  EXPECT_TRUE(admission_.empty());
  // Nor for an address that nobody else could see.
  Commit([](core::Draft& draft) {
    draft.Put("web",
              Parse<v1::AutoScalingGroup>(R"(target_groups: "blue" require_ingress_filter: true)"));
  });
  PutProxy("local", "127.0.0.1");
  EXPECT_TRUE(admission_.empty());
}

TEST_F(ProxyAdmissionTest, WhoWaitsHasAnEmptyView) {
  int64_t sequence = 0;
  ProxyViews views(1, "secret", [&sequence] { return ++sequence; });
  PutProxy("new", "10.2.0.2");
  TouchedProxyViews touched;
  touched.proxies = {"old", "new"};
  views.Refresh(state_, seen_, ingress_, admission_, touched);
  EXPECT_EQ(views.ViewOf("new")->resources().size(), 0U);
  EXPECT_GT(views.ViewOf("old")->resources().size(), 0U);
  Confirm("h1");
  Confirm("h2");
  touched.proxies = Admit();
  views.Refresh(state_, seen_, ingress_, admission_, touched);
  EXPECT_EQ(views.ViewOf("new"), views.ViewOf("old"));
}

}  // namespace
}  // namespace remuda
