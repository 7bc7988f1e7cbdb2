#include "controller/standby/standby.h"

#include <absl/time/clock.h>
#include <grpcpp/security/credentials.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "common/identity/channel_credentials.h"
#include "common/identity/identity_files.h"
#include "controller/core/model/time.h"
#include "controller/identity/authority_files.h"
#include "controller/images/shared_directory.h"
#include "controller/ready_file.h"
#include "controller/standby/shared_authority.h"

namespace remuda {
namespace {

Endpoint EndpointOf(const std::string& text) {
  Endpoint endpoint;
  ParseEndpoint(text, endpoint);
  return endpoint;
}

// Of the store: it does not answer just now, or has no room.
bool MayPass(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status);
}

// Of this machine: it does not pass by itself, as what is UNAVAILABLE may.
absl::Status ForGood(const absl::Status& status) {
  if (!absl::IsUnavailable(status)) return status;
  return absl::FailedPreconditionError(std::string(status.message()));
}

// Whose controller it was when it ran last, as its certificate says, or the one that is given.
absl::StatusOr<std::string> ClusterOnDisk(const Options& options) {
  const std::string directory = options.data_dir + "/identity";
  const IdentityOptions& given = options.identity;
  // Without it an authority would be made: not before it is known that none is shared.
  if (!given.is_external() && given.ca_certificate.empty()) {
    const auto authority = LoadAuthority(AuthorityFilesIn(directory));
    if (!authority.ok()) return authority.status();
  }
  const std::string path =
      given.is_external() ? given.tls_certificate : identity::FilesIn(directory).identity;
  const auto certificate = identity::ReadSmallFile(path, identity::kMaxIdentityFileBytes);
  if (!certificate.ok()) return certificate.status();
  const auto peer = identity::ReadPeer(std::string_view(*certificate));
  if (!peer.ok()) return peer.status();
  return peer->id.cluster;
}

// Warns of each error once in a row.
void Tell(const char* what, const absl::Status& status, std::string& told) {
  const std::string why(status.message());
  if (why != std::exchange(told, why)) spdlog::warn("{}: {}", what, why);
}

}  // namespace

void RosterFeed::SetListener(Fn fn) {
  const std::lock_guard lock(mutex_);
  fn_ = std::move(fn);
  if (fn_ != nullptr && last_ != nullptr) fn_(last_);
}

void RosterFeed::Tell(const Roster::ViewPtr& view) {
  const std::lock_guard lock(mutex_);
  last_ = view;
  if (fn_ != nullptr) fn_(view);
}

std::vector<std::string> AddressesOf(const Roster::View& view) {
  std::vector<std::string> addresses;
  if (view.leader.has_value()) addresses.push_back(view.leader->address());
  for (const store::v1::EtcdController& one : view.controllers) {
    if (view.leader.has_value() && one.address() == view.leader->address()) continue;
    addresses.push_back(one.address());
  }
  return addresses;
}

absl::StatusOr<core::State> LoadState(Store& store, const Leadership& leadership) {
  core::State state;
  const absl::Status status =
      store.Load([&state](core::Kind kind, std::string_view key, std::string_view value,
                          int64_t number) { return state.Load(kind, key, value, number); });
  if (!status.ok()) return status;
  state.SetCommit(leadership.commit);
  return state;
}

Standby::Standby(Options& options, Parts parts)
    : options_(options),
      parts_(parts),
      begin_(absl::FromUnixMicros(absl::ToUnixMicros(absl::Now()))),
      callers_(!options.insecure) {}

Standby::~Standby() {
  parts_.ending.SetCampaign(nullptr);
  if (campaign_.joinable()) {
    store_->StopCampaign();
    campaign_.join();
  }
  feed_->SetListener(nullptr);
  images_ = nullptr;
  roster_ = nullptr;
  following_ = nullptr;
  server_ = nullptr;
}

