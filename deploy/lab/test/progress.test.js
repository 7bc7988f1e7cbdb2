'use strict';
// What quickstart says of a build: a line each tenth instead of one a file, and everything in the log.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, test } = require('node:test');

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'progress-test-'));
const log = path.join(folder, 'log');
after(() => fs.rmSync(folder, { recursive: true }));

const progress = (input) => spawnSync(path.join(__dirname, '../../progress'), [log], { input, encoding: 'utf8' });

test('323 steps are eleven lines at most; warnings are in the log only', () => {
  const lines = Array.from({ length: 323 }, (_, i) => `[${i + 1}/323] Building CXX object a${i}.o\nwarning: noise ${i}`);
  const { status, stdout } = progress(lines.join('\n'));
  assert.equal(status, 0);
  const told = stdout.trimEnd().split('\n');
  assert.ok(told.length <= 11, stdout);
  assert.match(told.at(-1), /^ {2}built 100% \(323 of 323\), 0m\d+s so far$/);
  assert.doesNotMatch(stdout, /noise|\x1b/);
  assert.equal(fs.readFileSync(log, 'utf8'), `${lines.join('\n')}\n`);
});

test('nothing to do says nothing', () => {
  const { status, stdout } = progress('ninja: no work to do.\n');
  assert.deepEqual([status, stdout], [0, '']);
});
