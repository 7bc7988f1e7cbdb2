'use strict';
// Whether a run has shown anything: a history in which nobody swapped, a guard that saw no process and a log of which no session was read have no
// trouble either. Pure.

// What a run lacks, a line for each. operations: the history (linearizable.js); controllers: their names; created: how many other writes were
// acknowledged; most, expected: by group, the most processes of it that were seen at once, and that there were; sessions: by host and proxy, its
// sessions in order ({epoch}); epoch: of who leads.
function lacking({ operations, controllers, created, most, expected, sessions, epoch }) {
  const lines = [];
  for (const controller of controllers) {
    for (const kind of ['read', 'write', 'swap']) {
      const isDone = (one) => one.by === controller && one.kind === kind && one.outcome === 'ok';
      if (!operations.some(isDone)) lines.push(`no ${kind} through ${controller} was done`);
    }
  }
  // Else there is nothing that a stale read could be told by.
  for (const key of new Set(operations.map((one) => one.key))) {
    const ofKey = operations.filter((one) => one.key === key && one.outcome === 'ok');
    const isElsewhere = (write) => write.kind !== 'read' && ofKey.some((read) => read.kind === 'read' && read.value === write.value && read.by !== write.by);
    if (!ofKey.some(isElsewhere)) lines.push(`${key}: no value was read through another controller than it was written by`);
  }
  if (created === 0) lines.push('no other write was acknowledged');
  for (const [group, count] of Object.entries(expected)) {
    if (!(most[group] >= count)) lines.push(`${group}: ${most[group] ?? 0} processes were seen at once, and there were ${count}`);
  }
  for (const [name, ofName] of Object.entries(sessions)) {
    const epochs = ofName.map((session) => session.epoch);
    if (new Set(epochs).size < 2) lines.push(`${name}: sessions of epochs ${epochs} are known: it saw nobody take over`);
    else if (epochs.at(-1) !== epoch) lines.push(`${name}: its last session is of epoch ${epochs.at(-1)}, and ${epoch} leads`);
  }
  return lines;
}

module.exports = { lacking };