absl::StatusOr<Won> Standby::Run() {
  if (absl::Status status = Listen(); !status.ok()) return ForGood(status);
  AnswerWithoutStore();
  if (absl::Status status = OpenStore(); !status.ok()) return status;
  auto following = store_->Follow(copy_.Fns());
  if (!following.ok()) return following.status();
  following_ = *std::move(following);
  parts_.ending.SetCampaign(store_.get());
  std::string told;
  while (true) {
    if (parts_.ending.begun()) return absl::CancelledError("it is to end");
    parts_.manager.Alive();
    {
      std::unique_lock lock(mutex_);
      if (campaigned_.has_value()) break;
    }
    if (roster_ == nullptr) {
      absl::Status status = OpenRoster();
      if (!status.ok() && !MayPass(status)) return status;
      if (!status.ok()) Tell("the controllers", status, told);
      // Not before it has its name: one that leads and has none would serve nobody, and keep
      // leadership from others meanwhile.
      if (status.ok()) {
        campaign_begin_ = std::chrono::steady_clock::now();
        campaign_ = std::thread([this] { Campaign(); });
      }
    }
    if (!is_serving_ && roster_ != nullptr && IsToStandBy(*roster_->current())) {
      absl::Status status = TryToServe();
      if (!status.ok() && !MayPass(status)) return status;
      if (!status.ok()) Tell("standing by", status, told);
    }
    if (roster_ != nullptr) roster_->SetCommit(copy_.commit(), copy_.error());
    parts_.readiness.SetCopyError(copy_.error());
    CollectNowAndThen();
    Pause(kLookPeriod);
  }
  return TakeOver();
}

void Standby::Pause(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, time,
                    [this] { return campaigned_.has_value() || parts_.ending.begun(); });
}

absl::Status Standby::Listen() {
  std::optional<Endpoint> join;
  if (!options_.insecure) join = EndpointOf(options_.identity.join_listen);
  auto server = StandbyServer::Listen(EndpointOf(options_.listen), join);
  if (!server.ok()) return server.status();
  server_ = *std::move(server);
  const Endpoint http = EndpointOf(options_.http);
  admin_ =
      std::make_unique<AdminHttp>(AdminHttp::Options{.address = http.address, .port = http.port});
  admin_->Handle("/healthz", [](const AdminRequest&) { return AdminResponse{.body = "ok\n"}; });
  admin_->Handle("/readyz", [this](const AdminRequest&) {
    std::string why = parts_.readiness.WhyNot();
    return why.empty() ? AdminResponse{.body = "ok\n"}
                       : AdminResponse{.status = 503, .body = std::move(why)};
  });
  admin_->Handle("/metrics", [this](const AdminRequest&) {
    parts_.metrics.descriptors = static_cast<int64_t>(CountDescriptors());
    return AdminResponse{.content_type = "text/plain; version=0.0.4; charset=utf-8",
                         .body = parts_.metrics.Print()};
  });
  if (absl::Status status = admin_->Start(); !status.ok()) return status;
  options_.listen = server_->api_address();
  options_.http = admin_->listen_address();
  if (join.has_value()) options_.identity.join_listen = server_->join_address();
  return absl::OkStatus();
}

store::v1::EtcdController Standby::Self() const {
  store::v1::EtcdController self;
  self.set_name(options_.controller_name);
  self.set_address(ApiAddresses(options_.identity, options_.listen).front());
  if (!options_.insecure)
    self.set_join_address(JoinAddress(options_.identity, options_.identity.join_listen));
  self.set_version(REMUDA_VERSION);
  *self.mutable_start_time() = core::ToProto(begin_);
  return self;
}

absl::Status Standby::OpenStore() {
  EtcdStore::Options etcd;
  etcd.address = options_.store.etcd;
  etcd.known_cluster = ClusterOnDisk(options_).value_or("");
  etcd.sealing_key_file = options_.sealing_key_file;
  etcd.self = Self();
  etcd.time_to_live = options_.store.lease;
  etcd.on_lost = [&ending = parts_.ending](const absl::Status& why) {
    spdlog::error("leadership is lost: {}", std::string(why.message()));
    ending.Begin(kBeginAnew);
  };
  std::string told;
  while (true) {
    auto opened = EtcdStore::Open(etcd);
    if (opened.ok()) {
      store_ = *std::move(opened);
      parts_.readiness.SetStartError("");
      const std::lock_guard lock(mutex_);
      store_error_.clear();
      break;
    }
    if (parts_.ending.begun()) return absl::CancelledError("it is to end");
    if (!MayPass(opened.status())) return opened.status();
    Tell("the store", opened.status(), told);
    {
      const std::lock_guard lock(mutex_);
      store_error_ = std::string(opened.status().message());
    }
    parts_.readiness.SetStartError("the store: " + told);
    parts_.manager.Alive();
    Pause(kStorePause);
  }
  if (parts_.failpoints != nullptr)
    store_ = std::make_unique<FailpointStore>(std::move(store_), *parts_.failpoints);
  return absl::OkStatus();
}

