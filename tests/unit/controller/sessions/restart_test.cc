// What a receiver is sent by a controller that has just begun: nothing of what it holds already.
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "controller/core/model/draft.h"
#include "controller/core/views/ingress.h"
#include "controller/sessions/agent_sessions.h"
#include "controller/views/agent_views.h"
#include "tests/unit/controller/engine/engine_seams.h"

namespace remuda {
namespace {

using agent::v1::AssignmentUpdate;

class KeptStream final : public Stream {
 public:
  void Send(Frame frame) override {
    agent::v1::ConnectResponse response;
    ASSERT_TRUE(response.ParseFromString(*frame));
    if (response.has_update()) updates.push_back(response.update());
  }
  size_t queued() const override { return 0; }
  void Close(const absl::Status& status) override { end = status; }
  std::string peer() const override { return "10.0.0.1:4711"; }

  std::vector<AssignmentUpdate> updates;
  absl::Status end;
};

core::State StateWith(const std::vector<std::string>& instances) {
  core::State state;
  core::Draft draft(state);
  v1::Host host;
  host.set_name("hosts/h1");
  draft.Put("h1", host);
  for (const std::string& id : instances) {
    v1::Instance row;
    row.set_name("instances/" + id);
    row.set_host("h1");
    row.set_auto_scaling_group("web");
    row.set_state(v1::INSTANCE_STATE_IN_SERVICE);
    draft.Put(id, row);
  }
  state.Apply(draft.Take(), 1);
  return state;
}

// One life of a controller; the session of the agent of host h1.
class Life {
 public:
  Life(int64_t epoch, core::State state)
      : engine_({.state = std::move(state), .patience = {}, .on_leadership_lost = nullptr}, clock_,
                committer_, metrics_),
        loop_(clock_, metrics_),
        // Not from 1: the next life is not to tell the same numbers.
        views_(epoch, [this, epoch] { return epoch * 100 + ++sequence_; }),
        sessions_({"a cluster", epoch}, engine_, views_, loop_, metrics_) {
    Publish();
  }

  void Publish() {
    views_.Refresh(engine_.state(), engine_.seen(), ingress_, {"h1"});
    sessions_.Flush(nullptr);
  }
  // With what it holds.
  void Join(const v1::Revision& held, const std::string& digest) {
    agent::v1::ConnectRequest request;
    request.mutable_hello()->set_host("h1");
    request.mutable_hello()->set_address("10.0.0.1");
    if (held.epoch() != 0) *request.mutable_hello()->mutable_held() = held;
    request.mutable_hello()->set_held_digest(digest);
    sessions_.OnOpened(stream_);
    Say(request);
  }
  void Ack() {
    agent::v1::ConnectRequest request;
    *request.mutable_ack()->mutable_revision() = newest().revision();
    Say(request);
  }
  void Nack() {
    agent::v1::ConnectRequest request;
    *request.mutable_nack()->mutable_revision() = newest().revision();
    Say(request);
  }
  const std::vector<AssignmentUpdate>& updates() const { return stream_->updates; }
  const AssignmentUpdate& newest() const { return stream_->updates.back(); }
  const absl::Status& end() const { return stream_->end; }
  int64_t confirmed() { return engine_.seen().hosts.at("h1").assignment.confirmed_commit(); }
  int64_t whole_updates() const { return metrics_.whole_updates_sent; }

 private:
  void Say(const agent::v1::ConnectRequest& request) {
    sessions_.OnMessage(stream_, request.SerializeAsString());
    sessions_.Flush(nullptr);
  }

  HandClock clock_;
  HeldCommitter committer_;
  Metrics metrics_;
  Engine engine_;
  Loop loop_;
  core::Ingress ingress_;
  int64_t sequence_ = 0;
  AgentViews views_;
  AgentSessions sessions_;
  const std::shared_ptr<KeptStream> stream_ = std::make_shared<KeptStream>();
};

// What an agent holds after a life of the controller.
struct Held {
  v1::Revision revision;
  std::string digest;
};

Held HeldAfterALife() {
  Life life(1, StateWith({"i-1", "i-2"}));
  life.Join({}, "");
  EXPECT_EQ(life.updates().size(), 1u);
  EXPECT_FALSE(life.newest().has_base());
  EXPECT_EQ(life.newest().upserts_size(), 2);
  EXPECT_EQ(life.newest().digest().size(), ContentDigest::kBytes);
  life.Ack();
  EXPECT_EQ(life.updates().size(), 1u);
  return {life.newest().revision(), life.newest().digest()};
}

TEST(RestartTest, OneThatHoldsItAllIsToldTheNewRevisionAlone) {
  const Held held = HeldAfterALife();
  Life next(2, StateWith({"i-2", "i-1"}));
  next.Join(held.revision, held.digest);
  ASSERT_EQ(next.updates().size(), 1u);
  EXPECT_EQ(next.newest().base().SerializeAsString(), held.revision.SerializeAsString());
  EXPECT_EQ(next.newest().revision().epoch(), 2);
  EXPECT_EQ(next.newest().upserts_size() + next.newest().removed_size(), 0);
  EXPECT_EQ(next.newest().digest(), held.digest);
  EXPECT_EQ(next.whole_updates(), 0);
  EXPECT_EQ(next.confirmed(), 0) << "it has not answered yet";
  next.Ack();
  next.Publish();
  EXPECT_EQ(next.updates().size(), 1u) << "it has it all";
  EXPECT_EQ(next.confirmed(), 1);
}

TEST(RestartTest, OneThatRefusesThatIsToldTheWhole) {
  const Held held = HeldAfterALife();
  Life next(2, StateWith({"i-1", "i-2"}));
  next.Join(held.revision, held.digest);
  ASSERT_EQ(next.updates().size(), 1u);
  next.Nack();
  ASSERT_EQ(next.updates().size(), 2u);
  EXPECT_FALSE(next.newest().has_base());
  EXPECT_EQ(next.newest().upserts_size(), 2);
}

TEST(RestartTest, OneThatHoldsSomethingElseIsToldTheWhole) {
  const Held held = HeldAfterALife();
  const struct {
    const char* what;
    std::vector<std::string> instances;
    std::string digest;
  } cases[] = {
      {"more is there now", {"i-1", "i-2", "i-3"}, held.digest},
      {"less is there now", {"i-1"}, held.digest},
      {"it does not say", {"i-1", "i-2"}, ""},
      {"it names something else", {"i-1", "i-2"}, std::string(ContentDigest::kBytes, 'x')},
  };
  for (const auto& each : cases) {
    Life next(2, StateWith(each.instances));
    next.Join(held.revision, each.digest);
    ASSERT_EQ(next.updates().size(), 1u) << each.what;
    EXPECT_FALSE(next.newest().has_base()) << each.what;
    EXPECT_EQ(next.whole_updates(), 1) << each.what;
  }
}

TEST(RestartTest, ADigestWithoutARevisionSaysNothing) {
  const Held held = HeldAfterALife();
  Life next(2, StateWith({"i-1", "i-2"}));
  next.Join({}, held.digest);
  ASSERT_EQ(next.updates().size(), 1u);
  EXPECT_FALSE(next.newest().has_base());
}

TEST(RestartTest, ADigestThatIsTooLongEndsTheSession) {
  Life life(1, StateWith({}));
  life.Join({}, std::string(65, 'x'));
  EXPECT_TRUE(absl::IsInvalidArgument(life.end())) << life.end();
  EXPECT_THAT(std::string(life.end().message()), testing::HasSubstr("held_digest"));
}

}  // namespace
}  // namespace remuda
