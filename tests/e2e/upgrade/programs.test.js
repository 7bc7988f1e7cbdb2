'use strict';
// The controller and the agents are restarted under load, as an upgrade does it: no request fails, apps run on.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { waitFor } = require('../../../deploy/lab/process.js');
const { rate, startShop } = require('../harness.js');

const deadlineMs = 90_000;
const restarts = 5;

const whoRuns = (instances) => instances.map((i) => `${i.id} pid ${i.process.pid}`).sort();

async function restarted(lab, name, signal) {
  const before = lab.cluster.pidOf(name);
  process.kill(before, signal);
  await waitFor(() => ![0, before].includes(lab.cluster.pidOf(name)), { deadlineMs, what: `${name} to be started again` });
  await waitFor(async () => (await lab.cluster.get('hosts')).every((h) => h.state === 'CONNECTED')
    && (await lab.cluster.get('proxies')).every((p) => p.connected), { deadlineMs, what: 'all to be connected' });
}

test(`controller and agents restarted ${restarts} times each under load: no request fails, the same processes run`, async (t) => {
  const lab = await startShop(t);
  const before = await lab.cluster.settled(2, 'two instances');
  for (let i = 0; i < restarts; i += 1) {
    const signal = i % 2 === 0 ? 'SIGKILL' : 'SIGTERM';
    await restarted(lab, 'controller', signal);
    // Those of `remuda dev` end their apps on SIGTERM.
    for (const host of ['h1', 'h2']) await restarted(lab, host, 'SIGKILL');
    await lab.serveMore(rate);
  }
  assert.deepEqual(whoRuns(await lab.cluster.settled(2, 'the same two instances')), whoRuns(before));
  await lab.serveMore(rate);
  assert.equal(lab.total.failed, 0, `requests failed: ${JSON.stringify(lab.failures)}`);
  console.log(`controller restarts=${restarts} agent restarts=${2 * restarts} requests=${lab.total.requests} failed=${lab.total.failed}`);
});
