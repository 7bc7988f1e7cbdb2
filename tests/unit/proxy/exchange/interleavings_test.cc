// An exchange under all that may happen to it, in any order: seeds of events on several clients and
// targets at once, with places for few requests, and what must hold of each of them. A failing seed
// is printed; run it alone with REMUDA_EXCHANGE_SEED=N. REMUDA_EXCHANGE_SEEDS says how many.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <random>

#include "proxy/http/chars.h"
#include "tests/unit/proxy/core/tables.h"
#include "tests/unit/proxy/exchange/fake_ends.h"

namespace remuda::proxy {
namespace {

using namespace std::chrono_literals;
using testing::FakeClient;
using testing::FakeTarget;

constexpr uint64_t kSeeds = 1000;
constexpr int kEventsASeed = 400;
constexpr size_t kMaxUnderWay = 6;

class Worker final : public WorkerContext {
 public:
  Worker(const Settings& settings, TargetStreams& targets)
      : WorkerContext(0, settings, nullptr, {}) {
    UseTargets(targets);
  }
  using WorkerContext::AdoptTable;
};

// Of a body: what is taken off its framing. False if that is broken.
struct Body {
  std::string text;
  bool is_whole = false;
  std::string trailers = {};
};

Body Unchunk(std::string_view framed) {
  Body body;
  body.text = framed;
  http::ChunkDecoder decoder;
  const auto result =
      decoder.Decode(body.text.data(), body.text.size(), body.text.data(), body.trailers);
  EXPECT_EQ(decoder.reason(), http::Reason::kNone);
  EXPECT_EQ(result.consumed, framed.size()) << "bytes behind the body";
  body.text.resize(result.produced);
  body.is_whole = decoder.done();
  return body;
}

// The value of a field of a head, or "".
std::string_view ValueOf(std::string_view head, std::string_view name) {
  const size_t at = head.find("\r\n" + std::string(name) + ": ");
  if (at == std::string_view::npos) return {};
  const size_t begin = at + name.size() + 4;
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

Body Unframe(std::string_view head, std::string_view framed) {
  if (ValueOf(head, "Transfer-Encoding") == "chunked") return Unchunk(framed);
  if (const std::string_view length = ValueOf(head, "Content-Length"); !length.empty()) {
    const size_t size = std::stoul(std::string(length));
    EXPECT_LE(framed.size(), size) << "bytes behind the body";
    return {std::string(framed), framed.size() == size};
  }
  return {std::string(framed), true};  // none, or until the end of the connection
}

class Interleaving final : public TargetStreams {
 public:
  explicit Interleaving(uint64_t seed) : random_(seed), worker_(settings_, *this) {
    v1::ProxyConfig config = testing::Config({"a:1", "b:1", "c:1"});
    auto* const limit = config.mutable_target_groups(0)->mutable_concurrency_limit();
    if (seed % 4 != 0) {
      limit->set_max_requests(1 + static_cast<int>(seed % 2));
      limit->set_max_queue(2);
      limit->mutable_queue_timeout()->set_seconds(1);
    } else {
      config.mutable_target_groups(0)->clear_concurrency_limit();
    }
    limit_ = seed % 4 != 0 ? static_cast<uint32_t>(1 + seed % 2) : 0;
    if (seed % 3 == 0) {
      auto* const hold = config.mutable_target_groups(0)->mutable_request_hold();
      hold->set_max_requests(2);
      hold->set_max_bytes(20'000);
      hold->mutable_timeout()->set_seconds(2);
    }
    config_ = config;
    Adopt();
    for (const Member& member : group().members) states_.push_back(member.target.get());
    Heal();
    const LoadBalancer& balancer = *table_->load_balancers.at("shop");
    entrance_ = {.port = 8080, .balancer = balancer.state, .spec = &balancer.listeners[0]};
    now_ = worker_.loop().now();
    worker_.loop().TurnAt(now_ += 1s);
  }

  ~Interleaving() {
    for (const auto& client : clients_) client->Leave();
  }

  void Run() {
    for (int i = 0; i < kEventsASeed && !::testing::Test::HasFailure(); ++i) {
      Happen();
      CheckPlaces();
    }
    EndTunnels();
    if (OneIn(3)) DrainWithTargets();
    if (OneIn(2)) {
      Settle();
      EXPECT_EQ(CountUnderWay(), 0U) << "all that could come is there, and some go on";
    }
    // Nobody does anything any more: time alone must end all.
    for (int i = 0; i < 200 && CountUnderWay() > 0; ++i) Pass(10s);
    EXPECT_EQ(CountUnderWay(), 0U) << "some never end";
    for (const auto& client : clients_) CheckClient(*client);
    for (const auto& target : targets_) CheckTarget(*target);
    for (TargetState* const state : states_) {
      EXPECT_EQ(state->InFlight(), 0U) << state->id();
      EXPECT_EQ(state->load(), 0U) << "a place of " << state->id() << " is lost";
    }
    EXPECT_EQ(group().state->CountWaiting(), 0U);
    EXPECT_EQ(worker_.metrics().queued_requests.Get(), 0);
    EXPECT_EQ(group().state->CountHeld(), 0U);
    EXPECT_EQ(group().state->held_bytes(), 0U);
    EXPECT_TRUE(worker_.held_requests().empty());
  }
  uint64_t held() const { return group().state->slots()[0].held.Get(); }

  uint64_t requests() const { return clients_.size(); }
  uint64_t whole() const {
    return static_cast<uint64_t>(std::count_if(clients_.begin(), clients_.end(),
                                               [](const auto& c) { return c->end.is_whole; }));
  }
  uint64_t attempts() const { return targets_.size(); }
  uint64_t yields() const { return yields_; }
  uint64_t tunnels() const {
    return static_cast<uint64_t>(std::count_if(clients_.begin(), clients_.end(),
                                               [](const auto& c) { return c->was_upgraded; }));
  }
  uint64_t spliced() const {
    uint64_t bytes = 0;
    for (const auto& client : clients_) bytes += client->response.spliced;
    for (const auto& target : targets_) bytes += target->request.spliced;
    return bytes;
  }

  Opened Open(const Wanted& wanted) override {
    FakeClient* client = nullptr;
    for (const auto& one : clients_) {
      if (one->exchange() != nullptr && static_cast<UpstreamUser*>(one->exchange()) == wanted.user)
        client = one.get();
    }
    EXPECT_NE(client, nullptr);
    EXPECT_FALSE(client->has_answer()) << "repeated after a byte of an answer";
    for (const auto& before : targets_) {
      if (before->client != client) continue;
      EXPECT_TRUE(before->is_over) << "two attempts at a time";
      EXPECT_EQ(before->response.read, 0U) << "repeated after a byte of a response";
      EXPECT_TRUE(client->method != "POST" || before->request.got.empty()) << "a POST was repeated";
    }
    if (OneIn(10)) {
      errno = OneIn(4) ? EMFILE : ECONNREFUSED;
      return {};
    }
    targets_.push_back(std::make_unique<FakeTarget>(wanted.user));
    FakeTarget& target = *targets_.back();
    target.client = client;
    Script(target);
    const bool is_reused = wanted.may_reuse && OneIn(2);
    if (is_reused) target.connect_result = 0;
    return {&target, is_reused};
  }

 private:
  const TargetGroup& group() const { return *table_->groups.at("blue"); }
  size_t Below(size_t bound) { return static_cast<size_t>(random_() % bound); }
  bool OneIn(size_t n) { return Below(n) == 0; }
  // Mostly small: what is cut within a head or a chunk's size is where mistakes are.
  // Some are large enough for a pipe.
  size_t SomeBytes() {
    static constexpr size_t kLarge[] = {40'000, 40'000, 40'000, 300'000};
    if (OneIn(120)) return 1 + Below(3'000'000);  // more than is moved in a turn
    return 1 + (OneIn(3) ? Below(kLarge[Below(4)]) : Below(60));
  }
  // Of what is there: some, or all at once.
  size_t SomeMore() { return OneIn(10) ? 4'000'000 : SomeBytes(); }

  std::string BodyOf(size_t size) {
    std::string body(size, ' ');
    const size_t from = Below(1000);  // the bodies of two are told apart
    for (size_t i = 0; i < size; ++i)
      body[i] = static_cast<char>('a' + (from + i * 7 + i / 26) % 26);
    return body;
  }
  std::string SomeTrailers() {
    return OneIn(3) ? "X-Sum: " + std::string(SomeBytes() % 5000, 's') + "\r\nX-End: y\r\n" : "";
  }
  std::string Chunked(std::string_view body, const std::string& trailers) {
    std::string text;
    while (!body.empty()) {
      const size_t size = std::min(body.size(), SomeBytes());
      char head[http::kMaxChunkHeadBytes];
      text.append(head, http::WriteChunkHead(size, head)).append(body.substr(0, size)) += "\r\n";
      body.remove_prefix(size);
    }
    return text + "0\r\n" + trailers + "\r\n";
  }

  void AddRequest() {
    static constexpr const char* kMethods[] = {"GET", "HEAD", "PUT", "POST"};
    const std::string method = kMethods[Below(4)];
    const bool has_body = method[0] == 'P';
    clients_.push_back(std::make_unique<FakeClient>(worker_, entrance_, OneIn(3),
                                                    has_body ? BodyOf(SomeBytes()) : ""));
    FakeClient& client = *clients_.back();
    client.method = method;
    const bool is_old = client.is_old = !client.is_stream() && OneIn(5);
    std::string& text = client.request.text;
    text = method + " /" + std::to_string(clients_.size()) + (is_old ? " HTTP/1.0" : " HTTP/1.1") +
           "\r\nHost: h\r\n";
    if (has_body && !is_old && OneIn(6)) text += "Expect: 100-continue\r\n";
    const bool wants_upgrade = !has_body && !is_old && !client.is_stream() && OneIn(8);
    if (wants_upgrade) {
      text += "Connection: Upgrade\r\nUpgrade: echo\r\n\r\n" + BodyOf(SomeBytes());
    } else if (!has_body) {
      text += "\r\n";
    } else if (is_old || OneIn(2)) {
      text += "Content-Length: " + std::to_string(client.body.size()) + "\r\n\r\n" + client.body;
    } else {
      client.trailers = SomeTrailers();
      text += "Transfer-Encoding: chunked\r\n\r\n" + Chunked(client.body, client.trailers);
    }
    client.is_tls = !client.is_stream() && OneIn(4);
    client.request.Arrive(SomeBytes());
    client.response.room = OneIn(3) ? Below(50) : 100'000;
    client.Begin();
  }

  // What a target is going to answer.
  void Script(FakeTarget& target) {
    std::string& text = target.response.text;
    for (size_t i = OneIn(3) ? 1 + Below(2) : 0; i > 0; --i)
      text +=
          OneIn(2) ? "HTTP/1.1 100 Continue\r\n\r\n" : "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n";
    if (target.client->request.text.find("\r\nUpgrade: ") != std::string::npos && OneIn(2)) {
      text += "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
      target.body = BodyOf(SomeBytes());
      text += target.body;
      return;
    }
    const char* const status = OneIn(4) ? "503 Busy" : OneIn(8) ? "204 None" : "200 OK";
    text += std::string("HTTP/1.1 ") + status + "\r\n";
    target.is_body_framed = true;
    const bool has_none = status[0] == '2' && status[2] == '4';
    target.body = has_none || OneIn(6) ? "" : BodyOf(SomeBytes());
    if (has_none) {
      text += "\r\n";
    } else if (target.client->method == "HEAD" || OneIn(3)) {
      text += "Content-Length: " + std::to_string(target.body.size()) + "\r\n\r\n";
      if (target.client->method != "HEAD") text += target.body;
    } else if (OneIn(2)) {
      target.trailers = SomeTrailers();
      text += "Transfer-Encoding: chunked\r\n\r\n" + Chunked(target.body, target.trailers);
    } else {
      text += "\r\n" + target.body;
      target.is_body_framed = false;
    }
    if (target.client->method == "HEAD") target.body.clear();
    if (OneIn(10)) {
      target.is_broken = true;
      text[Below(text.size())] = '\0';
    }
  }

  // --- What happens.

  template <typename T>
  T* Any(const std::vector<std::unique_ptr<T>>& all) {
    std::vector<T*> found;
    for (const auto& one : all) {
      if (!one->is_over) found.push_back(one.get());
    }
    return found.empty() ? nullptr : found[Below(found.size())];
  }
  size_t CountUnderWay() const {
    return static_cast<size_t>(
        std::count_if(clients_.begin(), clients_.end(), [](const auto& c) { return !c->is_over; }));
  }

  // Who let others go first has its turn, as the event loop sees to it.
  void GiveTurns() {
    for (size_t i = 0; i < clients_.size(); ++i) {
      if (!std::exchange(clients_[i]->wants_turn, false)) continue;
      ++yields_;
      clients_[i]->Drive();
    }
    for (size_t i = 0; i < targets_.size(); ++i) {
      if (std::exchange(targets_[i]->wants_turn, false)) targets_[i]->Tell();
    }
  }

  // The wait for a first target is over at the moment in which there is one: all get it.
  void DrainWithTargets() {
    for (auto& target : *config_.mutable_targets()) target.set_state(v1::Target::STATE_ACTIVE);
    table_ = testing::Compile(config_, table_);
    tables_.push_back(table_);
    Publish(*table_);
    worker_.AdoptTable(table_);
    worker_.held_requests().Close(now_);
    Pass(1s);
    EXPECT_TRUE(worker_.held_requests().is_over());
    EXPECT_TRUE(worker_.held_requests().empty());
    EXPECT_EQ(worker_.metrics().reasons[static_cast<size_t>(http::Reason::kProxyDraining)].Get(),
              0U);
  }

  // Everybody does what is to be done, and at once: no time passes. Each is told of what is new for
  // it, and of nothing else.
  void Settle() {
    constexpr size_t kAll = 1'000'000'000;
    SetLeaving(false);
    for (int round = 0; round < 100 && CountUnderWay() > 0; ++round) {
      for (size_t i = 0; i < clients_.size(); ++i) {
        FakeClient& client = *clients_[i];
        if (client.is_over) continue;
        const bool has_more = client.request.Arrive(SIZE_MAX);
        client.is_readable |= has_more;
        const bool has_room = std::exchange(client.response.room, kAll) < kAll / 2;
        if (has_more || has_room) client.Drive();
      }
      for (size_t i = 0; i < targets_.size(); ++i) {
        FakeTarget& target = *targets_[i];
        if (target.is_over) continue;
        const bool is_new = std::exchange(target.connect_result, 0) != 0;
        const bool has_room = std::exchange(target.request.room, kAll) < kAll / 2;
        bool has_more = target.response.Arrive(SIZE_MAX);
        if (!target.is_body_framed || target.is_broken)
          has_more |= !std::exchange(target.response.has_ended, true);
        target.is_readable |= has_more;
        if (is_new || has_room || has_more) target.Tell();
      }
      GiveTurns();
      EndTunnels();
    }
  }
  void EndTunnels() {
    for (const auto& client : clients_) {
      if (client->is_tunnel()) client->EndTunnel();
    }
  }

  void Happen() {
    if (OneIn(2)) GiveTurns();
    const size_t what = Below(100);
    if (what < 12) {
      if (CountUnderWay() < kMaxUnderWay) AddRequest();
    } else if (what < 40) {
      if (FakeClient* const client = Any(clients_)) HappenTo(*client);
    } else if (what < 85) {
      if (FakeTarget* const target = Any(targets_)) HappenTo(*target);
    } else if (what < 95) {
      static constexpr std::chrono::milliseconds kTimes[] = {1ms, 20ms, 200ms, 1s};
      Pass(OneIn(12) ? std::chrono::milliseconds(10s) : kTimes[Below(4)]);
    } else {
      HappenToTarget(*states_[Below(states_.size())]);
    }
  }

  void HappenTo(FakeClient& client) {
    const size_t what = Below(20);
    if (client.is_tunnel()) {
      if (what == 0) client.EndTunnel();
      return;
    }
    if (what < 9) {
      if (!client.request.Arrive(SomeMore())) return;
      client.is_readable = true;
    } else if (what < 18) {
      client.response.room += SomeMore();
    } else if (what == 18) {
      if (client.is_stream()) return client.Leave();
      if (!OneIn(3)) return;
      client.request.has_ended = client.is_readable = true;
      client.Drive();
      EXPECT_TRUE(client.is_over || client.is_ours) << "who has left is served on";
      return;
    } else {
      if (!OneIn(3)) return;
      client.response.is_broken = client.request.is_broken = client.is_readable = true;
    }
    client.Drive();
  }

  void HappenTo(FakeTarget& target) {
    if (target.connect_result != 0) {
      target.connect_result = OneIn(8) ? -ECONNREFUSED : 0;
      return target.Tell();
    }
    const size_t what = Below(24);
    if (what < 10) {
      target.request.room += SomeMore();
    } else if (what < 22) {
      if (!target.response.Arrive(SomeMore()) && target.is_body_framed) return;
      if (target.response.arrived == target.response.text.size() && !target.is_body_framed)
        target.response.has_ended = true;
      target.is_readable = true;
    } else if (what == 22) {
      target.response.has_ended = target.is_readable = true;
    } else {
      target.response.is_broken = target.request.is_broken = target.is_readable = true;
    }
    target.Tell();
  }

  void HappenToTarget(TargetState& state) {
    if (config_.target_groups(0).has_request_hold() && OneIn(4)) return SetLeaving(OneIn(2));
    const size_t what = Below(4);
    if (what == 0) Heal();
    if (what == 0) return;
    for (size_t i = 0; i < clients_.size(); ++i) {
      FakeClient& client = *clients_[i];
      if (client.exchange() == nullptr || client.exchange()->target() != &state) continue;
      if (what == 1) client.exchange()->OnDrainTimeout();
      if (what == 2) client.exchange()->OnTargetFell(OneIn(2));
      if (what == 3) client.exchange()->OnTargetGone();
      client.Drive();
    }
  }

  void Heal() {
    for (TargetState* const state : states_) {
      state->SetHealth(Health::kHealthy);
      state->SetPassivelyOut(false);
    }
    group().state->Changed();
    worker_.held_requests().Serve();
  }
  // All targets: none takes a request any more, or all do again.
  void SetLeaving(bool is_leaving) {
    const auto state = is_leaving ? v1::Target::STATE_DRAINING : v1::Target::STATE_ACTIVE;
    if (config_.targets(0).state() == state) return;
    for (auto& target : *config_.mutable_targets()) target.set_state(state);
    Adopt();
  }
  // Who waits for a first target, here and in what comes, looks again with each table.
  void Adopt() {
    table_ = testing::Compile(config_, table_);
    tables_.push_back(table_);
    Publish(*table_);
    worker_.AdoptTable(table_);
    worker_.held_requests().Serve();
  }

  void Pass(std::chrono::milliseconds time) {
    worker_.loop().TurnAt(now_ += time);
    for (size_t i = 0; i < clients_.size(); ++i) clients_[i]->OnTime(now_);
  }

  // --- What must hold.

  void CheckPlaces() {
    for (TargetState* const state : states_) {
      const auto under_way = std::count_if(
          clients_.begin(), clients_.end(),
          [&](const auto& client) { return !client->is_over && client->target() == state; });
      EXPECT_EQ(state->InFlight(), static_cast<uint64_t>(under_way));
      if (limit_ > 0) {
        EXPECT_LE(state->load(), limit_) << "more than have a place";
      }
    }
    for (const auto& target : targets_) EXPECT_TRUE(target->is_over || !target->client->is_over);
  }

  const FakeTarget* LastTargetOf(const FakeClient& client) const {
    const FakeTarget* last = nullptr;
    for (const auto& target : targets_) {
      if (target->client == &client) last = target.get();
    }
    return last;
  }

  // One answer at most: the target's, of which it has no byte but those that come first, or ours.
  void CheckClient(const FakeClient& client) {
    ASSERT_TRUE(client.is_over);
    if (client.was_upgraded) return CheckTunnel(client);
    std::string_view got = client.response.got;
    if (client.is_stream() && !client.is_ours) {
      if (client.taken_status == 0) {
        EXPECT_TRUE(got.empty() && !client.end.is_whole);
      } else {
        CheckBody(client, {std::string(got), client.end.is_whole, client.taken_trailers});
      }
      return;
    }
    std::string_view head;
    while (true) {
      const size_t size = got.find("\r\n\r\n");
      if (size == std::string_view::npos) {
        EXPECT_FALSE(client.end.is_whole) << "ended as whole without an answer";
        return;
      }
      head = got.substr(0, size + 2);
      got.remove_prefix(size + 4);
      ASSERT_TRUE(head.starts_with("HTTP/1.1 ")) << head;
      if (head[9] != '1') break;
    }
    EXPECT_EQ(client.is_ours, !ValueOf(head, "X-Remuda-Reason").empty());
    if (client.method == "HEAD" || head.substr(9, 3) == "204") {
      EXPECT_TRUE(got.empty()) << got;
      return;
    }
    const Body body = Unframe(head, got);
    EXPECT_TRUE(body.is_whole || !client.end.is_whole) << head;
    if (!client.is_ours) CheckBody(client, body);
  }
  // The 101 is with the client, and what came behind the heads with the tunnel.
  void CheckTunnel(const FakeClient& client) {
    EXPECT_NE(client.response.got.find("HTTP/1.1 101 "), std::string::npos);
    EXPECT_TRUE(client.response.got.ends_with("\r\n\r\n"));
    const std::string_view sent =
        std::string_view(client.request.text).substr(client.request.text.find("\r\n\r\n") + 4);
    EXPECT_TRUE(sent.starts_with(client.to_tunnel));
    EXPECT_EQ(client.request.read,
              client.request.text.size() - sent.size() + client.to_tunnel.size());
    const FakeTarget* const target = LastTargetOf(client);
    EXPECT_TRUE(target->body.starts_with(client.from_tunnel));
    EXPECT_EQ(target->response.read,
              target->response.text.size() - target->body.size() + client.from_tunnel.size());
  }
  void CheckBody(const FakeClient& client, const Body& body) {
    const FakeTarget* const target = LastTargetOf(client);
    ASSERT_NE(target, nullptr);
    if (target->is_broken) return;  // it may have another meaning
    EXPECT_TRUE(target->body.starts_with(body.text)) << body.text.size();
    const bool is_cut =
        !target->is_body_framed && target->response.arrived < target->response.text.size();
    EXPECT_TRUE(body.text.size() == target->body.size() || !client.end.is_whole || is_cut);
    EXPECT_TRUE(target->trailers.starts_with(body.trailers)) << body.trailers;
    const bool has_trailers = client.is_stream() || !client.is_old;
    if (client.end.is_whole && has_trailers) {
      EXPECT_EQ(body.trailers, target->trailers);
    }
  }

  // What a target has got is the client's request, once.
  void CheckTarget(const FakeTarget& target) {
    EXPECT_TRUE(target.is_over) << "a connection is kept by nobody";
    const std::string_view got = target.request.got;
    const size_t size = got.find("\r\n\r\n");
    if (size == std::string_view::npos) {
      EXPECT_FALSE(target.is_kept);
      return;
    }
    EXPECT_TRUE(got.starts_with(target.client->method + " /"));
    const Body body = Unframe(got.substr(0, size + 2), got.substr(size + 4));
    EXPECT_TRUE(target.client->body.starts_with(body.text));
    const bool is_whole =
        body.text.size() == target.client->body.size() && body.trailers == target.client->trailers;
    EXPECT_TRUE(is_whole || !target.is_kept) << "used again with a request that is not whole";
  }

  std::mt19937_64 random_;
  Settings settings_;
  Entrance entrance_;
  v1::ProxyConfig config_;
  std::shared_ptr<const RoutingTable> table_;
  std::vector<std::shared_ptr<const RoutingTable>> tables_;  // the entrance is of the first
  std::vector<TargetState*> states_;
  std::vector<std::unique_ptr<FakeTarget>> targets_;
  std::vector<std::unique_ptr<FakeClient>> clients_;
  Worker worker_;
  SteadyTime now_{};
  uint32_t limit_ = 0;
  uint64_t yields_ = 0;
};

uint64_t NumberFrom(const char* variable, uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST(ExchangeInterleavings, EndOnceAndLoseNothing) {
  const uint64_t only = NumberFrom("REMUDA_EXCHANGE_SEED", 0);
  const uint64_t first = only != 0 ? only : 1;
  const uint64_t last = only != 0 ? only : NumberFrom("REMUDA_EXCHANGE_SEEDS", kSeeds);
  uint64_t requests = 0, whole = 0, attempts = 0, spliced = 0;
  uint64_t yields = 0, tunnels = 0, held = 0;
  for (uint64_t seed = first; seed <= last; ++seed) {
    SCOPED_TRACE("again: REMUDA_EXCHANGE_SEED=" + std::to_string(seed));
    Interleaving interleaving(seed);
    interleaving.Run();
    requests += interleaving.requests();
    whole += interleaving.whole();
    attempts += interleaving.attempts();
    spliced += interleaving.spliced();
    yields += interleaving.yields();
    tunnels += interleaving.tunnels();
    held += interleaving.held();
    if (HasFailure()) break;
  }
  std::cout << "seeds " << first << ".." << last << ", " << requests << " requests, " << whole
            << " whole answers, " << attempts << " attempts, " << spliced << " bytes spliced, "
            << yields << " yields, " << tunnels << " tunnels, " << held << " held\n";
  EXPECT_GT(whole, 0U);
  if (last - first + 1 < kSeeds) return;
  EXPECT_TRUE(spliced > 0 && yields > 0 && tunnels > 0 && held > 0)
      << "not all that there is was tried";
}

}  // namespace
}  // namespace remuda::proxy
