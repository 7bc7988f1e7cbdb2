// Both sides of an exchange without a socket: a client and targets whose every step is the test's.
// They check what they are given: nothing comes after an end, and nobody is driven from within.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/exchange/exchange.h"
#include "proxy/exchange/worker_context.h"

namespace remuda::proxy::testing {

// Two ends in the kernel, of which the first is written to and the second is read: bytes can be
// moved from and to it by a pipe (splice).
class Channel {
 public:
  enum class Kind { kSocket, kSmallPipe };
  Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel() {
    if (ends_[0] >= 0) close(ends_[0]);
    if (ends_[1] >= 0) close(ends_[1]);
  }
  void Make(Kind kind) {
    if (ends_[0] >= 0) return;
    if (kind == Kind::kSocket) {
      ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends_), 0);
      return;
    }
    ASSERT_EQ(pipe2(ends_, O_NONBLOCK), 0);
    std::swap(ends_[0], ends_[1]);
    fcntl(ends_[0], F_SETPIPE_SZ, 4096);
  }
  int in() const { return ends_[0]; }
  int out() const { return ends_[1]; }

 private:
  int ends_[2] = {-1, -1};
};

// Bytes that come to the exchange, as fast as the test lets them.
struct Source {
  std::string text;
  size_t arrived = 0;
  size_t read = 0;
  bool has_ended = false;
  bool is_broken = false;

  Received Receive(char* data, size_t size, bool& is_readable) {
    if (is_broken) return {-ECONNRESET, true};
    const size_t part = std::min(size, arrived - read);
    std::memcpy(data, text.data() + read, part);
    read += part;
    const bool is_drained = read == arrived && !has_ended;
    if (is_drained) is_readable = false;
    if (part > 0) return {static_cast<ssize_t>(part), is_drained};
    if (has_ended) return {0, true};
    return {-EAGAIN, true};
  }
  ssize_t FillPipe(SplicePipe& pipe, size_t max_bytes, bool& is_readable) {
    if (is_broken) return -ECONNRESET;
    channel.Make(Channel::Kind::kSocket);
    const size_t in_channel = std::max(written, read);
    const ssize_t wrote = send(channel.in(), text.data() + in_channel, arrived - in_channel, 0);
    written = in_channel + (wrote > 0 ? static_cast<size_t>(wrote) : 0);
    if (written == read && has_ended) return 0;
    const ssize_t got = written == read ? -EAGAIN : pipe.Fill(channel.out(), max_bytes);
    if (got > 0) read += static_cast<size_t>(got);
    if (got == -EAGAIN && !has_ended) is_readable = false;
    return got;
  }
  // More comes. False if there is none.
  bool Arrive(size_t bytes) {
    if (has_ended || arrived == text.size()) return false;
    arrived += std::min(text.size() - arrived, bytes);
    return true;
  }

  Channel channel;
  size_t written = 0;  // to the channel, of the text
};

// Takes bytes from the exchange, as many as the test lets it.
struct Sink {
  std::string got;
  size_t room = 0;
  bool is_broken = false;

  ssize_t Send(Gather& pieces) {
    if (is_broken) return -EPIPE;
    size_t taken = 0;
    for (size_t i = 0; i < pieces.count() && room > 0; ++i) {
      const iovec& piece = pieces.pieces()[i];
      const size_t part = std::min(room, piece.iov_len);
      got.append(static_cast<const char*>(piece.iov_base), part);
      room -= part;
      taken += part;
      if (part < piece.iov_len) break;
    }
    if (taken == 0) return -EAGAIN;
    pieces.Consume(taken);
    return static_cast<ssize_t>(taken);
  }
  // A page or a few at a time: mostly only a part of what the pipe holds.
  ssize_t DrainPipe(SplicePipe& pipe) {
    if (is_broken) return -EPIPE;
    if (room == 0) return -EAGAIN;
    channel.Make(Channel::Kind::kSmallPipe);
    const ssize_t moved = pipe.Drain(channel.in());
    if (moved <= 0) return moved;
    const size_t before = got.size();
    got.resize(before + static_cast<size_t>(moved));
    EXPECT_EQ(read(channel.out(), got.data() + before, static_cast<size_t>(moved)), moved);
    room -= std::min(room, static_cast<size_t>(moved));
    spliced += static_cast<size_t>(moved);
    return moved;
  }

  Channel channel;
  size_t spliced = 0;
};

class FakeClient final : public ClientStream {
 public:
  // `is_stream`: as HTTP/2's, which tells ends by itself and takes heads at once.
  FakeClient(WorkerContext& worker, const Entrance& entrance, bool is_stream,
             std::string body_bytes)
      : body(std::move(body_bytes)), worker_(worker), entrance_(entrance), is_stream_(is_stream) {}

