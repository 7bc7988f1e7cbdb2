#include "proxy/control/config_client.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "common/grpc_channel.h"
#include "common/grpc_status.h"
#include "common/identity/join_client.h"
#include "common/message_text.h"
#include "common/random_bytes.h"
#include "proxy/control/predecessor.h"

namespace remuda::proxy {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kDefaultStatsInterval{5000};
constexpr milliseconds kMinStatsInterval{100};
constexpr milliseconds kMaxStatsInterval{60000};
// Shorter ones would end before an answer can have come.
constexpr milliseconds kMinLease{100};

// The controller's own word for it ("STALE_EPOCH"), if it has one, before the text.
std::string WhyEnded(const grpc::Status& status) {
  if (status.ok()) return "ended by the controller";
  const auto payload =
      FromGrpcStatus(status).GetPayload("type.googleapis.com/google.rpc.ErrorInfo");
  google::rpc::ErrorInfo info;
  const bool has_reason = payload.has_value() && info.ParseFromString(std::string(*payload));
  return (has_reason ? info.reason() + ": " : "") + status.error_message();
}

milliseconds ToMilliseconds(const google::protobuf::Duration& duration, milliseconds otherwise) {
  const int64_t ms = duration.seconds() * 1000 + duration.nanos() / 1000000;
  return ms == 0 ? otherwise : milliseconds(ms);
}

grpc::ChannelArguments Arguments() {
  grpc::ChannelArguments arguments = ClientChannelArguments();
  arguments.SetMaxReceiveMessageSize(ConfigClient::kMaxReceiveBytes);
  return arguments;
}

// Empty: nothing is kept.
std::string ControllersFile(const ConfigClient::Options& options) {
  return options.data_dir.empty() ? "" : options.data_dir + "/controllers";
}

identity::ControllerAddresses::Options AddressesOf(const ConfigClient::Options& options) {
  const auto& files = options.dial.files;
  return {.given = options.controllers,
          .joined =
              files.has_value() ? identity::JoinedControllers(*files) : std::vector<std::string>(),
          .file = ControllersFile(options),
          .only_this_machine = !files.has_value()};
}

}  // namespace

// One call. gRPC's callbacks post to the loop; the object lives until gRPC is done with it and the
// client has let go.
class ConfigClient::Stream final
    : public grpc::ClientBidiReactor<v1::ConnectRequest, v1::ConnectResponse>,
      public std::enable_shared_from_this<Stream> {
 public:
  Stream(ConfigClient& client, const std::shared_ptr<grpc::Channel>& channel)
      : client_(client), stub_(v1::ProxyService::NewStub(channel)) {}

  void Start() {
    self_ = shared_from_this();
    client_.calls_.Begin();
    stub_->async()->Connect(&context_, this);
    AddHold();  // so that a write may be started until Release: OnDone waits for it
    StartRead(&incoming_);
    StartCall();
  }
  void Cancel() { context_.TryCancel(); }
  // Loop thread: nothing more will be written. May be called twice.
  void Release() {
    if (is_released_) return;
    is_released_ = true;
    RemoveHold();
  }
  // Loop thread. Only when can_write().
  void Write(v1::ConnectRequest message) {
    is_writing_ = true;
    outgoing_ = std::move(message);
    // What targets answered, and errors, stand in it. Statistics hold numbers and ids only.
    if (!outgoing_.has_stats()) MakeTextValid(outgoing_);
    StartWrite(&outgoing_);
  }
  bool can_write() const { return !is_writing_ && !is_released_ && !is_half_closed_; }
  // Loop thread. Only when can_write(): nothing more will be said. The controller ends the stream.
  void HalfClose() {
    is_half_closed_ = true;
    StartWritesDone();
  }

  void OnReadDone(bool ok) override {
    if (!ok)
      return client_.loop_.Post(
          [self = shared_from_this()] { self->Release(); });  // OnDone says why
    client_.loop_.Post([this, self = shared_from_this(), message = std::move(incoming_)] {
      client_.OnMessage(this, message);
    });
    incoming_.Clear();
    StartRead(&incoming_);
  }
  void OnWriteDone(bool ok) override {
    client_.loop_.Post([this, self = shared_from_this(), ok] {
      is_writing_ = false;
      if (ok && client_.stream_.get() == this) client_.Flush();
    });
  }
  void OnDone(const grpc::Status& status) override {
    ConfigClient& client = client_;
    client.loop_.Post([self = std::move(self_), why = WhyEnded(status)] {
      self->client_.OnClosed(self.get(), why);
    });
    client.calls_.End();  // this may be gone
  }

 private:
  ConfigClient& client_;
  const std::unique_ptr<v1::ProxyService::Stub> stub_;
  grpc::ClientContext context_;
  v1::ConnectResponse incoming_;
  v1::ConnectRequest outgoing_;
  bool is_writing_ = false;      // loop thread
  bool is_released_ = false;     // loop thread
  bool is_half_closed_ = false;  // loop thread
  std::shared_ptr<Stream> self_;
};

