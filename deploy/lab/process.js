'use strict';
// A child process in its own process group, whose output can be waited for, and which is never left behind:
// whoever starts one ends it (end(), or killAll() at the latest). No wait is without a deadline.

const { spawn } = require('node:child_process');
const fs = require('node:fs');

const pollMs = 20;
const drainMs = 500;
const keptOutputBytes = 4 << 20;
const alive = new Set();

class Process {
  // options: args, env (added to ours), cwd, name (for messages), onLine(line, 'stdout' | 'stderr'), input (pipe stdin)
  constructor(command, options = {}) {
    this.name = options.name || command;
    this.stdout = '';
    this.stderr = '';
    this.child = spawn(command, options.args || [], {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      detached: true, // its own group: its children are ended with it
      stdio: [options.input ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    });
    alive.add(this);
    for (const stream of ['stdout', 'stderr']) this.#collect(stream, options.onLine);
    this.exited = new Promise((resolve) => {
      this.child.once('error', (error) => this.#finish({ code: null, signal: null, error }, resolve));
      this.child.once('exit', async (code, signal) => {
        await this.#drainOutput();
        this.#finish({ code, signal, error: null }, resolve);
      });
    });
  }

  get pid() {
    return this.child.pid;
  }

  // Output so far, for a message that says what went wrong.
  tail(lines = 15) {
    return `${this.stdout}${this.stderr}`.trimEnd().split('\n').slice(-lines).join('\n');
  }

  // The match of `pattern` in stdout or stderr, as soon as it is there.
  async waitForOutput(pattern, deadlineMs) {
    const find = () => pattern.exec(this.stdout) || pattern.exec(this.stderr);
    await waitFor(() => find() || this.result, { deadlineMs, what: `${this.name} to print ${pattern}` });
    const match = find();
    if (!match) throw new Error(`${this.name} ended before it printed ${pattern}:\n${this.tail()}`);
    return match;
  }

  // {code, signal} of its end; throws when it still runs after the deadline.
  async waitForExit(deadlineMs) {
    await waitFor(() => this.result, { deadlineMs, what: `${this.name} to end` });
    if (this.result.error) throw new Error(`${this.name}: ${this.result.error.message}`);
    return this.result;
  }

  // To the process only.
  signal(name) {
    if (!this.result) this.child.kill(name);
  }

  // To the process and all its children that stayed in its group.
  signalGroup(name) {
    if (this.child.pid === undefined) return;
    try {
      process.kill(-this.child.pid, name);
    } catch (error) {
      if (error.code !== 'ESRCH') throw error;
    }
  }

  // SIGTERM, and SIGKILL to the group for what is left after graceMs.
  async end(graceMs = 10_000) {
    this.signal('SIGTERM');
    try {
      await this.waitForExit(graceMs);
    } catch {
      // falls through to the group's end
    }
    this.signalGroup('SIGKILL');
    return this.exited;
  }

  // What it printed is read to its end; but a child of its own that lives on may hold the pipes open for ever.
  async #drainOutput() {
    const closed = new Promise((resolve) => this.child.once('close', resolve));
    let timer;
    await Promise.race([closed, new Promise((resolve) => { timer = setTimeout(resolve, drainMs); })]);
    clearTimeout(timer);
    this.child.stdout.destroy();
    this.child.stderr.destroy();
  }

  #collect(stream, onLine) {
    let rest = '';
    this.child[stream].setEncoding('utf8');
    this.child[stream].on('data', (text) => {
      this[stream] = (this[stream] + text).slice(-keptOutputBytes);
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      if (onLine) lines.forEach((line) => onLine(line, stream));
    });
  }

  #finish(result, resolve) {
    this.result = result;
    alive.delete(this);
    resolve(result);
  }
}

function killAll() {
  for (const child of alive) child.signalGroup('SIGKILL');
}

// Runs a command to its end: {code, stdout, stderr}. A command that outlives its deadline is an error.
async function run(command, args, { deadlineMs = 60_000, env, cwd } = {}) {
  const child = new Process(command, { args, env, cwd, name: [command, ...args].join(' ') });
  try {
    const { code, signal } = await child.waitForExit(deadlineMs);
    return { code: code ?? `killed by ${signal}`, stdout: child.stdout, stderr: child.stderr };
  } finally {
    child.signalGroup('SIGKILL');
  }
}

// Polls until condition() gives something true, which is returned. A condition that throws is taken as not
// yet fulfilled; its last error is in the message when the deadline passes. `what` is a text, or gives one then.
async function waitFor(condition, { deadlineMs, what, everyMs = pollMs }) {
  const end = performance.now() + deadlineMs;
  let lastError = null;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value;
      lastError = null;
    } catch (error) {
      lastError = error;
    }
    if (performance.now() >= end) {
      throw new Error(`waited ${deadlineMs / 1000} s in vain for ${typeof what === 'function' ? what() : what}${lastError ? `: ${lastError.message}` : ''}`);
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

// Kills every process of ours whose directory or command line lies under `folder`: what a cluster that kept its data
// there has left behind. Gives a line for each.
function endProcessesOf(folder) {
  const found = [];
  for (const pid of fs.readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid)) {
    try {
      const command = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replace(/\0/g, ' ').trim();
      const inside = fs.readlinkSync(`/proc/${pid}/cwd`).startsWith(`${folder}/`) || command.includes(`${folder}/`);
      if (!inside) continue;
      process.kill(Number(pid), 'SIGKILL');
      found.push(`${pid} ${command}`);
    } catch (error) {
      if (!['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(error.code)) throw error;
    }
  }
  return found;
}

module.exports = { Process, endProcessesOf, killAll, run, waitFor };
