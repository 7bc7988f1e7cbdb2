'use strict';
// The ten steps of the lab. Each is an async function of the lab that throws when the step is not truly reached;
// what it returns is a line for the reader. Everything is done as a user does it: the `remuda` command and plain HTTP.

const assert = require('node:assert/strict');
const http = require('node:http');
const path = require('node:path');
const { ask, root, shortId } = require('./cluster.js');
const { run, waitFor } = require('./process.js');

const alternations = 20;
const evenShare = [0.4, 0.6]; // of two instances, over a window of some hundred requests
const healthDeadline = '10s'; // after which a version that never becomes healthy is given up
const followDeadlineMs = 120_000;
const windowRequests = 500; // that must be served after what was done, before a step under load is called good

async function clusterUp(lab) {
  await lab.cluster.start();
  const hosts = await lab.cluster.get('hosts');
  assert.equal(new Set(hosts.map((host) => host.zone)).size, 2, 'two hosts in two zones');
  const { controller, proxies } = lab.cluster.programs;
  return [
    `controller  ${controller.grpc} (gRPC), http://${controller.http}/metrics`,
    ...hosts.map((host) => `host ${shortId(host.name)}     ${host.address}, zone ${host.zone}`),
    ...proxies.map((proxy) => `proxy ${proxy.name}    http://${proxy.http}/metrics`),
  ].join('\n      ');
}

// Image shop-vN from the app's files, and a version of launch template shop that runs it.
async function addVersion(lab, version) {
  const folder = path.join(lab.scratch, `shop-v${version}`);
  const made = await run(path.join(root, 'deploy/lab/app/make-image'), [`${version}`, folder]);
  assert.equal(made.code, 0, made.stderr);
  await lab.cluster.ok('image', 'push', `shop-v${version}`, folder);
  await lab.cluster.ok('apply', '-f', path.join(lab.manifests, `template-${version}.yaml`));
  const shop = (await lab.cluster.get('lt')).find((template) => template.name === 'launchTemplates/shop');
  assert.equal(shop?.latestVersion, version, `launch template shop has version ${version}`);
}

async function firstVersion(lab) {
  await addVersion(lab, 1);
  return 'image shop-v1, launch template shop:1';
}

async function serve(lab) {
  await lab.cluster.ok('apply', '-f', path.join(lab.manifests, 'shop.yaml'));
  const [instance] = await lab.cluster.settled(1, 'one instance of blue to be in service');
  const page = await waitFor(async () => {
    const answer = await ask(lab.url);
    return answer.status === 200 && answer;
  }, { deadlineMs: 20_000, what: `${lab.url} to answer` });
  assert.equal(page.json.version, 1);
  assert.equal(page.json.instance, instance.id, 'the page names the instance');
  assert.equal((await lab.probe('/users/2')).json.name, 'Grace Hopper');
  const admin = await ask(`${lab.url}admin/health`, { method: 'POST', body: '{"healthy":false}' });
  assert.equal(admin.status, 403, 'the rule for /admin/* holds');
  return `${lab.url} is served by ${instance.id} (version ${page.json.version})`;
}

async function alternate(lab) {
  await lab.cluster.ok('scale', 'asg/blue', '--desired', '2');
  const instances = await lab.cluster.settled(2, 'two instances of blue to be in service');
  assert.equal(new Set(instances.map((instance) => instance.host)).size, 2, 'spread over both hosts');
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 }); // one connection: one worker of the proxy, one turn
  try {
    await waitFor(async () => new Set([await lab.servedBy(agent), await lab.servedBy(agent)]).size === 2,
      { deadlineMs: 20_000, what: 'both instances to be in rotation' });
    const order = [];
    for (let i = 0; i < alternations; i += 1) {
      const page = await lab.probe('/', { agent, headers: { 'x-forwarded-for': '203.0.113.7' } });
      assert.equal(page.json.forwardedFor, '203.0.113.7, 127.0.0.1', "the client's address is appended to X-Forwarded-For");
      order.push(page.json.instance);
    }
    order.forEach((instance, i) => assert.ok(i === 0 || instance !== order[i - 1], `requests alternate: ${order.join(' ')}`));
  } finally {
    agent.destroy();
  }
  await lab.startLoad();
  const byInstance = await lab.serveMore(windowRequests);
  const served = Object.values(byInstance).reduce((sum, requests) => sum + requests, 0);
  for (const { id } of instances) {
    const share = (byInstance[id] || 0) / served;
    assert.ok(share > evenShare[0] && share < evenShare[1], `${id} has its share: ${JSON.stringify(byInstance)}`);
  }
  return `${instances.map((instance) => `${instance.id} on ${instance.host}`).join(' and ')} take turns`;
}

async function killOne(lab) {
  const before = await lab.cluster.settled(2, 'two instances of blue to be in service');
  const [victim] = before;
  const killedAt = Date.now();
  process.kill(Number(victim.process.pid), 'SIGKILL');
  const successor = newOf(before, await lab.replaced(victim));
  await lab.serveMore(windowRequests);
  const startedMs = Date.parse(successor.process.startTime) - killedAt;
  return `killed ${victim.id} (pid ${victim.process.pid}); ${successor.id} took its place, its process started ${startedMs} ms later`;
}

