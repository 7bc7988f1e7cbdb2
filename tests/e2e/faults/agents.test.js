'use strict';
// Faults of agents and what they run on. Apps must not notice their agent's.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const { isRunning } = require('../../../deploy/lab/hosts/programs.js');
const { waitFor } = require('../../../deploy/lab/process.js');
const { count, deadlineMs, fault, network } = require('./fault.js');

const parentOf = (pid) => Number(/^PPid:\s+(\d+)$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
const pidOf = (instance) => Number(instance.process.pid);

// Whether web has three in service without `victim`.
const replaced = (scene, victim) => scene.until(`another in place of ${victim.id}`, async () => {
  const instances = (await scene.instances()).filter(({ state }) => state === 'IN_SERVICE');
  return instances.length === count && instances.every(({ id }) => id !== victim.id);
});

fault('host reboot', 'every process of a host killed; the agent started under another boot id', async (scene) => {
  const { cluster, programs } = scene;
  await scene.balanced(); // so that it has one of three
  const victim = await scene.anyOn('h2');
  const { host } = victim;
  const begin = performance.now();
  await waitFor(() => {
    const left = network.processesOn(host);
    left.forEach((pid) => {
      try {
        process.kill(pid, 'SIGKILL');
      } catch (error) {
        if (error.code !== 'ESRCH') throw error; // it ended meanwhile
      }
    });
    return left.length === 0;
  }, { deadlineMs, what: `nothing to run on ${host}` });
  const bootId = `${programs.data(host)}.boot-id`;
  fs.writeFileSync(bootId, '11111111-2222-4333-8444-555555555555\n');
  await programs.start(host, { prefix: ['unshare', '--mount', 'bash', '-c', 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"', bootId] });
  await replaced(scene, victim);
  const seconds = (performance.now() - begin) / 1000;
  await cluster.joined();
  await programs.end(host, 'SIGKILL'); // and under the true one, for what comes after
  await programs.start(host);
  return { seconds, until: 'another instance was in service in place of the lost one' };
}, { mayFail: 2, why: 'answers that were under way on that host, when the cable of none was cut and no app could finish' });

fault('agent killed', 'kill -9 of an agent, and started again', async (scene) => {
  const { cluster, lab, programs } = scene;
  const instance = await scene.anyOn('h1');
  const { host } = instance;
  await programs.end(host, 'SIGKILL');
  await lab.serveMore(100);
  assert.ok(isRunning(pidOf(instance)), 'the app runs on');
  await programs.start(host);
  const seconds = await scene.until('the host to be connected', () => cluster.joined().then(() => true));
  await lab.serveMore(100);
  const same = (await scene.settled(count)).find(({ id }) => id === instance.id);
  assert.equal(same && pidOf(same), pidOf(instance), 'the same process is adopted');
  const ticks = [...(await cluster.ok('logs', instance.id, '--tail', '10000')).matchAll(/tick (\d+)$/gm)].map(([, tick]) => Number(tick));
  assert.ok(ticks.length > 20, `ticks: ${ticks}`);
  ticks.forEach((tick, i) => assert.ok(i === 0 || tick === ticks[i - 1] + 1, `the log is whole: after tick ${ticks[i - 1]} comes ${tick}`));
  return { seconds, until: 'the host was connected again, its app the same process, its log without a gap' };
});

fault('app ends while its agent is away', 'kill -9 of the agent, of the app, and the agent started again', async (scene) => {
  const { programs } = scene;
  const victim = await scene.anyOn('h2');
  await programs.end(victim.host, 'SIGKILL');
  process.kill(pidOf(victim), 'SIGKILL');
  await programs.start(victim.host);
  const seconds = await replaced(scene, victim);
  await scene.activitySays(/signal 9|SIGKILL/);
  return { seconds, until: 'another instance was in service, an activity naming the signal' };
});

fault('shim killed', 'kill -9 of the process that holds an app', async (scene) => {
  const victim = await scene.anyOn('h3');
  process.kill(parentOf(pidOf(victim)), 'SIGKILL');
  const seconds = await replaced(scene, victim);
  await waitFor(() => !isRunning(pidOf(victim)), { deadlineMs, what: "the app's end" });
  return { seconds, until: 'its app was ended and another instance was in service' };
});

fault('pid reused', "kill -9 of agent, shim and app; the app's pid given to a stranger; the agent started", async (scene) => {
  const { programs } = scene;
  const victim = await scene.anyOn('h1');
  const pid = pidOf(victim);
  const shim = parentOf(pid);
  await programs.end(victim.host, 'SIGKILL');
  process.kill(shim, 'SIGKILL');
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error; // it has gone with its shim
  }
  await waitFor(() => !fs.existsSync(`/proc/${pid}`), { deadlineMs, what: 'the pid to be free' });
  const stranger = await waitFor(() => {
    fs.writeFileSync('/proc/sys/kernel/ns_last_pid', `${pid - 1}`); // of the lab's own process namespace
    const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
    if (child.pid === pid) return child;
    child.kill('SIGKILL');
    return null;
  }, { deadlineMs, what: `a process with id ${pid}` });
  try {
    await programs.start(victim.host);
    const seconds = await replaced(scene, victim);
    assert.ok(isRunning(stranger.pid), 'the stranger runs on');
    return { seconds, until: 'another instance was in service; the stranger was let alone' };
  } finally {
    stranger.kill('SIGKILL');
  }
});
