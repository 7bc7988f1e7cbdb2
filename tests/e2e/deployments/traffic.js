'use strict';
// A constant load of one scenario through every proxy, and a strict count of what came of it. Nothing is retried. A
// request is
//
//   ok       answered by the app, whole
//   erring   answered by the app with 5xx, whole: what a bad version does, not what Remuda does
//   failed   not answered, or answered by a proxy instead
//   cut      its answer ended early; or a WebSocket that was ended by the other side

const crypto = require('node:crypto');
const http = require('node:http');
const net = require('node:net');

const timeoutMs = 60_000; // the machine may be busy: what is counted is whether, not how fast
const pauseAfterFailureMs = 50;
const keptFailures = 5;
const keptText = 120;
const echoEveryMs = 100;
const closeFrame = 8;

class Traffic {
  // addresses: of the proxies. rate: requests a second in all; a part of the connections is new for each request, one asks
  // for answers that last streamMs.
  constructor({ addresses, port, rate = 24, streamMs = 1000 }) {
    Object.assign(this, { addresses, port, rate, streamMs });
    this.requests = 0;
    this.counts = { ok: 0, erring: 0, failed: 0, cut: 0 };
    this.byVersion = {};
    this.failures = []; // the first of them
    this.causes = new Set();
    this.stopping = false;
    this.since = new Map(); // mark → counts then
    this.isExempt = () => false;
    this.sockets = []; // that are left when a test fails
  }

  start() {
    const kinds = [{ keepAlive: true, path: '/' }, { keepAlive: false, path: '/' }, { keepAlive: true, path: `/stream?ms=${this.streamMs}` }];
    const loops = this.addresses.flatMap((address) => kinds.map((kind) => ({ address, ...kind })));
    const quick = loops.filter(({ path }) => path === '/').length;
    this.loops = loops.map((loop, i) => this.#loop(loop, (1000 * quick) / this.rate, i / loops.length));
  }

  async stop() {
    this.stopping = true;
    this.sockets.forEach((socket) => socket.destroy());
    await Promise.all(this.loops ?? []);
  }

  // What was counted since the mark was set, or in all.
  mark(name) {
    this.since.set(name, { ...this.byVersion });
  }

  versionsSince(name) {
    const before = this.since.get(name) ?? {};
    const entries = Object.entries(this.byVersion).map(([version, count]) => [version, count - (before[version] ?? 0)]);
    return Object.fromEntries(entries.filter(([, count]) => count > 0));
  }

  // Resolves once `count` requests more were answered.
  async serveMore(count) {
    const end = this.requests + count;
    while (this.requests < end && !this.stopping) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  // An answer that lasts so long, through each proxy.
  download(ms) {
    return Promise.all(this.addresses.map(async (address) => this.add(await this.ask({ address, path: `/stream?ms=${ms}`, agent: false }))));
  }

  // A WebSocket through each proxy, on which messages go back and forth until close() is called.
  async webSockets() {
    const sockets = await Promise.all(this.addresses.map((address) => openWebSocket(address, this.port)));
    this.sockets.push(...sockets);
    return { close: () => Promise.all(sockets.map(async (socket) => this.add(await socket.close()))) };
  }

  add({ outcome, version, error, address, opened = Date.now() }) {
    this.requests += 1;
    if (this.isExempt({ outcome, address, opened })) return;
    this.counts[outcome] += 1;
    if (version) this.byVersion[version] = (this.byVersion[version] ?? 0) + 1;
    if (error) this.causes.add(error);
    if (error && this.failures.length < keptFailures) this.failures.push(`${new Date().toISOString()} ${address} ${outcome}: ${error}`);
  }

  async #loop({ address, keepAlive, path }, periodMs, phase) {
    const agent = new http.Agent({ keepAlive, maxSockets: 1 });
    let next = performance.now() + periodMs * phase;
    while (!this.stopping) {
      const wait = next - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      next = Math.max(next + periodMs, performance.now());
      const result = await this.ask({ address, path, agent });
      this.add(result);
      if (result.error) await new Promise((resolve) => setTimeout(resolve, pauseAfterFailureMs));
    }
    agent.destroy();
  }

  // One request to its very end; never rejects.
  ask({ address, path, agent, headers }) {
    return new Promise((resolve) => {
      let response = null;
      let opened = Date.now();
      const finish = (outcome, error = null) => {
        clearTimeout(timer);
        resolve({ outcome, error, address, opened, version: response?.headers['x-version'] });
      };
      const request = http.get({ host: address, port: this.port, path, agent, headers }, (answer) => {
        response = answer;
        let text = ''; // why, of a proxy's own answer
        answer.on('data', (part) => { text = (text + part).slice(-keptText); });
        answer.on('error', (error) => finish('cut', error.code || error.message));
        answer.on('end', () => {
          if (!answer.complete) finish('cut', 'ended early');
          else if (answer.statusCode === 200) finish('ok');
          else if (answer.headers['x-version']) finish('erring');
          else finish('failed', `status ${answer.statusCode}: ${text.trim()}`);
        });
        answer.on('close', () => finish('cut', 'closed early'));
      });
      request.on('socket', (socket) => { opened = socket.openedAt ??= Date.now(); });
      request.on('error', (error) => finish(response ? 'cut' : 'failed', error.code || error.message));
      const timer = setTimeout(() => {
        finish('failed', `no answer in ${timeoutMs} ms`);
        request.destroy();
      }, timeoutMs);
    });
  }
}

function frame(opcode, text) {
  const mask = crypto.randomBytes(4);
  const payload = Buffer.from(text).map((byte, i) => byte ^ mask[i % 4]);
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length]), mask, payload]);
}

// Messages are sent and come back until close(): {outcome, version, error}.
function openWebSocket(address, port) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, address);
    const opened = Date.now();
    let text = Buffer.alloc(0);
    let version = null;
    let closing = false;
    let timer = null;
    let settle = null;
    const ended = new Promise((settled) => { settle = settled; });
    const finish = (error) => {
      clearInterval(timer);
      socket.destroy();
      settle({ outcome: error ? 'cut' : 'ok', version, error, address, opened });
      if (!version) reject(new Error(error ?? 'ended before it was open'));
    };
    socket.on('error', (error) => finish(`WebSocket: ${error.code}`));
    socket.on('close', () => finish(closing ? null : 'WebSocket: closed by the other side'));
    socket.on('data', (data) => {
      text = Buffer.concat([text, data]);
      const head = /^HTTP\/1\.1 101 [\s\S]*?\r\n\r\n/.exec(text.toString('latin1'));
      if (!version && head) {
        version = /^x-version: (\S+)/im.exec(head[0])[1];
        text = text.subarray(head[0].length);
        timer = setInterval(() => socket.write(frame(1, `${Date.now()}`)), echoEveryMs);
        resolve({ close, destroy: () => socket.destroy() });
      } else if (!version && text.length > 12 && !text.toString('latin1').startsWith('HTTP/1.1 101')) {
        finish(`WebSocket: ${text.toString('latin1').split('\r\n')[0]}`);
      }
      if (version && closing && text.includes(0x80 | closeFrame)) finish(null);
    });
    const close = () => {
      closing = true;
      clearInterval(timer);
      socket.write(frame(closeFrame, ''));
      return ended;
    };
    socket.write(`GET /socket HTTP/1.1\r\nHost: app\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n`
      + `Sec-WebSocket-Key: ${crypto.randomBytes(16).toString('base64')}\r\n\r\n`);
  });
}

module.exports = { Traffic };
