#include "cli/scaling_processes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace remuda::cli {
namespace {

TEST(ScalingProcesses, AreNamedAsAwsDoesOrAsManifestsDo) {
  for (const char* word :
       {"AZRebalance", "az-rebalance", "AZ_REBALANCE", "azrebalance", "Az-Rebalance"}) {
    const auto process = ParseProcess(word);
    ASSERT_TRUE(process.ok()) << process.status();
    EXPECT_EQ(*process, v1::SCALING_PROCESS_AZ_REBALANCE);
  }
  EXPECT_EQ(*ParseProcess("AddToLoadBalancer"), v1::SCALING_PROCESS_ADD_TO_LOAD_BALANCER);
  EXPECT_EQ(ProcessWords().size(), 9u);
  for (const std::string& word : ProcessWords()) EXPECT_TRUE(ParseProcess(word).ok()) << word;
}

TEST(ScalingProcesses, OthersAreToldWithThoseThereAre) {
  EXPECT_THAT(std::string(ParseProcess("lanch").status().message()),
              ::testing::StartsWith("\"lanch\" is no process (did you mean launch?); there are "
                                    "launch, terminate, add-to-load-balancer, "));
  EXPECT_FALSE(ParseProcess("").ok());
  EXPECT_FALSE(ParseProcess("unspecified").ok());
}

}  // namespace
}  // namespace remuda::cli
