#include "controller/core/reconcile/agenda.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace remuda::core {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr auto At = [](int seconds) { return absl::FromUnixSeconds(1'000 + seconds); };

TEST(AgendaTest, AGroupIsDueWhenItsTimeComesUntilItIsLookedAtAgain) {
  Agenda agenda;
  agenda.Set("a", {.due = At(5)}, At(0));
  agenda.Set("b", {.due = At(7)}, At(0));
  agenda.Set("c", {}, At(0));
  EXPECT_EQ(agenda.due(), At(5));
  EXPECT_THAT(agenda.Due(At(4)), IsEmpty());
  EXPECT_THAT(agenda.Due(At(5)), ElementsAre("a"));
  EXPECT_THAT(agenda.Due(At(9)), ElementsAre("a", "b"));
  agenda.Set("a", {}, At(9));
  agenda.Erase("b");
  EXPECT_THAT(agenda.Due(At(99)), IsEmpty());
  EXPECT_EQ(agenda.due(), absl::InfiniteFuture());
}

TEST(AgendaTest, AConfirmationConcernsThoseThatWaitForTheCommit) {
  Agenda agenda;
  agenda.Set("a", {.commits = {10, 12}}, At(0));
  agenda.Set("b", {.commits = {11}}, At(0));
  agenda.Set("c", {}, At(0));
  EXPECT_THAT(agenda.ConfirmedBy(9), IsEmpty());
  EXPECT_THAT(agenda.ConfirmedBy(10), ElementsAre("a"));
  EXPECT_THAT(agenda.ConfirmedBy(11), ElementsAre("a", "b"));
  agenda.Set("a", {.commits = {12}}, At(1));
  EXPECT_THAT(agenda.ConfirmedBy(11), ElementsAre("b"));
}

TEST(AgendaTest, WhoWaitsForRoomLooksOnceAnInterval) {
  Agenda agenda;
  agenda.Set("a", {.hosts = true}, At(0));
  agenda.Set("b", {}, At(0));
  EXPECT_THAT(agenda.OnHosts(), ElementsAre("a"));
  agenda.RoomChanged(At(0));
  agenda.RoomChanged(At(0));
  EXPECT_EQ(agenda.due(), At(0) + kRoomInterval);
  agenda.Set("a", {.hosts = true}, At(1));
  EXPECT_EQ(agenda.due(), absl::InfiniteFuture());
  agenda.RoomChanged(At(60));
  EXPECT_THAT(agenda.Due(At(60)), ElementsAre("a"));
}

TEST(AgendaTest, DueByNeverMakesItLater) {
  Agenda agenda;
  agenda.Set("a", {.due = At(5)}, At(0));
  agenda.DueBy("a", At(9));
  EXPECT_EQ(agenda.due(), At(5));
  agenda.DueBy("a", At(3));
  EXPECT_THAT(agenda.Due(At(3)), ElementsAre("a"));
}

}  // namespace
}  // namespace remuda::core
