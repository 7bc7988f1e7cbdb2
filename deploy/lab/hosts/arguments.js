'use strict';
// Flags of the commands of the lab of several hosts.

const path = require('node:path');
const { root } = require('../cluster.js');

const defaults = { run: 'main', bin: process.env.REMUDA_BIN_DIR || path.join(root, 'build/release/bin'), rate: '200', minutes: '30', rounds: '20', seed: '1', once: false, all: false, write: false };

// Those of `known` as {name: value}, and what is left after them. Prints the usage and ends for --help and wrong usage.
function parse(usage, known, args = process.argv.slice(2)) {
  const flags = Object.fromEntries(known.map((name) => [name, defaults[name]]));
  const stop = (code, text) => {
    (code ? process.stderr : process.stdout).write(text);
    process.exit(code);
  };
  let i = 0;
  for (; i < args.length && args[i].startsWith('--') && args[i] !== '--'; i += 1) {
    if (args[i] === '--help') stop(0, usage);
    const name = args[i].slice(2);
    if (!(name in flags)) stop(2, `${usage}\nlab: unknown flag ${args[i]}\n`);
    if (typeof flags[name] === 'boolean') {
      flags[name] = true;
    } else {
      i += 1;
      if (args[i] === undefined) stop(2, `${usage}\nlab: --${name} needs a value\n`);
      flags[name] = name === 'bin' ? path.resolve(args[i]) : args[i];
    }
  }
  for (const name of ['rate', 'minutes', 'rounds', 'seed']) {
    if (name in flags && !/^[1-9][0-9]{0,4}$/.test(flags[name])) stop(2, `${usage}\nlab: --${name}: '${flags[name]}' is not a number of 1 to 99999\n`);
  }
  const rest = args.slice(args[i] === '--' ? i + 1 : i);
  return { ...flags, rest };
}

module.exports = { parse };
