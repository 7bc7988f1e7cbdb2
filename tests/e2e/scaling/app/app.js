'use strict';
// The app of the scaling tests: says who it is (X-Served-By), and does what its environment asks:
//
//   BOOT_MS      listens so long after its start
//   WORKS        has no port, only runs
//   COMPLETES    completes this hook through the agent's API
//
// GET /hold?ms=N answers after so long; PUT /protection?on=true asks the agent to keep it from scale-in.

const http = require('node:http');

const { HOST, PORT, BOOT_MS, WORKS, COMPLETES, REMUDA_INSTANCE, REMUDA_AGENT_URL, REMUDA_INSTANCE_TOKEN } = process.env;
const askEveryMs = 100;
let ending = false;

async function askAgent(path, method, body) {
  const answer = await fetch(`${REMUDA_AGENT_URL}/v1/instance${path}`,
    { method, headers: { Authorization: `Bearer ${REMUDA_INSTANCE_TOKEN}` }, body: body && JSON.stringify(body) });
  return { status: answer.status, text: await answer.text() };
}

// Asks until the agent says that it waits for the hook, then completes it.
async function complete(hook) {
  for (;;) {
    const { status, text } = await askAgent('', 'GET').catch((error) => ({ status: 0, text: error.message }));
    if (status === 200 && text.includes(`"${hook}"`)) {
      const answer = await askAgent('/lifecycle/complete', 'POST', { hook, result: 'CONTINUE' });
      console.log(`completed ${hook}: ${answer.status} ${answer.text}`);
      if (answer.status === 204) return;
    }
    await new Promise((resolve) => setTimeout(resolve, askEveryMs));
  }
}

const server = http.createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://app');
  response.setHeader('X-Served-By', REMUDA_INSTANCE);
  if (ending) response.setHeader('Connection', 'close');
  response.on('finish', () => ending && setImmediate(() => server.closeIdleConnections()));
  if (pathname === '/hold') await new Promise((resolve) => setTimeout(resolve, Number(searchParams.get('ms'))));
  if (pathname === '/protection') {
    const answer = await askAgent('/protection', 'PUT', { protected: searchParams.get('on') === 'true' });
    response.statusCode = answer.status === 204 ? 200 : 500;
    response.end(answer.text);
    return;
  }
  response.end(`${REMUDA_INSTANCE}\n`);
});
// Longer than any proxy keeps a connection: it must be the side that closes.
server.keepAliveTimeout = 75_000;
server.headersTimeout = 80_000;

if (WORKS) setInterval(() => {}, 60_000);
else setTimeout(() => server.listen(Number(PORT), HOST), Number(BOOT_MS ?? 0));
if (COMPLETES) complete(COMPLETES);
process.on('SIGTERM', () => {
  ending = true;
  server.close(() => process.exit(0));
  server.closeIdleConnections();
  if (WORKS || !server.listening) process.exit(0);
});
