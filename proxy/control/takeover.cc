#include "proxy/control/takeover.h"

#include <absl/strings/str_cat.h>
#include <spdlog/spdlog.h>

#include <thread>
#include <utility>

#include "proxy/io/socket.h"

namespace remuda::proxy {
namespace {

constexpr int kMaxSocketMessages = 100000;
constexpr std::chrono::milliseconds kClaimPause{50};

absl::StatusOr<TakeoverChannel::Received> Next(TakeoverChannel& channel) {
  auto next = channel.Await(std::chrono::steady_clock::now() + kOfferPatience);
  if (!next.ok() || !next->message.has_refusal()) return next;
  return absl::FailedPreconditionError(
      absl::StrCat("process ", channel.peer(), " refuses: ", next->message.refusal().reason()));
}

absl::Status Malformed(const char* what) {
  return absl::FailedPreconditionError(absl::StrCat("the offer is malformed: ", what));
}

}  // namespace

absl::StatusOr<TakenOver> TakeOver(const TakeoverOptions& options) {
  TakenOver taken;
  auto channel = TakeoverChannel::Connect(options.directory, kOfferPatience);
  if (!channel.ok()) return channel.status();
  taken.channel = *std::move(channel);
  if (const absl::Status status = taken.channel->CheckPeer(); !status.ok())
    return absl::FailedPreconditionError(status.message());

  v1::TakeoverMessage message;
  v1::TakeoverHello& hello = *message.mutable_hello();
  hello.set_version(kTakeoverVersion);
  hello.set_least_version(kLeastTakeoverVersion);
  hello.set_program(options.program);
  hello.set_proxy(options.proxy);
  taken.channel->Send(message);

  auto first = Next(*taken.channel);
  if (!first.ok()) return first.status();
  if (!first->message.has_offer()) return Malformed("it does not come first");
  taken.offer = std::move(*first->message.mutable_offer());
  const v1::TakeoverOffer& offer = taken.offer;
  if (offer.version() < kLeastTakeoverVersion || offer.version() > kTakeoverVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("process ", taken.channel->peer(), " speaks version ", offer.version(),
                     " of takeovers, this program ", kLeastTakeoverVersion, "-", kTakeoverVersion));
  }
  if (offer.sockets() < 0 || offer.sockets() > kMaxSocketMessages) return Malformed("sockets");
  for (int i = 0; i < offer.sockets(); ++i) {
    auto next = Next(*taken.channel);
    if (!next.ok()) return next.status();
    const v1::TakeoverSockets& sockets = next->message.sockets();
    if (!next->message.has_sockets() || next->descriptors.empty() || sockets.port() < 1 ||
        sockets.port() > 65535) {
      return Malformed("sockets are missing");
    }
    if (sockets.listener().empty()) {
      taken.admin = std::move(next->descriptors.front());
    } else {
      taken.sockets[sockets.listener()] = {std::move(next->descriptors),
                                           static_cast<uint16_t>(sockets.port())};
    }
  }
  return taken;
}

absl::StatusOr<Claimed> Claim(const TakeoverOptions& options, bool takes_over) {
  const auto deadline = std::chrono::steady_clock::now() + kClaimPatience;
  while (true) {
    Claimed claimed;
    if (takes_over) {
      auto taken = TakeOver(options);
      if (taken.ok()) {
        claimed.taken = *std::move(taken);
        return claimed;
      }
      if (absl::IsFailedPrecondition(taken.status())) {
        return absl::FailedPreconditionError(
            absl::StrCat("no takeover: ", std::string(taken.status().message())));
      }
      spdlog::info("nothing is taken over from {}: {}", options.directory,
                   std::string(taken.status().message()));
    }
    auto lock = DataLock::Take(options.directory);
    if (lock.ok()) {
      claimed.lock = *std::move(lock);
      return claimed;
    }
    const bool may_come = takes_over && absl::IsUnavailable(lock.status());
    if (!may_come || std::chrono::steady_clock::now() >= deadline) return lock.status();
    std::this_thread::sleep_for(kClaimPause);
  }
}

Coordinator::Inheritance TakeInheritance(TakenOver& taken) {
  Coordinator::Inheritance inheritance;
  inheritance.sockets = std::move(taken.sockets);
  for (const v1::TakeoverTarget& target : taken.offer.targets())
    inheritance.targets.push_back(ReadKnown(target));
  return inheritance;
}

int TakeAdminSocket(TakenOver& taken, const std::string& address, uint16_t port) {
  if (!taken.admin.is_open()) return -1;
  const PeerAddress has = LocalAddress(taken.admin.get());
  const PeerAddress shall = ToPeerAddress(MakeSocketAddress(address, port).storage);
  const bool is_it = has.bytes == shall.bytes && (port == 0 || has.port == port);
  return is_it ? taken.admin.Release() : -1;
}

}  // namespace remuda::proxy
