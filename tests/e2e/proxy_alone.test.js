'use strict';
// remuda-proxy from a config file, with no controller: it balances, checks, retries and drains by itself.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { test } = require('node:test');
const { ask, freePort, root } = require('../../deploy/lab/cluster.js');
const { LoadProcess } = require('../../deploy/lab/load_process.js');
const { Process, run, waitFor } = require('../../deploy/lab/process.js');
const { bin, rate, scratchFolder } = require('./harness.js');

const deadlineMs = 30_000;

async function startApp(t, image, port, instance) {
  const app = new Process(process.execPath, { args: ['app.js'], cwd: image, env: { PORT: `${port}`, REMUDA_INSTANCE: instance } });
  t.after(() => app.end(0));
  await app.waitForOutput(/listens on/, deadlineMs);
  return app;
}

test('the example config, under load', async (t) => {
  const scratch = scratchFolder(t);
  const image = path.join(scratch, 'image');
  assert.equal((await run(path.join(root, 'deploy/lab/app/make-image'), ['1', image])).code, 0);
  const ports = { 8080: await freePort(), 8001: await freePort(), 8002: await freePort() };
  const config = path.join(scratch, 'proxy.yaml');
  fs.writeFileSync(config, fs.readFileSync(path.join(root, 'deploy/examples/proxy.yaml'), 'utf8').replace(/port: (\d+)/g, (_, port) => `port: ${ports[port]}`));
  let first = await startApp(t, image, ports[8001], 'i-1');
  const second = await startApp(t, image, ports[8002], 'i-2');
  const proxy = new Process(path.join(bin, 'remuda-proxy'), { args: ['--config', config, '--admin', '127.0.0.1:0'] });
  t.after(() => proxy.end());
  const url = `http://127.0.0.1:${ports[8080]}/`;
  await waitFor(async () => (await ask(url)).status === 200, { deadlineMs, what: 'the page' });

  const load = new LoadProcess(url, { rate, connections: 8 });
  t.after(() => load.process.end(0));
  const servedBy = (...instances) => waitFor(async () => {
    const { byInstance } = await load.mark('window');
    return Object.keys(byInstance).sort().join() === instances.join();
  }, { deadlineMs, what: `${instances} to serve`, everyMs: 300 });
  const direct = (port, healthy) => ask(`http://127.0.0.1:${port}/admin/health`, { method: 'POST', body: JSON.stringify({ healthy }) });

  await servedBy('i-1', 'i-2');
  assert.equal((await ask(`${url}admin/health`, { method: 'POST', body: '{}' })).status, 403);
  first.signal('SIGKILL');
  await servedBy('i-2');
  first = await startApp(t, image, ports[8001], 'i-3');
  await servedBy('i-2', 'i-3');
  await direct(ports[8002], false);
  await servedBy('i-3');
  await direct(ports[8002], true);
  await servedBy('i-2', 'i-3');
  second.signal('SIGTERM');
  await servedBy('i-3');
  await direct(ports[8001], false); // nobody is healthy: fail open
  await servedBy('i-3');
  const total = await load.stop();
  assert.equal(total.failed, 0, JSON.stringify(total.errors));

  // SIGTERM while an answer is on its way: it arrives whole.
  const answer = await new Promise((resolve, reject) => { http.get(`${url}slow?ms=1000`, resolve).on('error', reject); });
  proxy.signal('SIGTERM');
  let text = '';
  for await (const part of answer) text += part;
  assert.match(text, /waited 1000 ms in i-3/);
  assert.equal((await proxy.waitForExit(deadlineMs)).code, 0);
});
