'use strict';
// The shop's pages and its manners as an HTTP server: how it says who it is, how it is made ill, how it ends.

const http = require('node:http');

// A proxy that pools connections must be the side that closes them. Node's default of 5 s would let this
// server close a connection at the very moment at which the proxy sends a request on it. The idle time here
// is therefore longer than any pool's (60 s is usual), and headersTimeout longer still.
const keepAliveTimeoutMs = 75_000;
const headersTimeoutMs = 80_000;
const bodyLimitBytes = 1024;
const slowLimitMs = 10_000;

// A shop is one instance's server. `release` is a module of releases/, `users` comes from users.js, `identity`
// is {instance, group, zone}. listen() and drain() give promises.
class Shop {
  constructor({ release, users, identity }) {
    this.release = release;
    this.users = users;
    this.identity = identity;
    this.healthy = true;
    this.draining = false;
    this.server = http.createServer((request, response) => this.serve(request, response));
    this.server.keepAliveTimeout = keepAliveTimeoutMs;
    this.server.headersTimeout = headersTimeoutMs;
  }

  listen(port, host) {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, host, () => {
        this.server.off('error', reject);
        resolve(this.server.address());
      });
    });
  }

  // Stops accepting, lets requests in flight end, tells their clients to close, and resolves when the last
  // connection is gone. After graceMs what is left is cut; the promise then gives false.
  drain(graceMs) {
    this.draining = true;
    return new Promise((resolve) => {
      let graceful = true;
      const deadline = setTimeout(() => {
        graceful = false;
        this.server.closeAllConnections();
      }, graceMs);
      this.server.close(() => {
        clearTimeout(deadline);
        resolve(graceful);
      });
      this.server.closeIdleConnections();
    });
  }

  async serve(request, response) {
    response.setHeader('X-Served-By', this.identity.instance);
    response.setHeader('X-Version', String(this.release.version));
    if (this.draining) response.setHeader('Connection', 'close');
    // A response whose head left before drain() began promised keep-alive: its connection is idle only now.
    response.on('finish', () => {
      if (this.draining) setImmediate(() => this.server.closeIdleConnections());
    });
    try {
      await this.route(request, response);
    } catch (error) {
      console.error(`${request.method} ${request.url}: ${error.stack}`);
      if (response.headersSent) response.destroy();
      else json(response, 500, { error: 'internal error' });
    }
  }

  async route(request, response) {
    const url = new URL(request.url, 'http://shop');
    const get = request.method === 'GET' || request.method === 'HEAD';
    const user = /^\/users\/([^/]+)$/.exec(url.pathname);
    if (url.pathname === '/' && get) return this.home(request, response);
    if (url.pathname === '/health' && get) return this.health(response);
    if (url.pathname === '/users' && get) return json(response, 200, await this.users.list());
    if (user && get) return this.user(user[1], response);
    if (url.pathname === '/slow' && get) return this.slow(url, response);
    if (url.pathname === '/admin/health' && request.method === 'POST') return this.setHealth(request, response);
    return json(response, 404, { error: `no such page: ${request.method} ${url.pathname}` });
  }

  about(request) {
    const forwarded = request.headers['x-forwarded-for'];
    return {
      greeting: this.release.greeting,
      version: this.release.version,
      ...this.identity,
      pid: process.pid,
      client: forwarded ? forwarded.split(',')[0].trim() : request.socket.remoteAddress,
      forwardedFor: forwarded || null,
    };
  }

  home(request, response) {
    const about = this.about(request);
    if (!String(request.headers.accept).includes('text/html')) return json(response, 200, about);
    const rows = ['version', 'instance', 'group', 'zone', 'client', 'forwardedFor']
      .map((name) => `<tr><th>${name}</th><td>${escapeHtml(about[name] ?? '-')}</td></tr>`).join('');
    const body = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Shop, version ${about.version}</title>
<style>body{font-family:sans-serif;margin:3rem;color:#fff;background:${this.release.colour}}th{text-align:left;padding-right:2rem}</style>
<h1>${escapeHtml(about.greeting)}</h1><table>${rows}</table></html>\n`;
    return send(response, 200, 'text/html; charset=utf-8', body);
  }

  health(response) {
    if (!this.release.ready()) return json(response, 503, { healthy: false, reason: 'not ready' });
    if (!this.healthy) return json(response, 503, { healthy: false, reason: 'switched off' });
    return json(response, 200, { healthy: true });
  }

  async user(text, response) {
    if (!/^[0-9]{1,9}$/.test(text)) return json(response, 400, { error: 'id: a number of 1 to 9 digits is needed' });
    const user = await this.users.find(Number(text));
    return user ? json(response, 200, user) : json(response, 404, { error: `no user ${Number(text)}` });
  }

  // Answers after ?ms=, head first: a request that stays in flight, to see what a drain does with it.
  slow(url, response) {
    const ms = Number(url.searchParams.get('ms') ?? 1000);
    if (!(ms >= 0 && ms <= slowLimitMs)) return json(response, 400, { error: `ms: 0 to ${slowLimitMs} is needed` });
    response.writeHead(200, { 'Content-Type': 'text/plain' });
    response.flushHeaders();
    setTimeout(() => response.end(`waited ${ms} ms in ${this.identity.instance}\n`), ms);
    return undefined;
  }

  // The switch is for whoever is on this machine and asks this process itself: never through a proxy.
  async setHealth(request, response) {
    if (!isDirect(request)) {
      return json(response, 403, { error: 'only for direct calls from this host, not through a load balancer' });
    }
    let wish;
    try {
      wish = JSON.parse(await readBody(request));
    } catch (error) {
      return json(response, 400, { error: `body: ${error.message}` });
    }
    if (typeof wish?.healthy !== 'boolean') {
      return json(response, 400, { error: 'healthy: true or false is needed' });
    }
    this.healthy = wish.healthy;
    return json(response, 200, { healthy: this.healthy });
  }
}

function isDirect(request) {
  if (request.headers['x-forwarded-for'] || request.headers.forwarded || request.headers.via) return false;
  const address = String(request.socket.remoteAddress).replace(/^::ffff:/, '');
  return address.startsWith('127.') || address === '::1' || request.socket.remoteAddress === request.socket.localAddress;
}

async function readBody(request) {
  const parts = [];
  let bytes = 0;
  for await (const part of request) {
    bytes += part.length;
    if (bytes > bodyLimitBytes) throw new Error(`longer than ${bodyLimitBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function escapeHtml(value) {
  const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return String(value).replace(/[&<>"']/g, (character) => entities[character]);
}

function send(response, status, type, body) {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}

function json(response, status, value) {
  send(response, status, 'application/json', `${JSON.stringify(value)}\n`);
}

module.exports = { Shop };