ConfigClient::ConfigClient(EventLoop& loop, Coordinator& coordinator, ControlCounters& counters,
                           Options options, OnListeners on_listeners)
    : loop_(loop),
      coordinator_(coordinator),
      counters_(counters),
      options_(std::move(options)),
      on_listeners_(std::move(on_listeners)),
      incarnation_(RandomHex()),
      controllers_(AddressesOf(options_)),
      channel_(controllers_.current(), options_.dial.Credentials(), Arguments()),
      lease_(std::chrono::steady_clock::now()),
      random_(std::random_device()()),
      dial_timer_([this] { Dial(); }),
      farewell_timer_([this] { EndFarewell(); }),
      stats_timer_([this] {
        is_stats_due_ = true;
        Flush();
        stats_timer_.Arm(loop_, loop_.now() + stats_interval_);
      }),
      wake_timer_([this] { Flush(); }) {
  if (!options_.data_dir.empty()) store_ = std::make_unique<ConfigStore>(options_.data_dir);
  if (options_.dial.files.has_value()) {
    renewer_ = std::make_unique<identity::Renewer>(identity::Renewer::Options{
        .files = *options_.dial.files,
        .channel = [this] { return channel_.current(); },
        .renew_expired =
            [places = identity::RenewalPlaces{.given = options_.controllers,
                                              .file = ControllersFile(options_)}](
                const identity::IdentityFiles& files, const auto& is_stopping) {
              return identity::RenewExpired(files, places, is_stopping);
            }});
  }
}

ConfigClient::~ConfigClient() { Stop(); }

bool ConfigClient::Start() {
  PublishLease();
  if (StartFromDisk()) return true;
  Dial();
  return false;
}

void ConfigClient::Stop() {
  GiveUp();
  calls_.WaitUntilNone();
}

void ConfigClient::GiveUp() {
  is_stopped_ = true;
  is_welcome_ = false;
  counters_.is_connected = false;
  dial_timer_.Cancel();
  stats_timer_.Cancel();
  wake_timer_.Cancel();
  if (stream_ == nullptr) return;
  stream_->Cancel();
  stream_->Release();
}

void ConfigClient::SayFarewell(std::function<void()> done) {
  has_given_up_name_ = true;  // it dials no more
  dial_timer_.Cancel();
  if (stream_ == nullptr || !is_welcome_) return done();
  on_farewell_ = std::move(done);
  farewell_timer_.Arm(loop_, std::chrono::steady_clock::now() + kFarewellPatience);
  v1::ConnectRequest message;
  message.mutable_pong()->set_is_leaving(true);
  Send(std::move(message));
}

void ConfigClient::EndFarewell() {
  if (on_farewell_ == nullptr) return;
  farewell_timer_.Cancel();
  std::exchange(on_farewell_, nullptr)();
}

// True if something was there that comes into force; then it dials.
bool ConfigClient::StartFromDisk() {
  if (store_ == nullptr) return false;
  auto stored = store_->Load();
  if (!stored.ok()) {
    if (stored.status().code() != absl::StatusCode::kNotFound) {
      spdlog::error("last good config: {}; waiting for the controller",
                    std::string(stored.status().message()));
    }
    return false;
  }
  cluster_id_ = stored->cluster_id;
  epoch_ = stored->epoch;
  const auto error =
      coordinator_.Apply(stored->update, false, [this](const Coordinator::Adopted& adopted) {
        if (on_listeners_) on_listeners_(adopted.listeners);
        Dial();
      });
  if (error) {
    spdlog::error("last good config: {}: {}; waiting for the controller", error->resource,
                  error->reason);
    return false;
  }
  spdlog::info("serving the last good config, revision {}.{}, until the controller answers",
               stored->update.revision().epoch(), stored->update.revision().sequence());
  return true;
}

void ConfigClient::Dial() {
  if (is_stopped_) return;
  ++session_;
  is_welcome_ = false;
  stream_ = std::make_shared<Stream>(*this, channel_.Dial(controllers_.current()));
  stream_->Start();
  answers_.clear();
  hello_sent_ = std::chrono::steady_clock::now();
  stream_->Write(HelloMessage());
}

