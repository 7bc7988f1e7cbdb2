'use strict';
// What is played of each overlay: pods come up, join, serve, end and come back.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { waitFor } = require('../../../deploy/lab/process.js');
const { deadlineMs } = require('./play.js');
const { Store } = require('./store.js');

const site = `kind: LaunchTemplate
name: page
image: page-v1
staticSite: {}
port: 0
---
kind: TargetGroup
name: page
healthCheck: { path: /, interval: 1s, timeout: 1s, healthyThreshold: 2, unhealthyThreshold: 2 }
---
kind: AutoScalingGroup
name: page
launchTemplate: { launchTemplate: page }
min: 2
max: 3
targetGroups: [page]
---
kind: LoadBalancer
name: page
listeners:
  - port: 8080
    defaultAction: { forward: { targetGroups: [{ targetGroup: page }] } }
`;
// What a proxy answers by itself.
const answering = `kind: LoadBalancer
name: answer
listeners:
  - { port: 8080, protocol: HTTP, defaultAction: { fixedResponse: { status: 200, body: "an answer\\n" } } }
`;
const requests = 200;
// Of Host.lacks: what an agent lacks without the capabilities that its pod names.
const byCapabilities = ['user', 'seccomp', 'private_tmp', 'ingress_filter', 'secret_files'];
const base64 = (text) => Buffer.from(text).toString('base64');

async function logIn(play) {
  const { stdout, stderr } = await play.exec('remuda-controller', '/usr/bin/remuda-controller', 'admin-token');
  const [, pin] = /--pin (sha256:[0-9a-f]{64})/.exec(stderr);
  const file = path.join(play.folder, 'admin-token');
  fs.writeFileSync(file, stdout, { mode: 0o600 });
  await play.remuda('login', '--controller', '127.0.0.1:7443', '--pin', pin, '--name', 'admin', '--token-file', file);
  play.session = { REMUDA_CONTROLLER: '127.0.0.1:7400' };
  return pin;
}

// The Secret with which pods of a kind join.
async function makeSecret(play, role, pin) {
  const { token } = JSON.parse(await play.remuda('token', 'create', '--role', role, '--name', '*', '--uses', '10', '--ttl', '30d', '-o', 'json', '--show-secrets'));
  play.secrets[`remuda-join-${role}`] = { token: base64(token), pin: base64(pin) };
}

