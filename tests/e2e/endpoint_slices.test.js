'use strict';
// A target group that follows a Service of Kubernetes: the real programs, pods that are plain processes here, and an API that
// lists and watches their EndpointSlice as Kubernetes does. Under load pods come, drain and go, and the API is away.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { test } = require('node:test');
const { ask, freePort } = require('../../deploy/lab/cluster.js');
const { waitFor } = require('../../deploy/lab/process.js');
const { startCluster } = require('./harness.js');

const deadlineMs = 60_000;
const clients = 4;

// An app that says who it is, takes its time, and counts what is under way.
function startPod(t, name) {
  const pod = { name, served: 0, underWay: 0, isReady: true };
  const server = http.createServer((request, response) => {
    if (request.url === '/health') return response.end('ok');
    pod.underWay += 1;
    setTimeout(() => {
      pod.underWay -= 1;
      pod.served += 1;
      response.end(name);
    }, 20);
  });
  t.after(() => { server.close(); server.closeAllConnections(); });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(Object.assign(pod, { port: server.address().port })));
  });
}

// Lists and watches one slice for each pod, as pods here have a port of their own.
function startApi(t) {
  const api = { slices: new Map(), version: 10, isAway: false, watches: new Set(), requests: 0 };
  const object = (pod) => ({
    metadata: { name: `web-${pod.name}`, namespace: 'shop', resourceVersion: `${pod.version}`, labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4', ports: [{ name: 'http', port: pod.port, protocol: 'TCP' }],
    endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready: pod.isReady, serving: true, terminating: !pod.isReady }, zone: 'a' }],
  });
  const tell = (type, pod) => api.watches.forEach((watch) => watch.write(`${JSON.stringify({ type, object: object(pod) })}\n`));
  api.put = (pod) => {
    const type = api.slices.has(pod.name) ? 'MODIFIED' : 'ADDED';
    pod.version = ++api.version;
    api.slices.set(pod.name, pod);
    tell(type, pod);
  };
  api.remove = (pod) => {
    pod.version = ++api.version;
    api.slices.delete(pod.name);
    tell('DELETED', pod);
  };
  api.goAway = () => {
    api.isAway = true;
    api.watches.forEach((watch) => watch.destroy());
  };
  const server = http.createServer((request, response) => {
    api.requests += 1;
    const url = new URL(request.url, 'http://api');
    const isOurs = url.pathname === '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices' && url.searchParams.get('labelSelector') === 'kubernetes.io/service-name=web';
    if (api.isAway || !isOurs || request.headers.authorization !== 'Bearer a-token') {
      response.statusCode = api.isAway ? 503 : isOurs ? 401 : 404;
      return response.end();
    }
    if (!url.searchParams.has('watch')) {
      return response.end(JSON.stringify({ metadata: { resourceVersion: `${api.version}` }, items: [...api.slices.values()].map(object) }));
    }
    response.flushHeaders();
    api.watches.add(response);
    response.on('close', () => api.watches.delete(response));
    for (const pod of api.slices.values()) {
      if (pod.version > Number(url.searchParams.get('resourceVersion'))) response.write(`${JSON.stringify({ type: 'MODIFIED', object: object(pod) })}\n`);
    }
  });
  t.after(() => { server.close(); server.closeAllConnections(); });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(Object.assign(api, { url: `http://127.0.0.1:${server.address().port}` })));
  });
}

// Requests one after the other by each of some clients, until stop(); what failed is kept.
function startLoad(t, url) {
  const load = { done: 0, failures: [], isOver: false };
  const agent = new http.Agent({ keepAlive: true });
  const run = async () => {
    while (!load.isOver) {
      try {
        const answer = await ask(url, { agent, deadlineMs });
        if (answer.status === 200) load.done += 1;
        else load.failures.push(`${answer.status} ${answer.text}`);
      } catch (error) {
        load.failures.push(error.message);
      }
    }
  };
  const all = Promise.all(Array.from({ length: clients }, run));
  load.stop = async () => {
    load.isOver = true;
    await all;
    agent.destroy();
  };
  t.after(load.stop);
  return load;
}

