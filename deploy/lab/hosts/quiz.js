'use strict';
// The course's quiz, step by step, on several hosts. Each step is an async function of the lab that throws when the step is not truly
// reached; what it returns is a line for the reader. Everything is done as a user does it: the `remuda` command and plain HTTP.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { ask, root } = require('../cluster.js');
const { run, waitFor } = require('../process.js');
const { shortId } = require('../remuda.js');
const database = require('./database.js');
const { knock } = require('./knock.js');
const network = require('./network.js');

const deadlineMs = 60_000;
const windowRequests = 500; // that must be served after what was done, before a step under load is called good
const evenShare = [0.35, 0.65]; // of two instances, over a window of some hundred requests
const values = { CLIENT: network.machines.client.address, SHOP_URL: `http://${network.machines.p1.address}/` };

// A file of this folder's with what only a lab knows filled in; the copy.
function filled(lab, name) {
  const text = fs.readFileSync(path.join(__dirname, name), 'utf8').replace(/\$\{([A-Z_]+)\}/g, (_, key) => values[key]);
  const copy = path.join(lab.scratch, name);
  fs.mkdirSync(path.dirname(copy), { recursive: true });
  fs.writeFileSync(copy, text);
  return copy;
}

const apply = (lab, name) => lab.cluster.ok('apply', '-f', filled(lab, `manifests/${name}.yaml`));
const settled = (lab, group, count) => lab.cluster.settled(count, `${group} to have ${count} in service`, deadlineMs, group);

// The answer of `url` once its status is 200.
const answered = (url) => waitFor(async () => {
  const answer = await ask(url);
  return answer.status === 200 && answer;
}, { deadlineMs, what: `${url} to answer` });

async function up(lab) {
  await lab.cluster.start();
  const hosts = await lab.cluster.get('hosts');
  assert.deepEqual(hosts.map((host) => host.zone).sort(), ['a', 'b', 'c'], 'three hosts in three zones');
  return [`controller  ${lab.cluster.address}`,
    ...hosts.map((host) => `host ${shortId(host.name)}     ${host.address}, zone ${host.zone}`),
    ...network.proxies.map((name) => `proxy ${name}    ${network.machines[name].address}`),
    `database    ${network.machines.database.address}`, `client      ${network.machines.client.address}`].join('\n      ');
}

async function users(lab) {
  const { address } = network.machines.database;
  assert.ok(lab.cluster.programs.pidOf('database'), 'the database runs');
  assert.equal(await knock('client', address, database.port), 'DROPPED', 'the client machine does not reach the database');
  await putSecret(lab);
  return `MariaDB with table users at ${address}:${database.port}, which the hosts alone reach; its URL with the password is a secret`;
}

async function putSecret(lab) {
  const file = path.join(lab.scratch, 'database-url');
  fs.writeFileSync(file, database.url, { mode: 0o600 });
  await lab.cluster.ok('secret', 'set', 'database-url', '--from-file', file);
  fs.rmSync(file);
}

async function securityGroups(lab) {
  await apply(lab, 'security-groups');
  return (await lab.cluster.ok('get', 'sg')).trimEnd().split('\n').slice(1).join('\n      ');
}

// Image shop-vN with the database's client, and a version of launch template shop that runs it. Answers the version's number.
async function addVersion(lab, version) {
  const folder = path.join(lab.scratch, `shop-v${version}`);
  fs.rmSync(folder, { recursive: true, force: true });
  const made = await run(path.join(root, 'deploy/lab/app/make-image'), [`${version}`, folder, '--with-database']);
  assert.equal(made.code, 0, made.stderr);
  await lab.cluster.ok('image', 'push', `shop-v${version}`, folder);
  await apply(lab, `template-${version}`);
  const shop = (await lab.cluster.get('lt')).find((template) => template.name === 'launchTemplates/shop');
  return shop.latestVersion;
}

async function blue(lab) {
  assert.equal(await addVersion(lab, 1), 1, 'launch template shop has version 1');
  await apply(lab, 'blue');
  const [instance] = await settled(lab, 'blue', 1);
  assert.equal(Number(instance.port), 8000);
  return `${instance.id} of version 1.0 on ${instance.host}, port 8000`;
}

