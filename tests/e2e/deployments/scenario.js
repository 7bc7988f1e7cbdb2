'use strict';
// One group of its own in a fleet that many share: its launch template, target group, load balancer and load; deployments
// of it, and what came of them.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { freePort } = require('../../../deploy/lab/cluster.js');
const { waitFor } = require('../../../deploy/lab/process.js');
const { seconds } = require('./api.js');
const { Traffic } = require('./traffic.js');

const deadlineMs = 180_000;
const settleRequests = 60; // that are answered before what serves is judged
const ended = ['SUCCEEDED', 'ROLLED_BACK', 'FAILED'];

const stateOf = (deployment) => deployment.state?.replace('DEPLOYMENT_STATE_', '');
const hasEnded = (deployment) => ended.includes(stateOf(deployment));
const stepOf = (deployment) => deployment.steps?.[(deployment.currentStep ?? 0) - 1]?.kind ?? 'none';

// The newest of a deployment, as the controller tells it; goes on over the controller's end.
class Followed {
  constructor(api, name) {
    Object.assign(this, { api, name });
    this.newest = null;
    this.stopped = false;
    this.seen = []; // each step and state once
    this.#watch();
  }

  #watch() {
    if (this.stopped) return;
    this.cancel = this.api.stream('DeploymentService', 'WatchDeployment', { name: this.name }, ({ deployment }) => this.#take(deployment), () => {
      if (!this.stopped && !(this.newest && hasEnded(this.newest))) setTimeout(() => this.#watch(), 100);
    });
  }

  #take(deployment) {
    this.newest = deployment;
    const word = hasEnded(deployment) ? stateOf(deployment) : `${deployment.currentStep}:${stepOf(deployment)}`;
    if (this.seen.at(-1) !== word) this.seen.push(word);
  }

  until(condition, what) {
    return waitFor(() => this.newest && condition(this.newest) && this.newest, { deadlineMs, what: `${this.name} ${what}`, everyMs: 5 })
      .catch((error) => { throw new Error(`${error.message}; it is ${JSON.stringify(this.newest && { ...this.newest, steps: this.newest.steps?.length })}`); });
  }

  async end() {
    const last = await this.until(hasEnded, 'to end');
    this.stop();
    return last;
  }

  stop() {
    this.stopped = true;
    this.cancel?.();
  }
}

class Scenario {
  // modes: of the app, by version from 1. size: instances.
  constructor(fleet, id, { modes, size = 2, min = 1, max = 4, fixedPort = false, rate }) {
    Object.assign(this, { fleet, id, modes, size, min, max, fixedPort, rate });
    this.followed = [];
    this.approvals = [];
    this.trouble = null;
    this.began = Date.now();
  }

  get api() {
    return this.fleet.api;
  }

  template(version, port) {
    return { name: `launchTemplates/${this.id}`, image: 'app', command: ['node', 'app.js'], port, stopGrace: seconds(30),
      env: { VERSION: `${version}`, MODE: this.modes[version - 1] } };
  }

  targetGroup(name) {
    return { name: `targetGroups/${name}`, healthCheck: { path: '/health', interval: seconds(0.3), timeout: seconds(5), healthyThreshold: 2, unhealthyThreshold: 2 },
      deregistrationDelay: seconds(60) };
  }

  group(name, version, desired) {
    return { name: `autoScalingGroups/${name}`, launchTemplate: { launchTemplate: this.id, version: `${version}` }, min: Math.min(this.min, desired), max: this.max,
      desired, targetGroups: [name], healthCheckGracePeriod: seconds(60) };
  }

  loadBalancer(targetGroup) {
    return { name: `loadBalancers/${this.id}`, listeners: [{ name: 'main', port: this.port, protocol: 'PROTOCOL_HTTP',
      defaultAction: { forward: { targetGroups: [{ targetGroup, weight: 1 }] } } }] };
  }

  async apply(...resources) {
    await this.api.call('ApplyService', 'ApplyResources', { resources });
  }

  async createAll() {
    const appPort = this.fixedPort ? await freePort() : 0;
    await this.apply(
      { launchTemplate: this.template(1, appPort) }, { targetGroup: this.targetGroup(this.id) },
      { autoScalingGroup: this.group(this.id, 1, this.size) }, { loadBalancer: this.loadBalancer(this.id) },
    );
    for (let version = 2; version <= this.modes.length; version += 1) await this.apply({ launchTemplate: this.template(version, appPort) });
  }

  // Version 1 serves, and the load is on it.
  async start() {
    this.port = await freePort();
    await this.createAll();
    await this.settled();
    this.traffic = new Traffic({ addresses: this.fleet.proxies.map(({ address }) => address), port: this.port, rate: this.rate });
    await this.answered();
    this.traffic.start();
  }

  async instances(group = this.id) {
    const { instances = [] } = await this.api.call('AutoScalingService', 'ListInstances', { parent: `autoScalingGroups/${group}` }, { patient: true });
    return instances;
  }

  // As many as there should be are in service, and no other is there.
  settled(size = this.size) {
    return waitFor(async () => {
      const all = await this.instances();
      return all.length === size && all.every(({ state }) => state === 'INSTANCE_STATE_IN_SERVICE') && all;
    }, { deadlineMs, what: `${size} instances of ${this.id} to be in service`, everyMs: 100 });
  }

