'use strict';
// One controller and two real proxies: what a proxy alone can do (HTTPS, TCP, stickiness, ejection) holds for both of
// them together, since clients reach either without knowing which.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const net = require('node:net');
const path = require('node:path');
const { test } = require('node:test');
const { ask, freePort, shortId } = require('../../deploy/lab/cluster.js');
const { waitFor } = require('../../deploy/lab/process.js');
const { startCluster } = require('./harness.js');

const deadlineMs = 60_000;
const connections = 60; // enough that neither proxy is missed by chance: 2 ^ -59
const failuresToEject = 3;
const serverName = 'shop.example';

// Says who it is; answers 503 to all but its checks once it was told to be ill.
const app = `
let ill = false;
const me = process.env.REMUDA_INSTANCE;
require('node:http').createServer((request, response) => {
  if (request.url === '/ill') ill = true;
  response.statusCode = ill && request.url === '/' ? 503 : 200;
  response.end(me);
}).listen(Number(process.env.PORT), process.env.HOST);
process.on('SIGTERM', () => process.exit(0));
`;

const indent = (text) => text.trimEnd().split('\n').map((line) => `  ${line}`).join('\n');

function manifest({ port, tlsPort, tcpPort, certificate, key }) {
  return `kind: Certificate
name: shop
certificatePem: |
${indent(certificate)}
privateKeyPem: |
${indent(key)}
---
kind: LaunchTemplate
name: shop
image: shop
command: [node, app.js]
---
kind: TargetGroup
name: web
healthCheck: { path: /health, interval: 0.2s, timeout: 2s }
deregistrationDelay: 2s
stickiness: { type: DURATION_COOKIE }
passiveEjection: { consecutiveFailures: ${failuresToEject}, baseTime: 300s, maxPercent: 100 }
---
kind: TargetGroup
name: raw
protocol: TCP
healthCheck: { interval: 0.2s, timeout: 2s }
deregistrationDelay: 2s
---
kind: AutoScalingGroup
name: shop
launchTemplate: { launchTemplate: shop }
min: 2
max: 3
targetGroups: [web, raw]
healthCheckGracePeriod: 600s
---
kind: LoadBalancer
name: shop
listeners:
  - { port: ${port}, address: 127.0.0.1, defaultAction: { forward: { targetGroups: [{ targetGroup: web }] } } }
  - { port: ${tlsPort}, address: 127.0.0.1, protocol: HTTPS, certificates: [shop], defaultAction: { forward: { targetGroups: [{ targetGroup: web }] } } }
  - { port: ${tcpPort}, address: 127.0.0.1, protocol: TCP, defaultAction: { forward: { targetGroups: [{ targetGroup: raw }] } } }
`;
}

function selfSigned(folder) {
  const [key, certificate] = [path.join(folder, 'key.pem'), path.join(folder, 'certificate.pem')];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
    '-subj', `/CN=${serverName}`, '-addext', `subjectAltName=DNS:${serverName}`, '-keyout', key, '-out', certificate], { stdio: 'pipe' });
  return { key: fs.readFileSync(key, 'utf8'), certificate: fs.readFileSync(certificate, 'utf8') };
}

async function startTwoProxies(t) {
  const cluster = await startCluster(t, { proxies: 2 });
  const folder = path.join(cluster.scratch, 'app');
  fs.mkdirSync(folder);
  fs.writeFileSync(path.join(folder, 'app.js'), app);
  const site = { port: await freePort(), tlsPort: await freePort(), tcpPort: await freePort(), ...selfSigned(cluster.scratch) };
  const file = path.join(cluster.scratch, 'shop.yaml');
  fs.writeFileSync(file, manifest(site));
  await cluster.ok('image', 'push', 'shop', folder);
  await cluster.ok('apply', '-f', file);
  await cluster.settled(2, 'two instances to be in service');
  await waitFor(async () => (await cluster.get('proxies')).every((proxy) => proxy.config?.inSync !== false), { deadlineMs, what: 'both proxies to have the config' });
  await waitFor(() => page(site).then((answer) => answer.status === 200, () => false), { deadlineMs, what: 'the page' });
  return { cluster, site };
}

// A request on a connection of its own.
function page({ port, tlsPort, certificate }, { secure = false, cookie, target = '/' } = {}) {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: secure ? tlsPort : port, path: target, agent: false, timeout: deadlineMs,
      headers: { host: serverName, ...(cookie && { cookie }) }, ...(secure && { ca: certificate, servername: serverName }) };
    const request = (secure ? https : http).get(options, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part) => { text += part; });
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode, text, cookies: response.headers['set-cookie'] ?? [] }));
    });
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('error', reject);
  });
}

async function times(count, what) {
  const results = [];
  for (let i = 0; i < count; ++i) results.push(await what(i));
  return results;
}

