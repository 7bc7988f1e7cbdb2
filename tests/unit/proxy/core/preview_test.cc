// Requests that reach a subset besides its share.
#include "proxy/core/preview.h"

#include <gtest/gtest.h>

#include "tests/unit/proxy/core/picking.h"
#include "tests/unit/proxy/core/requests.h"

namespace remuda::proxy {
namespace {

using testing::Counts;

// Of a TrafficSplit.
v1::TrafficSplit SplitOf(const std::string& yaml) {
  v1::TrafficSplit split;
  const absl::Status status = ParseMessageYaml(yaml, "test", &split);
  EXPECT_TRUE(status.ok()) << status;
  return split;
}

constexpr char kByHeaderAndCookie[] =
    "{target_group: blue, subsets: [{subset: old, weight: 1}],"
    " previews: [{route: {http_header: {http_header_name: X-Preview, values: [\"yes*\"]}},"
    "             subset: new},"
    "            {route: {cookie: {name: preview, value: On}}, subset: other}]}";

TEST(Preview, IsThatOfTheFirstRouteThatMatches) {
  std::vector<Preview> previews;
  MirrorSpec mirror;
  ASSERT_EQ(CompilePreviews(SplitOf(kByHeaderAndCookie), previews, mirror), std::nullopt);
  EXPECT_EQ(mirror.percent, 0U);
  const auto find = [&](const std::string& fields) {
    const auto request = testing::ParseRequest("GET / HTTP/1.1\r\nHost: a" + fields);
    EXPECT_NE(request, nullptr);
    return FindPreview(previews, request->head);
  };
  EXPECT_EQ(find(""), 0U);
  EXPECT_EQ(find("\r\nX-Preview: no"), 0U);
  EXPECT_EQ(find("\r\nX-Preview: no\r\nx-preview: YES, please"), SubsetKey("new"));
  EXPECT_EQ(find("\r\nCookie: a=b; preview=On"), SubsetKey("other"));
  EXPECT_EQ(find("\r\nCookie: preview=on"), 0U);  // with case
  EXPECT_EQ(find("\r\nCookie: Preview=On"), 0U);
  EXPECT_EQ(find("\r\nCookie: preview=On\r\nX-Preview: yes"), SubsetKey("new"));
}

TEST(Preview, MirrorHasItsDefaults) {
  std::vector<Preview> previews;
  MirrorSpec mirror;
  ASSERT_EQ(
      CompilePreviews(SplitOf("{mirror: {mirror: {percent: 5}, subset: new}}"), previews, mirror),
      std::nullopt);
  EXPECT_EQ(mirror.percent, 5U);
  EXPECT_EQ(mirror.max_body_bytes, 65536U);
  EXPECT_EQ(mirror.subset_key, SubsetKey("new"));
  ASSERT_EQ(
      CompilePreviews(SplitOf("{mirror: {mirror: {percent: 100, max_body_bytes: 0}, subset: new}}"),
                      previews, mirror),
      std::nullopt);
  EXPECT_EQ(mirror.max_body_bytes, 0U);
}

struct Refusal {
  const char* name;
  const char* yaml;  // fields of the split
  const char* reason;
};

class PreviewRefusalTest : public ::testing::TestWithParam<Refusal> {};

TEST_P(PreviewRefusalTest, NamesFieldValueAndRule) {
  v1::ConfigUpdate update;
  *update.mutable_upserts() = testing::Config({"a:1"});
  *update.mutable_upserts()->add_traffic_splits() =
      SplitOf(std::string("{target_group: blue, ") + GetParam().yaml + "}");
  const CompileResult result = testing::TryCompile(update);
  const auto* error = std::get_if<ConfigError>(&result);
  ASSERT_NE(error, nullptr);
  EXPECT_EQ(error->resource, "trafficSplits/blue");
  EXPECT_NE(error->reason.find(GetParam().reason), std::string::npos) << error->reason;
}

INSTANTIATE_TEST_SUITE_P(
    Splits, PreviewRefusalTest,
    ::testing::Values(
        Refusal{"NoRoute", "previews: [{subset: x}]",
                "previews.route.one of http_header, cookie must be set"},
        Refusal{"Port", "previews: [{route: {listener_port: 81}}]",
                "previews.route.listener_port: a subset has no port"},
        Refusal{"HeaderName",
                "previews: [{route: {http_header: {http_header_name: \"a b\", values: [x]}}}]",
                "previews.route.http_header.http_header_name: 'a b' is not a header name"},
        Refusal{"NoValue", "previews: [{route: {http_header: {http_header_name: a}}}]",
                "either values or regex_values must be set"},
        Refusal{"Regex",
                "previews: [{route: {http_header: {http_header_name: a, regex_values: [\"(\"]}}}]",
                "http_header.regex_values: '('"},
        Refusal{"CookieName", "previews: [{route: {cookie: {name: \"a=b\", value: x}}}]",
                "previews.route.cookie.name: 'a=b' is not a cookie's name"},
        Refusal{"CookieValue", "previews: [{route: {cookie: {name: a, value: \"x;y\"}}}]",
                "previews.route.cookie.value: 'x;y' has what a cookie's value cannot have"},
        Refusal{"Six",
                "previews: [{route: {cookie: {name: a}}}, {route: {cookie: {name: a}}}, {route: "
                "{cookie: {name: a}}}, {route: {cookie: {name: a}}}, {route: {cookie: {name: a}}}, "
                "{route: {cookie: {name: a}}}]",
                "previews: 6 is not within 0-5"},
        Refusal{"Percent", "mirror: {mirror: {percent: 0}, subset: x}",
                "mirror.mirror.percent: 0 is not within 1-100"},
        Refusal{"Bytes", "mirror: {mirror: {percent: 1, max_body_bytes: 1048577}, subset: x}",
                "mirror.mirror.max_body_bytes: 1048577 is not within 0-1048576"}),
    [](const auto& test) { return std::string(test.param.name); });

// An auto scaling group may be in target groups of messages and of bytes; for those it says
// nothing.
TEST(Preview, IsTakenInGroupsOfBytes) {
  v1::ConfigUpdate update;
  const absl::Status status = ParseMessageYaml(
      "upserts: {target_groups: [{name: blue, protocol: TCP}], traffic_splits: [{target_group: "
      "blue, previews: [{route: {cookie: {name: a}}, subset: x}], mirror: {mirror: {percent: 1}, "
      "subset: x}}]}",
      "test", &update);
  ASSERT_TRUE(status.ok()) << status;
  const CompileResult result = testing::TryCompile(update);
  EXPECT_FALSE(std::holds_alternative<ConfigError>(result));
}

// Subset `old` has targets a and b and all of the weight, `new` has x and y.
class PreviewPickTest : public testing::PickingTest {
 protected:
  void SetUp() override {
    config_ =
        ConfigWith({"a:1", "b:1", "x:0", "y:0"}, "{stickiness: {type: TYPE_DURATION_COOKIE}}");
    for (auto& target : *config_.mutable_targets())
      target.set_subset(target.id() < "x" ? "old" : "new");
    *config_.add_traffic_splits() = SplitOf(
        "{target_group: blue, subsets: [{subset: old, weight: 1}, {subset: new, weight: 0}],"
        " previews: [{route: {cookie: {name: a}}, subset: new},"
        "            {route: {cookie: {name: b}}, subset: nobody}],"
        " mirror: {mirror: {percent: 100}, subset: new}}");
    Load(config_);
    SetAllHealthy();
    request_.preview = SubsetKey("new");
  }
  Picked Mirror() {
    PickRequest request;
    request.now = now_;
    request.random = random_();
    return PickMirror(*state_, request, group().subsets[0].state.get());
  }

