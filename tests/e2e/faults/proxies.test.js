'use strict';
// Faults of proxies, and of what is in front of them.

const assert = require('node:assert/strict');
const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const http2 = require('node:http2');
const net = require('node:net');
const { controllerAddress, proxyPort } = require('../../../deploy/lab/hosts/programs.js');
const { waitFor } = require('../../../deploy/lab/process.js');
const { deadlineMs, fault, network, rate } = require('./fault.js');

const residentKib = (pid) => Number(/^VmRSS:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
const descriptorsOf = (pid) => fs.readdirSync(`/proc/${pid}/fd`).length;
const adminOf = (proxy, page) => {
  const [command, ...args] = network.on(proxy, [process.execPath, '-e', `fetch('http://127.0.0.1:${proxyPort}${page}').then(async (a) => process.stdout.write(await a.text()))`]);
  return execFileSync(command, args, { encoding: 'utf8', timeout: deadlineMs });
};

fault('a listener that one proxy cannot open', 'its port taken by another program on that machine', async (scene) => {
  const { cluster, lab } = scene;
  const [command, ...args] = network.on('p1', [process.execPath, '-e', 'require("net").createServer().listen(8099, () => console.log("listens"))']);
  const squatter = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await new Promise((resolve) => squatter.stdout.once('data', resolve));
    await scene.apply('kind: LoadBalancer\nname: other\nlisteners: [{ port: 8099, defaultAction: { fixedResponse: { status: 200, body: "other\\n" } } }]\n');
    await scene.until('it to be said', async () => JSON.stringify(await cluster.get('lb')).includes('listenerErrors'));
    assert.equal((await fetch(`http://${network.machines.p2.address}:8099/`)).status, 200, 'the other proxy serves it');
    await lab.serveMore(rate);
  } finally {
    squatter.kill('SIGKILL');
  }
  const seconds = await scene.until('it to be served', async () => (await fetch(`http://${network.machines.p1.address}:8099/`)).status === 200);
  await cluster.ok('delete', 'lb', 'other');
  return { seconds, until: 'the listener was open, after the port was free; it was said at the load balancer' };
});

fault('slow clients', 'slowhttptest: 300 connections whose heads come byte by byte, 10 s', async (scene) => {
  const pid = scene.programs.pidOf('p1');
  const before = descriptorsOf(pid);
  const memory = residentKib(pid);
  const attack = spawn('slowhttptest', ['-H', '-c', '300', '-r', '100', '-i', '2', '-l', '10', '-u', `http://${network.machines.p1.address}/`], { stdio: 'ignore' });
  let most = 0;
  const ended = new Promise((resolve) => attack.once('exit', resolve));
  const watch = setInterval(() => { most = Math.max(most, descriptorsOf(pid)); }, 100);
  await ended;
  clearInterval(watch);
  assert.ok(most > before + 100, `the attack was felt: ${most} descriptors`);
  const seconds = await scene.until('their connections to be gone', () => descriptorsOf(pid) < before + 20);
  assert.ok(residentKib(pid) - memory < 32 << 10, 'its memory is bounded');
  return { seconds, until: 'their connections were gone, after they had ended' };
});

fault('descriptors used up', 'a proxy with 64 descriptors, and 200 idle connections to it', async (scene) => {
  const { lab, programs } = scene;
  await lab.stopLoad();
  lab.urls = [`http://${network.machines.p1.address}/`]; // what is promised is that the others are served
  await lab.startLoad();
  await programs.end('p2');
  await programs.start('p2', { prefix: ['prlimit', '--nofile=64:64'], flags: ['--workers', '1'] });
  const sockets = Array.from({ length: 200 }, () => net.connect(80, network.machines.p2.address).on('error', () => {}));
  try {
    await waitFor(() => descriptorsOf(programs.pidOf('p2')) >= 40, { deadlineMs, what: 'its descriptors to be used' });
    await lab.serveMore(2 * rate);
    assert.match(adminOf('p2', '/metrics'), /remuda_proxy_/, 'its metrics are answered');
  } finally {
    sockets.forEach((socket) => socket.destroy());
  }
  const seconds = await scene.until('it to serve again', async () => (await fetch(`http://${network.machines.p2.address}/`)).status === 200);
  await programs.end('p2');
  await programs.start('p2');
  await lab.stopLoad();
  lab.urls = scene.cluster.urls();
  await scene.cluster.joined();
  await scene.until('both to serve', async () => (await Promise.all(lab.urls.map((url) => fetch(url)))).every(({ status }) => status === 200));
  await lab.startLoad();
  return { seconds, until: 'it served again, after they were closed; its metrics were answered meanwhile' };
});

