'use strict';
// The cluster of a lab of several hosts, as who is on its client machine sees it. To be used inside of a lab's namespaces (room.js).

const fs = require('node:fs');
const path = require('node:path');
const { waitFor } = require('../process.js');
const { Remuda, shortId } = require('../remuda.js');
const database = require('./database.js');
const network = require('./network.js');
const { Programs, controllerAddress } = require('./programs.js');

const joinDeadlineMs = 60_000;

class HostsCluster extends Remuda {
  // bin: folder of Remuda's programs; folder: of the lab; programs: those of the lab
  constructor({ bin, folder, programs = new Programs({ bin, folder }) }) {
    super(bin);
    this.folder = folder;
    this.programs = programs;
  }

  get address() {
    return controllerAddress;
  }

  get environment() {
    return this.programs.membership.environment;
  }

  // Programs and database, from nothing.
  async start({ hasDatabase = true } = {}) {
    await Promise.all([this.programs.startAll(), hasDatabase && database.start(this.programs)]);
    await this.joined();
  }

  // Resolves when every host and proxy is connected.
  async joined() {
    await waitFor(async () => {
      const [hosts, proxies] = await Promise.all([this.get('hosts'), this.get('proxies')]);
      const areAll = (names, list, isIn) => names.every((name) => list.some((one) => shortId(one.name) === name && isIn(one)));
      return areAll(network.hosts, hosts, ({ state }) => state === 'CONNECTED') && areAll(network.proxies, proxies, ({ connected }) => connected);
    }, { deadlineMs: joinDeadlineMs, what: 'every host and proxy to have joined', everyMs: 100 });
  }

  get isUp() {
    return this.programs.pidOf('controller') !== 0;
  }

  logs() {
    return [`${path.join(this.folder, 'logs')} (of each program)`];
  }

  // Where the shop is: its load balancer's port on each proxy.
  urls(port = 80) {
    return network.proxies.map((name) => `http://${network.machines[name].address}${port === 80 ? '' : `:${port}`}/`);
  }

  // A folder for what is made on the way: images, manifests.
  scratch() {
    const folder = path.join(this.folder, 'scratch');
    fs.mkdirSync(folder, { recursive: true });
    return folder;
  }
}

module.exports = { HostsCluster };
