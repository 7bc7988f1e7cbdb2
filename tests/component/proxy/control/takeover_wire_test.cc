// What two processes say to each other in a takeover, with one of them played by the test:
// whichever of them ends, and wherever it does, the other one serves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include <optional>

#include "proxy/control/data_lock.h"
#include "proxy/control/takeover_channel.h"
#include "proxy/io/socket.h"
#include "tests/component/proxy/testing/takeover_chain.h"

namespace remuda::proxy::testing {
namespace {

using ::testing::HasSubstr;

using Channel = std::shared_ptr<TakeoverChannel>;

v1::TakeoverMessage HelloMessage(int version = kTakeoverVersion,
                                 int least = kLeastTakeoverVersion) {
  v1::TakeoverMessage message;
  message.mutable_hello()->set_version(version);
  message.mutable_hello()->set_least_version(least);
  message.mutable_hello()->set_program("9.9.9");
  return message;
}

absl::StatusOr<TakeoverChannel::Received> Read(TakeoverChannel& channel) {
  return channel.Await(std::chrono::steady_clock::now() + kWaitDeadline);
}

// A real process that serves, and clients that keep it to that.
class OlderTest : public ::testing::Test {
 protected:
  OlderTest() {
    EXPECT_TRUE(older_.WaitHealthy(1)) << older_.Log();
    load_ = std::make_unique<PoliteLoad>(older_.Port(), 3, 2);
  }
  Channel Connect() {
    auto channel = TakeoverChannel::Connect(chain_.directory(), std::chrono::seconds(5));
    EXPECT_TRUE(channel.ok()) << channel.status();
    return channel.ok() ? *channel : nullptr;
  }
  // A newer process that has the offer and all sockets.
  Channel Taker(v1::TakeoverOffer* offer = nullptr) {
    Channel channel = Connect();
    channel->Send(HelloMessage());
    auto first = Read(*channel);
    EXPECT_TRUE(first.ok() && first->message.has_offer()) << first.status();
    if (!first.ok()) return channel;
    for (int i = 0; i < first->message.offer().sockets(); ++i) {
      auto next = Read(*channel);
      EXPECT_TRUE(next.ok() && !next->descriptors.empty()) << next.status();
    }
    if (offer != nullptr) *offer = first->message.offer();
    return channel;
  }
  std::string RefusalOf(Channel channel) {
    auto answer = Read(*channel);
    return answer.ok() ? answer->message.refusal().reason()
                       : std::string(answer.status().message());
  }
  void ExpectServes(int failed) {
    EXPECT_TRUE(WaitUntil([&] { return older_.Metric("failed_takeovers_total") == failed; }))
        << failed << ": " << older_.Log();
    EXPECT_TRUE(load_->WaitForMore(50)) << older_.Log();
  }