fault('garbage and a message of 100 MB at the controller', 'random bytes and half a handshake from strangers, an oversized message from an admin', async (scene) => {
  const pid = scene.programs.pidOf('controller');
  const [host, port] = controllerAddress.split(':');
  const memory = residentKib(pid);
  const sockets = Array.from({ length: 200 }, (_, i) => {
    const socket = net.connect(Number(port), host).on('error', () => {});
    socket.write(i % 2 ? Buffer.from(Array.from({ length: 5000 }, (__, j) => (i * 31 + j * 17) % 256)) : Buffer.from([0x16, 3, 1]));
    return socket;
  });
  await new Promise((resolve) => {
    const { identity, authorities } = scene.programs.membership.person;
    const session = http2.connect(`https://${controllerAddress}`, { key: identity, cert: identity, ca: authorities, checkServerIdentity: () => undefined });
    session.on('error', () => resolve());
    session.on('close', () => resolve());
    const stream = session.request({ ':method': 'POST', ':path': '/remuda.v1.TargetGroupService/CreateTargetGroup', 'content-type': 'application/grpc', te: 'trailers' });
    stream.on('error', () => {});
    stream.resume(); // without a reader it is never over
    session.setTimeout(deadlineMs, () => session.destroy());
    stream.on('close', () => session.destroy());
    stream.write(Buffer.from([0, 6, 0, 0, 0]));
    const part = Buffer.alloc(1 << 20);
    const more = (left) => (left > 0 && !stream.destroyed && !stream.closed ? stream.write(part, () => more(left - 1)) : stream.end());
    more(100);
  });
  const seconds = await scene.until('a command to be answered', () => scene.cluster.get('hosts').then(() => true));
  const grown = (residentKib(pid) - memory) / 1024;
  sockets.forEach((socket) => socket.destroy());
  assert.ok(grown < 64, `its memory grew by ${grown.toFixed(0)} MiB`);
  return { seconds, until: `a command was answered; its memory had grown by ${grown.toFixed(0)} MiB` };
});

const faketime = ['/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1', '/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1'].find((file) => fs.existsSync(file));

fault('clocks jump', "an hour ahead and back, of controller, agent h1 and proxy p1 (libfaketime; monotonic clocks as they were)", async (scene) => {
  const { cluster, lab, programs } = scene;
  const offset = `${programs.folder}/clock`;
  const set = (text) => fs.writeFileSync(offset, text);
  const env = { LD_PRELOAD: faketime, FAKETIME_TIMESTAMP_FILE: offset, FAKETIME_NO_CACHE: '1', DONT_FAKE_MONOTONIC: '1' };
  set('+0');
  await lab.stopLoad();
  for (const name of ['controller', 'h1', 'p1']) {
    await programs.end(name);
    await programs.start(name, { env });
  }
  await scene.well();
  await scene.until('both to serve', async () => (await Promise.all(lab.urls.map((url) => fetch(url)))).every(({ status }) => status === 200));
  await lab.startLoad();
  const before = (await scene.instances()).map(({ id }) => id).sort();
  for (const jump of ['+1h', '+0']) {
    set(jump);
    await lab.serveMore(4 * rate);
    assert.ok((await cluster.get('hosts')).every(({ state }) => state === 'CONNECTED'), `no host is lost by ${jump}`);
  }
  assert.deepEqual((await scene.instances()).map(({ id }) => id).sort(), before, 'no instance is replaced');
  await lab.stopLoad();
  for (const name of ['controller', 'h1', 'p1']) {
    await programs.end(name);
    await programs.start(name);
  }
  await scene.well();
  await scene.until('both to serve', async () => (await Promise.all(lab.urls.map((url) => fetch(url)))).every(({ status }) => status === 200));
  await lab.startLoad();
  return {};
}, { skip: faketime ? false : 'no libfaketime here (package faketime)' });
