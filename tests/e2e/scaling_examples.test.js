'use strict';
// The manifests of groups that size themselves: each is applied, and what the group then has comes back as it was written; its policies
// one by one too.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { freePort, root } = require('../../deploy/lab/cluster.js');
const { run } = require('../../deploy/lab/process.js');
const { startCluster } = require('./harness.js');

const folder = path.join(root, 'deploy/examples/scaling');
const policyNames = {
  'custom-metrics.yaml': ['queue', 'sessions'],
  'from-zero.yaml': ['in-flight'],
  'lives.yaml': [],
  'predictive.yaml': ['daily', 'rps'],
  'schedule.yaml': ['morning', 'evening', 'sale'],
  'steps.yaml': ['busy', 'idle'],
  'target-tracking.yaml': ['cpu', 'rps'],
};

test('each manifest is applied, shown as it was written, and its policies are put one by one', async (t) => {
  const cluster = await startCluster(t);
  const files = path.join(cluster.scratch, 'hello-v1');
  const made = await run(path.join(root, 'deploy/lab/app/make-image'), ['1', files]);
  assert.equal(made.code, 0, made.stderr);
  await cluster.ok('image', 'push', 'hello-v1', files);
  const app = path.join(cluster.scratch, 'app.yaml');
  fs.writeFileSync(app, fs.readFileSync(path.join(root, 'deploy/examples/manifests/app.yaml'), 'utf8').replace('port: 8081', `port: ${await freePort()}`));
  await cluster.ok('apply', '-f', app, '--wait');
  assert.deepEqual(fs.readdirSync(folder).filter((name) => name.endsWith('.yaml')), Object.keys(policyNames));
  for (const [name, names] of Object.entries(policyNames)) {
    await t.test(name, async () => {
      await cluster.ok('apply', '-f', path.join(folder, name));
      assert.deepEqual((await cluster.ok('policy', 'list', 'asg/hello', '-o', 'name')).split('\n').filter(Boolean), names);
      // What is shown changes nothing when it is applied again.
      const shown = path.join(cluster.scratch, name);
      fs.writeFileSync(shown, await cluster.ok('get', 'asg', 'hello', '-o', 'yaml'));
      assert.match(await cluster.ok('apply', '-f', shown), /unchanged/);
      if (names.length === 0) return;
      fs.writeFileSync(shown, await cluster.ok('policy', 'list', 'asg/hello', '-o', 'yaml'));
      await cluster.ok('policy', 'delete', 'asg/hello', names[0]);
      await cluster.ok('policy', 'put', 'asg/hello', '-f', shown);
      const again = (await cluster.ok('policy', 'list', 'asg/hello', '-o', 'name')).split('\n').filter(Boolean);
      assert.deepEqual(again.sort(), [...names].sort());
      assert.match(await cluster.ok('describe', 'asg', 'hello'), /\nSize:\n {2}\d+ instances? (is|are) wanted[^]*\nPolicies:\n/);
    });
  }
});
