'use strict';
// Inside of a lab's namespaces, on its client machine: scene.js FOLDER.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { HostsCluster } = require('../../../deploy/lab/hosts/hosts_cluster.js');
const { knock } = require('../../../deploy/lab/hosts/knock.js');
const { machines, on } = require('../../../deploy/lab/hosts/network.js');
const { proxyPort } = require('../../../deploy/lab/hosts/programs.js');
const { LoadProcess } = require('../../../deploy/lab/load_process.js');
const { killAll, run, waitFor } = require('../../../deploy/lab/process.js');
const { shortId } = require('../../../deploy/lab/remuda.js');

const deadlineMs = 60_000;
const loadMs = 3_000;
const rate = 150;

const app = `
require('node:http').createServer((request, response) => response.end('page')).listen(Number(process.env.PORT), process.env.HOST);
process.on('SIGTERM', () => process.exit(0));
`;

const manifest = (clients) => `kind: SecurityGroup
name: clients
ingress: [{ fromPort: 80, cidrs: [${clients.join(', ')}] }]
---
kind: LaunchTemplate
name: shop
image: shop
command: [node, app.js]
---
kind: TargetGroup
name: web
healthCheck: { path: /, interval: 0.5s, timeout: 2s, healthyThreshold: 2 }
deregistrationDelay: 1s
---
kind: AutoScalingGroup
name: shop
launchTemplate: { launchTemplate: shop }
min: 2
max: 2
targetGroups: [web]
requireIngressFilter: true
---
kind: LoadBalancer
name: shop
securityGroups: [clients]
listeners:
  - { port: 80, defaultAction: { forward: { targetGroups: [{ targetGroup: web }] } } }
`;

async function metric(proxy, name) {
  const script = `require('node:http').get('http://127.0.0.1:${proxyPort}/metrics', (response) => response.pipe(process.stdout));`;
  const [command, ...args] = on(proxy, [process.execPath, '-e', script]);
  const { stdout } = await run(command, args, { deadlineMs });
  return [...stdout.matchAll(new RegExp(`^remuda_proxy_${name}\\{[^}]*\\} (\\d+)`, 'gm'))].reduce((sum, match) => sum + Number(match[1]), 0);
}

const say = (text) => process.stdout.write(`scene: ${text}\n`);
const address = (name) => machines[name].address;

async function scene(cluster) {
  const { programs } = cluster;
  const join = (name) => {
    programs.membership.join(name);
    return programs.start(name);
  };
  await programs.start('controller');
  await programs.membership.login();
  await Promise.all(['h1', 'h2', 'p1'].map(join));
  const folder = path.join(cluster.scratch(), 'app');
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, 'app.js'), app);
  const file = path.join(cluster.scratch(), 'shop.yaml');
  const apply = async (clients) => {
    fs.writeFileSync(file, manifest(clients));
    await cluster.ok('apply', '-f', file);
  };
  await cluster.ok('image', 'push', 'shop', folder);
  await apply([address('client')]);
  const instances = await cluster.settled(2, 'two instances to be in service', deadlineMs);
  await waitFor(async () => (await knock('client', address('p1'), 80)) === '200', { deadlineMs, what: 'the page' });

  say('who the group names reaches the load balancer, and nobody else');
  assert.equal(await knock('database', address('p1'), 80), 'ECONNRESET');
  assert.ok(await metric('p1', 'security_group_refused_connection_count_total') >= 1);

  say('the instances are reached by proxies alone');
  const [{ host, port }] = instances;
  assert.equal(await knock('client', address(host), port), 'DROPPED');
  assert.equal(await knock('p1', address(host), port), '200');
  assert.equal(await knock(host, address(host), port), '200', 'their host itself may');

  say('a proxy that joins under load loses no request');
  const first = new LoadProcess(`http://${address('p1')}/`, { rate, connections: 8 });
  await join('p2');
  await waitFor(async () => (await knock('client', address('p2'), 80)) !== 'ECONNREFUSED', { deadlineMs, what: 'p2 to listen', everyMs: 5 });
  const second = new LoadProcess(`http://${address('p2')}/`, { rate, connections: 8 });
  await new Promise((resolve) => { setTimeout(resolve, loadMs); });
  for (const [name, load] of [['p1', first], ['p2', second]]) {
    const figures = await load.stop();
    say(`${name}: ${JSON.stringify(figures)}`);
    assert.ok(figures.requests > 0, name);
    assert.equal(figures.failed, 0, name);
  }

  say('the filter stays while the agent is away');
  await programs.end(host, 'SIGKILL');
  assert.equal(await knock('client', address(host), port), 'DROPPED');
  assert.equal(await knock('p2', address(host), port), '200');
  await programs.start(host);

  say('a changed group acts at once');
  await apply([address('client'), address('database')]);
  await waitFor(async () => (await knock('database', address('p1'), 80)) === '200', { deadlineMs, what: 'the page for one that is named now' });

  say('what is named cannot be deleted');
  const { code, stderr } = await cluster.command('delete', 'sg', 'clients');
  assert.notEqual(code, 0);
  assert.match(stderr, /loadBalancers\/shop names it/);
  assert.match(await cluster.ok('get', 'sg'), /clients +TCP 80 from 10\.77\.0\.31,10\.77\.0\.41/);
  assert.deepEqual((await cluster.get('hosts')).map(({ name, lacks }) => [shortId(name), lacks?.ingressFilter]), [['h1', undefined], ['h2', undefined]]);
}

async function main() {
  const cluster = new HostsCluster({ bin: process.env.REMUDA_BIN_DIR, folder: process.argv[2] });
  try {
    await scene(cluster);
    return 0;
  } catch (error) {
    say(`${error.stack}\n${cluster.isUp ? (await cluster.troubles()).join('\n') : 'the controller does not run'}`);
    for (const name of ['controller', 'h1', 'p1', 'p2']) say(`${name}:\n${fs.existsSync(cluster.programs.log(name)) ? cluster.programs.tail(name) : ''}`);
    return 1;
  } finally {
    killAll();
  }
}

process.on('exit', killAll);
main().then((code) => process.exit(code));