async function balancer(lab) {
  await apply(lab, 'shop');
  const [instance] = await settled(lab, 'blue', 1);
  for (const url of lab.urls) {
    const page = await answered(url);
    assert.deepEqual([page.json.version, page.json.instance], [1, instance.id], 'the page names version and instance');
    assert.equal(page.json.forwardedFor, network.machines.client.address, "the app sees the client's address");
    assert.equal((await lab.probe(new URL('users/2', url))).json.name, 'Grace Hopper', 'users come from the database');
    assert.equal((await ask(`${url}admin/health`, { method: 'POST', body: '{"healthy":false}' })).status, 403, 'the rule for /admin/* holds');
  }
  return `${lab.urls.join(' and ')} are served by ${instance.id}, with users of the database`;
}

// Who no rule names is turned away at the load balancer; at the instances everybody is but who belongs to the load balancer.
async function guarded(lab) {
  const [instance] = await settled(lab, 'blue', 1);
  const { address } = network.machines[instance.host];
  const [proxy] = network.proxies;
  assert.equal(await knock('database', network.machines[proxy].address, 80), 'ECONNRESET', 'the database machine is not let in');
  assert.equal(await knock('client', address, instance.port), 'DROPPED', 'the client machine does not reach the instance');
  assert.equal(await knock(proxy, address, instance.port), '200', 'a proxy does');
  const shown = await lab.cluster.ok('get', 'lt', 'shop', '-o', 'yaml');
  assert.ok(!shown.includes(new URL(database.url).password), 'no manifest shows the password');
  return `${instance.id} is reached through the load balancer alone, and that by the client machine alone`;
}

async function page(lab) {
  const folder = path.dirname(filled(lab, 'page/index.html'));
  await lab.cluster.ok('image', 'push', 'page', folder);
  await apply(lab, 'page');
  await settled(lab, 'page', 1);
  const [url] = lab.cluster.urls(8081);
  const html = (await answered(url)).text;
  const link = /href="([^"]+)"/.exec(html)?.[1];
  assert.equal((await lab.probe(link)).json.version, 1, 'its link leads to the shop');
  return `${url} links to ${link}; the agent serves it, no program of its own runs`;
}

async function two(lab) {
  await lab.cluster.ok('scale', 'asg/blue', '--desired', '2');
  const instances = await settled(lab, 'blue', 2);
  assert.equal(new Set(instances.map(({ host }) => host)).size, 2, 'on two hosts, in two zones');
  await lab.startLoad();
  await lab.serves((seen) => seen.length === 2, 'byInstance', 'both instances to serve');
  await lab.mark();
  const byInstance = await lab.serveMore(windowRequests);
  const served = Object.values(byInstance).reduce((sum, requests) => sum + requests, 0);
  for (const { id } of instances) {
    const share = (byInstance[id] || 0) / served;
    assert.ok(share > evenShare[0] && share < evenShare[1], `${id} has its share: ${JSON.stringify(byInstance)}`);
  }
  return `${instances.map(({ id, host }) => `${id} on ${host}`).join(' and ')} take turns`;
}

async function green(lab) {
  assert.equal(await addVersion(lab, 2), 2, 'launch template shop has version 2');
  await apply(lab, 'green');
  await settled(lab, 'green', 0);
  return 'version 2.0, port 9000; no instance yet';
}

async function shift(lab) {
  await lab.cluster.ok('shift', 'lb/shop/80', '--to', 'green', '--scale', '--bake', '2s');
  await lab.servesOnly(2);
  const instances = await settled(lab, 'green', 2);
  await settled(lab, 'blue', 1);
  assert.ok(instances.every(({ port }) => Number(port) === 9000));
  await lab.serveMore(windowRequests);
  return 'version 2.0 alone is served, by two instances of GREEN; BLUE stays at its min of 1';
}

async function back(lab) {
  await lab.cluster.ok('shift', 'lb/shop/80', '--to', 'blue', '--scale', '--bake', '2s');
  await lab.servesOnly(1);
  await settled(lab, 'blue', 2);
  await settled(lab, 'green', 0);
  await lab.serveMore(Math.max(windowRequests, lab.minimumRequests - lab.requests()));
  return 'version 1.0 alone is served again';
}

