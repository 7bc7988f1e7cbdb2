'use strict';
// A proxy that a test starts itself, beside `remuda dev` without one: so that a process of it may follow another.

const fs = require('node:fs');
const path = require('node:path');
const { ask } = require('../../../deploy/lab/cluster.js');
const { isRunning } = require('../../../deploy/lab/hosts/programs.js');
const { Process, run, waitFor } = require('../../../deploy/lab/process.js');

const deadlineMs = 60_000;
const mostDraining = 8;

class OwnProxy {
  // The program is copied to a folder of its own, so that its file may be replaced.
  constructor({ bin, folder, cluster, name = 'p1' }) {
    this.cluster = cluster;
    this.name = name;
    this.source = path.join(bin, 'remuda-proxy');
    this.program = path.join(folder, 'remuda-proxy');
    this.dataDir = path.join(folder, name);
    this.readyFile = path.join(folder, `${name}.ready`);
    this.logFile = path.join(folder, `${name}.log`);
    fs.mkdirSync(folder, { recursive: true });
    this.install();
    this.args = ['--controller', cluster.address, '--name', name, '--data-dir', this.dataDir, '--admin', '127.0.0.1:0',
      '--default-listen-address', '127.0.0.1', '--ready-file', this.readyFile, '--drain-timeout', '20s'];
    if (!cluster.identity) this.args.push('--insecure');
    this.processes = [];
    this.takeovers = 0; // that were seen
    this.draining = []; // ids of processes that did serve
  }

  // Gets an identity by a token, where the cluster has identities.
  async join() {
    if (!this.cluster.identity) return;
    const command = await this.cluster.ok('token', 'create', '--role', 'proxy', '--name', this.name);
    const joined = await run('/bin/sh', ['-c', `${command.trimEnd()} --data-dir ${this.dataDir}`],
      { env: { PATH: `${path.dirname(this.program)}:${process.env.PATH}` } });
    if (joined.code !== 0) throw new Error(`${this.name} cannot join: ${joined.stderr}`);
  }

  // Puts a file in the program's place in one step, as packages do; without one, the program anew.
  install(file = this.source) {
    fs.copyFileSync(file, `${this.program}.new`);
    fs.chmodSync(`${this.program}.new`, 0o755);
    fs.renameSync(`${this.program}.new`, this.program);
  }

  start(more = []) {
    const log = fs.createWriteStream(this.logFile, { flags: 'a' });
    const child = new Process(this.program, { name: 'remuda-proxy', args: [...this.args, ...more], onLine: (line) => log.write(`${line}\n`) });
    this.processes.push(child);
    return child;
  }

  // The process that serves.
  get pid() {
    return Number(fs.readFileSync(path.join(this.dataDir, 'lock'), 'utf8'));
  }

  log() {
    return fs.readFileSync(this.logFile, 'utf8');
  }

  async page(name) {
    const { http } = JSON.parse(fs.readFileSync(this.readyFile, 'utf8'));
    return (await ask(`http://${http}/${name}`)).text;
  }

  // The sum of its series.
  async metric(name) {
    const series = [...(await this.page('metrics')).matchAll(new RegExp(`^remuda_proxy_${name}(?:\\{.*\\})? (\\S+)$`, 'gm'))];
    return series.length > 0 ? series.reduce((sum, [, value]) => sum + Number(value), 0) : NaN;
  }

  waitReady() {
    return waitFor(() => fs.existsSync(this.readyFile), { deadlineMs, what: 'the proxy to be ready' });
  }

  // `how` brings a new process about; waits until that serves. Its pid. A proxy refuses one while more than 16 drain, so half of that are
  // waited for. How many there have been is counted here: for a moment the process before may still answer the admin port that both
  // have, with the count of its own time.
  async takeover(how) {
    await waitFor(() => {
      this.draining = this.draining.filter(isRunning);
      return this.draining.length <= mostDraining;
    }, { deadlineMs, what: () => `processes ${this.draining} to drain` });
    const before = this.pid;
    const count = this.takeovers + 1;
    how(before);
    await waitFor(async () => this.pid !== before && (await this.metric('takeovers_total')) === count,
      { deadlineMs, what: () => `takeover ${count}, from process ${before}:\n${this.log().slice(-2000)}` });
    this.takeovers = count;
    this.draining.push(before);
    return this.pid;
  }

  // All processes of it, also those that others of it started.
  async end() {
    for (const child of this.processes) child.signalGroup('SIGKILL');
  }
}

module.exports = { OwnProxy };
