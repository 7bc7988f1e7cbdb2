'use strict';
// Runs that prove nothing, each in one way.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { lacking } = require('./proof.js');

const one = (kind, by, value) => ({ key: 'r', kind, by, value, outcome: 'ok' });
const run = () => ({
  operations: ['a', 'b'].flatMap((by) => [one('read', by, 'a-1'), one('write', by, `${by}-1`), one('swap', by, `${by}-2`)]),
  controllers: ['a', 'b'],
  created: 1,
  most: { web: 3 },
  expected: { web: 3 },
  sessions: { h1: [{ epoch: 4 }, { epoch: 9 }] },
  epoch: 9,
});

test('a run that shows something lacks nothing', () => assert.deepEqual(lacking(run()), []));

// [what is wrong, how, what is said of it]
const cases = [
  ['nobody read by one controller', (it) => { it.operations.find(({ kind, by }) => kind === 'read' && by === 'b').by = 'a'; }, /^no read through b was done\nr: no value was read through another/],
  ['every swap failed', (it) => { it.operations.filter(({ kind }) => kind === 'swap').forEach((swap) => { swap.outcome = 'failed'; }); }, /^no swap through a was done\nno swap through b was done$/],
  ['reads tell what their own controller wrote alone', (it) => { it.operations.find(({ kind, by }) => kind === 'read' && by === 'b').value = 'b-1'; }, /^r: no value was read through another controller/],
  ['nothing was made', (it) => { it.created = 0; }, /^no other write was acknowledged$/],
  ['a guard that sees nobody', (it) => { it.most = {}; }, /^web: 0 processes were seen at once, and there were 3$/],
  ['a log that is not understood', (it) => { it.sessions.h1 = []; }, /^h1: sessions of epochs {2}are known: it saw nobody take over$/],
  ['nobody took over', (it) => { it.sessions.h1[0].epoch = 9; }, /^h1: sessions of epochs 9,9 are known/],
  ['one that is left behind', (it) => { it.epoch = 12; }, /^h1: its last session is of epoch 9, and 12 leads$/],
];
for (const [what, breakIt, said] of cases) {
  test(`it is seen: ${what}`, () => {
    const it = run();
    breakIt(it);
    assert.match(lacking(it).join('\n'), said);
  });
}
