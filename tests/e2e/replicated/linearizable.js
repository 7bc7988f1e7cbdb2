'use strict';
// Judges whether a history of registers is linearizable: whether each operation can have taken effect at one moment between its call and its
// answer, such that every read tells the newest value. Pure: no clock, no I/O.
//
// An operation: {key, kind: 'read' | 'write' | 'swap', value, expected, start, end, outcome: 'ok' | 'failed' | 'unknown', by}. `value` is what was
// read or written; a swap writes it if `expected` stands there. start and end are of one clock. 'failed' promises that nothing was done; 'unknown'
// promises nothing. `by` is told to the reader alone. Written values are unique within a key.
//
// How: keys are judged one by one (linearizability is local). Along the calls and answers of a key in order of time goes the set of all that
// may be so by then: the value, and which of the operations that are under way have taken effect already. An answer keeps what it fits; none left: no
// order explains the history (Wing and Gong's search, in Lowe's just-in-time order, each configuration visited once).

const maxConfigurations = 100_000; // at one time; more: undecided, which is an error
const maxOperations = 1_000_000; // of one history
const keptForMessage = 8; // operations of the key before the one that does not fit

// Null if it is linearizable, else a text that says why not. initial: value of every key before the first operation. Throws a RangeError beyond a
// limit, a TypeError for what is no history.
function violation(operations, { initial = null } = {}) {
  if (operations.length > maxOperations) throw new RangeError(`a history of ${operations.length} operations: at most ${maxOperations}`);
  const byKey = new Map();
  for (const operation of operations) {
    check(operation);
    if (!byKey.has(operation.key)) byKey.set(operation.key, []);
    byKey.get(operation.key).push(operation);
  }
  for (const [key, ofKey] of byKey) {
    const why = violationOfKey(ofKey, initial);
    if (why) return `${key}: ${why}`;
  }
  return null;
}

function check(operation) {
  const { kind, outcome, start, end } = operation;
  const wrong = (field, rule) => new TypeError(`${field} of ${JSON.stringify(operation)}: ${rule}`);
  if (!['read', 'write', 'swap'].includes(kind)) throw wrong('kind', 'read, write or swap');
  if (!['ok', 'failed', 'unknown'].includes(outcome)) throw wrong('outcome', 'ok, failed or unknown');
  if (!Number.isFinite(start)) throw wrong('start', 'a number');
  if (outcome === 'ok' && !(end >= start)) throw wrong('end', 'not before start');
}

// What may have been done, each with an end. Of what is unknown that alone whose value was seen: the rest may as well not have been done, and would
// only multiply what is to be searched. What was seen was done before the first answer that tells it.
function mayBeDone(operations) {
  const seenBy = new Map(); // value: the earliest end of what saw it
  const see = (value, end) => seenBy.set(value, Math.min(end, seenBy.get(value) ?? Infinity));
  const done = operations.filter(({ outcome }) => outcome === 'ok').map((operation) => ({ ...operation }));
  for (const { kind, value, expected, end } of done) {
    if (kind === 'read') see(value, end);
    if (kind === 'swap') see(expected, end);
  }
  let rest = operations.filter(({ outcome, kind }) => outcome === 'unknown' && kind !== 'read');
  for (;;) {
    const seen = rest.filter(({ value }) => seenBy.has(value));
    if (seen.length === 0) return done;
    rest = rest.filter(({ value }) => !seenBy.has(value));
    for (const operation of seen) {
      const end = Math.max(operation.start, seenBy.get(operation.value));
      done.push({ ...operation, end });
      if (operation.kind === 'swap') see(operation.expected, end); // and so one that it found there was done, too
    }
  }
}

// The value after it; undefined: it cannot have been done with this one there.
function after(value, operation) {
  if (operation.kind === 'write') return operation.value;
  if (operation.kind === 'swap') return value === operation.expected ? operation.value : undefined;
  return value === operation.value ? value : undefined;
}

function violationOfKey(operations, initial) {
  const done = mayBeDone(operations);
  const twice = firstTwice(operations.filter(({ kind }) => kind !== 'read').map(({ value }) => value));
  if (twice !== undefined) throw new TypeError(`value ${JSON.stringify(twice)} was written twice: values of a key are unique`);
  const events = done.flatMap((operation, id) => [{ time: operation.start, isCall: true, id }, { time: operation.end, isCall: false, id }]);
  events.sort((a, b) => a.time - b.time || b.isCall - a.isCall || a.id - b.id); // of what is at one time, nothing was before
  const underWay = new Set();
  let configurations = new Map([[nameOf(initial, []), { value: initial, effective: [] }]]);
  for (const { isCall, id } of events) {
    if (isCall) {
      underWay.add(id);
      continue;
    }
    const fitting = answered(configurations, underWay, done, id);
    if (fitting.size === 0) return explained(configurations, done, id);
    underWay.delete(id);
    configurations = fitting;
  }
  return null;
}

// What may be so once operation `id`, which is under way, has taken effect: itself no longer among the effective ones.
function answered(configurations, underWay, operations, id) {
  const fitting = new Map();
  const visited = new Set(configurations.keys());
  const toVisit = [...configurations.values()];
  while (toVisit.length > 0) {
    const { value, effective } = toVisit.pop();
    if (effective.includes(id)) {
      const rest = effective.filter((other) => other !== id);
      fitting.set(nameOf(value, rest), { value, effective: rest });
      continue;
    }
    for (const next of underWay) {
      const then = effective.includes(next) ? undefined : after(value, operations[next]);
      if (then === undefined) continue;
      const more = [...effective, next].sort((a, b) => a - b);
      const name = nameOf(then, more);
      if (visited.has(name)) continue;
      visited.add(name);
      if (visited.size > maxConfigurations) throw new RangeError(`undecided: more than ${maxConfigurations} configurations at ${textOf(operations[id])}`);
      toVisit.push({ value: then, effective: more });
    }
  }
  return fitting;
}

const nameOf = (value, effective) => `${JSON.stringify(value)} ${effective.join()}`;

function firstTwice(values) {
  const seen = new Set();
  return values.find((value) => seen.has(value) || !seen.add(value));
}

function textOf({ kind, value, expected, start, end, outcome, by }) {
  const what = kind === 'swap' ? `swap ${JSON.stringify(expected)} for ${JSON.stringify(value)}` : `${kind} ${JSON.stringify(value)}`;
  return `${what} (${outcome}, ${start} to ${end}${by === undefined ? '' : `, by ${by}`})`;
}

function explained(configurations, done, id) {
  const stood = [...new Set([...configurations.values()].map(({ value }) => JSON.stringify(value)))];
  const before = done.filter((operation, other) => other !== id && operation.start <= done[id].end).sort((a, b) => a.end - b.end).slice(-keptForMessage);
  return [`${textOf(done[id])} fits no order; before it may have stood there: ${stood.slice(0, keptForMessage).join(', ')}`, ...before.map((one) => `  ${textOf(one)}`)].join('\n');
}

module.exports = { maxConfigurations, violation };
