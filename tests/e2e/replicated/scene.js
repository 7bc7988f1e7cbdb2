'use strict';
// The scene of faults on a replicated control plane: group web behind both proxies under load, group side that is scaled, and clients of each
// controller whose history is kept.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { controllers, hosts, proxies } = require('../../../deploy/lab/hosts/network.js');
const { waitFor } = require('../../../deploy/lab/process.js');
const { shortId } = require('../../../deploy/lab/remuda.js');
const { seconds } = require('../deployments/api.js');
const { Scene, count, deadlineMs } = require('../faults/scene.js');
const { AnyController, Creator, History, RegisterClient, makeApi } = require('./clients.js');
const { Guard, sessionsIn } = require('./guard.js');
const { violation } = require('./linearizable.js');
const { lacking } = require('./proof.js');
const { ReplicatedCluster, addressOf } = require('./programs.js');

const sideMax = 3;
const clientsOfEach = 2;
const readsAtOnce = 30; // of each
const registers = ['targetGroups/register-1', 'targetGroups/register-2', 'autoScalingGroups/side'];
const pageSize = 1000;

class ReplicatedScene extends Scene {
  constructor(folder, bin) {
    super(folder, bin, { cluster: new ReplicatedCluster({ bin, folder }) });
    this.history = new History();
    // A blue/green deployment runs both sides; side is never beyond its own.
    this.guard = new Guard({ web: 2 * count, side: sideMax });
    this.version = 1;
  }

  async open() {
    await super.open();
    const { person } = this.programs.membership;
    const apis = () => controllers.map((name) => makeApi(addressOf(name), person));
    this.any = new AnyController(apis());
    await this.call('ApplyService', 'ApplyResources', { resources: [
      ...registers.filter((name) => name.startsWith('targetGroups/')).map((name) => ({ targetGroup: { name } })),
      { autoScalingGroup: { name: 'autoScalingGroups/side', launchTemplate: { launchTemplate: 'app', version: '1' }, min: 1, max: sideMax, desired: 1 } },
    ] });
    await this.settled(1, 'side');
    this.clients = controllers.flatMap((controller) => Array.from({ length: clientsOfEach }, (_, i) => new RegisterClient({
      id: `${controller}-${i}`, controller, api: makeApi(addressOf(controller), person), history: this.history, keys: registers })));
    this.creator = new Creator({ apis: apis(), history: this.history });
    [this.guard, this.creator, ...this.clients].forEach((one) => one.start());
    await this.whole();
  }

  // A write, told to whichever controller takes it.
  call(service, method, request) {
    return this.any.call(service, method, { requestId: crypto.randomUUID(), ...request });
  }

  // Begins to deploy the next version of web; a function that waits for its end.
  async deploy() {
    this.version += 1;
    const { version } = this;
    await this.call('ApplyService', 'ApplyResources', { resources: [{ launchTemplate: { name: 'launchTemplates/app', image: 'app', command: ['node', 'app.js'], env: { MODE: 'ticks', VERSION: `${version}` } } }] });
    const { name } = await this.call('DeploymentService', 'CreateDeployment', { deployment: { autoScalingGroup: 'web', to: { launchTemplate: 'app', version: `${version}` }, strategy: { blueGreen: { bake: seconds(1) } } } });
    return async () => {
      const ended = await waitFor(async () => {
        const deployment = await this.any.call('DeploymentService', 'GetDeployment', { name });
        return !/IN_PROGRESS|ROLLING_BACK/.test(deployment.state) && deployment;
      }, { deadlineMs, what: `the deployment of version ${version} to end`, everyMs: 100 });
      assert.match(ended.state, /SUCCEEDED/, ended.rollbackReason);
      await this.lab.servesOnly(version);
    };
  }

