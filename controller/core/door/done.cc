#include "controller/core/door/done.h"

namespace remuda::core {
namespace {

constexpr size_t kJoinedBytes = 1000;

}  // namespace

void NoteDone(Draft& draft, const Context& context, Done done) {
  v1::Activity activity;
  activity.set_resource(std::move(done.resource));
  activity.set_instance(std::move(done.instance));
  activity.set_deployment(std::move(done.deployment));
  activity.set_actor(done.actor.empty() ? std::string(context.who.actor) : std::move(done.actor));
  activity.set_description(std::move(done.description));
  activity.set_cause(std::move(done.cause));
  activity.set_status(v1::ACTIVITY_STATUS_SUCCESSFUL);
  *activity.mutable_start_time() = ToProto(context.now);
  *activity.mutable_end_time() = ToProto(context.now);
  draft.Note(std::move(activity));
}

std::string Joined(const std::vector<std::string>& changes) {
  std::string out;
  for (const std::string& change : changes) {
    if (out.size() + change.size() > kJoinedBytes) return out + "; and more";
    if (!out.empty()) out += "; ";
    out += change;
  }
  return out;
}

}  // namespace remuda::core
