'use strict';
// What docs/deployments.md shows: each manifest is applied and plans what the page says.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { freePort, root } = require('../../deploy/lab/cluster.js');
const { run } = require('../../deploy/lab/process.js');
const { startCluster } = require('./harness.js');

const folder = path.join(root, 'deploy/examples/deployments');
const example = (name) => fs.readFileSync(path.join(folder, name), 'utf8');
const kindOf = (step) => Object.keys(step)[0];

// [file, the plan: a step's kind, or traffic with its share]
const plans = [
  ['blue-green.yaml', ['launch', 100, 'bake', 'drain']],
  ['rolling.yaml', ['replace', 'pause', 'replace']],
  ['in-place.yaml', ['update']],
  ['canary.yaml', ['launch', 10, 'pause', 'launch', 100, 'bake', 'drain']],
  ['linear.yaml', ['launch', 25, 'pause', 'launch', 50, 'pause', 'launch', 75, 'pause', 'launch', 100, 'bake', 'drain']],
  ['steps.yaml', ['launch', 'approval', 5, 'analysis', 'approval', 50, 'pause', 'launch', 100, 'bake', 'drain']],
];
const planOf = (deployment) => deployment.steps.map((step) => step.traffic ?? kindOf(step));

// A cluster with a folder for manifests; write(name, text) answers its path.
async function start(t) {
  const cluster = await startCluster(t);
  const manifests = path.join(cluster.scratch, 'manifests');
  fs.mkdirSync(manifests);
  const write = (name, text) => {
    const file = path.join(manifests, name);
    fs.writeFileSync(file, text);
    return file;
  };
  return { cluster, write };
}

async function pushShop(cluster, image, version) {
  const files = path.join(cluster.scratch, image);
  const made = await run(path.join(root, 'deploy/lab/app/make-image'), [`${version}`, files]);
  assert.equal(made.code, 0, made.stderr);
  await cluster.ok('image', 'push', image, files);
}

test('each strategy: applied and planned', async (t) => {
  const { cluster, write } = await start(t);
  await pushShop(cluster, 'hello-v1', 1);
  const app = fs.readFileSync(path.join(root, 'deploy/examples/manifests/app.yaml'), 'utf8').replace('port: 8081', `port: ${await freePort()}`);
  await cluster.ok('apply', '-f', write('app.yaml', app), '--wait');
  const [template] = app.split('---\n');
  await cluster.ok('apply', '-f', write('template.yaml', template.replace('"Hello"', '"Good evening"')));
  const before = (await cluster.instances()).map(({ id }) => id).sort();

  assert.deepEqual(plans.map(([name]) => name).sort(), fs.readdirSync(folder).filter((name) => /kind: AutoScalingGroup\nname: hello/.test(example(name))));
  for (const [name, plan] of plans) {
    await t.test(name, async () => {
      await cluster.ok('apply', '-f', path.join(folder, name));
      const deployment = JSON.parse(await cluster.ok('deploy', 'asg/hello', '--template', 'hello:2', '--dry-run', '-o', 'json'));
      assert.deepEqual(planOf(deployment), plan);
    });
  }
  assert.deepEqual(await cluster.get('deployments'), [], 'a manifest that changes no version and a dry run deploy nothing');
  assert.deepEqual((await cluster.instances()).map(({ id }) => id).sort(), before);

});