// The sum of a counter at each proxy.
async function counters(cluster, name) {
  return Promise.all(cluster.programs.proxies.map(async (proxy) => {
    const { text } = await ask(`http://${proxy.http}/metrics`);
    const values = [...text.matchAll(new RegExp(`^remuda_proxy_${name}(?:\\{.*\\})? (\\d+)`, 'gm'))].map((match) => Number(match[1]));
    assert.ok(values.length > 0, `${name} is a metric`);
    return values.reduce((sum, value) => sum + value, 0);
  }));
}

// A TCP connection on which it asks for the page: who answered, and the socket, still open.
function rawPage({ tcpPort }) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(tcpPort, '127.0.0.1');
    let text = '';
    socket.setTimeout(deadlineMs, () => socket.destroy(new Error('no answer')));
    socket.setEncoding('utf8');
    socket.on('error', reject);
    socket.on('end', () => reject(new Error(`ended: ${text}`)));
    socket.on('data', (part) => {
      text += part;
      const who = /i-[0-9a-f]{10}/.exec(text);
      if (who) resolve({ who: who[0], socket });
    });
    socket.write('GET / HTTP/1.1\r\nHost: raw\r\n\r\n');
  });
}

test('two proxies serve HTTPS, and keep a client at its target whichever of them it meets', async (t) => {
  const { cluster, site } = await startTwoProxies(t);
  const before = await counters(cluster, 'request_count_total');
  const spread = await times(connections, () => page(site, { secure: true }));
  assert.deepEqual(spread.map((answer) => answer.status).filter((status) => status !== 200), []);
  assert.equal(new Set(spread.map((answer) => answer.text)).size, 2, 'without a cookie both instances serve');
  const after = await counters(cluster, 'request_count_total');
  after.forEach((count, i) => assert.ok(count > before[i], `proxy ${i} served none of ${connections} connections`));

  const cookie = spread[0].cookies.find((text) => text.startsWith('REMUDA='))?.split(';')[0];
  assert.ok(cookie, `a cookie was set: ${spread[0].cookies}`);
  const kept = await times(connections, (i) => page(site, { secure: i % 2 === 0, cookie }));
  assert.deepEqual(kept.filter((answer) => answer.status !== 200 || answer.text !== spread[0].text), []);
});

test('two proxies serve TCP: a connection outlives the end of the other instance', async (t) => {
  const { cluster, site } = await startTwoProxies(t);
  const open = await times(connections, () => rawPage(site));
  t.after(() => open.forEach(({ socket }) => socket.destroy()));
  assert.equal(new Set(open.map(({ who }) => who)).size, 2, 'both instances have connections');

  const [victim, survivor] = await cluster.settled(2, 'two instances');
  process.kill(Number(victim.process.pid), 'SIGKILL');
  await waitFor(async () => !(await cluster.instances()).some((i) => i.id === victim.id), { deadlineMs, what: `${victim.id} to be gone` });
  const fresh = await times(connections, () => rawPage(site));
  fresh.forEach(({ socket }) => socket.destroy());
  assert.ok(fresh.every(({ who }) => who !== victim.id));
  const kept = open.find(({ who }) => who === survivor.id).socket;
  const again = new Promise((resolve, reject) => {
    kept.on('data', resolve);
    kept.on('error', reject);
  });
  kept.write('GET /again HTTP/1.1\r\nHost: raw\r\n\r\n');
  assert.match(`${await again}`, /^HTTP\/1\.1 200 /);
});

test('each of two proxies ejects a target whose answers fail, the controller hears of it', async (t) => {
  const { cluster, site } = await startTwoProxies(t);
  const [ill, well] = await cluster.settled(2, 'two instances');
  await ask(`http://${ill.address}:${ill.port}/ill`);
  const ejectedBy = async () => {
    const targets = await cluster.get('targets', 'web').catch(() => []);
    const target = targets.find((candidate) => shortId(candidate.instance ?? '') === ill.id);
    return (target?.proxies ?? []).filter((proxy) => proxy.reason === 'Remuda.PassiveEjection').length;
  };
  let answers = [];
  await waitFor(async () => {
    answers = answers.concat(await times(10, () => page(site)));
    return await ejectedBy() === 2;
  }, { deadlineMs, what: 'both proxies to have ejected the ill one' });
  // What it answered until then was its own 503; not one was made by a proxy, and each proxy needed no more than it was told.
  const failed = answers.filter((answer) => answer.status !== 200);
  assert.ok(failed.every((answer) => answer.status === 503 && answer.text === ill.id));
  const served = await times(connections, () => page(site));
  assert.deepEqual(served.filter((answer) => answer.status !== 200 || answer.text !== well.id), []);
});
