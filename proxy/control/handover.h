// The older process of a proxy: it waits in its data directory for another one to take over, offers
// it what it has, and once that serves, drains under its guidance (docs/proxy.md, "Takeover").
// Until then nothing has happened: whatever the other one does, this one serves on.
//
// Owns: the listening socket in the data directory, and the connection with the other process.
// Thread: the control loop's.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "proxy/control/coordinator.h"
#include "proxy/control/data_lock.h"
#include "proxy/control/predecessor.h"
#include "proxy/control/takeover_channel.h"
#include "proxy/io/descriptor.h"
#include "proxy/io/event_loop.h"

namespace remuda::proxy {

class Handover final : public IoHandler {
 public:
  static constexpr std::chrono::milliseconds kHelloPatience{5000};
  // From the hello until it serves.
  static constexpr std::chrono::milliseconds kServingPatience{60000};
  // How often it is looked whether what is in force is on the disk.
  static constexpr std::chrono::milliseconds kSettleLook{10};
  // While it drains: how often the other one is told of requests that wait here.
  static constexpr std::chrono::milliseconds kReportInterval{1000};
  // Processes before this one that still drain. Beyond it there is no takeover.
  static constexpr int kMaxDraining = 16;

  struct Options {
    std::string directory;
    std::string proxy;    // name; empty: the config is from a file
    std::string program;  // version
    std::chrono::milliseconds drain_timeout{0};
  };
  struct Events {
    // Nothing that the offer says may change from now on; or it may again.
    std::function<void(bool is_frozen)> on_freeze;
    // Frozen: what is in force is so in each worker, and on the disk.
    std::function<bool()> is_settled;
    // Adds config, keys and counts to an offer.
    std::function<void(v1::TakeoverOffer&)> describe;
    // That of the admin pages, and its port.
    std::function<std::pair<int, uint16_t>()> admin;
    // The other one serves: the session with the controller is to be given up, and all else that is
    // the other one's now. The workers drain already.
    std::function<void()> on_handed_over;
    // The attempt is over, and this one serves on.
    std::function<void(const std::string& why)> on_failed;
    std::function<void()> on_reopen;  // the access log
  };

  // `lock` and `predecessor` (may be null) outlive it.
  Handover(EventLoop& loop, Coordinator& coordinator, DataLock& lock, Predecessor* predecessor,
           Options options, Events events);
  ~Handover();

  // Listens; the error says why not.
  std::string Start();
  // No takeover any more: one that is under way is over.
  void Stop();
  bool is_handed_over() const { return stage_ == Stage::kHandedOver; }
  // The other process; 0: there has been none.
  pid_t peer() const { return peer_; }

  // After the handover: what is in flight has changed, here or before.
  void OnBusy();

  void OnIo(uint32_t events) override;

 private:
  enum class Stage { kNone, kHello, kSettling, kOffered, kHandedOver };

  void OnMessage(TakeoverChannel::Received received);
  void OnHello(const v1::TakeoverHello& hello);
  std::string WhyNot(const v1::TakeoverHello& hello) const;
  void OfferWhenSettled();
  void Offer();
  void OnServing(const v1::TakeoverServing& serving);
  void OnFollow(const v1::ConfigUpdate& update);
  void BeginNothing();
  void Refuse(TakeoverChannel& channel, const std::string& reason) const;
  void Fail(const std::string& why);
  void OnTimer();
  v1::TakeoverBusy Busyness() const;
  void DropChannel();

  EventLoop& loop_;
  Coordinator& coordinator_;
  DataLock& lock_;
  Predecessor* const predecessor_;
  const Options options_;
  const Events events_;
  Descriptor socket_;
  Stage stage_ = Stage::kNone;
  std::shared_ptr<TakeoverChannel> channel_;  // null: nobody asks
  pid_t peer_ = 0;
  int version_ = 0;
  SteadyTime deadline_{};
  Timer timer_;
};

}  // namespace remuda::proxy