  v1::ProxyConfig config_;
};

TEST_F(PreviewPickTest, ReachesASubsetAndTargetsOfNoWeight) {
  EXPECT_EQ(Pick(10), (Counts{{"x", 5}, {"y", 5}}));
  request_.preview = 0;
  EXPECT_EQ(Pick(10), (Counts{{"a", 5}, {"b", 5}}));
}

TEST_F(PreviewPickTest, GoesByTheWeightsWhereTheSubsetHasNoHealthyTarget) {
  request_.preview = SubsetKey("nobody");
  EXPECT_EQ(Pick(10), (Counts{{"a", 5}, {"b", 5}}));
  request_.preview = SubsetKey("new");
  SetUnhealthy("x");
  EXPECT_EQ(Pick(10), (Counts{{"y", 10}}));
  SetUnhealthy("y");
  EXPECT_EQ(Pick(10), (Counts{{"a", 5}, {"b", 5}}));
  SetUnhealthy("a");
  SetUnhealthy("b");
  EXPECT_EQ(Pick(10), (Counts{{"a", 5}, {"b", 5}}));  // it does not fail open to a preview
  // Nor to one that leaves.
  SetAllHealthy();
  config_.mutable_targets(2)->set_state(v1::Target::STATE_DRAINING);
  Load(config_);
  EXPECT_EQ(Pick(10), (Counts{{"y", 10}}));
}

TEST_F(PreviewPickTest, RepeatsStayWhileOneIsUntried) {
  TargetState* const one[] = {Find("x")};
  TargetState* const both[] = {Find("x"), Find("y")};
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(Take(one, true), Find("y"));
    EXPECT_EQ(Take(both, true)->id() < "x", true);
  }
  TargetState* const all[] = {Find("x"), Find("y"), Find("a"), Find("b")};
  EXPECT_EQ(Take(all), nullptr);
  EXPECT_GE(Take(all, true)->id(), "x");
  PickRequest request = request_;
  request.now = now_;
  TargetState* const old[] = {Find("a"), Find("b")};
  request.tried = old;
  EXPECT_TRUE(HasUntried(*state_, request));
  request.preview = 0;
  EXPECT_FALSE(HasUntried(*state_, request));
}

TEST_F(PreviewPickTest, ClientsStayWithinTheirPreview) {
  request_.sticky_target = Find("y")->id_hash();
  EXPECT_EQ(Pick(10), (Counts{{"y", 10}}));
  request_.sticky_target = Find("a")->id_hash();  // asks for the preview all the same
  EXPECT_EQ(Pick(10), (Counts{{"x", 5}, {"y", 5}}));
  request_.preview = 0;
  EXPECT_EQ(Pick(10), (Counts{{"a", 10}}));
}

TEST_F(PreviewPickTest, PicksCountForTheirSubset) {
  PickRequest request = request_;
  request.now = now_;
  EXPECT_EQ(PickTarget(*state_, request).subset, group().subsets[1].state.get());
  request.preview = 0;
  EXPECT_EQ(PickTarget(*state_, request).subset, group().subsets[0].state.get());
}

TEST_F(PreviewPickTest, CopiesGoToHealthyTargetsOfTheirSubset) {
  Counts counts;
  for (int i = 0; i < 10; ++i) ++counts[Mirror().target->id()];
  EXPECT_EQ(counts, (Counts{{"x", 5}, {"y", 5}}));
  EXPECT_EQ(Mirror().subset, group().subsets[1].state.get());
  SetUnhealthy("x");
  SetUnhealthy("y");
  EXPECT_EQ(Mirror().target, nullptr);
}

}  // namespace
}  // namespace remuda::proxy
