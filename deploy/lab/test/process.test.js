'use strict';
// What the lab relies on to leave nothing behind.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, test } = require('node:test');
const { Process, endProcessesOf, killAll, run, waitFor } = require('../process.js');

const deadlineMs = 20_000;
after(killAll);

const isAlive = (pid) => {
  try {
    // A killed child of someone else may be a zombie until it is waited for.
    return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

test('end() ends a process that ignores SIGTERM, with its children', async () => {
  const child = new Process('bash', { args: ['-c', 'trap "" TERM; sleep 1000 & echo "child $!"; wait; wait'] });
  const [, grandchild] = await child.waitForOutput(/child (\d+)/, deadlineMs);
  await child.end(100);
  await waitFor(() => !isAlive(grandchild), { deadlineMs, what: 'the grandchild to end' });
});

test('endProcessesOf finds what left its group, by its folder, and nothing else', async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'left-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const inside = path.join(folder, 'instance');
  fs.mkdirSync(inside);
  const parent = new Process('bash', { args: ['-c', 'setsid --fork sleep 1000'], cwd: inside });
  await parent.waitForExit(deadlineMs);
  const stranger = new Process('sleep', { args: ['1000'] });
  const found = await waitFor(() => {
    const lines = endProcessesOf(folder);
    return lines.length > 0 && lines;
  }, { deadlineMs, what: 'the stray process to be found' });
  assert.equal(found.length, 1);
  await waitFor(() => !isAlive(found[0].split(' ')[0]), { deadlineMs, what: 'the stray process to end' });
  assert.ok(isAlive(stranger.pid));
  assert.deepEqual(endProcessesOf(folder), []);
});

test('a command that outlives its deadline is an error and is ended', async () => {
  await assert.rejects(run('sleep', ['1000'], { deadlineMs: 100 }), /waited 0.1 s in vain for sleep 1000 to end/);
});

test('a child that keeps the pipes open does not hold up its parent\'s end', async () => {
  const child = new Process('bash', { args: ['-c', 'echo begun; sleep 1000 & exit 3'] });
  assert.equal((await child.waitForExit(deadlineMs)).code, 3);
  assert.equal(child.stdout, 'begun\n');
  child.signalGroup('SIGKILL');
});

test('a program that is not there is an error', async () => {
  await assert.rejects(run('/nonexistent/program', []), /ENOENT/);
});
