// ConfigClient, the part of takeovers: how it begins in another process' place, and ends for one.
#include <spdlog/spdlog.h>

#include <utility>

#include "proxy/control/config_client.h"

namespace remuda::proxy {

bool ConfigClient::StartFrom(const v1::TakeoverOffer& offer, std::function<void()> done) {
  PublishLease();
  cluster_id_ = offer.cluster_id();
  epoch_ = offer.epoch();
  if (!offer.has_config()) {
    done();
    return true;
  }
  const auto error = coordinator_.Apply(
      offer.config(), false,
      [done = std::move(done)](const Coordinator::Adopted& /*adopted*/) { done(); });
  if (error) {
    spdlog::error("the config of the process before: {}: {}", error->resource, error->reason);
    return false;
  }
  return true;
}

void ConfigClient::Begin(Predecessor* before) {
  predecessor_ = before;
  if (store_ != nullptr && coordinator_.adopted().sequence > 0)
    store_->Save(coordinator_.newest(), cluster_id_, epoch_);
  Dial();
}

void ConfigClient::Freeze(bool is_frozen) {
  is_frozen_ = is_frozen;
  if (is_frozen) return;
  for (const auto& [session, update] : std::exchange(frozen_, {})) {
    if (session == session_ && !is_stopped_) OnUpdate(update);
  }
}

bool ConfigClient::is_settled() const {
  return coordinator_.is_settled() && (store_ == nullptr || store_->is_idle());
}

void ConfigClient::Describe(v1::TakeoverOffer& offer) const {
  offer.set_cluster_id(cluster_id_);
  offer.set_epoch(epoch_);
  const RoutingTable& table = *coordinator_.newest();
  if (table.revision.sequence == 0) return;
  v1::ConfigUpdate& update = *offer.mutable_config();
  update.mutable_revision()->set_epoch(table.revision.epoch);
  update.mutable_revision()->set_sequence(table.revision.sequence);
  update.set_digest(table.digest);
  *update.mutable_upserts() = ConfigOf(table);
}

}  // namespace remuda::proxy
