#include "tests/bench/control/courier.h"

#include <atomic>
#include <utility>

namespace remuda::bench {
namespace {

// The controller's end. Thread: the loop thread.
class CarriedStream final : public Stream {
 public:
  CarriedStream(Courier& courier, std::shared_ptr<Mailbox> player)
      : courier_(courier), player_(std::move(player)) {}

  void Send(Frame frame) override {
    if (!is_closed_) courier_.Carry(player_, std::move(frame));
  }
  size_t queued() const override { return 0; }
  void Close(const absl::Status&) override {
    if (!std::exchange(is_closed_, true)) courier_.Carry(player_, nullptr);
  }
  std::string peer() const override { return "in process"; }
  bool is_closed() const { return is_closed_; }

 private:
  Courier& courier_;
  const std::shared_ptr<Mailbox> player_;
  bool is_closed_ = false;
};

class CarriedLink final : public Link {
 public:
  CarriedLink(Courier& courier, std::shared_ptr<Gate> gate, StreamHandler& sessions,
              LinkHandler& handler)
      : gate_(std::move(gate)),
        sessions_(sessions),
        mailbox_(std::make_shared<Mailbox>(*this, handler)),
        stream_(std::make_shared<CarriedStream>(courier, mailbox_)) {
    gate_->Post([&to = sessions_, stream = stream_] { to.OnOpened(stream); });
  }
  ~CarriedLink() override { Close(); }

  void Send(std::string bytes) override {
    gate_->Post([&to = sessions_, stream = stream_, bytes = std::move(bytes)] {
      if (!stream->is_closed()) to.OnMessage(stream, bytes);
    });
  }
  void Close() override {
    if (is_closed_.exchange(true)) return;
    mailbox_->Close();
    gate_->Post([&to = sessions_, stream = stream_] {
      if (stream->is_closed()) return;
      stream->Close(absl::OkStatus());
      to.OnClosed(stream);
    });
  }

 private:
  const std::shared_ptr<Gate> gate_;
  StreamHandler& sessions_;
  const std::shared_ptr<Mailbox> mailbox_;
  const std::shared_ptr<CarriedStream> stream_;
  std::atomic<bool> is_closed_ = false;
};

}  // namespace

Courier::~Courier() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Courier::Carry(std::shared_ptr<Mailbox> to, Frame frame) {
  {
    const std::lock_guard lock(mutex_);
    parcels_.push_back({std::move(to), std::move(frame)});
  }
  changed_.notify_one();
}

std::unique_ptr<Link> Courier::Open(std::shared_ptr<Gate> gate, StreamHandler& sessions,
                                    LinkHandler& handler) {
  return std::make_unique<CarriedLink>(*this, std::move(gate), sessions, handler);
}

void Courier::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return is_ending_ || !parcels_.empty(); });
    if (is_ending_) return;
    std::deque<Parcel> parcels;
    parcels.swap(parcels_);
    lock.unlock();
    for (const Parcel& parcel : parcels) {
      if (parcel.frame == nullptr) {
        parcel.to->End("ended by the controller");
      } else {
        parcel.to->Deliver(parcel.frame);
      }
    }
    lock.lock();
  }
}

}  // namespace remuda::bench
