'use strict';
// What a machine of the lab meets at an address of another. To be used inside of a lab's namespaces (room.js).

const { run } = require('../process.js');
const { on } = require('./network.js');

const deadlineMs = 60_000;
const silenceMs = 1500; // after which a packet counts as dropped

// Asks for http://ADDRESS:PORT/ from a machine: the status, or the error's code; DROPPED where nobody answers.
async function knock(from, address, port) {
  const script = `
    const request = require('node:http').get({ host: '${address}', port: ${port}, agent: false, timeout: ${silenceMs} }, (response) => {
      response.resume().on('end', () => { console.log(response.statusCode); process.exit(0); });
    });
    request.on('timeout', () => { console.log('DROPPED'); process.exit(0); });
    request.on('error', (error) => { console.log(error.code); process.exit(0); });`;
  const [command, ...args] = on(from, [process.execPath, '-e', script]);
  const { stdout, stderr } = await run(command, args, { deadlineMs });
  if (!stdout.trim()) throw new Error(`${from} cannot knock at ${address}:${port}: ${stderr}`);
  return stdout.trim();
}

module.exports = { knock };