void ConfigClient::OnClosed(const Stream* from, const std::string& why) {
  if (stream_.get() != from || is_stopped_) return;
  LogEnd(why);
  stream_.reset();
  const SteadyTime now = std::chrono::steady_clock::now();
  const bool was_settled = std::exchange(is_welcome_, false) && now - welcome_time_ >= kSettled;
  counters_.is_connected = false;
  stats_timer_.Cancel();
  wake_timer_.Cancel();
  EndFarewell();
  if (has_given_up_name_) return;
  if (controllers_.Next(was_settled)) return Dial();
  // Full jitter: a thousand proxies must not come back in step.
  const auto wait =
      milliseconds(static_cast<int64_t>(random_() % static_cast<uint64_t>(backoff_.count())) + 1);
  backoff_ = std::min(backoff_ * 2, kMaxBackoff);
  dial_timer_.Arm(loop_, now + wait);
}

void ConfigClient::LogEnd(const std::string& why) {
  std::string& last = last_why_[controllers_.current()];
  if (!refusal_.empty()) {
    spdlog::error("no session with the controller at {}: {}; serving on", controllers_.current(),
                  refusal_);
  } else if (why != last) {
    spdlog::warn("no session with the controller at {}: {}; serving on", controllers_.current(),
                 why);
  }
  refusal_.clear();
  last = why;
}

void ConfigClient::OnMessage(const Stream* from, const v1::ConnectResponse& message) {
  if (stream_.get() != from || is_stopped_) return;
  switch (message.message_case()) {
    case v1::ConnectResponse::kWelcome:
      return OnWelcome(message.welcome());
    case v1::ConnectResponse::kUpdate:
      return OnUpdate(message.update());
    case v1::ConnectResponse::kTicketKeys:
      return OnTicketKeys(message.ticket_keys());
    case v1::ConnectResponse::kLease:
      return OnLease(message.lease());
    case v1::ConnectResponse::kPing:
      return OnPing(message.ping());
    case v1::ConnectResponse::kControllers:
      // Not of one that is not followed.
      if (is_welcome_) controllers_.Learn(message.controllers());
      return;
    default:
      return;  // from a newer controller: not ours to judge
  }
}

void ConfigClient::OnWelcome(const v1::Welcome& welcome) {
  if (welcome.epoch() < epoch_) {
    refusal_ = "STALE_EPOCH: it says epoch " + std::to_string(welcome.epoch()) + ", but " +
               std::to_string(epoch_) + " was seen: it is not the leader any more";
    stream_->Cancel();
    return;
  }
  const bool is_new_epoch = epoch_ != welcome.epoch();
  epoch_ = welcome.epoch();
  cluster_id_ = welcome.cluster_id();
  // Its first update may be long in coming: an earlier leader is refused after a restart too.
  if (is_new_epoch && coordinator_.adopted().sequence > 0) SaveConfig(coordinator_.adopted_table());
  is_welcome_ = true;
  welcome_time_ = std::chrono::steady_clock::now();
  backoff_ = kMinBackoff;
  last_why_.clear();
  counters_.sessions.fetch_add(1);
  counters_.is_connected = true;
  stats_interval_ = std::clamp(ToMilliseconds(welcome.stats_interval(), kDefaultStatsInterval),
                               kMinStatsInterval, kMaxStatsInterval);
  lease_.Begin(std::max(ToMilliseconds(welcome.lease(), Lease::kDefaultLength), kMinLease),
               hello_sent_);
  PublishLease();
  stats_timer_.Arm(loop_, std::chrono::steady_clock::now() + stats_interval_);
  is_health_full_ = true;
  is_busy_due_ = true;
  told_targets_.Forget();
  wakes_.Restart(std::chrono::steady_clock::now());
  // Nothing is acknowledged that is held already.
  are_listeners_due_ = coordinator_.adopted().sequence > 0;
  spdlog::info("session with the controller at {}, epoch {}", controllers_.current(),
               welcome.epoch());
  controllers_.Learn(welcome.controllers());
  Flush();
}

void ConfigClient::OnTicketKeys(const v1::TicketKeys& message) {
  if (!is_welcome_) return;
  const std::string error = coordinator_.ticket_keys().Replace(
      {message.keys().begin(), message.keys().end()}, std::chrono::system_clock::now());
  if (!error.empty()) spdlog::error("ticket keys are refused: {}", error);
}

void ConfigClient::OnLease(const v1::LeaseRenewal& renewal) {
  if (!is_welcome_ || !lease_.OnRenewal(renewal.stats_report())) return;
  PublishLease();
}

void ConfigClient::OnPing(const v1::Ping& ping) {
  v1::ConnectRequest message;
  message.mutable_pong()->set_ping_id(ping.ping_id());
  message.mutable_pong()->set_is_leaving(is_leaving_);
  has_given_up_name_ = is_leaving_;
  Send(std::move(message));
}