// A cable of the lab is cut: what no lab of one machine has.
async function hostLost(lab) {
  const before = await settled(lab, 'blue', 2);
  const [victim] = before;
  network.cut(victim.host);
  try {
    const after = await waitFor(async () => {
      const all = (await lab.cluster.instances()).filter((i) => shortId(i.autoScalingGroup) === 'blue' && i.state === 'IN_SERVICE');
      return all.length === 2 && all.every(({ id }) => id !== victim.id) && all;
    }, { deadlineMs, what: `another instance in place of ${victim.id}` });
    await lab.serves((seen) => seen.length === 2 && !seen.includes(victim.id), 'byInstance', 'the other two to serve');
    assert.ok(after.every(({ host }) => host !== victim.host));
  } finally {
    network.mend(victim.host);
  }
  await lab.cluster.joined();
  await settled(lab, 'blue', 2);
  await lab.serveMore(windowRequests);
  return `the cable of ${victim.host} was cut under load; its instance was replaced elsewhere, and the host came back`;
}

// In the course's order: the shift's and the listener's forwarding, load balancer, target groups, groups, templates, images, secret, security groups,
// database.
async function cleanUp(lab) {
  await lab.stopLoad();
  await apply(lab, 'closed');
  for (const kind of ['shop', 'page']) await lab.cluster.ok('delete', 'lb', kind);
  const groups = ['blue', 'green', 'page'];
  for (const group of groups) await lab.cluster.ok('scale', `asg/${group}`, '--min', '0', '--desired', '0');
  for (const group of groups) await settled(lab, group, 0);
  await lab.cluster.ok('apply', '-f', detached(lab));
  for (const group of groups) await lab.cluster.ok('delete', 'tg', group);
  for (const group of groups) await lab.cluster.ok('delete', 'asg', group);
  for (const name of ['shop', 'page']) await lab.cluster.ok('delete', 'lt', name);
  for (const name of ['shop-v1', 'shop-v2', 'page']) await lab.cluster.ok('delete', 'image', name);
  await lab.cluster.ok('secret', 'delete', 'database-url');
  for (const name of ['app', 'web']) await lab.cluster.ok('delete', 'sg', name);
  for (const kind of ['lb', 'tg', 'asg', 'lt', 'image', 'sg', 'secrets', 'instances']) {
    await waitFor(async () => (kind === 'instances' ? await lab.cluster.instances() : await lab.cluster.get(kind)).length === 0, { deadlineMs, what: `no ${kind} to be left` });
  }
  assert.deepEqual(lab.cluster.appsRunning(), [], 'every process of the apps is gone');
  for (const url of lab.urls) {
    await waitFor(() => ask(url).then(() => false, (error) => error.code === 'ECONNREFUSED'), { deadlineMs, what: `${url} to be closed` });
  }
  await lab.cluster.programs.end('database');
  return 'load balancers, target groups, groups, templates, images, security groups, the secret and the database are gone';
}

// The groups' manifests without target groups.
function detached(lab) {
  const documents = ['blue', 'green', 'page'].flatMap((name) => fs.readFileSync(path.join(lab.scratch, `manifests/${name}.yaml`), 'utf8').split('---\n'));
  const groups = documents.filter((text) => /^kind: AutoScalingGroup$/m.test(text)).map((text) => text.replace(/^targetGroups:.*$/m, 'targetGroups: []').replace(/^min: .*$/m, 'min: 0'));
  const file = path.join(lab.scratch, 'detached.yaml');
  fs.writeFileSync(file, groups.join('---\n'));
  return file;
}

// The shop as it was before the clean-up, for whoever wants to look. Answers the number of version 2.0: a deleted template's are not given
// out again.
async function putUpAgain(lab) {
  await database.start(lab.cluster.programs);
  await putSecret(lab);
  await apply(lab, 'security-groups');
  const [first, second] = [await addVersion(lab, 1), await addVersion(lab, 2)];
  const file = filled(lab, 'manifests/blue.yaml');
  fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace('version: 1 }', `version: ${first} }`));
  await lab.cluster.ok('apply', '-f', file);
  await apply(lab, 'shop');
  await settled(lab, 'blue', 1);
  return second;
}

exports.putUpAgain = putUpAgain;
exports.addVersion = addVersion;
exports.apply = apply;
exports.steps = [
  ['Three hosts, two proxies, one controller', up],
  ['Database with users', users],
  ['Security groups', securityGroups],
  ['Version 1.0 in BLUE', blue],
  ['Load balancer on port 80', balancer],
  ['Nobody in who is not named', guarded],
  ['Page that links to it', page],
  ['BLUE scaled to 2', two],
  ['A host loses its network', hostLost],
  ['Version 2.0 in GREEN', green],
  ['Shift BLUE to GREEN', shift],
  ['And back', back],
  ['Clean-up', cleanUp],
];
