'use strict';
// The shop as Remuda runs it: a made image, started with PORT and HOST, judged from outside.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { Process, killAll, run, waitFor } = require('../../process.js');

const makeImage = path.join(__dirname, '..', 'make-image');
const deadlineMs = 20_000;
let scratch;

before(async () => {
  scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'shop-test-'));
  for (const version of ['1', '2', '3']) {
    const made = await run(makeImage, [version, path.join(scratch, version)]);
    assert.equal(made.code, 0, made.stderr);
  }
});

after(() => {
  killAll();
  fs.rmSync(scratch, { recursive: true });
});

async function startShop(t, version, env = {}) {
  const shop = new Process(process.execPath, {
    args: ['app.js'],
    cwd: path.join(scratch, version),
    env: { PORT: '0', HOST: '127.0.0.1', REMUDA_INSTANCE: 'i-1', REMUDA_GROUP: 'blue', REMUDA_ZONE: 'a', ...env },
    name: `shop ${version}`,
  });
  t.after(() => shop.end(0));
  const match = await shop.waitForOutput(/listens on 127\.0\.0\.1:(\d+)/, deadlineMs);
  shop.port = Number(match[1]);
  return shop;
}

function ask(shop, target, { method = 'GET', headers = {}, body, agent } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request({ port: shop.port, host: '127.0.0.1', path: target, method, headers, agent }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part) => { text += part; });
      response.on('error', reject);
      response.on('end', () => resolve({
        status: response.statusCode,
        headers: response.headers,
        text,
        json: /json/.test(response.headers['content-type']) ? JSON.parse(text) : undefined,
      }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

test('each version is an image of its own and looks its own way', async (t) => {
  const pages = new Map();
  for (const version of ['1', '2']) {
    const shop = await startShop(t, version);
    const page = await ask(shop, '/', { headers: { accept: 'text/html' } });
    assert.equal(page.status, 200);
    assert.equal(page.headers['x-version'], version);
    assert.equal(page.headers['x-served-by'], 'i-1');
    pages.set(version, /background:(#\w+)/.exec(page.text)[1]);
  }
  assert.notEqual(pages.get('1'), pages.get('2'));
});

test('/ says who served it and for whom', async (t) => {
  const shop = await startShop(t, '1', { GREETING: 'Hi <b>' });
  const { json } = await ask(shop, '/', { headers: { 'x-forwarded-for': '203.0.113.9, 10.0.0.1' } });
  assert.deepEqual(
    { ...json, pid: undefined },
    { greeting: 'Hi <b>', version: 1, instance: 'i-1', group: 'blue', zone: 'a', pid: undefined,
      client: '203.0.113.9', forwardedFor: '203.0.113.9, 10.0.0.1' });
  assert.equal(json.pid, shop.pid);
  const page = await ask(shop, '/', { headers: { accept: 'text/html' } });
  assert.match(page.text, /Hi &lt;b&gt;/);
});

test('users come from the file', async (t) => {
  const shop = await startShop(t, '1');
  const list = await ask(shop, '/users');
  assert.equal(list.json.length, 6);
  const rows = [
    ['/users/2', 200, { id: 2, name: 'Grace Hopper', city: 'New York' }],
    ['/users/77', 404, { error: 'no user 77' }],
    ['/users/1%20OR%201=1', 400, { error: 'id: a number of 1 to 9 digits is needed' }],
    ['/users/-1', 400, { error: 'id: a number of 1 to 9 digits is needed' }],
    ['/nowhere', 404, { error: 'no such page: GET /nowhere' }],
  ];
  for (const [target, status, json] of rows) {
    const answer = await ask(shop, target);
    assert.deepEqual([target, answer.status, answer.json], [target, status, json]);
  }
});

test('the health switch obeys direct calls only', async (t) => {
  const shop = await startShop(t, '1');
  const flip = (body, headers = {}) => ask(shop, '/admin/health', { method: 'POST', body, headers });
  assert.equal((await ask(shop, '/health')).status, 200);
  assert.equal((await flip('{"healthy":false}', { 'x-forwarded-for': '127.0.0.1' })).status, 403);
  assert.equal((await ask(shop, '/health')).status, 200);
  for (const bad of ['', 'no', '{"healthy":"no"}', 'null', 'x'.repeat(2000)]) assert.equal((await flip(bad)).status, 400);
  assert.equal((await flip('{"healthy":false}')).status, 200);
  assert.equal((await ask(shop, '/health')).status, 503);
  assert.equal((await ask(shop, '/')).status, 200);
  assert.equal((await flip('{"healthy":true}')).status, 200);
  assert.equal((await ask(shop, '/health')).status, 200);
});

test('version 3 serves pages but never becomes healthy', async (t) => {
  const shop = await startShop(t, '3');
  assert.equal((await ask(shop, '/')).status, 200);
  assert.deepEqual((await ask(shop, '/health')).json, { healthy: false, reason: 'not ready' });
});

test('SIGTERM: what is in flight ends, what is idle closes, nothing new is accepted, exit 0', async (t) => {
  const shop = await startShop(t, '1');
  const idle = net.connect(shop.port, '127.0.0.1');
  t.after(() => idle.destroy());
  idle.write('GET /health HTTP/1.1\r\nHost: shop\r\n\r\n');
  let idleClosed = false;
  idle.on('close', () => { idleClosed = true; });
  await new Promise((resolve) => idle.once('data', resolve));

  const busy = net.connect(shop.port, '127.0.0.1'); // keep-alive, and its head leaves before the signal
  t.after(() => busy.destroy());
  let received = '';
  let busyClosed = false;
  busy.on('data', (part) => { received += part; });
  busy.on('close', () => { busyClosed = true; });
  busy.write('GET /slow?ms=2000 HTTP/1.1\r\nHost: shop\r\n\r\n');
  await waitFor(() => received.includes('200 OK'), { deadlineMs, what: 'the head of the slow answer' });

  shop.signal('SIGTERM');
  await waitFor(() => idleClosed, { deadlineMs, what: 'the idle connection to close' });
  await assert.rejects(ask(shop, '/health'), { code: 'ECONNREFUSED' });
  assert.ok(!received.includes('waited'), 'the idle connection closed before the slow answer ended');
  assert.equal((await shop.waitForExit(deadlineMs)).code, 0);
  await waitFor(() => busyClosed, { deadlineMs, what: 'the busy connection to close' });
  assert.match(received, /waited 2000 ms in i-1/);
});

test('an idle connection outlives the idle time of a proxy pool', async () => {
  const { Shop } = require('../server.js');
  const { server } = new Shop({ release: {}, users: {}, identity: {} });
  assert.ok(server.keepAliveTimeout > 60_000);
  assert.ok(server.headersTimeout > server.keepAliveTimeout);
});

test('a bad PORT is refused by name', async () => {
  for (const port of ['eighty', '70000', '-1']) {
    const result = await run(process.execPath, [path.join(scratch, '1', 'app.js')], { env: { PORT: port }, deadlineMs });
    assert.equal(result.code, 1);
    assert.match(result.stderr, /PORT: '.*' is not a number of 0 to 65535/);
  }
});

test('make-image refuses what it cannot do', async () => {
  const rows = [
    [['9', path.join(scratch, 'x')], 2, /no version '9'/],
    [['1', path.join(scratch, '1')], 1, /not empty/],
    [[], 2, /usage/],
  ];
  for (const [args, code, message] of rows) {
    const result = await run(makeImage, args);
    assert.equal(result.code, code);
    assert.match(result.stderr, message);
  }
});
