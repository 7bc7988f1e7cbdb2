'use strict';
// deploy/lab/play without --once: what it puts up again is as it says, stays until Ctrl-C, and is gone afterwards.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, test } = require('node:test');
const { root } = require('../../deploy/lab/cluster.js');
const { Process, killAll, run } = require('../../deploy/lab/process.js');
const { bin } = require('./harness.js');

const deadlineMs = 300_000;
const skip = process.getuid() !== 0 ? 'only root makes network namespaces' : false;
after(killAll);

test('the shop is up again until Ctrl-C', { skip }, async () => {
  const name = `stays-${process.pid}`;
  const lab = path.join(root, 'deploy/lab');
  const play = new Process(path.join(lab, 'play'), { args: ['--run', name, '--bin', bin] });
  try {
    const [, url, version] = await play.waitForOutput(/until Ctrl-C[^]*curl -s (\S+)[^]*--template (shop:\d+)$/m, deadlineMs);
    const served = async () => JSON.parse((await run(path.join(lab, 'on'), ['--run', name, 'client', 'curl', '-s', url], { deadlineMs })).stdout).version;
    assert.equal(await served(), 1);
    const deployed = await run(path.join(lab, 'remuda'), ['--run', name, 'deploy', 'asg/blue', '--template', version], { deadlineMs });
    assert.equal(deployed.code, 0, deployed.stdout + deployed.stderr);
    assert.equal(await served(), 2);
  } finally {
    play.signal('SIGINT');
    await play.waitForExit(deadlineMs);
  }
  assert.ok(!fs.existsSync(path.join(os.tmpdir(), `remuda-lab-${name}`)), 'its folder is gone');
});
