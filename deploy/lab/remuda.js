'use strict';
// The `remuda` command as a user types it, and what it says of a cluster. Labs and e2e tests see Remuda only through this file and plain HTTP.

const fs = require('node:fs');
const path = require('node:path');
const { run, waitFor } = require('./process.js');

const commandDeadlineMs = 120_000;

class Remuda {
  // bin: folder of the programs
  constructor(bin) {
    this.bin = bin;
    this.seenPids = new Set();
  }

  get remuda() {
    return path.join(this.bin, 'remuda');
  }

  // Of the command: where the controller is, and as whom it is spoken to.
  get environment() {
    const identity = this.identity ? { REMUDA_IDENTITY_DIR: this.identity } : { REMUDA_INSECURE: '1' };
    return { REMUDA_CONTROLLER: this.address, ...identity };
  }

  // Runs the command: {code, stdout, stderr}.
  command(...args) {
    return run(this.remuda, args, { deadlineMs: commandDeadlineMs, env: this.environment });
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

  // Whether commands can be expected to be answered.
  get isUp() {
    return true;
  }

  // What the cluster itself says is in the way, a line each. For a message about something else, so it never fails.
  async troubles() {
    if (!this.isUp) return [];
    const all = (kind) => this.get(kind).catch(() => []);
    const groups = (await all('asg')).filter((group) => group.status?.waiting).map((group) => `${group.name} waits: ${group.status.waiting}`);
    const deployments = (await all('deployments')).slice(0, 1) // the newest
      .map((deployment) => [deployment, deployment.rollbackReason || deployment.waiting])
      .filter(([, why]) => why).map(([deployment, why]) => `${deployment.name} is ${deployment.state}: ${why}`);
    const listeners = (await all('lb')).flatMap((balancer) => (balancer.listenerErrors ?? [])
      .map((error) => `${balancer.name}: ${shortId(error.proxy)} does not listen on ${error.port}: ${error.error}`));
    return [...groups, ...deployments, ...listeners];
  }

  // The instances once exactly `count` are in service and no other is there; of one group if it is named.
  settled(count, what, deadlineMs = 60_000, group = null) {
    return waitFor(async () => {
      const all = (await this.instances()).filter((i) => !group || shortId(i.autoScalingGroup) === group);
      return all.length === count && all.every((i) => i.state === 'IN_SERVICE' && Number(i.process?.pid) > 0) && all;
    }, { deadlineMs, what, everyMs: 100 });
  }
}

const shortId = (name) => name.slice(name.lastIndexOf('/') + 1);

module.exports = { Remuda, shortId };
