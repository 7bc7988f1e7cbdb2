'use strict';
// Histories that are linearizable, and histories that are not, by the kinds of wrong that a replicated store can do.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { maxConfigurations, violation } = require('./linearizable.js');

const of = (kind, outcome) => (value, start, end, more = {}) => ({ key: 'r', kind, value, start, end, outcome, ...more });
const read = of('read', 'ok');
const write = of('write', 'ok');
const failed = of('write', 'failed');
const unknown = of('write', 'unknown');
const swap = (expected, value, start, end, outcome = 'ok') => ({ key: 'r', kind: 'swap', expected, value, start, end, outcome });

const good = {
  'nothing': [],
  'the initial value': [read(null, 0, 1)],
  'one after the other': [write('a', 0, 1), read('a', 2, 3), write('b', 4, 5), read('b', 6, 7)],
  'a read beside a write tells the old value': [write('a', 0, 1), write('b', 2, 6), read('a', 3, 4)],
  'a read beside a write tells the new value': [write('a', 0, 1), write('b', 2, 6), read('b', 3, 4)],
  'two writes at once, either is last': [write('a', 0, 5), write('b', 1, 4), read('a', 6, 7)],
  'a write that is answered late': [write('a', 0, 10), read('a', 1, 2), write('b', 3, 4), read('b', 5, 6)],
  'touching ends count as at once': [write('a', 0, 1), write('b', 1, 2), read('a', 3, 4)],
  'a failed write is not seen': [write('a', 0, 1), failed('b', 2, 3), read('a', 4, 5)],
  'an unknown write was not done': [write('a', 0, 1), unknown('b', 2, 3), read('a', 4, 5)],
  'an unknown write was done': [write('a', 0, 1), unknown('b', 2, 3), read('b', 4, 5)],
  'an unknown write is done late': [write('a', 0, 1), unknown('b', 2, 3), read('a', 4, 5), read('b', 8, 9)],
  'a read that failed says nothing': [write('a', 0, 1), { ...read('x', 2, 3), outcome: 'failed' }, { ...read('y', 2, 3), outcome: 'unknown' }],
  'swaps in a row': [swap(null, 'a', 0, 1), swap('a', 'b', 2, 3), read('b', 4, 5)],
  'a swap of a value whose write is unknown': [unknown('a', 0, 1), swap('a', 'b', 2, 3), read('b', 4, 5)],
  'an unknown swap of an unknown value': [unknown('a', 0, 1), swap('a', 'b', 2, undefined, 'unknown'), read('b', 4, 5)],
  'keys are apart': [{ ...write('a', 0, 1), key: 'x' }, { ...read(null, 2, 3), key: 'y' }],
  'many unknown ones that nobody saw': [...Array.from({ length: 500 }, (_, i) => unknown(`u${i}`, i, i + 1)), write('a', 600, 601), read('a', 602, 603)],
};

const bad = {
  'a value that nobody wrote': [read('a', 0, 1)],
  'a stale read': [write('a', 0, 1), write('b', 2, 3), read('a', 4, 5)],
  'an acknowledged write is lost': [write('a', 0, 1), write('b', 2, 3), read('a', 4, 5), read('a', 6, 7)],
  'a read goes back': [write('a', 0, 1), write('b', 2, 9), read('b', 3, 4), read('a', 5, 6)],
  'a read from the future': [read('a', 0, 1), write('a', 2, 3)],
  'a failed write was done': [write('a', 0, 1), failed('b', 2, 3), read('b', 4, 5)],
  'an unknown write is done and undone': [write('a', 0, 1), unknown('b', 2, 3), read('b', 4, 5), read('a', 6, 7)],
  'an unknown write is seen before it began': [read('b', 0, 1), unknown('b', 2, 3)],
  'a write is done twice': [write('a', 0, 1), write('b', 2, 3), read('b', 4, 5), read('a', 6, 7), read('a', 8, 9)],
  'two readers see two orders': [write('a', 0, 9), write('b', 0, 9), read('a', 1, 2), read('b', 3, 4), read('a', 5, 6)],
  'two leaders each swap the same value': [write('a', 0, 1), swap('a', 'b', 2, 5), swap('a', 'c', 2, 5)],
  'a swap of what was not there': [write('a', 0, 1), write('b', 2, 3), swap('a', 'c', 4, 5)],
  'an unknown swap was done, and what it found was not': [write('a', 0, 1), failed('x', 2, 3), swap('x', 'b', 4, undefined, 'unknown'), read('b', 6, 7)],
};

