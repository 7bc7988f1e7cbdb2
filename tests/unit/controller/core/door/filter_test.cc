// Filters of lists: what is understood, which rows are taken, and what a wrong one is told.
#include "controller/core/door/filter.h"

#include <gtest/gtest.h>

#include "common/status.h"
#include "remuda/v1/auto_scaling.pb.h"
#include "remuda/v1/certificate.pb.h"
#include "remuda/v1/target_group.pb.h"

namespace remuda::core {
namespace {

const std::vector<FilterField>& Fields() {
  static const auto* const kFields =
      new std::vector<FilterField>{{"state"}, {"instance"}, {"port"}, {"address"}};
  return *kFields;
}

v1::Target Row() {
  v1::Target row;
  row.set_state(v1::TARGET_STATE_HEALTHY);
  row.set_instance("instances/i-1");
  row.set_port(8000);
  row.set_address("10.0.0.1");
  return row;
}

bool Takes(const std::string& text) {
  const auto filter = Filter::For<v1::Target>(Fields(), text);
  EXPECT_TRUE(filter.ok()) << text << ": " << filter.status();
  return filter.ok() && filter->Matches(Row());
}

TEST(FilterTest, FieldsAreCompared) {
  EXPECT_TRUE(Takes(""));
  EXPECT_TRUE(Takes("  "));
  EXPECT_TRUE(Takes("state = HEALTHY"));
  EXPECT_TRUE(Takes("state=healthy"));
  EXPECT_TRUE(Takes("state = \"TARGET_STATE_HEALTHY\""));
  EXPECT_FALSE(Takes("state = UNHEALTHY"));
  EXPECT_TRUE(Takes("state != UNHEALTHY"));
  EXPECT_TRUE(Takes("port = 8000"));
  EXPECT_TRUE(Takes("port = 08000"));
  EXPECT_FALSE(Takes("port != 8000"));
  EXPECT_TRUE(Takes("address = 10.0.0.1"));
  EXPECT_FALSE(Takes("address = \"10.0.0.\""));
  EXPECT_TRUE(Takes("instance = i-1"));
  EXPECT_TRUE(Takes("instance = instances/i-1"));
  EXPECT_FALSE(Takes("instance = i-11"));
  EXPECT_FALSE(Takes("instance = hosts/i-1"));
  EXPECT_TRUE(Takes("instance:*"));
  // A row holds ids, an answer full names.
  v1::Target row;
  row.set_instance("i-1");
  for (const char* text : {"instance = i-1", "instance = instances/i-1", "instance != i-2"})
    EXPECT_TRUE(Filter::For<v1::Target>(Fields(), text)->Matches(row)) << text;
}

TEST(FilterTest, OrBindsCloserThanAnd) {
  EXPECT_TRUE(Takes("state = HEALTHY AND port = 8000"));
  EXPECT_FALSE(Takes("state = HEALTHY AND port = 1"));
  EXPECT_TRUE(Takes("port = 1 OR port = 8000"));
  EXPECT_FALSE(Takes("state = HEALTHY OR state = INITIAL AND port = 1"));
  EXPECT_TRUE(Takes("port = 1 OR state = HEALTHY AND state = INITIAL OR port = 8000"));
}

TEST(FilterTest, LabelsAndLists) {
  v1::Certificate row;
  (*row.mutable_labels())["env"] = "prod";
  (*row.mutable_labels())["team-a"] = "two \"words\"";
  row.add_dns_names("shop.example");
  row.add_dns_names("*.shop.example");
  const std::vector<FilterField> fields = {{"labels"}, {"dns_names"}};
  const auto takes = [&](const std::string& text) {
    const auto filter = Filter::For<v1::Certificate>(fields, text);
    EXPECT_TRUE(filter.ok()) << text << ": " << filter.status();
    return filter.ok() && filter->Matches(row);
  };
  EXPECT_TRUE(takes("labels.env = prod"));
  EXPECT_TRUE(takes("labels.team-a = \"two \\\"words\\\"\""));
  EXPECT_FALSE(takes("labels.env = \"prod \""));
  EXPECT_FALSE(takes("labels.env != prod"));
  EXPECT_TRUE(takes("labels.tier != web"));  // It has none.
  EXPECT_FALSE(takes("labels.tier = web"));
  EXPECT_TRUE(takes("labels:env AND labels.env:*"));
  EXPECT_FALSE(takes("labels:tier OR labels.tier:*"));
  EXPECT_TRUE(takes("dns_names:shop.example"));
  EXPECT_TRUE(takes("dns_names:\"*.shop.example\""));
  EXPECT_FALSE(takes("dns_names:example"));
  EXPECT_TRUE(takes("dns_names:*"));
  row.clear_dns_names();
  EXPECT_FALSE(takes("dns_names:*"));
  EXPECT_FALSE(takes("dns_names:\"*\""));
}

TEST(FilterTest, FieldsOfMessages) {
  const std::vector<FilterField> fields = {{"deleting"}, {"launch_template.resolved_version"}};
  v1::AutoScalingGroup row;
  row.mutable_launch_template()->set_resolved_version(2);
  const auto takes = [&](const std::string& text) {
    const auto filter = Filter::For<v1::AutoScalingGroup>(fields, text);
    EXPECT_TRUE(filter.ok()) << text << ": " << filter.status();
    return filter.ok() && filter->Matches(row);
  };
  EXPECT_TRUE(takes("launch_template.resolved_version = 2 AND deleting = false"));
  EXPECT_FALSE(takes("deleting = true"));
  row.clear_launch_template();
  EXPECT_TRUE(takes("launch_template.resolved_version = 0"));
}

TEST(FilterTest, AnErrorNamesWhatIsWrongAndWhatThereIs) {
  const std::vector<FilterField> fields = {{"state"}, {"port"}, {"instance"}};
  const std::pair<std::string, std::string> cases[] = {
      {"stat = HEALTHY",
       "\"stat\" is no field that this list can be filtered by; there are state, port, instance"},
      {"state = HELTHY",
       "\"state = HELTHY\": there is no \"HELTHY\"; there are INITIAL, HEALTHY, UNHEALTHY, UNUSED, "
       "DRAINING, UNAVAILABLE"},
      {"port = many", "\"port = many\": \"many\" is no number"},
      {"state", "one of =, !=, : must follow \"state\""},
      {"state HEALTHY", "one of =, !=, : must follow \"state\", not \"HEALTHY\""},
      {"state =", "a value must follow \"state =\""},
      {"state = AND port = 1", "there is no \"AND\""},
      {"state = HEALTHY port = 1",
       "\"port\" follows \"state = HEALTHY\"; AND or OR must stand between two comparisons"},
      {"state = HEALTHY AND", "it ends where a field belongs"},
      {"AND", "\"AND\" is no field"},
      {"= HEALTHY", "\"=\" is no field; there are state, port, instance"},
      {"state = \"HEALTHY", "has no closing quote"},
      {"(state = HEALTHY)", "\"(\" is not understood here"},
      {"port > 1", "\">\" is not understood here"},
      {"state:HEALTHY", "it is no list; write = or !="},
      {"state.x = 1", "\"state.x\" is no field"},
      {std::string(kFilterBytes + 1, ' '), "1025 bytes; at most 1024"},
  };
  for (const auto& [text, fragment] : cases) {
    const absl::Status status = Filter::For<v1::Target>(fields, text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    const auto violations = ViolationsOf(status);
    ASSERT_EQ(violations.size(), 1u) << text;
    EXPECT_EQ(violations[0].field, "filter") << text;
    EXPECT_NE(violations[0].description.find(fragment), std::string::npos)
        << text << "\n  says: " << violations[0].description;
  }
  const std::vector<FilterField> lists = {{"labels"}, {"dns_names"}};
  for (const auto& [text, fragment] :
       {std::pair<std::string, std::string>{"labels = prod", "as in labels.KEY = VALUE"},
        {"dns_names = x", "it is a list; write dns_names:VALUE"},
        {"label.env = prod", "there are labels.KEY, dns_names"}}) {
    EXPECT_NE(
        std::string(Filter::For<v1::Certificate>(lists, text).status().message()).find(fragment),
        std::string::npos)
        << text;
  }
}

TEST(FilterTest, TheNumberOfComparisonsIsBounded) {
  std::string text = "port = 1";
  for (size_t i = 1; i < kFilterComparisons; ++i) text += " OR port = 1";
  EXPECT_TRUE(Filter::For<v1::Target>(Fields(), text).ok());
  text += " OR port = 1";
  EXPECT_NE(std::string(Filter::For<v1::Target>(Fields(), text).status().message())
                .find("more than 20 comparisons"),
            std::string::npos);
}

}  // namespace
}  // namespace remuda::core
