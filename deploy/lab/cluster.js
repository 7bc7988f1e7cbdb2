'use strict';
// `remuda dev` as a child, and the `remuda` command as a user types it. The lab and the e2e tests see Remuda only
// through this file and plain HTTP.

const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const { Process, run, waitFor } = require('./process.js');

const root = path.join(__dirname, '../..');
const startDeadlineMs = 60_000;
const commandDeadlineMs = 120_000;
const stopDeadlineMs = 60_000;

class Cluster {
  // options: bin (folder of the programs), dataDir, hosts, proxies, ports (of `remuda dev`'s flags; 0: any), env, logFile
  constructor(options) {
    this.options = { hosts: 2, proxies: 1, ...options };
    this.options.ports = { 'controller-port': 0, 'controller-http-port': 0, 'agent-http-port': 0, 'proxy-http-port': 0, ...options.ports };
    this.seenPids = new Set();
    this.dev = null;
    this.programs = null; // the ready file of `remuda dev`: addresses of all programs
  }

  get remuda() {
    return path.join(this.options.bin, 'remuda');
  }

  // Of the controller's API, once started.
  get address() {
    return this.programs.controller.grpc;
  }

  // Starts `remuda dev` and waits until it says that every host and proxy has joined.
  async start() {
    const { hosts, proxies, dataDir, ports, logFile } = this.options;
    const readyFile = `${dataDir}.ready`;
    fs.mkdirSync(path.dirname(readyFile), { recursive: true });
    fs.rmSync(readyFile, { force: true });
    const log = logFile ? fs.createWriteStream(logFile, { flags: 'a' }) : null;
    this.dev = new Process(this.remuda, {
      name: 'remuda dev',
      env: this.options.env,
      args: ['dev', '--hosts', `${hosts}`, '--proxies', `${proxies}`, '--data-dir', dataDir, '--ready-file', readyFile,
        ...Object.entries(ports).flatMap(([flag, port]) => [`--${flag}`, `${port}`])],
      onLine: (line) => log?.write(`${line}\n`),
    });
    await waitFor(() => this.dev.result || fs.existsSync(readyFile), { deadlineMs: startDeadlineMs, what: 'remuda dev to be ready' });
    if (this.dev.result) throw new Error(`remuda dev ended at its start:\n${this.dev.tail()}`);
    this.programs = JSON.parse(fs.readFileSync(readyFile, 'utf8'));
  }

