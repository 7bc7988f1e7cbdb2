'use strict';
// A control plane of three controllers on three etcds, in a lab of several hosts: which flags they have, who leads, and what starts a controller
// again that has ended. To be used inside of a lab (deploy/lab/within).

const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { waitFor } = require('../../../deploy/lab/process.js');
const { HostsCluster } = require('../../../deploy/lab/hosts/hosts_cluster.js');
const { Membership } = require('../../../deploy/lab/hosts/membership.js');
const { controllers, hosts, machines, proxies, stores } = require('../../../deploy/lab/hosts/network.js');
const { Programs, controllerPort } = require('../../../deploy/lab/hosts/programs.js');

const deadlineMs = 60_000;
const askMs = 2_000;
const restartMs = 2_000; // RestartSec of deploy/systemd/remuda-controller.service
const lookMs = 50;
const etcdPort = 2379;
const etcdPeerPort = 2380;
const prefix = '/remuda';

const addressOf = (name) => `${machines[name].address}:${controllerPort}`;
const etcdOf = (name) => `${machines[name].address}:${etcdPort}`;
const peerOf = (name) => `http://${machines[name].address}:${etcdPeerPort}`;

class ReplicatedPrograms extends Programs {
  constructor(options) {
    super(options);
    [this.first] = controllers;
    this.membership = new Membership(this, this.bin, this.first);
    this.wanted = new Set(); // controllers that are started again when they have ended
    this.starts = Object.fromEntries(controllers.map((name) => [name, 0]));
    this.isOver = false;
  }

  get controllerAddress() {
    return controllers.map(addressOf).join(',');
  }

  flagsOf(name) {
    if (!controllers.includes(name)) return super.flagsOf(name);
    return [...super.flagsOf(name), '--controller-name', name, '--store', `etcd://${stores.map(etcdOf).join(',')}${prefix}`, '--store-insecure',
      '--sealing-key-file', path.join(this.folder, 'sealing.key')];
  }

  startStore(name) {
    const data = this.data(name);
    fs.mkdirSync(data, { recursive: true, mode: 0o700 });
    const client = `http://${etcdOf(name)}`;
    this.spawn(name, name, ['etcd', '--name', name, '--data-dir', data, '--listen-client-urls', client, '--advertise-client-urls', client,
      '--listen-peer-urls', peerOf(name), '--initial-advertise-peer-urls', peerOf(name), '--initial-cluster', stores.map((one) => `${one}=${peerOf(one)}`).join(','),
      '--logger', 'zap', '--log-level', 'warn']);
  }

  storesWell() {
    return waitFor(async () => {
      const all = await Promise.all(stores.map(async (name) => (await fetch(`http://${etcdOf(name)}/health`, { signal: AbortSignal.timeout(askMs) })).json()));
      return all.every(({ health }) => health === 'true');
    }, { deadlineMs, what: 'every etcd to be well', everyMs: 100 });
  }

  // Etcds, then a controller, which leads, and the others; then hosts and proxies.
  async startAll() {
    stores.forEach((name) => this.startStore(name));
    await this.storesWell();
    fs.writeFileSync(path.join(this.folder, 'sealing.key'), `${crypto.randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
    await this.start(this.first);
    await this.membership.login();
    await Promise.all(controllers.filter((name) => name !== this.first).map((name) => this.start(name)));
    const others = [...hosts, ...proxies];
    for (const name of others) this.membership.join(name);
    await Promise.all(others.map((name) => this.start(name)));
    controllers.forEach((name) => this.keep(name));
  }

  // Starts a controller again whenever it has ended, a while after its end.
  async keep(name) {
    this.wanted.add(name);
    let endedAt = null;
    while (!this.isOver && this.wanted.has(name)) {
      if (this.pidOf(name) !== 0) {
        endedAt = null;
      } else if (endedAt === null) {
        endedAt = performance.now();
      } else if (performance.now() - endedAt >= restartMs) {
        this.starts[name] += 1;
        await this.start(name, { isReadyAwaited: false });
      }
      await new Promise((resolve) => setTimeout(resolve, lookMs));
    }
  }

  // {name, epoch} of who leads; null: nobody does, or no etcd says so.
  async leader() {
    const key = Buffer.from(`${prefix}/leader`).toString('base64');
    const ask = async (store) => {
      const answer = await fetch(`http://${etcdOf(store)}/v3/kv/range`, { method: 'POST', body: JSON.stringify({ key }), signal: AbortSignal.timeout(askMs) });
      if (!answer.ok) throw new Error(`${store}: ${answer.status}`);
      const { kvs = [] } = await answer.json();
      if (kvs.length === 0) return null;
      const value = Buffer.from(kvs[0].value, 'base64'); // EtcdController: its first field is the name
      return { name: value.toString('utf8', 2, 2 + value[1]), epoch: Number(kvs[0].create_revision) };
    };
    return Promise.any(stores.map(ask)).catch(() => null);
  }

  // Once one leads that is none of `except`.
  leading(...except) {
    return waitFor(async () => {
      const leader = await this.leader();
      return leader && !except.includes(leader.name) && leader;
    }, { deadlineMs, what: `a controller to lead${except.length > 0 ? ` that is not ${except}` : ''}` });
  }

  stop() {
    this.isOver = true;
  }
}

class ReplicatedCluster extends HostsCluster {
  constructor({ bin, folder }) {
    super({ bin, folder, programs: new ReplicatedPrograms({ bin, folder }) });
  }

  get address() {
    return this.programs.controllerAddress;
  }

  get environment() {
    return { ...super.environment, REMUDA_CONTROLLER: this.address };
  }

  get isUp() {
    return controllers.some((name) => this.programs.pidOf(name) !== 0);
  }
}

module.exports = { ReplicatedCluster, addressOf };
