'use strict';
// Three controllers on three etcds, and what may befall them, under load and under writes through each controller. No request may fail; the history
// of all that was written and read is judged at the end. REMUDA_REPLICATED_ROUNDS: how often the leader is killed or stopped (default 4);
// from 20 on the outage of the store is a long one, too.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const { after, before, test } = require('node:test');
const network = require('../../../deploy/lab/hosts/network.js');
const { killAll, waitFor } = require('../../../deploy/lab/process.js');
const { rate } = require('../faults/scene.js');
const { status } = require('./clients.js');
const { addressOf } = require('./programs.js');
const { ReplicatedScene, controllers, deadlineMs } = require('./scene.js');

const rounds = Number(process.env.REMUDA_REPLICATED_ROUNDS ?? 4);
if (!Number.isSafeInteger(rounds) || rounds < 1) throw new RangeError(`REMUDA_REPLICATED_ROUNDS: ${process.env.REMUDA_REPLICATED_ROUNDS} is not 1 or more`);
const isLong = rounds >= 20;
const outageSeconds = isLong ? 60 : 10;
const scenarioMs = 300_000;
const longestMoment = 40; // writes
const sentMs = 100; // within which what is asked lies in the socket of who is asked

if (!process.env.REMUDA_LAB_FOLDER) throw new Error('run it in a lab: deploy/lab/within node --test FILE');
const scene = new ReplicatedScene(process.env.REMUDA_LAB_FOLDER, process.env.REMUDA_BIN_DIR);
const { programs, history } = scene;

before(() => scene.open());
after(() => scene.close());
process.on('exit', killAll);

const round1 = (number) => Math.round(number * 10) / 10;
const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
const report = (row) => {
  if (process.env.REMUDA_REPLICATED_REPORT) fs.appendFileSync(process.env.REMUDA_REPLICATED_REPORT, `${JSON.stringify(row)}\n`);
};

// One scenario. right: what must come of it, for the reader; body() causes it, sees that, and gives how long it took, in seconds, from the fault to
// the first write that was begun after it and accepted, through any controller.
function scenario(name, right, body, timeout = scenarioMs) {
  test(name, { timeout }, async () => {
    await scene.lab.mark();
    scene.lab.failures = {};
    const start = { ...scene.lab.total, time: performance.now() };
    const { figures = {}, seconds = [] } = await body();
    await scene.whole();
    await scene.lab.serveMore(rate);
    const requests = scene.lab.total.requests - start.requests;
    const failed = scene.lab.total.failed - start.failed;
    const codes = history.codes(history.since(start.time));
    const sorted = [...seconds].sort((a, b) => a - b).map(round1);
    const times = sorted.length > 0 ? { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), count: sorted.length } : null;
    console.log(`replicated: ${name}: ${failed} of ${requests} requests failed; operations: ${JSON.stringify(codes)}${times ? `; writes were accepted again after ${sorted.join(', ')} s` : ''} ${JSON.stringify(figures)}`);
    report({ name, right, requests, failed, times });
    const unclear = history.since(start.time).find(({ code }) => ![status.OK, status.ABORTED, status.UNAVAILABLE].includes(code));
    if (unclear) console.log(`replicated: an answer that says little: ${JSON.stringify(unclear)}`);
    assert.equal(failed, 0, `${failed} requests failed: ${JSON.stringify(scene.lab.failures)}`);
  });
}

// Kills the one that leads; seconds until a write was accepted.
async function kill() {
  const { name } = await programs.leader();
  const time = performance.now();
  programs.signal(name, 'SIGKILL');
  return (await scene.accepted(time)) / 1000;
}

// Stops it until another one has accepted a write, and has it asked for what it knew when it continues.
async function stop() {
  const { name } = await programs.leader();
  const time = performance.now();
  programs.signal(name, 'SIGSTOP');
  let reads = [];
  try {
    const taken = await scene.accepted(time);
    await programs.leading(name);
    reads = scene.readsOf(name);
    await new Promise((resolve) => setTimeout(resolve, sentMs));
    return taken / 1000;
  } finally {
    programs.signal(name, 'SIGCONT');
    await Promise.all(reads);
  }
}

scenario(`leader killed (kill -9) or stopped past its lease and continued, ${rounds} times in turn, amid deployments and scalings`,
  'another one leads; the deployment or scaling goes on; the old one comes back as a standby', async () => {
  const seconds = [];
  for (let i = 0; i < rounds; i += 1) {
    const isOver = await (i % 2 === 0 ? scene.deploy() : scene.scale());
    await scene.moment(crypto.randomInt(longestMoment));
    seconds.push(await (i % 4 < 2 ? kill() : stop()));
    await isOver();
    await scene.whole();
  }
  return { seconds };
}, rounds * scenarioMs);

