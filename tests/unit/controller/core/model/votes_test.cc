#include "controller/core/model/votes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace remuda::core {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Proxies with what they said, who of them votes, and the totals.
class Cluster {
 public:
  std::map<std::string, HealthReports> said;
  std::map<std::string, std::map<std::string, bool>> voters;  // by target group; is it current
  Votes votes;

  void Count() {
    Votes::Basis basis;
    for (const auto& [group, of_group] : voters) {
      for (const auto& [proxy, is_current] : of_group) {
        basis.proxies.push_back(nullptr);
        basis.is_current.push_back(is_current);
        basis.reports.push_back(&said[proxy]);
      }
    }
    // Others than before, even if they are the same: the test changes them in any way.
    auto other = std::make_shared<v1::LoadBalancer>();
    basis.balancers.push_back(other);
    votes.Count(
        basis,
        [&] {
          Votes::Voters out;
          for (const auto& [group, of_group] : voters) {
            for (const auto& [proxy, is_current] : of_group) {
              out[group].push_back(
                  {.proxy = proxy, .reports = &said[proxy], .is_current = is_current});
            }
          }
          return out;
        },
        [&](std::string_view proxy) -> const HealthReports* {
          const auto it = said.find(std::string(proxy));
          return it == said.end() ? nullptr : &it->second;
        });
    for (const auto& [proxy, reports] : said) votes.CountNew(proxy, reports);
  }
  std::string Kept(const std::string& group, const std::string& target) const {
    const VoteTotal& total = votes.On(group, target);
    return Text(total);
  }
  std::string Looked(const std::string& group, const std::string& target) const {
    VoteTotal total;
    const auto of_group = voters.find(group);
    if (of_group == voters.end()) return Text(total);
    for (const auto& [proxy, is_current] : of_group->second) {
      const auto it = said.find(proxy);
      const auto* health = it == said.end() ? nullptr : it->second.Find({group, target});
      if (health == nullptr) continue;
      ++total.reports;
      total.healthy += health->state() == v1::TARGET_STATE_HEALTHY;
      total.unhealthy += health->state() == v1::TARGET_STATE_UNHEALTHY;
      total.unhealthy_now += health->state() == v1::TARGET_STATE_UNHEALTHY && is_current;
    }
    return Text(total);
  }

 private:
  static std::string Text(const VoteTotal& total) {
    return std::to_string(total.reports) + " " + std::to_string(total.healthy) + " " +
           std::to_string(total.unhealthy) + " " + std::to_string(total.unhealthy_now);
  }
};

TEST(VotesTest, TotalsAreWhatCountingAnewGivesWhateverChanges) {
  std::mt19937 random(7);
  const auto below = [&](unsigned bound) { return static_cast<int>(random() % bound); };
  Cluster cluster;
  for (int step = 0; step < 4000; ++step) {
    const std::string proxy = "p" + std::to_string(below(5));
    const std::string group = "tg" + std::to_string(below(3));
    const TargetId target{group, "i" + std::to_string(below(4))};
    switch (below(12)) {
      case 0:
        cluster.said[proxy].Erase(target);
        break;
      case 1:
        if (below(4) == 0) cluster.said[proxy].Clear();
        break;
      case 2:
        if (below(4) == 0) cluster.said[proxy] = HealthReports();
        break;
      case 3:
        if (below(4) == 0 && !cluster.voters[group].contains(proxy)) cluster.said.erase(proxy);
        break;
      case 4:
        cluster.voters[group].erase(proxy);
        break;
      case 5:
        cluster.voters[group][proxy] = below(2) == 0;
        break;
      case 6:
        if (below(10) == 0) cluster.voters.erase(group);
        break;
      default:
        cluster.said[proxy][target].set_state(
            std::vector{v1::TARGET_STATE_INITIAL, v1::TARGET_STATE_HEALTHY,
                        v1::TARGET_STATE_UNHEALTHY}[static_cast<size_t>(below(3))]);
    }
    if (below(3) == 0) continue;
    cluster.Count();
    for (int g = 0; g < 3; ++g) {
      for (int i = 0; i < 4; ++i) {
        const std::string of = "tg" + std::to_string(g);
        const std::string id = "i" + std::to_string(i);
        ASSERT_EQ(cluster.Kept(of, id), cluster.Looked(of, id)) << of << "/" << id << " " << step;
      }
    }
  }
}

TEST(VotesTest, NamesTheTargetsOnWhichTheOpinionTurns) {
  Cluster cluster;
  cluster.voters["tg"] = {{"p1", true}, {"p2", true}, {"p3", true}};
  for (const char* proxy : {"p1", "p2", "p3"}) cluster.said[proxy];
  cluster.Count();
  const auto says = [&](const std::string& proxy, v1::TargetState state) {
    cluster.said[proxy][{"tg", "i1"}].set_state(state);
    std::vector<TargetId> turned;
    cluster.votes.CountNew(proxy, cluster.said[proxy], &turned);
    return turned;
  };
  EXPECT_THAT(says("p1", v1::TARGET_STATE_HEALTHY), ElementsAre(TargetId("tg", "i1")));
  EXPECT_THAT(says("p2", v1::TARGET_STATE_HEALTHY), IsEmpty()) << "most said so before";
  EXPECT_THAT(says("p3", v1::TARGET_STATE_HEALTHY), ElementsAre(TargetId("tg", "i1")))
      << "now all do";
  EXPECT_THAT(says("p3", v1::TARGET_STATE_HEALTHY), IsEmpty()) << "the same again";
  EXPECT_THAT(says("p1", v1::TARGET_STATE_UNHEALTHY), ElementsAre(TargetId("tg", "i1")));
  EXPECT_THAT(says("p2", v1::TARGET_STATE_UNHEALTHY), ElementsAre(TargetId("tg", "i1")));
}

}  // namespace
}  // namespace remuda::core