for (const [name, history] of Object.entries(good)) test(`linearizable: ${name}`, () => assert.equal(violation(history), null));
for (const [name, history] of Object.entries(bad)) test(`not linearizable: ${name}`, () => assert.match(violation(history), /^r: .* fits no order/));

test('what does not fit is named, with the values that may have stood there', () => {
  assert.match(violation([write('a', 0, 1), write('b', 2, 3, { by: 'c1' }), read('a', 4, 5, { by: 'c2' })]),
    /^r: read "a" \(ok, 4 to 5, by c2\) fits no order; before it may have stood there: "b"\n.*write "a".*\n.*write "b" \(ok, 2 to 3, by c1\)$/);
});

test('an initial value', () => {
  assert.equal(violation([read('zero', 0, 1)], { initial: 'zero' }), null);
  assert.match(violation([read(null, 0, 1)], { initial: 'zero' }), /fits no order/);
});

// A small search that is as plain as can be: any order of all operations that keeps to their times.
function isLinearizable(operations, value = null) {
  const known = operations.filter(({ outcome }) => outcome !== 'unknown');
  if (known.length === 0) return true;
  return operations.some((one) => {
    if (known.some((other) => other !== one && other.end < one.start)) return false;
    if (one.kind === 'read' && one.value !== value) return false;
    return isLinearizable(operations.filter((other) => other !== one), one.kind === 'write' ? one.value : value);
  });
}

function random(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test('says what a plain search says, of histories at random', () => {
  const count = { good: 0, bad: 0 };
  for (let seed = 1; seed <= 3000; seed += 1) {
    const draw = random(seed);
    const operations = Array.from({ length: 7 }, (_, i) => {
      const start = draw(20);
      const isRead = draw(2) === 0;
      return { key: 'r', kind: isRead ? 'read' : 'write', value: isRead ? [null, 'w0', 'w1', 'w2', 'w3', 'w4', 'w5', 'w6'][draw(8)] : `w${i}`, start, end: start + 1 + draw(8), outcome: !isRead && draw(4) === 0 ? 'unknown' : 'ok' };
    });
    const expected = isLinearizable(operations);
    count[expected ? 'good' : 'bad'] += 1;
    assert.equal(violation(operations) === null, expected, `seed ${seed}: ${JSON.stringify(operations)}`);
  }
  assert.ok(count.good > 100 && count.bad > 100, JSON.stringify(count));
});

test('a long history of many clients is judged, and one wrong read in it is found', () => {
  const draw = random(7);
  const history = [];
  let value = null;
  for (let i = 0; i < 20_000; i += 1) { // operation i takes effect at time 10 i, and is under way about it
    const isRead = draw(2) === 0;
    if (!isRead) value = `v${i}`;
    history.push({ key: 'r', kind: isRead ? 'read' : 'write', value, start: 10 * i - draw(40), end: 10 * i + draw(40), outcome: 'ok' });
  }
  assert.equal(violation(history), null);
  const late = history.findLastIndex(({ kind }) => kind === 'read');
  history[late] = { ...history[late], value: history.find(({ kind }) => kind === 'write').value };
  assert.match(violation(history), /fits no order/);
});

test('what cannot be decided within bounds is an error, and so is what is no history', () => {
  const atOnce = Array.from({ length: 40 }, (_, i) => write(`w${i}`, 0, 100 + i));
  assert.throws(() => violation([...atOnce, read('w39', 150, 151)]), { name: 'RangeError', message: new RegExp(`${maxConfigurations}`) });
  assert.throws(() => violation([write('a', 0, 1), write('a', 2, 3)]), { name: 'TypeError', message: /"a" was written twice/ });
  assert.throws(() => violation([write('a', 2, 1)]), { name: 'TypeError', message: /end .* not before start/ });
  assert.throws(() => violation([{ ...write('a', 0, 1), outcome: 'maybe' }]), { name: 'TypeError', message: /outcome/ });
  assert.throws(() => violation([{ ...write('a', 0, 1), kind: 'add' }]), { name: 'TypeError', message: /kind/ });
});