scenario('standby killed', 'the leader leads on; who had dialled the standby dials another one', async () => {
  const { name: leader, epoch } = await programs.leader();
  const standby = controllers.find((name) => name !== leader);
  const time = performance.now();
  programs.signal(standby, 'SIGKILL');
  const taken = await scene.accepted(time);
  await waitFor(() => programs.pidOf(standby) !== 0, { deadlineMs, what: `${standby} to be started again` });
  await scene.whole();
  assert.equal((await programs.leader()).epoch, epoch, 'the same leadership all along');
  return { seconds: [taken / 1000] };
});

scenario('leader cut off from the store', 'it ends its leadership by itself, within its lease; another one leads, and deploys', async () => {
  const { name } = await programs.leader();
  const time = performance.now();
  network.cutBetween(name, ...network.stores);
  try {
    const { name: next } = await programs.leading(name);
    const isAcceptedBy = ({ by, kind, outcome }) => by === next && kind !== 'read' && outcome === 'ok';
    await waitFor(() => history.since(time).some(isAcceptedBy), { deadlineMs, what: `${next} to accept a write` });
    await (await scene.deploy())();
  } finally {
    network.mend(name);
  }
  return { seconds: [(history.acceptedAfter(time) - time) / 1000] };
});

scenario('leader cut off from hosts and proxies', 'it leads on; they reach it by way of the standbys, and a deployment goes on', async () => {
  const { name, epoch } = await programs.leader();
  // So that there are sessions to be cut: who has lost one through a standby dials the leader first.
  for (const standby of controllers.filter((other) => other !== name)) programs.signal(standby, 'SIGKILL');
  const isDialled = (one) => scene.dialled(one) === addressOf(name);
  await waitFor(() => [...network.hosts, ...network.proxies].every(isDialled), { deadlineMs, what: 'every host and proxy to have dialled the leader' });
  await scene.whole();
  network.cutBetween(name, ...network.hosts, ...network.proxies);
  try {
    await waitFor(() => ![...network.hosts, ...network.proxies].some(isDialled), { deadlineMs, what: 'every host and proxy to have dialled a standby' });
    await scene.well();
    await (await scene.deploy())();
    assert.deepEqual(await programs.leader(), { name, epoch }, 'it leads on');
  } finally {
    network.mend(name);
  }
  return {};
});

scenario(`two of three etcds dead for ${outageSeconds} s`, 'what runs is served on; writes and reads are refused with UNAVAILABLE, none is accepted; then all goes on (counted from their start)', async () => {
  const [one, two] = network.stores;
  const time = performance.now();
  await Promise.all([one, two].map((name) => programs.end(name, 'SIGKILL')));
  const dead = performance.now();
  const isRefused = (controller) => history.since(dead).some(({ by, kind, code }) => by === controller && kind !== 'read' && code === status.UNAVAILABLE);
  await waitFor(() => controllers.every(isRefused), { deadlineMs, what: 'a write through each controller to be refused' });
  const noticed = performance.now();
  await scene.lab.serveMore(outageSeconds * rate);
  const during = history.since(noticed);
  assert.deepEqual(during.filter(({ kind, outcome }) => kind !== 'read' && outcome === 'ok'), [], 'no write is accepted');
  const codes = history.codes(during);
  const back = performance.now();
  [one, two].forEach((name) => programs.startStore(name));
  const taken = await scene.accepted(back);
  await programs.storesWell();
  await (await scene.deploy())();
  return { seconds: [taken / 1000], figures: { refusedAfter: round1((noticed - time) / 1000), codes } };
});

scenario('all controllers killed, and started again', 'what runs is served on; one leads as soon as the old lease is over', async () => {
  const time = performance.now();
  controllers.forEach((name) => programs.signal(name, 'SIGKILL'));
  const taken = await scene.accepted(time);
  await scene.whole();
  await (await scene.scale())();
  return { seconds: [taken / 1000] };
});

test('what was acknowledged is there, in one order that explains all answers; one leader acted at a time', { timeout: scenarioMs }, async () => {
  const { troubles, ...figures } = await scene.judge();
  console.log(`replicated: ${JSON.stringify(figures)}`);
  report({ name: 'history', ...figures });
  assert.deepEqual(troubles, []);
});
