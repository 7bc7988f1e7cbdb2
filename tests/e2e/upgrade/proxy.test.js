'use strict';
// A proxy is upgraded under load, again and again: no request fails, and no instance is ended while a process of the
// proxy that drains still has a request at it.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { waitFor } = require('../../../deploy/lab/process.js');
const { addVersion } = require('../../../deploy/lab/steps.js');
const { bin, rate, startShop } = require('../harness.js');
const { OwnProxy } = require('./own_proxy.js');

const deadlineMs = 90_000;
const upgrades = 20;

// The shop behind a proxy of the test's own.
async function startShopBehind(t, flags) {
  let proxy;
  const lab = await startShop(t, {
    proxies: 0,
    onStarted: async (cluster) => {
      proxy = new OwnProxy({ bin, folder: path.join(cluster.scratch, 'proxy'), cluster });
      t.after(() => proxy.end());
      await proxy.join();
      proxy.start(flags);
      await proxy.waitReady();
    },
  });
  return { lab, proxy };
}

async function noneFailed(lab) {
  await lab.serveMore(rate);
  assert.equal(lab.total.failed, 0, `requests failed: ${JSON.stringify(lab.failures)}`);
}

test(`a proxy upgraded ${upgrades} times under load: no request fails`, async (t) => {
  const { lab, proxy } = await startShopBehind(t, ['--workers', '2']);
  await lab.startLoad(); // a second one: more connections
  const seen = new Set([proxy.pid]);
  for (let i = 1; i <= upgrades; i += 1) {
    proxy.install(); // another file of that name
    if (i % 2 === 0) seen.add(await proxy.takeover((pid) => process.kill(pid, 'SIGUSR2')));
    else seen.add(await proxy.takeover(() => proxy.start(['--takeover', '--workers', `${1 + (i % 3)}`])));
    await lab.serveMore(rate / 10);
  }
  assert.equal(seen.size, upgrades + 1);
  await noneFailed(lab);
  const served = lab.total.requests;
  await lab.stopLoad();
  assert.equal(lab.total.failed, 0, `requests failed: ${JSON.stringify(lab.failures)}`);
  console.log(`proxy upgraded: takeovers=${upgrades} requests=${served} failed=${lab.total.failed}`);
});

test('a new program that does not work changes nothing, and one that does takes over', async (t) => {
  const { lab, proxy } = await startShopBehind(t, ['--workers', '1']);
  const broken = path.join(lab.cluster.scratch, 'broken');
  fs.writeFileSync(broken, '#!/bin/sh\nexit 3\n');
  const before = proxy.pid;
  for (let i = 0; i < 3; i += 1) {
    proxy.install(broken);
    process.kill(before, 'SIGUSR2');
    await waitFor(() => proxy.log().split('has ended with exit code 3; this one serves on').length === i + 2,
      { deadlineMs, what: 'the proxy to say that the new program has ended' });
  }
  assert.equal(proxy.pid, before);
  await noneFailed(lab);
  proxy.install();
  await proxy.takeover((pid) => process.kill(pid, 'SIGUSR2'));
  await noneFailed(lab);
});

// Deployments end old instances once every proxy has confirmed and nothing is in flight there: of both processes.
test('deployments run through takeovers: slow requests of a process that drains are answered', async (t) => {
  const { lab, proxy } = await startShopBehind(t, ['--workers', '2']);
  await addVersion(lab, 2);
  let version = 1;
  for (let round = 0; round < 3; round += 1) {
    version = 3 - version;
    const slow = [1, 2, 3, 4].map(() => lab.probe('/slow?ms=6000', { deadlineMs }));
    // They are on their way when the next process takes over, and stay with the one before.
    await waitFor(async () => (await proxy.metric('active_connection_count')) >= 4, { deadlineMs, what: 'slow requests under way' });
    await proxy.takeover((pid) => process.kill(pid, 'SIGUSR2'));
    const deploy = lab.cluster.ok('deploy', 'asg/blue', '--template', `shop:${version}`, '--strategy', 'blue-green', '--bake', '1s');
    await proxy.takeover((pid) => process.kill(pid, 'SIGUSR2'));
    await deploy;
    for (const answer of await Promise.all(slow)) assert.match(answer.text, /waited/);
    await lab.cluster.settled(2, `two instances of version ${version}`);
    await lab.servesOnly(version);
  }
  await noneFailed(lab);
});