  const std::string body;  // of its request
  std::string trailers;    // behind it
  std::string method;
  bool is_old = false;  // HTTP/1.0
  Source request;
  Sink response;
  int taken_status = 0;        // a stream's
  std::string taken_trailers;  // a stream's
  bool is_tls = false;         // its bytes must be seen
  bool wants_turn = false;     // it was told to let others go first
  bool is_ours = false;        // the answer is one of the proxy's own
  bool is_over = false;
  ExchangeEnd end;
  Exchange* exchange() { return exchange_; }
  bool is_tunnel() const { return upgrade_ != nullptr; }
  const TargetState* target() const {
    return is_tunnel()            ? upgrade_->record.in_flight.target()
           : exchange_ == nullptr ? nullptr
                                  : exchange_->target();
  }
  bool is_stream() const { return is_stream_; }
  bool was_upgraded = false;  // then: what the tunnel was given of both sides
  std::string to_tunnel, from_tunnel;
  // Anything of an answer is with it but whole interim ones, behind which any answer may come.
  bool has_answer() const {
    if (was_upgraded || has_sealed_) return true;
    std::string_view rest = response.got;
    while (rest.starts_with("HTTP/1.1 1") && rest.find("\r\n\r\n") != std::string_view::npos)
      rest.remove_prefix(rest.find("\r\n\r\n") + 4);
    return taken_status != 0 || !rest.empty();
  }

  // The request's head has come as a whole, and what has arrived behind it.
  void Begin() {
    exchange_ = worker_.TakeExchange();
    exchange_->Open({.client = this, .peer = &peer_, .entrance = &entrance_, .connection_id = 1});
    Buffer& in = exchange_->input();
    in = worker_.buffers().Take();
    const size_t head_size = request.text.find("\r\n\r\n") + 4;
    request.arrived = std::max(request.arrived, head_size);
    is_readable = true;
    const Received got = Receive(in.room(), in.room_size());
    in.end += static_cast<size_t>(got.bytes);
    ASSERT_EQ(exchange_->TakeHead(), http::ParseStatus::kDone);
    Drive();
  }
  void Drive() {
    if (is_over || is_tunnel()) return;
    wants_turn = false;
    ASSERT_FALSE(is_driving_) << "driven from within";
    is_driving_ = true;
    if (request.has_ended && !is_stream_) exchange_->OnClientLeft();
    const Exchange::Next next = exchange_->Drive();
    is_driving_ = false;
    if (next == Exchange::Next::kTunnel) BeginTunnel();
    if (next == Exchange::Next::kOver) TakeDown();
  }
  // The tunnel is over: an exchange again, which is at its end.
  void EndTunnel() {
    exchange_ = worker_.TakeExchange();
    exchange_->Open({.client = this, .peer = &peer_, .entrance = &entrance_, .connection_id = 1});
    exchange_->TakeBack(*upgrade_, 5, 7);
    upgrade_.reset();
    TakeDown();
  }
  void OnTime(SteadyTime now) {
    if (is_over || is_tunnel() || exchange_->deadline() > now) return;
    exchange_->OnTimer();
    Drive();
  }
  // As a stream that was reset, or a worker that ends.
  void Leave() {
    if (is_over) return;
    if (is_tunnel()) return EndTunnel();
    exchange_->Cut(http::Reason::kClientClosed);
    TakeDown();
  }

  Received Receive(char* data, size_t size) override {
    EXPECT_FALSE(is_over);
    return request.Receive(data, size, is_readable);
  }
  ssize_t Send(Gather& pieces) override {
    EXPECT_FALSE(is_over);
    const ssize_t sent = response.Send(pieces);
    has_sealed_ |= is_tls && sent == -EAGAIN;
    return sent;
  }
  Sent SendInterim(const http::ResponseHead& head, Buffer& room, Gather& out) override {
    if (is_stream_) return Sent::kTaken;
    return Stage(head, {}, room, out);
  }
  Sent SendHead(const http::ResponseHead& head, const http::ResponseStyle& style,
                size_t /*head_size*/, bool /*ends*/, Buffer& room, Gather& out) override {
    if (!is_stream_) return Stage(head, style, room, out);
    EXPECT_EQ(taken_status, 0) << "a second head";
    if (response.is_broken) return Sent::kGone;
    taken_status = head.status;
    return Sent::kTaken;
  }
  void SendTrailers(std::string_view lines) override {
    EXPECT_TRUE(is_stream_ && taken_trailers.empty());
    taken_trailers = lines;
  }
  Sent SendOwn(const http::OwnAnswer& answer, Buffer& room, Gather& out) override {
    EXPECT_FALSE(has_answer()) << "an answer of ours behind another";
    if (response.is_broken) return Sent::kGone;
    out.Add(room.block.get(), http::WriteOwnAnswer(answer, room.block.get(), room.capacity));
    is_ours = true;
    if (is_stream_) taken_status = answer.status;
    return Sent::kStaged;
  }
  bool Yield() override {
    wants_turn = !is_stream_;
    return wants_turn;
  }
  bool may_splice() const override { return !is_stream_ && !is_tls; }
  ssize_t FillPipe(SplicePipe& pipe, size_t max_bytes) override {
    EXPECT_FALSE(is_over);
    return request.FillPipe(pipe, max_bytes, is_readable);
  }
  ssize_t DrainPipe(SplicePipe& pipe) override {
    EXPECT_FALSE(is_over);
    return response.DrainPipe(pipe);
  }
  bool delimits_bodies() const override { return is_stream_; }
  bool is_last() const override { return is_stream_; }
  bool may_have_left() const override { return is_tls; }
  const Transport& transport() const override { return transport_; }
  void Describe(bool /*is_upgraded*/, AccessEntry& /*entry*/) const override {}
  void Wake() override { Drive(); }

