// How ticket keys follow each other.
#include "controller/sessions/ticket_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "remuda/proxy/v1/proxy.pb.h"

namespace remuda {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

std::vector<std::string> KeysOf(const TicketKeys& keys) {
  proxy::v1::ConnectResponse message;
  if (keys.frame() != nullptr) message.ParseFromString(*keys.frame());
  return {message.ticket_keys().keys().begin(), message.ticket_keys().keys().end()};
}

TEST(TicketKeysTest, EachIsKnownBeforeItSealsAndAfter) {
  const absl::Time begin = absl::FromUnixSeconds(1'000'000);
  TicketKeys keys;
  EXPECT_TRUE(keys.Renew(begin));
  const std::vector<std::string> first = KeysOf(keys);
  ASSERT_THAT(first, SizeIs(2));
  EXPECT_EQ(keys.due(), begin + TicketKeys::kLifetime);
  EXPECT_FALSE(keys.Renew(keys.due() - absl::Seconds(1)));
  EXPECT_EQ(KeysOf(keys), first);
  EXPECT_TRUE(keys.Renew(keys.due()));
  const std::vector<std::string> second = KeysOf(keys);
  ASSERT_THAT(second, SizeIs(3));
  EXPECT_THAT(second, ElementsAre(first[1], testing::_, first[0]));
  EXPECT_TRUE(keys.Renew(keys.due()));
  const std::vector<std::string> third = KeysOf(keys);
  EXPECT_THAT(third, ElementsAre(second[1], testing::_, second[0]));
  std::set<std::string> all(first.begin(), first.end());
  all.insert(third.begin(), third.end());
  EXPECT_THAT(all, SizeIs(4)) << "none comes back";
  for (const std::string& key : all) EXPECT_EQ(key.size(), 80u);
}

}  // namespace
}  // namespace remuda