  ScriptedTarget target_{ScriptedTarget::Answers("app")};
  TakeoverChain chain_;
  ProxyProcess& older_ =
      chain_.Next(ConfigFor({target_.port()}), {"--workers=2", "--drain-timeout=20s"});
  std::unique_ptr<PoliteLoad> load_;
};

TEST_F(OlderTest, WhereverTheNewerOneDiesItServesOn) {
  int failed = 0;
  Connect();  // before its hello
  ExpectServes(++failed);
  {
    Channel channel = Connect();
    channel->Send(HelloMessage());
  }
  ExpectServes(++failed);
  {
    Channel channel = Connect();
    channel->Send(HelloMessage());
    EXPECT_TRUE(Read(*channel).ok());  // with the offer, without the sockets
  }
  ExpectServes(++failed);
  Taker();  // with the sockets
  ExpectServes(++failed);
  EXPECT_TRUE(older_.is_running());
  EXPECT_EQ(older_.Admin("/readyz"), "ok\n");
  // A real one takes over all the same.
  chain_.Next(ConfigFor({target_.port()}), {"--workers=1"});
  EXPECT_EQ(older_.WaitExit(), 0) << older_.Log();
  EXPECT_TRUE(load_->WaitForMore(50));
}

TEST_F(OlderTest, RefusesWhatItCannotTalkToByName) {
  Channel newer = Connect();
  newer->Send(HelloMessage(kTakeoverVersion + 2, kTakeoverVersion + 1));
  EXPECT_THAT(RefusalOf(newer),
              HasSubstr("remuda-proxy 9.9.9 speaks version 2 of takeovers at least, this process"));
  ExpectServes(1);
  // A newer one that knows this version too is talked to in it.
  {
    Channel knows_both = Connect();
    knows_both->Send(HelloMessage(kTakeoverVersion + 2, kTakeoverVersion));
    const auto answer = Read(*knows_both);
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(answer->message.offer().version(), kTakeoverVersion);
  }
  ExpectServes(2);
  Channel other = Connect();
  v1::TakeoverMessage hello = HelloMessage();
  hello.mutable_hello()->set_proxy("p2");
  other->Send(hello);
  EXPECT_EQ(RefusalOf(other),
            "this process is one with its config from a file, that one is proxy p2");
  ExpectServes(3);
}

TEST_F(OlderTest, OneAtATime) {
  Channel first = Taker();
  EXPECT_THAT(RefusalOf(Connect()), HasSubstr("is taking over already"));
  ProxyProcess second(ConfigFor({}), {"--data-dir=" + chain_.directory(), "--takeover"});
  EXPECT_EQ(second.WaitExit(), 1);
  EXPECT_THAT(second.Log(), HasSubstr("is taking over already"));
  first->Close();
  ExpectServes(1);
}

TEST_F(OlderTest, GarbageIsTheEndOfTheConnectionOnly) {
  const auto send = [&](const std::string& bytes) {
    Channel channel = Connect();
    v1::TakeoverMessage message;
    message.mutable_refusal()->set_reason(bytes);  // not one that it expects
    channel->Send(message);
    v1::TakeoverMessage serving;
    serving.mutable_serving()->add_listeners("none");  // before the hello
    channel->Send(serving);
    v1::TakeoverMessage large;
    large.mutable_large()->set_size_bytes(1);  // without its memory
    channel->Send(large);
    EXPECT_FALSE(Read(*channel).ok());
  };
  send("x");
  ExpectServes(1);
  send(std::string(TakeoverChannel::kMaxPacketBytes * 4, 'x'));
  ExpectServes(2);
}

TEST_F(OlderTest, OffersWhatItHas) {
  v1::TakeoverOffer offer;
  Channel channel = Taker(&offer);
  EXPECT_EQ(offer.version(), kTakeoverVersion);
  EXPECT_EQ(offer.targets_size(), 1);
  EXPECT_EQ(offer.targets(0).state(), remuda::v1::TARGET_STATE_HEALTHY);
  EXPECT_EQ(offer.own_secret().size(), 32u);
  EXPECT_GE(offer.ticket_keys_size(), 1);
  EXPECT_FALSE(offer.has_config());
  EXPECT_EQ(offer.sockets(), 2);  // a listener, and the admin pages
}

// Closed with something unread, or sent to when it was closed: why it was refused is read all the
// same.
TEST(TakeoverChannelTest, ARefusalIsReadHoweverItCrossesTheHello) {
  for (const bool is_hello_first : {true, false}) {
    TakeoverChain chain;
    Descriptor listening(OpenTakeoverSocket(chain.directory()));
    ASSERT_TRUE(listening.is_open());
    auto newer = TakeoverChannel::Connect(chain.directory(), std::chrono::seconds(5));
    ASSERT_TRUE(newer.ok()) << newer.status();
    if (is_hello_first) (*newer)->Send(HelloMessage());
    auto older = std::make_shared<TakeoverChannel>(
        Descriptor(accept4(listening.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)));
    v1::TakeoverMessage refusal;
    refusal.mutable_refusal()->set_reason("not now");
    older->Send(refusal);
    older->Close();
    if (!is_hello_first) (*newer)->Send(HelloMessage());
    const auto answer = Read(**newer);
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->message.refusal().reason(), "not now");
    EXPECT_FALSE(Read(**newer).ok()) << "then it is over";
  }
}

// An older process that is played by the test, before a real newer one.
class NewerTest : public ::testing::Test {
 protected:
  void Start() {
    listening_.Reset(OpenTakeoverSocket(directory()));
    newer_ = std::make_unique<ProxyProcess>(
        ConfigFor({target_.port()}),
        std::vector<std::string>{"--workers=2", "--data-dir=" + directory(), "--takeover"});
  }
  Channel Accept() {
    Descriptor accepted;
    EXPECT_TRUE(WaitUntil([&] {
      accepted.Reset(accept4(listening_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      return accepted.is_open();
    })) << newer_->Log();
    auto channel = std::make_shared<TakeoverChannel>(std::move(accepted));
    const auto hello = Read(*channel);
    EXPECT_TRUE(hello.ok() && hello->message.hello().least_version() >= 1);
    return channel;
  }
  // The offer of a process with one listener; the sockets as well if they are given.
  static void Offer(TakeoverChannel& channel, const std::vector<int>& sockets, uint16_t port) {
    v1::TakeoverMessage message;
    message.mutable_offer()->set_version(kTakeoverVersion);
    message.mutable_offer()->set_own_secret(std::string(32, 's'));
    message.mutable_offer()->set_sockets(1);
    channel.Send(message);
    if (sockets.empty()) return;
    message.mutable_sockets()->set_listener("shop#0|127.0.0.1|0");
    message.mutable_sockets()->set_port(port);
    channel.Send(message, sockets);
  }
  // Nobody listens there and nobody has the lock.
  void Die(Channel channel) {
    listening_.Reset();
    lock_.reset();
    channel->Close();
  }
  const std::string& directory() const { return chain_.directory(); }
  void ExpectServes() {
    ASSERT_TRUE(newer_->WaitReady()) << newer_->Log();
    EXPECT_TRUE(newer_->WaitHealthy(1));
    EXPECT_EQ(StatusOf(Get(newer_->Port())), 200);
  }

  ScriptedTarget target_{ScriptedTarget::Answers("app")};
  TakeoverChain chain_;
  std::optional<DataLock> lock_{*DataLock::Take(chain_.directory())};
  Descriptor listening_;
  std::unique_ptr<ProxyProcess> newer_;
};

TEST_F(NewerTest, TheOlderOneDiesBeforeItsOffer) {
  Start();
  Die(Accept());
  ExpectServes();
}

TEST_F(NewerTest, TheOlderOneDiesWithinItsOffer) {
  Start();
  Channel channel = Accept();
  Offer(*channel, {}, 0);
  Die(channel);
  ExpectServes();
}

TEST_F(NewerTest, TheOlderOneDiesBeforeItIsOver) {
  Start();
  Channel channel = Accept();
  Descriptor one(OpenListeningSocket("127.0.0.1", 0, 16));
  const uint16_t port = LocalPort(one.get());
  Offer(*channel, {one.get()}, port);
  const auto serving = Read(*channel);
  ASSERT_TRUE(serving.ok()) << serving.status();
  EXPECT_EQ(serving->message.serving().listeners_size(), 1) << newer_->Log();
  one.Reset();
  Die(channel);
  ExpectServes();
  EXPECT_EQ(newer_->Port(), port) << newer_->Log();
}

// The connection of a process that is killed may be closed before its lock is.
TEST_F(NewerTest, TheLockOfTheOlderOneOutlivesItsConnection) {
  Start();
  Channel channel = Accept();
  Descriptor one(OpenListeningSocket("127.0.0.1", 0, 16));
  Offer(*channel, {one.get()}, LocalPort(one.get()));
  ASSERT_TRUE(Read(*channel).ok());
  one.Reset();
  listening_.Reset();
  channel->Close();
  ASSERT_TRUE(
      WaitUntil([&] { return newer_->Log().find("has not handed over") != std::string::npos; }));
  lock_.reset();
  ExpectServes();
}

// Told to end before it serves, it leaves that to the one before.
TEST_F(NewerTest, IsToldToEndBeforeItServes) {
  Start();
  Channel channel = Accept();
  newer_->Signal(SIGTERM);
  Descriptor one(OpenListeningSocket("127.0.0.1", 0, 16));
  Offer(*channel, {one.get()}, LocalPort(one.get()));
  const auto next = Read(*channel);
  EXPECT_FALSE(next.ok()) << next->message.ShortDebugString();
  EXPECT_EQ(newer_->WaitExit(), 0) << newer_->Log();
}

// The connection is over, but the lock is held: that process serves on, and this one must not.
TEST_F(NewerTest, TheOlderOneChangesItsMind) {
  Start();
  Channel channel = Accept();
  Descriptor one(OpenListeningSocket("127.0.0.1", 0, 16));
  Offer(*channel, {one.get()}, LocalPort(one.get()));
  ASSERT_TRUE(Read(*channel).ok());
  channel->Close();
  EXPECT_EQ(newer_->WaitExit(), 1);
  EXPECT_THAT(newer_->Log(), HasSubstr("serves from it"));
}

TEST_F(NewerTest, TheOlderOneRefuses) {
  Start();
  Channel channel = Accept();
  v1::TakeoverMessage message;
  message.mutable_refusal()->set_reason("not today");
  channel->Send(message);
  EXPECT_EQ(newer_->WaitExit(), 1);
  EXPECT_THAT(newer_->Log(), HasSubstr("refuses: not today"));
}

// A version that this program does not know is named.
TEST_F(NewerTest, TheOlderOneSpeaksAnotherVersion) {
  Start();
  Channel channel = Accept();
  v1::TakeoverMessage message;
  message.mutable_offer()->set_version(kTakeoverVersion + 1);
  channel->Send(message);
  EXPECT_EQ(newer_->WaitExit(), 1);
  EXPECT_THAT(newer_->Log(), HasSubstr("speaks version 2 of takeovers, this program 1-1"));
}

}  // namespace
}  // namespace remuda::proxy::testing