 private:
  Sent Stage(const http::ResponseHead& head, const http::ResponseStyle& style, Buffer& room,
             Gather& out) {
    if (!room) room = worker_.buffers().Take();
    const size_t size = http::WriteResponseHead(head, style, room.block.get(), room.capacity);
    room.end = size;
    out.Add(room.block.get(), size);
    return Sent::kStaged;
  }
  void BeginTunnel() {
    was_upgraded = true;
    upgrade_ = std::make_unique<Upgrade>();
    exchange_->TakeUpgrade(*upgrade_);
    to_tunnel = TextOf(upgrade_->from_client);
    from_tunnel = TextOf(upgrade_->from_target);
    Exchange* const exchange = std::exchange(exchange_, nullptr);
    exchange->Finish();
    EXPECT_FALSE(exchange->input());
    worker_.GiveExchange(exchange);
  }
  std::string TextOf(Buffer& buffer) {
    const std::string text(buffer ? std::string(buffer.data(), buffer.size()) : "");
    if (buffer) worker_.buffers().Give(buffer);
    return text;
  }
  void TakeDown() {
    ASSERT_FALSE(is_over) << "ended twice";
    Exchange* const exchange = std::exchange(exchange_, nullptr);
    is_over = true;
    end = exchange->Finish();
    worker_.buffers().Give(exchange->input());
    worker_.GiveExchange(exchange);
  }

  WorkerContext& worker_;
  const Entrance& entrance_;
  const bool is_stream_;
  PeerAddress peer_ = ToPeerAddress(IpBytes{}, 1234);
  Transport transport_;
  Exchange* exchange_ = nullptr;
  std::unique_ptr<Upgrade> upgrade_;  // while it is a tunnel
  bool has_sealed_ = false;           // of an answer, in a record that leaves as it is
  bool is_driving_ = false;
};

class FakeTarget final : public TargetStream {
 public:
  explicit FakeTarget(UpstreamUser* user) : user_(user) {}

  FakeClient* client = nullptr;
  Sink request;
  Source response;
  std::string body;             // of its response
  std::string trailers;         // behind it
  bool is_body_framed = false;  // its end is told by itself
  bool is_broken = false;       // the response's text does not keep to the rules
  int connect_result = -EAGAIN;
  bool has_stopped = false;  // it takes no more
  bool wants_turn = false;
  bool is_over = false;
  bool is_kept = false;  // for another request
  // Something can be done with it.
  void Tell() {
    wants_turn = false;
    if (!is_over) user_->OnUpstream();
  }

  int FinishConnect() override {
    EXPECT_FALSE(is_over);
    return connect_result;
  }
  bool has_tls_failed() const override { return false; }
  bool SendHead(const http::RequestHead& head, const http::Framing& framing,
                const http::ForwardedInfo& info, Buffer& room, Gather& out) override {
    EXPECT_FALSE(is_over);
    const size_t size =
        http::WriteRequestHead(head, framing, info, room.block.get(), room.capacity);
    room.end = size;
    out.Add(room.block.get(), size);
    return size > 0;
  }
  ssize_t Send(Gather& pieces) override {
    EXPECT_FALSE(is_over);
    return request.Send(pieces);
  }
  Received Receive(char* data, size_t size) override {
    EXPECT_FALSE(is_over);
    return response.Receive(data, size, is_readable);
  }
  bool Yield() override {
    wants_turn = true;
    return true;
  }
  bool may_splice() const override { return true; }
  ssize_t FillPipe(SplicePipe& pipe, size_t max_bytes) override {
    EXPECT_FALSE(is_over);
    return response.FillPipe(pipe, max_bytes, is_readable);
  }
  ssize_t DrainPipe(SplicePipe& pipe) override {
    EXPECT_FALSE(is_over);
    return request.DrainPipe(pipe);
  }
  void EndSplice() override {
    if (response.read == response.arrived && !response.has_ended) is_readable = false;
  }
  void StopSending() override { is_readable = has_stopped = true; }
  bool is_closing() const override {
    return has_stopped || response.has_ended || response.is_broken;
  }
  void Doubt(bool /*is_sending*/) override { EXPECT_FALSE(is_over); }
  void NoteUnasked(std::string_view /*bytes*/) override {}
  void End(bool may_reuse) override {
    EXPECT_FALSE(is_over) << "ended twice";
    EXPECT_FALSE(may_reuse && (response.read < response.text.size() || !is_body_framed))
        << "used again though it has more to say";
    is_over = true;
    is_kept = may_reuse;
  }
  UpstreamConnection* TakeConnection() override {
    EXPECT_FALSE(is_over);
    is_over = true;
    return nullptr;
  }

 private:
  UpstreamUser* user_;
};

}  // namespace remuda::proxy::testing
