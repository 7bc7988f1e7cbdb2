'use strict';
// A lab of several hosts leaves nothing behind, whoever ends it and however. Skipped, and said so, where it cannot be made.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, test } = require('node:test');
const { Room } = require('../hosts/room.js');
const { Process, killAll, waitFor } = require('../process.js');

const deadlineMs = 60_000;
const skip = process.getuid() !== 0 ? 'only root makes network namespaces' : false;
const run = `test-${process.pid}`;
after(async () => {
  killAll();
  if (!skip) await Room.find(run)?.close();
});

const folder = path.join(os.tmpdir(), `remuda-lab-${run}`);
const groupsOf = (name) => spawnSync('find', ['/sys/fs/cgroup', '-type', 'd', '-name', `remuda-lab-${name}`], { encoding: 'utf8' }).stdout.trim();
const isAlive = (pid) => fs.existsSync(`/proc/${pid}`);

// What runs on a machine of the lab, out of the reach of whoever started it, by its id outside; it says its id on the way.
async function stray(room) {
  const [command, ...args] = room.enter(['setsid', '--fork', 'sleep', '1234.5'], 'h1');
  assert.equal(spawnSync(command, args, { stdio: 'ignore' }).status, 0);
  return waitFor(() => spawnSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' }).stdout.split('\n').map((line) => /^\s*(\d+) sleep 1234\.5$/.exec(line)?.[1]).find(Boolean),
    { deadlineMs, what: 'the stray process' });
}

test('down: what runs on its machines, its control groups and its folder are gone', { skip }, async () => {
  const before = fs.readdirSync('/sys/class/net').sort();
  const room = await Room.open(run, { held: false });
  assert.deepEqual(fs.readdirSync('/sys/class/net').sort(), before, 'the machine has the interfaces that it had');
  const pid = await stray(room);
  await assert.rejects(Room.open(run, { held: false }), /is up already: deploy\/lab\/down/);
  await Room.find(run).close();
  assert.deepEqual([isAlive(pid), fs.existsSync(folder), groupsOf(run)], [false, false, '']);
});

test('what somebody else has put in its place is not believed: it would name programs that root runs', { skip }, () => {
  const other = `${run}-o`;
  const place = path.join(os.tmpdir(), `remuda-lab-${other}`);
  const start = fs.readFileSync('/proc/self/stat', 'latin1').split(' ')[21];
  fs.mkdirSync(place, { mode: 0o755 });
  try {
    fs.writeFileSync(path.join(place, 'room.json'), JSON.stringify({ pid: process.pid, start, bin: place }));
    assert.ok(Room.find(other), 'our own');
    fs.chmodSync(place, 0o777);
    assert.equal(Room.find(other), null, 'anybody may write there');
    fs.chmodSync(place, 0o755);
    fs.chownSync(place, 65534, 65534);
    assert.equal(Room.find(other), null, "somebody else's");
  } finally {
    fs.rmSync(place, { recursive: true });
  }
});

test('process 1 killed: nothing runs, and down removes the rest', { skip }, async () => {
  const room = await Room.open(run, { held: false });
  const pid = await stray(room);
  process.kill(room.pid, 'SIGKILL');
  await waitFor(() => !isAlive(pid), { deadlineMs, what: 'the stray process to end with the lab' });
  // Its end may still be waited for by whoever began it.
  await waitFor(() => Room.find(run) === null, { deadlineMs, what: 'process 1 to be gone' });
  assert.ok(Room.runs().includes(run), 'it is found by what it left');
  const { status, stdout } = spawnSync(path.join(__dirname, '../down'), ['--run', run], { encoding: 'utf8' });
  assert.deepEqual([status, stdout], [0, `lab ${run}: nothing is left\n`]);
  assert.deepEqual([fs.existsSync(folder), groupsOf(run)], [false, '']);
});

test('whoever holds it is killed: it ends by itself', { skip }, async () => {
  const holder = new Process(path.join(__dirname, '../within'), { args: ['bash', '-c', 'echo "in $REMUDA_LAB_FOLDER"; sleep 1000'] });
  const [, its] = await holder.waitForOutput(/in (\S+)/, deadlineMs);
  assert.ok(groupsOf(path.basename(its).replace('remuda-lab-', '')) !== '' || !fs.existsSync('/sys/fs/cgroup/memory'));
  holder.signal('SIGKILL');
  await waitFor(() => !fs.existsSync(its), { deadlineMs, what: 'its folder to be gone' });
  assert.equal(groupsOf(path.basename(its).replace('remuda-lab-', '')), '');
});

test('within gives the exit code of its command', { skip }, () => {
  assert.equal(spawnSync(path.join(__dirname, '../within'), ['bash', '-c', 'exit 7']).status, 7);
});

test('what is wrong is said', () => {
  for (const [program, args, message] of [['up', ['--speed'], /unknown flag --speed/], ['down', ['--run'], /--run needs a value/],
    ['play', ['--rate', 'x'], /--rate: 'x'/], ['on', ['--run', 'nobody', 'h1', 'true'], /nobody is not up/], ['remuda', ['--run', 'nobody', 'get'], /nobody is not up/]]) {
    const { status, stderr } = spawnSync(path.join(__dirname, '..', program), args, { encoding: 'utf8' });
    assert.equal(status, 2, `${program}: ${stderr}`);
    assert.match(stderr, message);
  }
});
