'use strict';
// What docs/deployments.md shows: each manifest is applied and plans what the page says, in the words that it shows; `apply` alone
// deploys; and the course's lab is shifted from blue to green.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { ask, freePort, root, shortId, writeManifests } = require('../../deploy/lab/cluster.js');
const { run, waitFor } = require('../../deploy/lab/process.js');
const { startCluster } = require('./harness.js');

const folder = path.join(root, 'deploy/examples/deployments');
const example = (name) => fs.readFileSync(path.join(folder, name), 'utf8');
const page = fs.readFileSync(path.join(root, 'docs/deployments.md'), 'utf8');
const kindOf = (step) => Object.keys(step)[0];
const deadlineMs = 60_000;

// [file, the plan: a step's kind, or traffic with its share; flags of the dry run whose output the page shows]
const plans = [
  ['blue-green.yaml', ['launch', 100, 'bake', 'drain'], []],
  ['rolling.yaml', ['replace', 'pause', 'replace'], ['--strategy', 'rolling', '--max-percent', '100']],
  ['in-place.yaml', ['update']],
  ['canary.yaml', ['launch', 10, 'pause', 'launch', 100, 'bake', 'drain'], []],
  ['linear.yaml', ['launch', 25, 'pause', 'launch', 50, 'pause', 'launch', 75, 'pause', 'launch', 100, 'bake', 'drain']],
  ['steps.yaml', ['launch', 'approval', 5, 'analysis', 'approval', 50, 'pause', 'launch', 100, 'bake', 'drain']],
];
const shows = (command, output) => assert.ok(page.includes(`\n$ remuda ${command.join(' ')}\n${output}\`\`\`\n`), `the page shows ${command.join(' ')} as:\n${output}`);
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
  return { cluster, manifests, write };
}

async function pushShop(cluster, image, version) {
  const files = path.join(cluster.scratch, image);
  const made = await run(path.join(root, 'deploy/lab/app/make-image'), [`${version}`, files]);
  assert.equal(made.code, 0, made.stderr);
  await cluster.ok('image', 'push', image, files);
}

test('each strategy: applied, planned, and deployed by `apply`', async (t) => {
  const { cluster, write } = await start(t);
  await pushShop(cluster, 'hello-v1', 1);
  const app = fs.readFileSync(path.join(root, 'deploy/examples/manifests/app.yaml'), 'utf8').replace('port: 8081', `port: ${await freePort()}`);
  await cluster.ok('apply', '-f', write('app.yaml', app), '--wait');
  const [template] = app.split('---\n');
  await cluster.ok('apply', '-f', write('template.yaml', template.replace('"Hello"', '"Good evening"')));
  const before = (await cluster.instances()).map(({ id }) => id).sort();

  assert.deepEqual(plans.map(([name]) => name).sort(), fs.readdirSync(folder).filter((name) => /kind: AutoScalingGroup\nname: hello/.test(example(name))));
  for (const [name, plan, shownFlags] of plans) {
    await t.test(name, async () => {
      await cluster.ok('apply', '-f', path.join(folder, name));
      const deploy = ['deploy', 'asg/hello', '--template', 'hello:2'];
      const deployment = JSON.parse(await cluster.ok(...deploy, '--dry-run', '-o', 'json'));
      assert.deepEqual(planOf(deployment), plan);
      if (!shownFlags) return;
      const shown = [...deploy, ...shownFlags, '--dry-run'];
      shows(shown, await cluster.ok(...shown));
    });
  }
  assert.deepEqual(await cluster.get('deployments'), [], 'a manifest that changes no version and a dry run deploy nothing');
  assert.deepEqual((await cluster.instances()).map(({ id }) => id).sort(), before);

  await t.test('version 2 in the manifest is deployed', async () => {
    const file = write('hello.yaml', example('blue-green.yaml').replace('version: 1', 'version: 2').replace('bake: 10m', 'bake: 0s'));
    const { code, stdout, stderr } = await cluster.command('apply', '-f', file, '--wait');
    assert.equal(code, 0, stderr);
    assert.match(stdout + stderr, /hello-1/, 'names the deployment');
    const instances = await cluster.settled(2, 'two instances of version 2 to be in service');
    assert.deepEqual(instances.map(({ launchTemplate }) => launchTemplate.resolvedVersion), [2, 2]);
    const [deployment] = await cluster.get('deployments');
    assert.equal(deployment.state, 'SUCCEEDED');
  });
});

test('the course\'s lab: green is looked at by the preview\'s port, then the listener\'s traffic goes there', async (t) => {
  const { cluster, manifests, write } = await start(t);
  const [port, previewPort] = [await freePort(), await freePort()];
  writeManifests(manifests, { 8000: 0, 9000: 0 });
  for (const version of [1, 2]) {
    await pushShop(cluster, `shop-v${version}`, version);
    await cluster.ok('apply', '-f', path.join(manifests, `template-${version}.yaml`));
  }
  await cluster.ok('apply', '-f', write('two-groups.yaml', example('two-groups.yaml').replace('port: 8080', `port: ${port}`)), '--wait');
  const listener = `lb/shop/${port}`;
  const shift = ['shift', listener, '--to', 'green', '--scale', '-f'];
  const planned = JSON.parse(await cluster.ok(...shift, path.join(folder, 'shift.yaml'), '--dry-run', '-o', 'json'));
  assert.deepEqual(planOf(planned), ['launch', 'approval', 10, 'analysis', 100, 'bake', 'drain']);

  const inWords = await cluster.ok(...shift, path.join(folder, 'shift.yaml'), '--dry-run');
  shows(['shift', 'lb/shop/8080', ...shift.slice(2), 'deploy/examples/deployments/shift.yaml', '--dry-run'], inWords.replace(listener, 'lb/shop/8080'));

  // The same with waits that a test has the time for.
  const quick = example('shift.yaml').replace('duration: 5m', 'duration: 2s, interval: 1s').replace('bake: 10m', 'bake: 1s').replace('8085', `${previewPort}`);
  await cluster.ok(...shift, write('shift.yaml', quick), '--detach');
  const deployment = async () => (await cluster.get('deployments'))[0];
  const versionAt = async (at) => (await ask(`http://127.0.0.1:${at}/`)).json.version;
  await waitFor(async () => /approve/.test((await deployment()).waiting), { deadlineMs, what: 'green to be up' });
  assert.equal(await waitFor(() => versionAt(previewPort), { deadlineMs, what: 'the preview to answer' }), 2);
  assert.equal(await versionAt(port), 1, 'the listener is blue\'s');
  await cluster.ok('deployment', 'approve', shortId((await deployment()).name), 'looked-at-green');

  const statuses = new Set();
  const last = await waitFor(async () => {
    const asked = Array.from({ length: 50 }, () => ask(`http://127.0.0.1:${port}/`).then(({ status }) => status, (error) => error.message));
    (await Promise.all(asked)).forEach((status) => statuses.add(status));
    const now = await deployment();
    return ['SUCCEEDED', 'ROLLED_BACK', 'FAILED'].includes(now.state) && now;
  }, { deadlineMs: 120_000, what: 'the shift to end' });
  assert.equal(last.state, 'SUCCEEDED', last.rollbackReason);
  assert.deepEqual([...statuses], [200]);
  assert.equal(await versionAt(port), 2);
  const groups = Object.fromEntries((await cluster.get('asg')).map((group) => [shortId(group.name), group.desired ?? 0]));
  assert.deepEqual(groups, { blue: 0, green: 2 }, 'blue is at its min');
});