test('pods behind a Service are served, drain when they are not ready, and stay while Kubernetes is away', async (t) => {
  const api = await startApi(t);
  const [one, two, three] = await Promise.all(['one', 'two', 'three'].map((name) => startPod(t, name)));
  api.put(one);
  api.put(two);
  const tokenFolder = fs.mkdtempSync(path.join(require('node:os').tmpdir(), 'remuda-token-'));
  t.after(() => fs.rmSync(tokenFolder, { recursive: true, force: true }));
  const token = path.join(tokenFolder, 'token');
  fs.writeFileSync(token, 'a-token\n');
  const cluster = await startCluster(t, { hosts: 1, env: { ...process.env, REMUDA_KUBERNETES_API: api.url, REMUDA_KUBERNETES_TOKEN_FILE: token } });

  const port = await freePort();
  const file = path.join(cluster.scratch, 'shop.yaml');
  fs.writeFileSync(file, `kind: TargetGroup
name: web
healthCheck: { path: /health, interval: 0.2s, timeout: 2s }
deregistrationDelay: 10s
targets: { kubernetes: { namespace: shop, service: web, port: http } }
---
kind: LoadBalancer
name: shop
listeners:
  - { port: ${port}, address: 127.0.0.1, defaultAction: { forward: { targetGroups: [{ targetGroup: web }] } } }
`);
  await cluster.ok('apply', '-f', file);
  const group = async () => (await cluster.get('target-groups'))[0];
  const targets = async () => (await cluster.get('targets')).map((target) => `${target.port} ${target.state}`).sort();
  const settled = (pods, what) => waitFor(async () => {
    const now = await targets();
    return now.length === pods.length && pods.every((pod) => now.includes(`${pod.port} HEALTHY`));
  }, { deadlineMs, what });
  await settled([one, two], 'both pods to be healthy targets');
  const status = (await group()).targetsStatus;
  assert.equal(status.endpoints, 2);
  assert.ok(!status.error, status.error);
  assert.ok(status.contactTime);
  const [first] = await cluster.get('targets');
  assert.equal(first.source, 'kubernetes/shop/web/http');
  assert.match(await cluster.ok('get', 'target-groups'), /shop\/web:http 2/);

  const url = `http://127.0.0.1:${port}/`;
  await waitFor(async () => (await ask(url).catch(() => null))?.status === 200, { deadlineMs, what: 'the page' });
  const load = startLoad(t, url);
  await waitFor(() => one.served > 20 && two.served > 20, { deadlineMs, what: 'both pods to serve' });

  // A pod ends: it drains, and nothing reaches it when it is gone.
  two.isReady = false;
  api.put(two);
  api.put(three);
  await settled([one, three], 'the pod that ends to have drained, and the new one to be healthy');
  assert.equal(two.underWay, 0);
  const servedByTwo = two.served;
  api.remove(two);
  await waitFor(() => three.served > 20, { deadlineMs, what: 'the new pod to serve' });
  assert.equal(two.served, servedByTwo);

  // Kubernetes away, and another controller's start meanwhile: the targets stay.
  api.goAway();
  await waitFor(async () => /503/.test((await group()).targetsStatus?.error ?? ''), { deadlineMs, what: 'the status to say that Kubernetes is away' });
  const before = load.done;
  const pid = cluster.pidOf('controller');
  process.kill(pid, 'SIGKILL');
  await waitFor(() => ![0, pid].includes(cluster.pidOf('controller')), { deadlineMs, what: 'the controller to be started anew' });
  await waitFor(async () => /503/.test((await group()).targetsStatus?.error ?? ''), { deadlineMs, what: 'the new controller to ask Kubernetes' });
  await settled([one, three], 'the targets to be as they were');
  await waitFor(() => load.done > before + 50, { deadlineMs, what: 'requests to be served' });
  api.isAway = false;
  two.isReady = true;
  api.put(two);
  await settled([one, two, three], 'the pod that came meanwhile');
  assert.ok(!(await group()).targetsStatus.error);

  // Without its source the group keeps nothing of it.
  await load.stop();
  assert.deepEqual(load.failures, []);
  fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace(/^targets: .*\n/m, ''));
  await cluster.ok('apply', '-f', file);
  await waitFor(async () => (await targets()).length === 0, { deadlineMs, what: 'the targets to have drained' });
  t.diagnostic(`${load.done} requests, ${load.failures.length} failed`);
});
