'use strict';
// The load generator must not flatter: each way in which a request can fail is made to happen, and counted.

const assert = require('node:assert/strict');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const { after, test } = require('node:test');
const { Process, killAll, run, waitFor } = require('../process.js');
const { Load } = require('../load.js');

const deadlineMs = 20_000;
after(killAll);

async function listen(t, server) {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return `http://127.0.0.1:${server.address().port}/`;
}

const raw = (onRequest) => net.createServer((socket) => {
  socket.on('error', () => {});
  socket.once('data', () => onRequest(socket));
});

const failures = [
  ['5xx', () => http.createServer((_, response) => { response.statusCode = 503; response.end(); }), /^status 503$/],
  ['4xx', () => http.createServer((_, response) => { response.statusCode = 404; response.end(); }), /^status 404$/],
  ['reset', () => raw((socket) => socket.resetAndDestroy?.() ?? socket.destroy()), /^ECONNRESET$/],
  ['short body', () => raw((socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort')), /^answer/],
  ['garbage', () => raw((socket) => socket.end('what?\r\n\r\n')), /^HPE_/],
];
for (const [name, makeServer, expected] of failures) {
  test(`counts as failed: ${name}`, async (t) => {
    const load = new Load({ url: await listen(t, makeServer()), rate: 100, connections: 2, fresh: 1 });
    await waitFor(() => load.window.requests >= 3, { deadlineMs, what: 'three requests' });
    const total = await load.stop();
    assert.equal(total.failed, total.requests);
    assert.ok(Object.keys(total.errors).every((error) => expected.test(error)), JSON.stringify(total.errors));
  });
}

test('counts as failed: refused', async () => {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  const load = new Load({ url: `http://127.0.0.1:${port}/`, rate: 100, connections: 1, fresh: 0 });
  await waitFor(() => load.window.requests >= 2, { deadlineMs, what: 'two requests' });
  assert.equal((await load.stop()).errors.ECONNREFUSED, load.total.failed);
});

test('counts as failed: no answer in time', async (t) => {
  const url = await listen(t, net.createServer((socket) => socket.on('error', () => {})));
  const load = new Load({ url, rate: 100, connections: 1, fresh: 0 });
  await waitFor(() => load.window.requests >= 1, { deadlineMs, what: 'the timeout' });
  assert.equal((await load.stop()).errors['no answer in 5000 ms'], 1);
});

test('keeps connections, but for the fresh ones, and says who answered', async (t) => {
  const server = http.createServer((_, response) => response.setHeader('X-Served-By', 'i-1').end('ok'));
  let connections = 0;
  server.on('connection', () => { connections += 1; });
  const url = await listen(t, server);
  const load = new Load({ url, rate: 500, connections: 3, fresh: 0 });
  await waitFor(() => load.window.requests >= 30, { deadlineMs, what: 'requests' });
  const total = await load.stop();
  assert.deepEqual([total.failed, connections, total.byInstance], [0, 3, { 'i-1': total.requests }]);
  const fresh = new Load({ url, rate: 500, connections: 1, fresh: 1 });
  await waitFor(() => fresh.window.requests >= 5, { deadlineMs, what: 'requests' });
  const { requests } = await fresh.stop();
  assert.equal(connections, 3 + requests);
});

test('as a program: windows by name, total at the end, exit code', async (t) => {
  let status = 200;
  const url = await listen(t, http.createServer((_, response) => { response.statusCode = status; response.end('ok'); }));
  const load = new Process(process.execPath, { args: [path.join(__dirname, '../load.js'), '--rate', '200', url], input: true });
  const reports = () => load.stdout.trim().split('\n').filter(Boolean).map((line) => JSON.parse(line));
  const windowsUntil = async (name, fulfilled) => {
    await waitFor(() => {
      load.child.stdin.write(`${name}\n`);
      return reports().some((report) => report.window === name && fulfilled(report));
    }, { deadlineMs, what: `window ${name}`, everyMs: 200 });
  };
  await windowsUntil('good', (report) => report.requests > 0 && report.failed === 0);
  status = 500;
  await windowsUntil('bad', (report) => report.failed > 0);
  load.signal('SIGINT');
  assert.equal((await load.waitForExit(deadlineMs)).code, 1);
  const total = reports().at(-1);
  assert.equal(total.window, 'total');
  const inWindows = reports().slice(0, -1).reduce((sum, report) => sum + report.requests, 0);
  assert.ok(total.requests >= inWindows, 'requests after the last window are in the total');
});

test('wrong usage is refused by name', async () => {
  for (const [args, message] of [[[], /URL is missing/], [['--rate', 'x', 'http://h/'], /--rate: 'x'/], [['--speed', '1'], /unknown flag --speed/]]) {
    const result = await run(process.execPath, [path.join(__dirname, '../load.js'), ...args]);
    assert.equal(result.code, 2);
    assert.match(result.stderr, message);
  }
});