  // Begins to scale side out; a function that waits until it is so, and scales it in again.
  async scale() {
    const to = (desired) => this.call('AutoScalingService', 'SetDesiredCapacity', { name: 'autoScalingGroups/side', desired });
    await to(sideMax);
    return async () => {
      await this.settled(sideMax, 'side');
      await to(1);
      await this.settled(1, 'side');
      await waitFor(() => this.guard.running('side') === 1, { deadlineMs, what: 'one process of side' });
    };
  }

  // So many writes more were accepted: a moment in what goes on meanwhile.
  async moment(writes) {
    const start = performance.now();
    await waitFor(() => this.history.since(start).filter(({ kind, outcome }) => kind !== 'read' && outcome === 'ok').length >= writes, { deadlineMs, what: `${writes} writes` });
  }

  // Milliseconds from `time` to the first write that was begun after it and is accepted.
  async accepted(time) {
    const end = await waitFor(() => this.history.acceptedAfter(time), { deadlineMs, what: 'a write to be accepted' });
    return end - time;
  }

  // Every controller answers, by itself or through the one that leads; every host and proxy has joined; as many instances as there shall be.
  async whole() {
    const start = performance.now();
    const answers = (controller) => this.history.since(start).some(({ by, outcome }) => by === controller && outcome === 'ok');
    await waitFor(() => controllers.every(answers), { deadlineMs, what: () => `every controller to answer; ${controllers.filter((one) => !answers(one))} did not` });
    await this.well();
  }

  // Reads that are under way to a controller that does not run just now, over connections that it has: what it knew is all that it could tell.
  readsOf(controller) {
    const clients = this.clients.filter((client) => client.controller === controller);
    return clients.flatMap((client) => Array.from({ length: readsAtOnce }, (_, i) => client.read(registers[i % registers.length])));
  }

  // The controller that a host or a proxy has dialled for the session that it had last.
  dialled(name) {
    return sessionsIn(this.programs.log(name)).at(-1)?.address;
  }

  // What must be so at the end of it all: troubles, a line for each that is not, and figures.
  async judge() {
    await Promise.all([this.creator, ...this.clients].map((one) => one.stop()));
    this.guard.stop();
    for (const client of this.clients) {
      for (const key of registers) await client.read(key);
      client.api.close();
    }
    const troubles = [...this.guard.troubles];
    const wrong = violation(this.history.operations);
    if (wrong) troubles.push(`not linearizable: ${wrong}`);
    const there = await this.targetGroups();
    const lost = this.history.created.filter((name) => !there.has(name));
    if (lost.length > 0) troubles.push(`acknowledged and not there: ${lost}`);
    const sessions = Object.fromEntries([...hosts, ...proxies].map((name) => [name, sessionsIn(this.programs.log(name))]));
    for (const [name, ofName] of Object.entries(sessions)) {
      const epochs = ofName.map(({ epoch }) => epoch);
      if (epochs.some((epoch, i) => i > 0 && epoch < epochs[i - 1])) troubles.push(`${name} went back to an earlier epoch: ${epochs}`);
    }
    const { epoch } = await this.programs.leader();
    const { operations } = this.history;
    troubles.push(...lacking({ operations, controllers, created: this.history.created.length, most: this.guard.most, expected: { web: count, side: sideMax }, sessions, epoch }));
    const outcomes = {};
    for (const { outcome } of operations) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    return { troubles, outcomes, operations: operations.length, registers: registers.length, created: this.history.created.length, most: this.guard.most };
  }

  async targetGroups() {
    const names = new Set();
    let pageToken = '';
    do {
      const { targetGroups = [], nextPageToken = '' } = await this.any.call('TargetGroupService', 'ListTargetGroups', { pageSize, pageToken });
      targetGroups.forEach(({ name }) => names.add(shortId(name)));
      pageToken = nextPageToken;
    } while (pageToken);
    return names;
  }

  async close() {
    this.programs.stop();
    this.guard.stop();
    [this.creator, ...(this.clients ?? [])].forEach((one) => { if (one) one.isOver = true; });
    this.any?.close();
    await super.close();
  }
}

module.exports = { ReplicatedScene, controllers, deadlineMs };