void ConfigClient::PublishLease() { counters_.lease_end = lease_.end().time_since_epoch().count(); }

void ConfigClient::OnUpdate(const v1::ConfigUpdate& update) {
  // One at a time comes, until it is answered.
  if (is_frozen_) return frozen_.emplace_back(session_, update), void();
  const Revision revision{update.revision().epoch(), update.revision().sequence()};
  const auto text = [](const Revision& r) {
    return std::to_string(r.epoch) + "." + std::to_string(r.sequence);
  };
  if (!is_welcome_) return Refuse(update, "", "an update before the welcome");
  if (revision.epoch < epoch_) {
    return Refuse(
        update, "",
        "epoch " + std::to_string(revision.epoch) + " is older than " + std::to_string(epoch_));
  }
  const Revision newest = coordinator_.newest()->revision;
  if (update.has_base()) {
    const Revision base{update.base().epoch(), update.base().sequence()};
    if (base != newest)
      return Refuse(update, "", "base " + text(base) + " is not what is in force: " + text(newest));
  }
  if (revision < newest)
    return Refuse(update, "", "revision " + text(revision) + " is before " + text(newest));
  const uint64_t session = session_;
  const auto error = coordinator_.Apply(
      update, false,
      [this, session](const Coordinator::Adopted& adopted) { OnAdopted(adopted, session); });
  if (error) return Refuse(update, error->resource, error->reason);
  if (predecessor_ != nullptr) predecessor_->Follow(update);
  moves_shares_ = moves_shares_ || update.upserts().traffic_splits_size() > 0 ||
                  update.upserts().load_balancers_size() > 0;
  epoch_ = std::max(epoch_, revision.epoch);
}

void ConfigClient::Refuse(const v1::ConfigUpdate& update, std::string resource,
                          std::string reason) {
  counters_.nacks.fetch_add(1);
  spdlog::error("config {}.{} is refused: {}: {}", update.revision().epoch(),
                update.revision().sequence(), resource, reason);
  v1::ConnectRequest message;
  *message.mutable_nack()->mutable_revision() = update.revision();
  message.mutable_nack()->set_resource(std::move(resource));
  message.mutable_nack()->set_reason(std::move(reason));
  Send(std::move(message));
}

void ConfigClient::SaveConfig(const std::shared_ptr<const RoutingTable>& table) {
  // Another process may serve from the directory once this one drains.
  if (store_ != nullptr && !is_leaving_) store_->Save(table, cluster_id_, epoch_);
}

void ConfigClient::OnAdopted(const Coordinator::Adopted& adopted, uint64_t session) {
  if (on_listeners_) on_listeners_(adopted.listeners);
  SaveConfig(adopted.table);
  if (predecessor_ == nullptr) return Acknowledge(adopted, session);
  predecessor_->WhenFollowed(adopted.table->revision,
                             [this, adopted, session] { Acknowledge(adopted, session); });
}

void ConfigClient::Send(v1::ConnectRequest message) {
  answers_.push_back(std::move(message));
  Flush();
}

void ConfigClient::OnHealth(const HealthChange& change) {
  if (!is_welcome_) return;
  changed_health_.insert(change.target.get());
  Flush();
}

void ConfigClient::OnBusy() {
  if (!is_welcome_) return;
  is_busy_due_ = true;
  Flush();
}

void ConfigClient::OnListenersChanged(const std::vector<ListenerReport>& listeners) {
  if (on_listeners_) on_listeners_(listeners);
  are_listeners_due_ = true;
  Flush();
}

// One write at a time; what is due is made when it can be sent, so that it is the newest.
void ConfigClient::Flush() {
  if (stream_ == nullptr || !stream_->can_write()) return;
  if (!answers_.empty()) {
    v1::ConnectRequest message = std::move(answers_.front());
    answers_.pop_front();
    return stream_->Write(std::move(message));
  }
  if (on_farewell_ != nullptr) return stream_->HalfClose();
  if (!is_welcome_) return;
  if (auto wake = WakeMessage()) return stream_->Write(*std::move(wake));
  if (is_health_full_ || !changed_health_.empty()) return stream_->Write(HealthMessage());
  if (is_busy_due_) {
    is_busy_due_ = false;
    return stream_->Write(DrainMessage());
  }
  if (are_listeners_due_) {
    are_listeners_due_ = false;
    return stream_->Write(ListenersMessage());
  }
  if (is_stats_due_) {
    is_stats_due_ = false;
    lease_.OnReport(std::chrono::steady_clock::now());
    stream_->Write(StatsMessage(/*with_targets=*/true));
  }
}

}  // namespace remuda::proxy