async function failHealth(lab) {
  const before = await lab.cluster.settled(2, 'two instances of blue to be in service');
  const [victim] = before;
  const direct = `http://${victim.address}:${victim.port}`;
  const switched = await ask(`${direct}/admin/health`, { method: 'POST', body: '{"healthy":false}' });
  assert.deepEqual([switched.status, switched.json], [200, { healthy: false }]);
  const successor = newOf(before, await lab.replaced(victim));
  await lab.serveMore(windowRequests);
  return `${victim.id} fell ill, ${successor.id} took its place`;
}

async function deployAndRollBack(lab) {
  await addVersion(lab, 2);
  const deploy = () => lab.cluster.ok('deploy', 'asg/blue', '--template', 'shop:2', '--strategy', 'blue-green');
  await deploy();
  await lab.servesOnly(2);
  const [deployment] = await lab.cluster.get('deployments');
  await lab.cluster.ok('deployment', 'rollback', deployment.name.replace('deployments/', ''));
  await lab.servesOnly(1);
  await deploy();
  await lab.servesOnly(2);
  await lab.serveMore(windowRequests);
  return 'version 1 -> 2, back to 1 in one command, and forward again';
}

async function brokenVersion(lab) {
  await addVersion(lab, 3);
  await lab.mark();
  const { code, stdout, stderr } = await lab.cluster.command('deploy', 'asg/blue', '--template', 'shop:3', '--strategy', 'blue-green',
    '--health-deadline', healthDeadline);
  assert.equal(code, 4, `exit code 4 says rolled back: got ${code}\n${stdout}${stderr}`);
  assert.match(stdout.trimEnd().split('\n').at(-1), /: `remuda logs i-\w+`$/, 'the last line says how to find out why');
  const { byVersion } = await lab.mark();
  assert.deepEqual(Object.keys(byVersion), ['2'], `users saw version 2 only: ${JSON.stringify(byVersion)}`);
  await lab.servesOnly(2);
  await lab.serveMore(lab.minimumRequests - lab.requests());
  return 'version 3 never became healthy and was rolled back by itself; users saw nothing';
}

// The policy of manifests/policy.yaml, for one instance per 4/3 of the lab's load: that load alone is enough for one, twice the load needs two.
async function followLoad(lab) {
  await lab.cluster.ok('apply', '-f', lab.manifestWith('policy.yaml', 'target', Math.round((lab.rate * 4) / 3)));
  const settled = (count) => lab.cluster.settled(count, `blue to have ${count} in service by its policy`, followDeadlineMs);
  const serveAll = async (instances) => lab.serves((seen) => seen.sort().join() === instances.map(({ id }) => id).sort().join(), 'byInstance', 'each of them to serve');
  const took = [];
  const follow = async (count, change) => {
    const start = performance.now();
    await change();
    const instances = await settled(count);
    took.push(`${count} after ${((performance.now() - start) / 1000).toFixed(1)} s`);
    await serveAll(instances);
  };
  await follow(1, () => {});
  await follow(2, () => lab.startLoad());
  await follow(1, () => lab.endLastLoad());
  const rows = await lab.cluster.ok('evaluations', 'asg/blue', '--changes');
  assert.match(rows, /Out from 1 to 2: policy requests/, 'an evaluation says why');
  return `one load: ${took[0]}; twice the load: ${took[1]}; one again: ${took[2]}`;
}

// In the course's order: min 0, detach, then load balancer, target group, group.
async function cleanUp(lab) {
  await lab.stopLoad();
  await lab.cluster.ok('scale', 'asg/blue', '--min', '0', '--desired', '0');
  await lab.cluster.settled(0, 'the last instance of blue to end');
  await lab.cluster.ok('apply', '-f', lab.manifestWithout('targetGroups'));
  for (const kind of ['lb', 'tg', 'asg']) await lab.cluster.ok('delete', kind, kind === 'lb' ? 'shop' : 'blue');
  for (const kind of ['lb', 'tg', 'asg', 'instances']) {
    await waitFor(async () => (kind === 'instances' ? await lab.cluster.instances() : await lab.cluster.get(kind)).length === 0,
      { deadlineMs: 20_000, what: `no ${kind} to be left` });
  }
  const left = lab.cluster.appsRunning();
  assert.deepEqual(left, [], `every process of the app is gone: ${left.join(', ')}`);
  await waitFor(() => ask(lab.url).then(() => false, (error) => error.code === 'ECONNREFUSED'),
    { deadlineMs: 20_000, what: `${lab.url} to be closed` });
  return 'min 0, detached, load balancer, target group and group deleted; nothing is left';
}

const newOf = (before, after) => after.find((i) => !before.some((old) => old.id === i.id));

exports.addVersion = addVersion;
exports.steps = [
  ['Cluster up', clusterUp],
  ['Image and launch template', firstVersion],
  ['Group, target group, load balancer', serve],
  ['Scaled to 2: round robin', alternate],
  ['kill -9 of an instance', killOne],
  ['Health check fails', failHealth],
  ['Blue/green, rollback, forward', deployAndRollBack],
  ['Broken version rolls back', brokenVersion],
  ['Load grows, the group follows', followLoad],
  ['Clean-up', cleanUp],
];
