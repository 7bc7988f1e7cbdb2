'use strict';
// The shop's start and end. Environment: PORT and HOST (where to listen), DATABASE_URL (users in a database
// rather than in users.json), REMUDA_INSTANCE, REMUDA_GROUP, REMUDA_ZONE (who we are).

const path = require('node:path');
const release = require('./release.js');
const { Shop } = require('./server.js');
const { openUsers } = require('./users.js');

const defaultPort = 8000;
const drainGraceMs = 25_000; // under the 30 s after which Remuda ends the process

async function main() {
  const env = process.env;
  const users = openUsers({ databaseUrl: env.DATABASE_URL, file: path.join(__dirname, 'users.json') });
  const identity = {
    instance: env.REMUDA_INSTANCE || `pid-${process.pid}`,
    group: env.REMUDA_GROUP || null,
    zone: env.REMUDA_ZONE || null,
  };
  const shop = new Shop({ release, users, identity });

  let ending = false;
  const end = async (signal) => {
    if (ending) process.exit(1);
    ending = true;
    console.log(`${signal}: finishing the requests in flight`);
    const graceful = await shop.drain(drainGraceMs);
    await users.close();
    console.log(graceful ? 'ended: every request was answered' : `ended: requests still ran after ${drainGraceMs} ms`);
    process.exit(0);
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);

  const address = await shop.listen(portOf(env.PORT), env.HOST || '127.0.0.1');
  console.log(`shop version ${release.version} listens on ${address.address}:${address.port}`);
}

function portOf(text) {
  if (text === undefined || text === '') return defaultPort;
  if (!/^[0-9]{1,5}$/.test(text) || Number(text) > 65535) {
    throw new Error(`PORT: '${text}' is not a number of 0 to 65535`);
  }
  return Number(text);
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