void Standby::Campaign() {
  std::string told;
  while (true) {
    absl::StatusOr<Leadership> won = store_->Campaign();
    if (!won.ok() && MayPass(won.status()) && !parts_.ending.begun()) {
      Tell("the campaign", won.status(), told);
      Pause(kStorePause);
      continue;
    }
    const std::lock_guard lock(mutex_);
    campaigned_ = std::move(won);
    changed_.notify_all();
    return;
  }
}

absl::Status Standby::OpenRoster() {
  Roster::Options options;
  options.address = options_.store.etcd;
  options.self = Self();
  options.on_change = [feed = feed_](const Roster::ViewPtr& view) { feed->Tell(view); };
  options.is_ended = [this] {
    parts_.manager.Alive();
    return parts_.ending.begun();
  };
  auto opened = Roster::Open(std::move(options));
  if (!opened.ok()) return opened.status();
  roster_ = *std::move(opened);
  return absl::OkStatus();
}

bool Standby::IsOwn(const Roster::View& view) const {
  return view.leader.has_value() && view.leader->name() == options_.controller_name &&
         core::FromProto(view.leader->start_time()) == begin_;
}

bool Standby::IsToStandBy(const Roster::View& view) const {
  if (view.leader.has_value()) return !IsOwn(view);
  return std::chrono::steady_clock::now() - campaign_begin_ > kCampaignPatience;
}

void Standby::TellLeader(const Roster::ViewPtr& view) {
  const auto* const leader = view->leader.has_value() ? &*view->leader : nullptr;
  const std::string text = leader == nullptr ? "no controller leads"
                                             : leader->name() + " at " + leader->address() +
                                                   " leads, epoch " + std::to_string(view->epoch);
  if (text != told_) spdlog::info("{}", text);
  told_ = text;
  if (images_ != nullptr) {
    images_->SetLeader(leader == nullptr || IsOwn(*view) ? std::nullopt
                                                         : std::optional(leader->address()));
  }
  // Who comes while this one takes over waits, and then comes again.
  server_->SetLeader(IsOwn(*view) ? nullptr : leader, view->epoch);
}

std::string Standby::WhyNoLeader() const {
  std::string error;
  {
    const std::lock_guard lock(mutex_);
    error = store_error_;
  }
  if (error.empty()) error = copy_.error();
  return error.empty() ? "one is to be within seconds" : "the store does not answer: " + error;
}

absl::Status Standby::CheckSharedBlobs(bool has_images) {
  const auto cluster = store_->ClusterId();
  if (!cluster.ok() || !cluster->has_value()) return cluster.status();
  const absl::Status claimed = ClaimSharedDirectory(options_.blobs, **cluster, has_images);
  // To wait for it would say nothing to whoever has named the wrong one.
  return claimed.ok() ? claimed : absl::FailedPreconditionError(claimed.message());
}

void Standby::BeginImages() {
  if (parts_.blobs == nullptr) return;
  images_ = std::make_unique<ImageReplicator>(ImageReplicator::Options{
      .controller = options_.controller_name,
      .credentials = identity_ == nullptr
                         ? grpc::InsecureChannelCredentials()
                         : identity::ChannelCredentials(identity_->files(), identity_->cluster()),
      .blobs = *parts_.blobs,
      .blob_thread = *parts_.blob_thread});
}

void Standby::CollectNowAndThen() {
  const absl::Time now = absl::Now();
  if (images_ == nullptr || now - collected_ < kCollectPeriod) return;
  const auto known = Blobs::FileClock::now();
  std::optional<std::set<std::string>> named = copy_.ImageDigests();
  if (!named.has_value()) return;
  collected_ = now;
  images_->SetNeeded(*std::move(named), known);
}

