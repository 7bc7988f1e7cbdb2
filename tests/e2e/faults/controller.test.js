'use strict';
// Faults of the controller and its store. Traffic must not notice any of them.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { waitFor } = require('../../../deploy/lab/process.js');
const { shortId } = require('../../../deploy/lab/remuda.js');
const { count, deadlineMs, fault, rate } = require('./fault.js');

const startAgain = async ({ programs, cluster }) => {
  const begin = performance.now();
  await programs.start('controller');
  await cluster.joined();
  return (performance.now() - begin) / 1000;
};

fault('controller killed in each step of a deployment', 'kill -9 when a step is seen, and started again', async (scene) => {
  const { cluster, lab } = scene;
  await scene.template({ MODE: 'ticks', VERSION: '2' });
  const before = (await scene.instances()).map(({ id }) => id);
  await cluster.ok('deploy', 'asg/web', '--template', 'app:2', '--strategy', 'blue-green', '--bake', '2s', '--detach');
  const deployment = async () => (await cluster.get('deployments'))[0];
  const standOf = ({ state, steps = [], currentStep }) => (state === 'IN_PROGRESS' ? Object.keys(steps[currentStep - 1])[0] : state);
  const killedIn = [];
  let slowest = 0;
  for (;;) {
    const now = await waitFor(async () => {
      const stand = standOf(await deployment());
      return !killedIn.includes(stand) && stand;
    }, { deadlineMs, what: 'the next step of the deployment', everyMs: 10 });
    if (now === 'SUCCEEDED') break;
    assert.doesNotMatch(now, /ROLLED|FAILED/);
    killedIn.push(now);
    await scene.programs.end('controller', 'SIGKILL');
    slowest = Math.max(slowest, await startAgain(scene));
  }
  assert.ok(killedIn.includes('launch'), `killed in ${killedIn}`);
  const after = await scene.settled(count);
  await lab.servesOnly(2);
  assert.ok(after.every(({ id }) => !before.includes(id)));
  const highest = (ids) => Math.max(...ids.map((id) => parseInt(id.replace('i-', ''), 16)));
  assert.equal(highest(after.map(({ id }) => id)) - highest(before), count, 'no instance was launched twice');
  return { seconds: slowest, until: `all were joined again, at the slowest (killed in ${killedIn.join(', ')})` };
});

fault('controller stopped past its leases, then continued', 'SIGSTOP for 20 s, SIGCONT', async ({ cluster, lab, programs, until }) => {
  programs.signal('controller', 'SIGSTOP');
  try {
    await lab.serveMore(20 * rate);
  } finally {
    programs.signal('controller', 'SIGCONT');
  }
  return { seconds: await until('all to be joined', () => cluster.joined().then(() => true)), until: 'all were joined again' };
});

// Its data on a small file system of its own, as long as body() takes.
async function onSmallDisk(scene, size, body) {
  const { programs } = scene;
  const data = programs.data('controller');
  const aside = `${data}.aside`;
  await programs.end('controller');
  fs.renameSync(data, aside);
  fs.mkdirSync(data, { mode: 0o700 });
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=0700`, 'small', data]);
  try {
    fs.cpSync(aside, data, { recursive: true, preserveTimestamps: true });
    return await body(data);
  } finally {
    await programs.end('controller');
    fs.rmSync(aside, { recursive: true });
    fs.cpSync(data, aside, { recursive: true });
    execFileSync('umount', [data]);
    fs.rmdirSync(data);
    fs.renameSync(aside, data);
    fs.chmodSync(data, 0o700);
    await programs.start('controller');
    await scene.cluster.joined();
  }
}

const group = (name) => `kind: TargetGroup\nname: ${name}\n`;

fault('store full', 'its directory on a tmpfs of 4 MiB that is then filled', (scene) => onSmallDisk(scene, '4m', async (data) => {
  const { cluster, lab, programs } = scene;
  await programs.start('controller');
  await cluster.joined();
  const filler = path.join(data, 'filler');
  assert.throws(() => fs.writeFileSync(filler, Buffer.alloc(8 << 20, 1)), { code: 'ENOSPC' });
  await assert.rejects(async () => {
    for (let i = 0; i < 100; i += 1) await scene.apply(group(`full-${i}`)); // what was allocated before may still take some
  }, /full|space|I\/O|store/i);
  assert.ok((await cluster.get('asg')).length > 0, 'reads are answered');
  await lab.serveMore(rate);
  fs.rmSync(filler);
  return { seconds: await scene.until('a write to succeed', () => scene.apply(group('fits')).then(() => true)), until: 'the first write after room was made' };
}));

fault('store read-only', 'its file system mounted read-only, and the controller started on it', (scene) => onSmallDisk(scene, '16m', async (data) => {
  const { lab, programs } = scene;
  const remount = (how) => execFileSync('mount', ['-o', `remount,${how}`, data]);
  remount('ro');
  await assert.rejects(programs.start('controller'), /read.?only/i);
  await lab.serveMore(rate);
  remount('rw');
  return { seconds: await startAgain(scene), until: 'all were joined, after it was writable again' };
}));

fault('power loss', 'kill -9 of the controller amid writes, 5 times; each acknowledged write looked for', async (scene) => {
  const { cluster, programs } = scene;
  const acknowledged = [];
  let slowest = 0;
  for (let round = 0; round < 5; round += 1) {
    let isOver = false;
    const writers = [0, 1].map(async (writer) => {
      for (let i = 0; !isOver; i += 1) {
        const name = `w${round}-${writer}-${i}`;
        const file = path.join(cluster.scratch(), `writer-${writer}.yaml`);
        fs.writeFileSync(file, group(name));
        const { code } = await cluster.command('apply', '-f', file);
        if (code === 0) acknowledged.push(name);
      }
    });
    const wanted = acknowledged.length + 4;
    await waitFor(() => acknowledged.length >= wanted, { deadlineMs, what: 'writes' });
    await programs.end('controller', 'SIGKILL');
    isOver = true;
    const started = startAgain(scene);
    await Promise.all(writers);
    slowest = Math.max(slowest, await started);
    const there = (await cluster.get('tg')).map(({ name }) => shortId(name));
    assert.deepEqual(acknowledged.filter((name) => !there.includes(name)), [], 'acknowledged writes that are lost');
  }
  return { seconds: slowest, until: `all were joined again, at the slowest; ${acknowledged.length} acknowledged writes, none lost` };
});
