'use strict';
// kill -9 of an instance under load: how fast it left rotation and was replaced, from the proxy's access log and the
// times that Remuda itself keeps. The figures are printed; what is asserted is that no request failed.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { rate, scratchFolder, startShop } = require('./harness.js');

const rounds = 3;

// When the last request that was tried on `target` ended, by the proxy's access log; 0 if there was none.
function lastUseOf(accessLog, target) {
  const lines = fs.readFileSync(accessLog, 'utf8').split('\n').filter((line) => line.includes(target));
  return lines.length ? Date.parse(lines.at(-1).split(' ')[1]) : 0;
}

test('kill -9 under load', async (t) => {
  const accessLog = path.join(scratchFolder(t), 'access.log');
  const lab = await startShop(t, { env: { REMUDA_ACCESS_LOG: accessLog } });
  for (let round = 1; round <= rounds; round += 1) {
    const before = await lab.cluster.settled(2, 'two instances');
    const victim = before[round % 2];
    const killedAt = Date.now();
    process.kill(Number(victim.process.pid), 'SIGKILL');
    const after = await lab.replaced(victim);
    const [successor] = after.filter((i) => !before.some((old) => old.id === i.id));
    await lab.serveMore(rate);
    const last = lastUseOf(accessLog, `${victim.address}:${victim.port}`);
    console.log(`round ${round}: last request tried on the killed instance ${Math.max(0, last - killedAt)} ms after the kill, ` +
      `replacement process started after ${Date.parse(successor.process.startTime) - killedAt} ms, ` +
      `in service after ${Date.parse(successor.inServiceTime) - killedAt} ms`);
  }
  assert.equal(lab.total.failed, 0, `requests failed: ${JSON.stringify(lab.failures)}`);
  const activities = await lab.cluster.get('activities');
  assert.ok(activities.some((activity) => /signal 9|SIGKILL/.test(activity.cause)), 'an activity says that a signal was the cause');
});
