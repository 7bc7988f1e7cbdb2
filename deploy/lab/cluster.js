'use strict';
// `remuda dev` as a child: a cluster on one machine.

const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const { Process, waitFor } = require('./process.js');
const { Remuda, shortId } = require('./remuda.js');

const root = path.join(__dirname, '../..');
const startDeadlineMs = 60_000;
const stopDeadlineMs = 60_000;

class Cluster extends Remuda {
  // options: bin (folder of the programs), dataDir, hosts, proxies, ports (of `remuda dev`'s flags; 0: any), env, logFile
  constructor(options) {
    super(options.bin);
    this.options = { hosts: 2, proxies: 1, ...options };
    this.options.ports = { 'controller-port': 0, 'controller-http-port': 0, 'join-port': 0, 'agent-http-port': 0, 'proxy-http-port': 0, ...options.ports };
    this.dev = null;
    this.programs = null; // the ready file of `remuda dev`: addresses of all programs
  }

  // Of the controller's API, once started.
  get address() {
    return this.programs.controller.grpc;
  }

  // Folder with the admin's key and certificate.
  get identity() {
    return this.programs.identity;
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
      args: ['dev', '--hosts', `${hosts}`, '--proxies', `${proxies}`, '--data-dir', dataDir, '--ready-file', readyFile, '--context', '',
        ...Object.entries(ports).flatMap(([flag, port]) => [`--${flag}`, `${port}`])],
      onLine: (line) => log?.write(`${line}\n`),
    });
    // A file that is not whole yet does not parse.
    this.programs = await waitFor(() => this.dev.result ?? JSON.parse(fs.readFileSync(readyFile, 'utf8')), { deadlineMs: startDeadlineMs, what: 'remuda dev to be ready' });
    if (this.dev.result) throw new Error(`remuda dev ended at its start:\n${this.dev.tail()}`);
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

  get isUp() {
    return Boolean(this.programs && this.dev && !this.dev.result);
  }

  // Where to read more, the first first.
  logs() {
    const { dataDir, logFile } = this.options;
    const folder = path.join(dataDir, 'logs');
    return [[logFile, 'of remuda dev'], [folder, 'of each program']].filter(([file]) => file && fs.existsSync(file)).map(([file, whose]) => `${file} (${whose})`);
  }
}

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
