// How many handshakes a turn of the loop brings on.
#include "proxy/client/handshake_turns.h"

#include <gtest/gtest.h>

#include <deque>
#include <vector>

#include "proxy/worker.h"

namespace remuda::proxy {
namespace {

constexpr size_t kATurn = HandshakeTurns::kHandshakesATurn;

// Notes its turns.
class Waiting final : public Handshaking {
 public:
  Waiting(Worker& worker, size_t number, std::vector<size_t>& turns)
      : Handshaking(worker), number_(number), turns_(turns) {}
  ~Waiting() override { ConnectionList::Remove(*this); }
  void TakeTurn() override { turns_.push_back(number_); }
  void OnIo(uint32_t /*events*/) override {}
  void CloseWhenIdle() override {}
  void EndExchangeWith(const TargetState& /*target*/) override {}
  void Abort() override {}

 private:
  const size_t number_;
  std::vector<size_t>& turns_;
};

class HandshakeTurnsTest : public ::testing::Test {
 protected:
  // The next one asks for its turn.
  bool Take() {
    return turns_.Take(connections_.emplace_back(worker_, connections_.size(), took_));
  }
  std::vector<size_t> Numbers(size_t begin, size_t end) {
    std::vector<size_t> numbers;
    for (size_t i = begin; i < end; ++i) numbers.push_back(i);
    return numbers;
  }

  Settings settings_;
  Worker worker_{0, settings_, nullptr, {}};
  HandshakeTurns turns_{worker_.loop()};
  std::vector<size_t> took_;
  std::deque<Waiting> connections_;
};

TEST_F(HandshakeTurnsTest, SomeGoOnAtOnceTheOthersInOrder) {
  for (size_t i = 0; i < kATurn; ++i) EXPECT_TRUE(Take()) << i;
  for (size_t i = 0; i < kATurn + 3; ++i) EXPECT_FALSE(Take()) << i;
  turns_.OnTurnEnd();
  EXPECT_EQ(took_, Numbers(kATurn, 2 * kATurn));
  // Who comes now is behind those that wait.
  EXPECT_FALSE(Take());
  turns_.OnTurnEnd();
  EXPECT_EQ(took_, Numbers(kATurn, 2 * kATurn + 4));
  EXPECT_TRUE(Take());
}

TEST_F(HandshakeTurnsTest, ATurnEndsWhatWasTakenInIt) {
  for (int turn = 0; turn < 3; ++turn) {
    for (size_t i = 0; i < kATurn; ++i) EXPECT_TRUE(Take()) << turn;
    turns_.OnTurnEnd();
  }
  EXPECT_TRUE(took_.empty());
}

TEST_F(HandshakeTurnsTest, WhoIsGoneTakesNoTurn) {
  for (size_t i = 0; i < kATurn + 2; ++i) Take();
  connections_.pop_back();
  turns_.OnTurnEnd();
  EXPECT_EQ(took_, Numbers(kATurn, kATurn + 1));
}

}  // namespace
}  // namespace remuda::proxy
