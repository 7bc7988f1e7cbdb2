'use strict';
// The app of the deployment tests: says which version it is (X-Version), and behaves as MODE says:
//
//   good         answers
//   bad-health   its health check answers 500
//   errors       every fifth answer is a 500
//   slow         each answer takes 500 ms
//   crash        ends at once
//   slow-start   listens after 2 s
//
// GET /stream?ms=N answers for so long; a WebSocket gets back what it sends. On SIGTERM it finishes both.

const crypto = require('node:crypto');
const http = require('node:http');

const { HOST, PORT, VERSION, MODE, REMUDA_INSTANCE } = process.env;
const slowMs = 500;
const slowStartMs = 2000;
const chunkMs = 100;
const failsEvery = 5;
const webSocketKey = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'; // RFC 6455, 1.3

if (MODE === 'crash') {
  console.error('this version does not start');
  process.exit(1);
}

let served = 0;
let ending = false;
const upgraded = new Set();

function page(response) {
  served += 1;
  response.statusCode = MODE === 'errors' && served % failsEvery === 0 ? 500 : 200;
  response.end(`version ${VERSION}\n`);
}

function stream(response, ms) {
  response.writeHead(200, { 'Content-Type': 'text/plain' });
  const end = Date.now() + ms;
  const timer = setInterval(() => {
    if (Date.now() < end) {
      response.write(`version ${VERSION}\n`);
    } else {
      clearInterval(timer);
      response.end('end\n');
    }
  }, chunkMs);
  response.on('close', () => clearInterval(timer));
}

const server = http.createServer((request, response) => {
  response.setHeader('X-Version', VERSION);
  response.setHeader('X-Instance', REMUDA_INSTANCE ?? '');
  if (ending) response.setHeader('Connection', 'close');
  response.on('finish', () => ending && setImmediate(() => server.closeIdleConnections()));
  const url = new URL(request.url, 'http://app');
  if (url.pathname === '/health') {
    response.statusCode = MODE === 'bad-health' ? 500 : 200;
    response.end();
  } else if (url.pathname === '/stream') {
    stream(response, Number(url.searchParams.get('ms')));
  } else if (MODE === 'slow') {
    setTimeout(() => page(response), slowMs);
  } else {
    page(response);
  }
});
// Longer than any proxy keeps a connection: it must be the side that closes.
server.keepAliveTimeout = 75_000;
server.headersTimeout = 80_000;

// Frames of up to 125 bytes, masked; each is sent back as it came.
function echo(socket) {
  let rest = Buffer.alloc(0);
  socket.on('data', (data) => {
    rest = Buffer.concat([rest, data]);
    while (rest.length >= 6 && rest.length >= 6 + (rest[1] & 0x7f)) {
      const length = rest[1] & 0x7f;
      const mask = rest.subarray(2, 6);
      const text = Buffer.from(rest.subarray(6, 6 + length).map((byte, i) => byte ^ mask[i % 4]));
      socket.write(Buffer.concat([Buffer.from([rest[0], length]), text]));
      if ((rest[0] & 0x0f) === 8) socket.end();
      rest = rest.subarray(6 + length);
    }
  });
}

server.on('upgrade', (request, socket) => {
  const accept = crypto.createHash('sha1').update(request.headers['sec-websocket-key'] + webSocketKey).digest('base64');
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n`
    + `X-Version: ${VERSION}\r\n\r\n`);
  upgraded.add(socket);
  socket.on('close', () => upgraded.delete(socket));
  socket.on('error', () => socket.destroy());
  echo(socket);
});

process.on('SIGTERM', () => {
  ending = true;
  server.close(() => {
    const quit = () => upgraded.size === 0 && process.exit(0);
    upgraded.forEach((socket) => socket.on('close', () => setImmediate(quit)));
    quit();
  });
  server.closeIdleConnections();
});

setTimeout(() => server.listen(Number(PORT), HOST), MODE === 'slow-start' ? slowStartMs : 0);
