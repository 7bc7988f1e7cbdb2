'use strict';
// Faults under load, on the real programs: what a client sees of them must be nothing.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { waitFor } = require('../../deploy/lab/process.js');
const { addVersion } = require('../../deploy/lab/steps.js');
const { rate, startShop } = require('./harness.js');

const deadlineMs = 60_000;
const slowMs = 8000; // under the group's deregistration delay

async function noneFailed(lab) {
  await lab.serveMore(rate);
  assert.equal(lab.total.failed, 0, `requests failed: ${JSON.stringify(lab.failures)}`);
}

// Where a deployment stands, in one word: of the step that is under way, or how it ended.
const standOf = ({ state, steps = [], currentStep }) => (state === 'IN_PROGRESS' ? Object.keys(steps[currentStep - 1])[0] : state);
const deploymentOf = async (lab) => (await lab.cluster.get('deployments')).sort(newestFirst)[0];
const newestFirst = (a, b) => Date.parse(b.createTime) - Date.parse(a.createTime);

test('controller killed in each step of a deployment: it goes on, no request fails', async (t) => {
  const lab = await startShop(t);
  await addVersion(lab, 2);
  let version = 1;
  for (const step of ['launch', 'shift', 'bake', 'drain']) {
    version = 3 - version;
    await lab.cluster.ok('deploy', 'asg/blue', '--template', `shop:${version}`, '--strategy', 'blue-green', '--bake', '2s', '--detach');
    // Answers that are long under way keep the old instances draining, so that there is a draining to be met.
    const slow = step === 'drain' ? [1, 2, 3, 4].map(() => lab.probe(`/slow?ms=${slowMs}`, { deadlineMs })) : [];
    const order = ['launch', 'shift', 'bake', 'drain', 'SUCCEEDED'];
    const reached = await waitFor(async () => {
      const now = standOf(await deploymentOf(lab));
      return order.indexOf(now) >= order.indexOf(step) && now;
    }, { deadlineMs, what: `step ${step}`, everyMs: 10 });
    const controller = lab.cluster.pidOf('controller');
    process.kill(controller, 'SIGKILL');
    await waitFor(() => ![0, controller].includes(lab.cluster.pidOf('controller')), { deadlineMs, what: 'the controller to be started again' });
    const ended = await waitFor(async () => {
      const deployment = await deploymentOf(lab);
      return /SUCCEEDED|ROLLED_BACK/.test(deployment.state) && deployment;
    }, { deadlineMs, what: 'the deployment to end' });
    assert.equal(ended.state, 'SUCCEEDED', ended.rollbackReason);
    for (const answer of await Promise.all(slow)) assert.match(answer.text, /waited/);
    await lab.cluster.settled(2, `two instances of version ${version}`);
    await lab.servesOnly(version);
    console.log(`controller killed in ${reached} (aimed at ${step}): deployment ended ${ended.state}`);
  }
  await noneFailed(lab);
});

test('agent killed: its apps run on, are adopted again, no request fails', async (t) => {
  const lab = await startShop(t);
  const before = await lab.cluster.settled(2, 'two instances');
  for (const host of ['h1', 'h2']) {
    const agent = lab.cluster.pidOf(host);
    process.kill(agent, 'SIGKILL');
    await waitFor(() => ![0, agent].includes(lab.cluster.pidOf(host)), { deadlineMs, what: `the agent of ${host} to be started again` });
    await waitFor(async () => (await lab.cluster.get('hosts')).every((h) => h.state === 'CONNECTED'), { deadlineMs, what: 'the hosts to be connected' });
  }
  const after = await lab.cluster.settled(2, 'the same two instances');
  const whoRuns = (instances) => instances.map((i) => `${i.id} pid ${i.process.pid}`).sort();
  assert.deepEqual(whoRuns(after), whoRuns(before));
  // Adopted, not only listed: the new agent sees its end.
  process.kill(Number(after[0].process.pid), 'SIGKILL');
  await lab.replaced(after[0]);
  await noneFailed(lab);
});

test('controller away: the proxy serves on, and a dead process is replaced when it is back', async (t) => {
  const lab = await startShop(t);
  const [victim] = await lab.cluster.settled(2, 'two instances');
  process.kill(lab.cluster.pidOf('controller'), 'SIGSTOP');
  try {
    process.kill(Number(victim.process.pid), 'SIGKILL');
    await lab.serveMore(3 * rate);
  } finally {
    process.kill(lab.cluster.pidOf('controller'), 'SIGCONT');
  }
  await lab.cluster.settled(2, 'two instances again');
  await noneFailed(lab);
});

test('proxy killed: it serves again from its last config', async (t) => {
  const lab = await startShop(t);
  await lab.stopLoad(); // one proxy: its clients do notice
  const proxy = lab.cluster.pidOf('p1');
  process.kill(lab.cluster.pidOf('controller'), 'SIGSTOP');
  try {
    process.kill(proxy, 'SIGKILL');
    await waitFor(() => ![0, proxy].includes(lab.cluster.pidOf('p1')), { deadlineMs, what: 'the proxy to be started again' });
    await waitFor(async () => (await fetch(lab.url)).status === 200, { deadlineMs, what: 'the page, without a controller' });
  } finally {
    process.kill(lab.cluster.pidOf('controller'), 'SIGCONT');
  }
});

test('remuda dev stopped and started again: the same groups, nothing lost', async (t) => {
  const lab = await startShop(t);
  await lab.stopLoad();
  const before = await lab.cluster.settled(2, 'two instances');
  const end = await lab.cluster.stop();
  assert.deepEqual([end.code, end.signal], [0, null]);
  for (const { process: { pid } } of before) {
    assert.throws(() => process.kill(Number(pid), 0), { code: 'ESRCH' }, `process ${pid} ended with its cluster`);
  }
  await lab.cluster.start();
  await lab.cluster.settled(2, 'two instances again');
  const [group] = await lab.cluster.get('asg');
  assert.deepEqual([group.name, group.min, group.max, group.desired], ['autoScalingGroups/blue', 1, 2, 2]);
  await waitFor(async () => (await fetch(lab.url)).status === 200, { deadlineMs, what: 'the page' });
});
