'use strict';
// An app that serves, says who it is, counts aloud, and misbehaves as MODE says.

const { spawn } = require('node:child_process');
const http = require('node:http');

const { MODE: mode = '', PORT, HOST, REMUDA_INSTANCE: instance, VERSION: version = '1' } = process.env;
const tickMs = 50;
const keepAliveMs = 75_000; // longer than the proxies'
let isWell = true;

if (mode === 'exits') {
  console.log('exits at once');
  process.exit(3);
}

const server = http.createServer((request, response) => {
  const url = new URL(request.url, 'http://app');
  response.setHeader('X-Served-By', instance);
  response.setHeader('X-Version', version);
  if (url.pathname === '/well') isWell = url.searchParams.get('is') === 'yes';
  response.statusCode = url.pathname === '/health' && !isWell ? 503 : 200;
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify({ instance, version, pid: process.pid }));
});
server.keepAliveTimeout = keepAliveMs;
server.headersTimeout = keepAliveMs + 5000;
server.listen(Number(PORT), HOST);

const sleeper = ['-c', `exec -a fault-app-${instance} sleep 100000`];
const modes = {
  // Keeps on when told to end, and has a daemon in a session of its own whose parent is gone.
  stubborn() {
    process.on('SIGTERM', () => console.log('SIGTERM: no'));
    spawn('setsid', ['--fork', 'bash', ...sleeper], { stdio: 'ignore' });
  },
  // Forks until it is hindered.
  forks() {
    setInterval(() => {
      for (let i = 0; i < 20; i += 1) spawn('bash', sleeper, { stdio: 'ignore' }).on('error', () => {});
    }, tickMs);
  },
  // 16 MiB more each time, touched.
  memory() {
    const kept = [];
    setInterval(() => kept.push(Buffer.alloc(16 << 20, 1)), tickMs);
  },
  // Prints as fast as its output is taken.
  prints() {
    const text = `${'y'.repeat(1000)}\n`.repeat(64);
    const more = () => process.stdout.write(text, more);
    more();
  },
  // A number each tick: a log in which a gap is seen.
  ticks() {
    let tick = 0;
    setInterval(() => console.log(`tick ${tick++}`), tickMs);
  },
};
modes[mode]?.();

if (mode !== 'stubborn') {
  process.on('SIGTERM', () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}
