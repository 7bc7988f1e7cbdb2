'use strict';
// The programs of a lab, each on its machine: started in the background, so that they outlive who started them, with a pid file by which
// whoever comes later ends them. To be used inside of a lab's namespaces (room.js).

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { waitFor } = require('../process.js');
const { Membership, joinAddressOf } = require('./membership.js');
const { hosts, machines, on, proxies } = require('./network.js');

const readyDeadlineMs = 60_000;
const endDeadlineMs = 60_000;
const controllerPort = 7400;
const httpPort = 7480;
const agentPort = 7470;
const proxyPort = 7490;
const metricPeriod = '1s'; // labs are short

const controllerAddress = `${machines.controller.address}:${controllerPort}`;

class Programs {
  constructor({ bin, folder }) {
    Object.assign(this, { bin, folder });
    this.membership = new Membership(this, bin, 'controller');
    for (const part of ['run', 'logs', 'data']) fs.mkdirSync(path.join(folder, part), { recursive: true, mode: 0o711 });
  }

  log(name) {
    return path.join(this.folder, 'logs', `${name}.log`);
  }

  data(name) {
    return path.join(this.folder, 'data', name);
  }

  // The program's process, 0 if it does not run.
  pidOf(name) {
    try {
      const { pid } = JSON.parse(fs.readFileSync(this.#file(name, 'json'), 'utf8'));
      return isRunning(pid) ? pid : 0;
    } catch {
      return 0;
    }
  }

  // Starts a command on a machine, in the background; its pid.
  spawn(name, machine, command, { env = {} } = {}) {
    const log = fs.openSync(this.log(name), 'a');
    const [program, ...args] = on(machine, [path.join(__dirname, 'control_groups'), 'enter', path.basename(this.folder).replace('remuda-lab-', ''), name, ...command]);
    const child = spawn(program, args, { detached: true, stdio: ['ignore', log, log], env: { ...process.env, ...env }, cwd: this.folder });
    fs.closeSync(log);
    child.unref();
    fs.writeFileSync(this.#file(name, 'json'), JSON.stringify({ pid: child.pid }));
    return child.pid;
  }

  // Starts controller, host or proxy and waits until it is ready. prefix: a command that runs it (prlimit, faketime).
  async start(name, { flags = [], prefix = [], env = {}, isReadyAwaited = true } = {}) {
    const ready = this.#file(name, 'ready');
    fs.rmSync(ready, { force: true });
    fs.mkdirSync(this.data(name), { recursive: true, mode: hosts.includes(name) ? 0o711 : 0o700 });
    const command = [...prefix, path.join(this.bin, this.programOf(name)), ...this.flagsOf(name), '--data-dir', this.data(name), '--ready-file', ready, ...flags];
    const pid = this.spawn(name, name, command, { env: { REMUDA_METRIC_PERIOD: metricPeriod, ...env } });
    if (!isReadyAwaited) return pid;
    await waitFor(() => {
      if (!isRunning(pid)) return true;
      return fs.existsSync(ready) && fs.readFileSync(ready, 'utf8').endsWith('}\n');
    }, { deadlineMs: readyDeadlineMs, what: `${name} to be ready` });
    if (!isRunning(pid)) throw new Error(`${name} ended at its start:\n${this.tail(name)}`);
    return pid;
  }

  // All of them. Hosts and proxies join when the controller listens.
  async startAll() {
    await this.start('controller');
    await this.membership.login();
    const others = [...hosts, ...proxies];
    for (const name of others) this.membership.join(name);
    await Promise.all(others.map((name) => this.start(name)));
  }

  signal(name, signal) {
    const pid = this.pidOf(name);
    if (!pid) throw new Error(`${name} does not run`);
    process.kill(pid, signal);
  }

  // Signals it and waits for its end.
  async end(name, signal = 'SIGTERM') {
    const pid = this.pidOf(name);
    if (!pid) return;
    process.kill(pid, signal);
    await waitFor(() => !isRunning(pid), { deadlineMs: endDeadlineMs, what: `${name} to end after ${signal}` });
  }

  tail(name, lines = 15) {
    return fs.readFileSync(this.log(name), 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  }

  #file(name, kind) {
    return path.join(this.folder, 'run', `${name}.${kind}`);
  }

  programOf(name) {
    if (hosts.includes(name)) return 'remuda-agent';
    return proxies.includes(name) ? 'remuda-proxy' : 'remuda-controller';
  }

  // Where hosts and proxies find the controller.
  get controllerAddress() {
    return controllerAddress;
  }

  // How programs find each other; how they come to trust each other is in membership.js.
  flagsOf(name) {
    const { address, zone } = machines[name];
    if (this.programOf(name) === 'remuda-controller') {
      return ['--listen', `${address}:${controllerPort}`, '--join-listen', joinAddressOf(name), '--advertise', address, '--http', `127.0.0.1:${httpPort}`];
    }
    const common = ['--name', name, '--controller', this.controllerAddress, '--address', address, '--zone', zone];
    if (hosts.includes(name)) return [...common, '--admin', `127.0.0.1:${agentPort}`, '--label', 'role=app'];
    return [...common, '--admin', `127.0.0.1:${proxyPort}`, '--access-log', path.join(this.folder, 'logs', `${name}.access.log`)];
  }
}

// Whether a process is there and is not a dead one that waits to be reaped.
function isRunning(pid) {
  try {
    return !/^State:\s+[ZX]/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

module.exports = { Programs, agentPort, controllerAddress, controllerPort, httpPort, isRunning, proxyPort };