  // The process of one program (controller, h1, p1) as it is now; 0 while there is none.
  pidOf(name) {
    for (const pid of fs.readdirSync('/proc').filter((entry) => /^[0-9]+$/.test(entry))) {
      try {
        const parent = /^PPid:\s+(\d+)$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1];
        if (Number(parent) !== this.dev.pid) continue;
        if (fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`/${name}.ready\0`)) return Number(pid);
      } catch (error) {
        if (!['ENOENT', 'ESRCH'].includes(error.code)) throw error;
      }
    }
    return 0;
  }

  async stop() {
    if (!this.dev) return null;
    this.dev.signal('SIGTERM');
    try {
      return await this.dev.waitForExit(stopDeadlineMs);
    } finally {
      this.dev.signalGroup('SIGKILL');
      this.dev = null;
    }
  }

  // Runs the command: {code, stdout, stderr}.
  command(...args) {
    return run(this.remuda, args, { deadlineMs: commandDeadlineMs, env: { REMUDA_CONTROLLER: this.address } });
  }

  // Runs the command, which must succeed; its stdout.
  async ok(...args) {
    const { code, stdout, stderr } = await this.command(...args);
    if (code !== 0) throw new Error(`remuda ${args.join(' ')}: exit code ${code}\n${stderr || stdout}`);
    return stdout;
  }

  // Resources of a kind, as the API gives them in JSON.
  async get(kind, ...args) {
    const parsed = JSON.parse(await this.ok('get', kind, ...args, '-o', 'json'));
    if (Array.isArray(parsed)) return parsed;
    return Object.values(parsed).find(Array.isArray) ?? [];
  }

  async instances() {
    const list = await this.get('instances');
    list.forEach((instance) => this.seenPids.add(Number(instance.process?.pid ?? 0)));
    return list.map((instance) => ({ ...instance, id: shortId(instance.name), host: shortId(instance.host) })).filter((i) => i.state !== 'TERMINATED');
  }

  // Which of the processes of all instances that were ever seen still run.
  appsRunning() {
    return [...this.seenPids].filter((pid) => {
      try {
        return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('app.js');
      } catch {
        return false;
      }
    });
  }

  // What the cluster itself says is in the way, a line each. For a message about something else, so it never fails.
  async troubles() {
    if (!this.programs || !this.dev || this.dev.result) return [];
    const all = (kind) => this.get(kind).catch(() => []);
    const groups = (await all('asg')).filter((group) => group.status?.waiting).map((group) => `${group.name} waits: ${group.status.waiting}`);
    const deployments = (await all('deployments')).slice(0, 1) // the newest
      .map((deployment) => [deployment, deployment.rollbackReason || deployment.waiting])
      .filter(([, why]) => why).map(([deployment, why]) => `${deployment.name} is ${deployment.state}: ${why}`);
    const listeners = (await all('lb')).flatMap((balancer) => (balancer.listenerErrors ?? [])
      .map((error) => `${balancer.name}: ${shortId(error.proxy)} does not listen on ${error.port}: ${error.error}`));
    return [...groups, ...deployments, ...listeners];
  }

  // Where to read more, the first first.
  logs() {
    const { dataDir, logFile } = this.options;
    const folder = path.join(dataDir, 'logs');
    return [[logFile, 'of remuda dev'], [folder, 'of each program']].filter(([file]) => file && fs.existsSync(file)).map(([file, whose]) => `${file} (${whose})`);
  }

  // The group's instances once exactly `count` are in service and no other is there.
  settled(count, what, deadlineMs = 60_000) {
    return waitFor(async () => {
      const all = await this.instances();
      return all.length === count && all.every((i) => i.state === 'IN_SERVICE' && Number(i.process?.pid) > 0) && all;
    }, { deadlineMs, what, everyMs: 100 });
  }
}

const shortId = (name) => name.slice(name.lastIndexOf('/') + 1);

// A free port of 127.0.0.1, or `preferred` if it is free on every one of `addresses`.
async function freePort(preferred = 0, addresses = ['127.0.0.1']) {
  if (preferred) {
    const free = await Promise.all(addresses.map((address) => bind(preferred, address)));
    if (free.every(Boolean)) return preferred;
  }
  return bind(0, '127.0.0.1');
}

// The port, or 0 if it could not be bound.
function bind(port, address) {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(0));
    server.listen(port, address, () => {
      const bound = server.address().port;
      server.close(() => resolve(bound));
    });
  });
}

// One plain HTTP request: {status, headers, json, text}.
function ask(url, { method = 'GET', headers = {}, body, agent, deadlineMs = 5000 } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers: { accept: 'application/json', ...headers }, agent, timeout: deadlineMs }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part) => { text += part; });
      response.on('error', reject);
      response.on('end', () => {
        const isJson = /json/.test(response.headers['content-type']);
        resolve({ status: response.statusCode, headers: response.headers, text, json: isJson ? JSON.parse(text) : null });
      });
    });
    request.on('timeout', () => request.destroy(new Error(`${url}: no answer in ${deadlineMs} ms`)));
    request.on('error', reject);
    request.end(body);
  });
}

// The manifests of the lab with other ports: {8000: n, 9000: n, 8080: n}. Gives the folder.
function writeManifests(folder, ports) {
  const source = path.join(__dirname, 'manifests');
  for (const name of fs.readdirSync(source)) {
    const text = fs.readFileSync(path.join(source, name), 'utf8');
    fs.writeFileSync(path.join(folder, name), text.replace(/port: (\d+)/g, (_, port) => `port: ${ports[port] ?? port}`));
  }
  return folder;
}

module.exports = { Cluster, ask, bind, freePort, root, shortId, writeManifests };
