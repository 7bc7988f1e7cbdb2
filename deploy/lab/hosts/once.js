'use strict';
// Runs a command on the client machine of a lab that is made for it and removed after it, however it ends.

const { spawn } = require('node:child_process');
const { Room } = require('./room.js');

// The command's exit code; 1 if a signal ended this process's wait for it. onInterrupt: what is said then.
async function runOnce({ run, bin, command }) {
  const room = await Room.open(run, { held: true, bin });
  try {
    const [program, ...args] = room.enter(command(room), 'client');
    const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, REMUDA_BIN_DIR: bin, REMUDA_LAB_FOLDER: room.folder } });
    const signalled = new Promise((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => resolve(1));
    });
    const ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => resolve(code ?? 1));
    });
    return await Promise.race([ended, signalled]);
  } finally {
    await room.close();
  }
}

module.exports = { runOnce };
