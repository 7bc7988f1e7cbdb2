'use strict';
// kill -9 of an instance under load: how fast it left rotation and was replaced, from the proxy's own log and the times
// that Remuda itself keeps. The figures are printed; what is asserted is that no request failed.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { waitFor } = require('../../deploy/lab/process.js');
const { rate, startShop } = require('./harness.js');

const rounds = 3;
const generousMs = 10_000; // this machine may be busy; the figures that are printed are what counts

// When the proxy wrote that every worker of it had taken `instance` out of rotation, because its process was gone.
function outOfRotation(proxyLog, instance) {
  const line = fs.readFileSync(proxyLog, 'utf8').split('\n').find((text) => text.includes(`/${instance}: out of rotation, its process is gone`));
  assert.ok(line, `the proxy's log says that ${instance} was taken out`);
  return Date.parse(/"time":"([^"]+)"/.exec(line)[1]);
}

test('kill -9 under load', async (t) => {
  const lab = await startShop(t);
  const proxyLog = path.join(lab.cluster.options.dataDir, 'logs/p1.log');
  for (let round = 1; round <= rounds; round += 1) {
    // One that has not lived long yet counts as a failed launch, and a second such is held back for a while.
    await waitFor(async () => !(await lab.cluster.get('asg'))[0].status.launchFailures, { deadlineMs: 60_000, what: 'the last launch to have proved good' });
    const before = await lab.cluster.settled(2, 'two instances');
    const victim = before[round % 2];
    const killedAt = Date.now();
    process.kill(Number(victim.process.pid), 'SIGKILL');
    const after = await lab.replaced(victim);
    const [successor] = after.filter((i) => !before.some((old) => old.id === i.id));
    await lab.serveMore(rate);
    const out = outOfRotation(proxyLog, victim.id) - killedAt;
    const started = Date.parse(successor.process.startTime) - killedAt;
    const serving = Date.parse(successor.inServiceTime) - killedAt;
    console.log(`round ${round}: killed; out of rotation after ${out} ms, replacement process started after ${started} ms, in service after ${serving} ms`);
    for (const ms of [out, started, serving]) assert.ok(ms >= 0 && ms < generousMs);
  }
  assert.equal(lab.total.failed, 0, `requests failed: ${JSON.stringify(lab.failures)}`);
  const activities = await lab.cluster.get('activities');
  assert.ok(activities.some((activity) => /signal 9|SIGKILL/.test(activity.cause)), 'an activity says that a signal was the cause');
});