  answered() {
    return Promise.all(this.fleet.proxies.map(({ address }) => waitFor(
      async () => (await fetch(`http://${address}:${this.port}/`)).status === 200, { deadlineMs, what: `${this.id} to be answered by ${address}` },
    )));
  }

  // What CreateDeployment is to be told.
  request(version, strategy, more = {}) {
    return { deployment: { autoScalingGroup: this.id, to: { launchTemplate: this.id, version: `${version}` }, strategy, ...more } };
  }

  // The plan, without beginning it.
  plan(...args) {
    return this.api.call('DeploymentService', 'CreateDeployment', { ...this.request(...args), validateOnly: true });
  }

  async deploy(...args) {
    const request = { ...this.request(...args), requestId: crypto.randomUUID() };
    const deployment = await this.api.call('DeploymentService', 'CreateDeployment', request, { patient: true });
    this.traffic.mark('deployment');
    return this.follow(deployment.name);
  }

  follow(name) {
    const followed = new Followed(this.api, name);
    this.followed.push(followed);
    return followed;
  }

  rollBack({ name }) {
    return this.api.call('DeploymentService', 'RollbackDeployment', { name, reason: 'the test wants it' }, { patient: true });
  }

  // Gives the approvals that it waits for, as they come.
  approve(followed) {
    this.approvals.push(this.#approve(followed).catch((error) => { this.trouble ??= error; }));
  }

  async #approve(followed) {
    while (!followed.stopped && !(followed.newest && hasEnded(followed.newest))) {
      if (followed.newest && stepOf(followed.newest) === 'approval' && !followed.newest.approved) {
        await this.api.call('DeploymentService', 'ApproveDeployment', { name: followed.name }, { patient: true }).catch((error) => {
          if (!/FAILED_PRECONDITION|approv|wait/i.test(error.message)) throw error;
        });
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  // Only these serve: what is answered from here on.
  async servesOnly(version) {
    await waitFor(async () => {
      this.traffic.mark('serves');
      await this.traffic.serveMore(settleRequests);
      const seen = Object.keys(this.traffic.versionsSince('serves'));
      return seen.length === 1 && seen[0] === `${version}`;
    }, { deadlineMs, what: `version ${version} alone to serve ${this.id}` });
  }

  noneFailed() {
    assert.ifError(this.trouble);
    const { failed, cut } = this.traffic.counts;
    assert.deepEqual({ failed, cut }, { failed: 0, cut: 0 }, `${this.id}: ${this.traffic.failures.join('; ')} (${this.followed.map((f) => f.seen.join(' ')).join(' | ')})`);
  }

  // What failed was refused for want of an instance, or of one that listens already (a proxy tries it where there is no
  // other), and nothing was cut.
  onlyRefused() {
    assert.equal(this.traffic.counts.cut, 0, `${this.id}: ${this.traffic.failures.join('; ')}`);
    for (const cause of this.traffic.causes) assert.match(cause, /^status (503: .*NoRegisteredTarget|502: .*TargetConnectFailed)/, this.id);
  }

  // Ends the load; a row of the table.
  async stop() {
    await this.traffic?.stop();
    this.followed.forEach((followed) => followed.stop());
    await Promise.all(this.approvals);
    const { ok = 0, erring = 0, failed = 0, cut = 0 } = this.traffic?.counts ?? {};
    return { scenario: this.id, seconds: Math.round((Date.now() - this.began) / 1000), requests: this.traffic?.requests ?? 0, ok, erring, failed, cut };
  }

  // Its instances are ended: others want the machine.
  clear() {
    return this.empty(this.id);
  }

  async empty(group) {
    await this.api.call('AutoScalingService', 'UpdateAutoScalingGroup', { autoScalingGroup: { name: `autoScalingGroups/${group}`, min: 0, desired: 0 },
      updateMask: { paths: ['min', 'desired'] } });
  }
}

// Two groups, each with a target group of its own: blue has version 1 and the traffic, green none of either.
class ShiftScenario extends Scenario {
  get blue() {
    return `${this.id}-blue`;
  }

  get green() {
    return `${this.id}-green`;
  }

  async createAll() {
    await this.apply(
      { launchTemplate: this.template(1, 0) }, { targetGroup: this.targetGroup(this.blue) }, { targetGroup: this.targetGroup(this.green) },
      { autoScalingGroup: { ...this.group(this.blue, 1, this.size), min: 0 } }, { loadBalancer: this.loadBalancer(this.blue) },
    );
    await this.apply({ launchTemplate: this.template(2, 0) });
    await this.apply({ autoScalingGroup: { ...this.group(this.green, 2, 0), min: 0 } });
  }

  async instances() {
    return [...await super.instances(this.blue), ...await super.instances(this.green)];
  }

  // Version 2 stands for green.
  request(version, strategy, more = {}) {
    return { deployment: { shift: { listener: `loadBalancers/${this.id}/listeners/main`, toTargetGroup: version === 2 ? this.green : this.blue, scaleGroups: true },
      strategy, ...more } };
  }

  async clear() {
    await this.empty(this.blue);
    await this.empty(this.green);
  }
}

module.exports = { Scenario, ShiftScenario, hasEnded, stateOf, stepOf };
