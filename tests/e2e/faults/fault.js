'use strict';
// Faults, each one scenario. Each file of them runs inside of a lab of its own; what a scenario did is undone before the next begins.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { after, before, test } = require('node:test');
const network = require('../../../deploy/lab/hosts/network.js');
const { killAll } = require('../../../deploy/lab/process.js');
const { Scene, count, deadlineMs, rate } = require('./scene.js');

const scenarioMs = 240_000;

const scene = process.env.REMUDA_LAB_FOLDER ? new Scene(process.env.REMUDA_LAB_FOLDER, process.env.REMUDA_BIN_DIR) : null;

// What the cluster did lately is said with what went wrong.
async function explained(body) {
  try {
    return await body();
  } catch (error) {
    const { stdout } = await scene.cluster.command('activities').catch(() => ({ stdout: '' }));
    console.log([...(await scene.cluster.troubles().catch(() => [])), stdout.split('\n').slice(-12).join('\n')].join('\n'));
    throw error;
  }
}

// One scenario: `cause` is for the reader, body(scene) causes it, sees what must be so, and gives {seconds, until}: how long it took until
// what was so again. No request may fail, or as many as are named, with why.
function fault(name, cause, body, { mayFail = 0, why = '', skip = false } = {}) {
  test(name, { skip, timeout: scenarioMs }, async () => {
    await scene.well();
    await scene.lab.mark();
    const start = { ...scene.lab.total };
    scene.lab.failures = {};
    const { seconds = null, until = '' } = await explained(async () => {
      const outcome = await body(scene);
      await scene.well();
      await scene.lab.serveMore(rate);
      return outcome;
    });
    const requests = scene.lab.total.requests - start.requests;
    const failed = scene.lab.total.failed - start.failed;
    const row = { name, cause, requests, failed, mayFail, why, seconds, until };
    console.log(`fault: ${name}: ${failed} of ${requests} requests failed${seconds === null ? '' : `; ${seconds.toFixed(1)} s until ${until}`}`);
    assert.ok(failed <= mayFail, `${failed} requests failed: ${JSON.stringify(scene.lab.failures)}`);
    if (process.env.REMUDA_FAULTS_REPORT) fs.appendFileSync(process.env.REMUDA_FAULTS_REPORT, `${JSON.stringify(row)}\n`);
  });
}

if (scene) {
  before(() => scene.open());
  after(() => scene.close());
  process.on('exit', killAll);
} else {
  throw new Error('run it in a lab: deploy/lab/within node --test FILE');
}

module.exports = { count, deadlineMs, fault, network, rate };
