'use strict';
// The player must tell the truth: with a stand-in for Remuda that does all well it reaches every step, and with one
// that does a single thing wrong it says so, by step, count and exit code.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, test } = require('node:test');
const { killAll, run } = require('../process.js');

const deadlineMs = 300_000; // of one play, on a machine that has other things to do
const rate = '400';
const bin = fs.mkdtempSync(path.join(os.tmpdir(), 'fake-remuda-'));
fs.symlinkSync(path.join(__dirname, 'fake_remuda.js'), path.join(bin, 'remuda'));
after(() => {
  killAll();
  fs.rmSync(bin, { recursive: true });
});

async function play(fault, ...args) {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'play-test-'));
  try {
    const result = await run(process.execPath, [path.join(__dirname, '../play.js'), '--once', '--bin', bin, '--rate', rate, ...args],
      { deadlineMs, env: { FAKE_FAULT: fault, TMPDIR: scratch } });
    const last = result.stdout.trimEnd().split('\n').at(-1);
    const match = /^lab: steps=(\d+)\/10 requests=(\d+) failed=(\d+)$/.exec(last);
    assert.ok(match, `the last line: ${last}\n${result.stderr}`);
    return { code: result.code, reached: Number(match[1]), requests: Number(match[2]), failed: Number(match[3]), stderr: result.stderr, scratch };
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true });
  }
}

test('all well: every step, 5,000 requests, none failed, exit 0', async () => {
  const result = await play('');
  assert.deepEqual([result.code, result.reached, result.failed], [0, 10, 0], result.stderr);
  assert.ok(result.requests >= 5000);
  assert.doesNotMatch(result.stderr, /read why in/);
});

// [fault of the stand-in, steps that are reached before it is found, what is said]
const faults = [
  ['no-turns', 3, /both instances to be in rotation/],
  ['early', 7, /users saw version 2 only/],
  ['no-rollback', 7, /exit code 4 says rolled back: got 0/],
  ['no-reason', 8, /an evaluation says why/],
];
for (const [fault, reached, message] of faults) {
  test(`found: ${fault}`, async () => {
    const result = await play(fault);
    assert.deepEqual([result.code, result.reached], [1, reached], result.stderr);
    assert.match(result.stderr, message);
    assert.match(result.stderr, /FAILED: [^]*\n {6}autoScalingGroups\/blue waits: no host has joined\n/, 'what the group waits for');
    assert.match(result.stderr, /read why in\n {6}\S+\/dev\.log \(of remuda dev\)\n {6}\S+\/logs \(of each program\)\n/, 'the logs to read');
  });
}

test('found: a request fails when an instance is killed', async () => {
  const result = await play('no-retry');
  assert.equal(result.code, 1);
  assert.ok(result.failed > 0, result.stderr);
  assert.match(result.stderr, /status 502/);
});

test('found: an app that is left running', async () => {
  const result = await play('leak');
  assert.equal(result.code, 1);
  assert.ok(result.reached < 10, result.stderr);
});

test('a port that is taken is said, with the flag that changes it', async (t) => {
  const server = require('node:net').createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const result = await run(process.execPath, [path.join(__dirname, '../play.js'), '--once', '--bin', bin, '--lb-port', `${server.address().port}`]);
  assert.equal(result.code, 2);
  assert.match(result.stderr, new RegExp(`--lb-port ${server.address().port}`));
});