async function single(play, say) {
  await play.begin();
  await play.up('remuda-controller');
  await play.ready('remuda-controller', 7480);
  say('the controller is ready');
  const pin = await logIn(play);
  say('an admin has joined with the token that `remuda-controller admin-token` printed');
  for (const role of ['proxy', 'agent']) await makeSecret(play, role, pin);
  await play.up('remuda-proxy');
  await play.up('remuda-agent');
  await play.ready('remuda-proxy', 7490);
  await play.ready('remuda-agent', 7470);
  say('a proxy and an agent have joined by tokens of ten uses, and are ready');
  const [{ lacks = {} }] = JSON.parse(await play.remuda('get', 'hosts', '-o', 'json'));
  assert.deepEqual(Object.entries(lacks).filter(([what]) => byCapabilities.includes(what)), [], 'what the agent lacks');
  say(`the agent contains apps by all that its capabilities are for; it lacks: ${Object.keys(lacks).sort()}`);
  const folder = path.join(play.folder, 'page');
  fs.mkdirSync(folder);
  fs.writeFileSync(path.join(folder, 'index.html'), 'a page\n');
  fs.writeFileSync(path.join(play.folder, 'site.yaml'), site);
  await play.remuda('image', 'push', 'page-v1', folder);
  await play.remuda('apply', '-f', path.join(play.folder, 'site.yaml'));
  const answer = () => play.page(8080, '/');
  await waitFor(async () => (await answer()) === 'a page\n', { deadlineMs, what: 'a request to be answered through the proxy' });
  say(`answered through the proxy: ${(await answer()).trim()}`);
  const inService = async () => ((await play.remuda('get', 'instances', '-o', 'json')).match(/"IN_SERVICE"/g) || []).length;
  await waitFor(async () => (await inService()) === 2, { deadlineMs, what: 'two instances in service' });
  const codes = [];
  for (let i = 1; i <= requests; ++i) codes.push((await play.inside('curl', '-sS', '-o', '/dev/null', '-w', '%{http_code}', 'http://127.0.0.1:8080/')).stdout);
  const failed = codes.filter((code) => code !== '200').length;
  assert.equal(failed, 0, codes.join(' '));
  say(`requests=${requests} failed=${failed}`);
  assert.equal(await play.down('remuda-proxy'), 0, 'a proxy drains and exits 0');
  await play.up('remuda-proxy');
  await play.ready('remuda-proxy', 7490);
  await waitFor(async () => (await answer()) === 'a page\n', { deadlineMs, what: 'a request to be answered by the next proxy' });
  assert.match(await play.remuda('token', 'list'), /proxy\/\*\s+open\s+2\/10/);
  say('a proxy pod was deleted, and the next one joined by the same token (use 2 of 10)');
  assert.equal(await play.down('remuda-agent'), 0, 'an agent stops its instances and exits 0');
  await play.up('remuda-agent');
  await play.ready('remuda-agent', 7470);
  assert.match(await play.remuda('token', 'list'), /agent\/\*\s+open\s+1\/10/);
  await waitFor(async () => (await answer()) === 'a page\n', { deadlineMs, what: 'the instances to be there again' });
  say('an agent pod was deleted, and the next one had its identity still');
  assert.equal(await play.down('remuda-controller'), 0, 'a controller exits 0');
  assert.equal(await answer(), 'a page\n', 'without a controller the proxy serves on');
  say('with the controller gone the proxy serves on');
}

// One controller of the three, and a proxy behind the Service.
async function replicated(play, say) {
  await play.begin();
  const store = new Store(play);
  try {
    await store.start();
    play.config.REMUDA_STORE = store.variable;
    play.secrets['remuda-etcd'] = store.secret;
    play.secrets['remuda-sealing'] = { 'sealing.key': base64(`${crypto.randomBytes(32).toString('hex')}\n`) };
    await play.up('remuda-controller');
    await play.ready('remuda-controller', 7480);
    say('a controller leads, its state in an etcd that takes no client without a certificate');
    await makeSecret(play, 'proxy', await logIn(play));
    assert.match(await play.remuda('get', 'controllers'), /remuda-controller-0\s+LEADER/);
    await play.up('remuda-proxy');
    fs.writeFileSync(path.join(play.folder, 'answer.yaml'), answering);
    await play.remuda('apply', '-f', path.join(play.folder, 'answer.yaml'));
    const answer = () => play.page(8080, '/');
    await waitFor(async () => (await answer()) === 'an answer\n', { deadlineMs, what: 'the proxy to answer' });
    await play.ready('remuda-proxy', 7490);
    say('a proxy has joined, and answers');
    assert.equal(await play.down('remuda-controller'), 0, 'a controller exits 0');
    const lease = async () => Number(/^remuda_proxy_lease_remaining_seconds (\S+)$/m.exec(await play.page(7490, '/metrics'))[1]);
    await waitFor(async () => (await lease()) <= 0, { deadlineMs, what: "the proxy's lease to be over" });
    assert.equal(await play.page(7490, '/readyz'), 'ok\n', 'the Service leads to it still');
    assert.equal(await answer(), 'an answer\n');
    say('with no controller, and its lease over, the proxy is ready and answers');
    await play.up('remuda-controller');
    await play.ready('remuda-controller', 7480);
    await waitFor(async () => (await lease()) > 0, { deadlineMs, what: 'the proxy to have found the controller again' });
    say('a controller pod came back, on the state in etcd, and the proxy has found it');
    assert.equal(await play.down('remuda-proxy'), 0, 'a proxy drains and exits 0');
  } finally {
    await store.end();
  }
}

module.exports = { replicated, single };