absl::Status Standby::TryToServe() {
  if (!options_.blobs.empty()) {
    const auto named = copy_.ImageDigests();
    if (!named.has_value()) return absl::OkStatus();
    if (absl::Status status = CheckSharedBlobs(!named->empty()); !status.ok()) return status;
  }
  if (!options_.insecure) {
    const auto cluster = store_->ClusterId();
    if (!cluster.ok()) return cluster.status();
    if (!cluster->has_value()) return absl::OkStatus();
    const IdentityOptions& given = options_.identity;
    if (!given.is_external() && given.ca_certificate.empty()) {
      const auto taken = TakeSharedAuthority(*store_, options_.data_dir + "/identity");
      if (!taken.ok() || !*taken) return taken.status();
    }
    if (identity_ != nullptr && identity_->cluster() != **cluster) {
      return absl::FailedPreconditionError(options_.data_dir + "/identity: is of cluster " +
                                           identity_->cluster() +
                                           ", and what --store names is of cluster " + **cluster +
                                           ": the wrong --data-dir or the wrong --store");
    }
    if (identity_ == nullptr) {
      if (absl::Status status = OpenIdentity(**cluster); !status.ok()) return status;
    }
  }
  if (!is_answering_) {
    if (absl::Status status = Answer(); !status.ok()) return status;
  }
  is_serving_ = true;
  BeginImages();
  feed_->SetListener([this](const Roster::ViewPtr& view) { TellLeader(view); });
  spdlog::info("standing by: gRPC on {}, HTTP on {}", server_->api_address(),
               admin_->listen_address());
  parts_.readiness.SetServing(true);
  parts_.manager.Ready("standing by on " + server_->api_address());
  return ForGood(WriteReadyFile(options_.ready_file, server_->api_address(),
                                admin_->listen_address(), server_->join_address()));
}

absl::Status Standby::Answer() {
  absl::Status status = server_->Serve(
      {.cluster = identity_.get(),
       .callers = &callers_,
       .metrics = &parts_.metrics,
       .max_descriptors = parts_.max_descriptors,
       .why_no_leader = [this] { return WhyNoLeader(); },
       .on_refused =
           [&audit = parts_.audit](const std::string& address, const std::string& why) {
             audit.WriteRefused("handshake", address, why);
           }});
  is_answering_ = status.ok();
  return status;
}

void Standby::AnswerWithoutStore() {
  if (!options_.insecure) {
    const auto cluster = ClusterOnDisk(options_);
    if (!cluster.ok()) return;  // it has not been one of a cluster's controllers yet
    if (absl::Status status = OpenIdentity(*cluster); !status.ok()) {
      spdlog::warn("{}", std::string(status.message()));
      return;
    }
  }
  if (absl::Status status = Answer(); !status.ok())
    spdlog::warn("{}", std::string(status.message()));
}

absl::Status Standby::OpenIdentity(const std::string& cluster) {
  auto opened = ClusterIdentity::Open({.directory = options_.data_dir + "/identity",
                                       .cluster = cluster,
                                       .name = options_.controller_name,
                                       .hosts = HostsOf(options_),
                                       .given = options_.identity},
                                      absl::Now());
  if (!opened.ok()) return opened.status();
  identity_ = *std::move(opened);
  return absl::OkStatus();
}

absl::StatusOr<Won> Standby::TakeOver() {
  campaign_.join();
  parts_.ending.SetCampaign(nullptr);
  absl::StatusOr<Leadership> leadership = *std::move(campaigned_);
  if (!leadership.ok()) return leadership.status();
  spdlog::info("this controller leads, epoch {}", leadership->epoch);
  // Who was passed on is to come back, to the leader.
  feed_->SetListener(nullptr);
  // What it is at may take a moment to end, which nobody waits for here.
  if (images_ != nullptr) images_->SetLeader(std::nullopt);
  server_ = nullptr;
  identity_ = nullptr;
  parts_.readiness.SetServing(false);
  std::optional<core::State> copy = copy_.Take(leadership->commit, kCopyPatience);
  following_ = nullptr;
  admin_ = nullptr;
  Won won;
  if (copy.has_value()) {
    won.state = *std::move(copy);
  } else {
    spdlog::info("the copy is not at commit {}: all is loaded", leadership->commit);
    auto loaded = LoadState(*store_, *leadership);
    if (!loaded.ok()) return loaded.status();
    won.state = *std::move(loaded);
  }
  parts_.readiness.SetCopyError("");
  if (!options_.insecure && !options_.identity.is_external() &&
      options_.identity.ca_certificate.empty()) {
    absl::Status status = ShareAuthority(*store_, options_.data_dir + "/identity",
                                         leadership->cluster_id, absl::Now());
    // It is another one's to share where another one leads.
    const auto deadline = store_->lease_deadline();
    if (!status.ok() && deadline.has_value() && *deadline < std::chrono::steady_clock::now())
      return absl::UnavailableError(std::string(status.message()));
    if (!status.ok()) return status;
  }
  won.leadership = *std::move(leadership);
  won.store = std::move(store_);
  won.feed = feed_;
  won.roster = std::move(roster_);
  won.images = std::move(images_);
  return won;
}

}  // namespace remuda
