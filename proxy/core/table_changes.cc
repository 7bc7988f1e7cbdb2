#include "proxy/core/table_changes.h"

namespace remuda::proxy {
namespace {

const TargetGroup* Find(const RoutingTable& table, const std::string& id) {
  const auto it = table.groups.find(id);
  return it == table.groups.end() ? nullptr : it->second.get();
}

void NoteAdmin(const TargetGroup& group, const std::shared_ptr<TargetState>& target, AdminState was,
               AdminState is, RoutingTable& table) {
  if (was == is) return;
  table.admin_changes.emplace_back(target, is);
  if (is == AdminState::kActive) return;
  table.leaving.push_back(
      {target, is == AdminState::kGone, group.deregistration_delay, group.web_socket_close});
}

// Of a group that was or is there, or both.
void NoteGroup(const TargetGroup* old, const TargetGroup* now, RoutingTable& table) {
  if (now != nullptr) {
    for (const Member& member : now->members) {
      const Member* was = old == nullptr ? nullptr : old->Find(member.target->id());
      const bool is_same = was != nullptr && was->target == member.target;
      NoteAdmin(*now, member.target, is_same ? was->admin : AdminState::kActive, member.admin,
                table);
    }
  }
  if (old == nullptr) return;
  for (const Member& member : old->members) {
    const Member* is = now == nullptr ? nullptr : now->Find(member.target->id());
    if (is == nullptr || is->target != member.target)
      NoteAdmin(now == nullptr ? *old : *now, member.target, member.admin, AdminState::kRemoved,
                table);
  }
}

}  // namespace

void NoteChanges(const RoutingTable& previous, RoutingTable& table) {
  for (const auto& [id, group] : table.groups) {
    const TargetGroup* const before = Find(previous, id);
    if (before == group.get()) continue;
    table.changed_groups.push_back(group);
    NoteGroup(before, group.get(), table);
  }
  for (const auto& [id, group] : previous.groups) {
    if (Find(table, id) != nullptr) continue;
    table.removed_groups.push_back(group->state);
    NoteGroup(group.get(), nullptr, table);
  }
}

}  // namespace remuda::proxy
