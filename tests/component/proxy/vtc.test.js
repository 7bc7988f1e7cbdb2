'use strict';
// The scenarios of vtc/ (varnishtest's language: a client, a target, what each must see) through remuda-proxy.
// varnishtest cannot close one direction only: the client that ends its sending side is HalfClosedClientHasLeft in endurance_test.cc.

const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { afterEach, beforeEach, test } = require('node:test');
const { Process, run, waitFor } = require('../../../deploy/lab/process.js');

const deadlineMs = 20_000;
const folder = path.join(__dirname, 'vtc');
// Of the loopback network no other test uses, so that a port that was free stays free until a scenario listens on it.
const host = `127.${1 + Math.floor(Math.random() * 200)}.${Math.floor(Math.random() * 250)}.${2 + Math.floor(Math.random() * 250)}`;

let scratch;
let health;
let proxy;
let target;
let address;

async function listen(server) {
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, host, resolve));
  return server.address().port;
}

// A proxy for each: what one scenario's target does is held against none of another.
beforeEach(async () => {
  scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'remuda-vtc-'));
  // The checks go elsewhere: a scenario's target sees only its client's requests.
  health = http.createServer((request, response) => response.end('healthy'));
  const healthPort = await listen(health);
  const probe = net.createServer();
  const port = await listen(probe);
  await new Promise((resolve) => probe.close(resolve));
  target = `${host}:${port}`;
  const config = path.join(scratch, 'proxy.yaml');
  fs.writeFileSync(config, `loadBalancers:
  - name: shop
    listeners: [{ port: 0, address: 127.0.0.1, defaultAction: { forward: { targetGroups: [{ targetGroup: blue }] } } }]
targetGroups:
  - name: blue
    healthCheck: { path: /, port: "${healthPort}", interval: 0.1s, timeout: 5s, healthyThreshold: 2, unhealthyThreshold: 2 }
targets: [{ targetGroup: blue, address: ${host}, port: ${port} }]
`);
  const ready = path.join(scratch, 'ready');
  proxy = new Process(path.join(process.env.REMUDA_BIN_DIR, 'remuda-proxy'), {
    args: ['--config', config, '--admin', '127.0.0.1:0', '--workers', '1', '--ready-file', ready],
  });
  await waitFor(() => fs.existsSync(ready) || proxy.result, { deadlineMs, what: 'the proxy to serve' });
  if (proxy.result) throw new Error(`remuda-proxy ended:\n${proxy.tail()}`);
  address = `127.0.0.1:${JSON.parse(fs.readFileSync(ready, 'utf8')).listeners[0].actual_port}`;
  await proxy.waitForOutput(/targets\S*: healthy/, deadlineMs);
});

afterEach(async () => {
  if (proxy) await proxy.end();
  health.close();
  fs.rmSync(scratch, { recursive: true, force: true });
});

for (const file of fs.readdirSync(folder).filter((name) => name.endsWith('.vtc'))) {
  test(file, async () => {
    const result = await run('varnishtest', ['-t', `${deadlineMs / 1000}`, `-Dproxy=${address}`, `-Dtarget=${target}`, path.join(folder, file)],
      { env: { TMPDIR: scratch } });
    if (result.code !== 0) throw new Error(`${result.stdout}${result.stderr}`);
  });
}
