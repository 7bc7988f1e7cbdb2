'use strict';
// A cluster whose programs the test itself starts, ends and starts again: one controller, hosts in zones of their own,
// and proxies that listen on addresses of their own, so that a client knows which of them it asks.

const fs = require('node:fs');
const path = require('node:path');
const { freePort } = require('../../../deploy/lab/cluster.js');
const { Process, endProcessesOf, run, waitFor } = require('../../../deploy/lab/process.js');
const { bin, scratchFolder } = require('../harness.js');
const { Api } = require('./api.js');

const deadlineMs = 60_000;
const endMs = 20_000;

class Fleet {
  constructor(scratch, { hosts = 3, proxies = 2 } = {}) {
    this.scratch = scratch;
    this.hosts = Array.from({ length: hosts }, (_, i) => ({ name: `h${i + 1}`, address: `127.0.1.${i + 1}`, zone: 'abc'[i % 3] }));
    this.proxies = Array.from({ length: proxies }, (_, i) => ({ name: `p${i + 1}`, address: `127.0.0.${i + 1}` }));
    this.programs = new Map(); // by name
    this.logs = new Map();
  }

  folder(name) {
    return path.join(this.scratch, name);
  }

  // Starts one program and waits until it says that it is ready; what it said.
  async #start(name, program, args) {
    const readyFile = `${this.folder(name)}.ready`;
    fs.rmSync(readyFile, { force: true });
    fs.mkdirSync(this.folder(name), { recursive: true });
    const log = fs.createWriteStream(`${this.folder(name)}.log`, { flags: 'a' });
    const child = new Process(path.join(bin, program), { name, args: [...args, '--data-dir', this.folder(name), '--ready-file', readyFile],
      onLine: (line) => log.write(`${line}\n`) });
    this.programs.set(name, child);
    child.exited.then(() => log.end());
    await waitFor(() => child.result || (fs.existsSync(readyFile) && fs.readFileSync(readyFile, 'utf8').endsWith('}\n')), { deadlineMs, what: `${name} to be ready` });
    if (child.result) return null;
    return JSON.parse(fs.readFileSync(readyFile, 'utf8'));
  }

  // The controller, on the port that it had before. Null: it ended at its start, as one with failpoints may.
  async startController(...flags) {
    this.address ??= `127.0.0.1:${await freePort()}`;
    const ready = await this.#start('controller', 'remuda-controller', ['--listen', this.address, '--http', '127.0.0.1:0', '--insecure', ...flags]);
    this.api ??= new Api(this.address);
    return ready;
  }

  startHost({ name, address, zone }) {
    return this.#start(name, 'remuda-agent', ['--name', name, '--controller', this.address, '--address', address, '--zone', zone,
      '--admin', '127.0.0.1:0', '--stop-instances-on-exit', '--insecure']);
  }

  startProxy({ name, address }) {
    return this.#start(name, 'remuda-proxy', ['--name', name, '--controller', this.address, '--admin', '127.0.0.1:0',
      '--default-listen-address', address, '--insecure']);
  }

  async start(...controllerFlags) {
    await this.startController(...controllerFlags);
    await Promise.all([...this.hosts.map((host) => this.startHost(host)), ...this.proxies.map((proxy) => this.startProxy(proxy))]);
    await waitFor(async () => {
      const { hosts = [] } = await this.api.call('ClusterService', 'ListHosts');
      const { proxies = [] } = await this.api.call('ClusterService', 'ListProxies');
      return hosts.length === this.hosts.length && proxies.length === this.proxies.length;
    }, { deadlineMs, what: 'every host and proxy to have joined' });
  }

  program(name) {
    return this.programs.get(name);
  }

  // SIGKILL, and its end.
  async kill(name) {
    const program = this.program(name);
    program.signal('SIGKILL');
    await program.waitForExit(deadlineMs);
  }

  // Runs the command, which must succeed.
  async remuda(...args) {
    const { code, stdout, stderr } = await run(path.join(bin, 'remuda'), args, { deadlineMs, env: { REMUDA_CONTROLLER: this.address, REMUDA_INSECURE: '1' } });
    if (code !== 0) throw new Error(`remuda ${args.join(' ')}: exit code ${code}\n${stderr || stdout}`);
    return stdout;
  }

  async stop() {
    this.api?.close();
    await Promise.all([...this.programs.values()].map((program) => program.end(endMs)));
  }
}

// A started fleet with the app's image, ended with the test.
async function startFleet(t, options) {
  let fleet = null;
  // In the order of registering: the folder goes when nothing is written there any more.
  t.after(async () => {
    try {
      await fleet.stop();
    } finally {
      endProcessesOf(fleet.scratch);
    }
  });
  fleet = new Fleet(scratchFolder(t), options);
  await fleet.start();
  await fleet.remuda('image', 'push', 'app', path.join(__dirname, 'app'));
  return fleet;
}

module.exports = { Fleet, startFleet };
