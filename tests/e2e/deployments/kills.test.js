'use strict';
// Programs killed in the middle of deployments of every kind, all at once: the controller at each boundary of their
// steps, by its failpoints; then a host's agent and a proxy. Deployments go on, and no request fails but those that the
// killed proxy itself held.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { test } = require('node:test');
const { waitFor } = require('../../../deploy/lab/process.js');
const { startFleet } = require('./fleet.js');
const { Scenario, ShiftScenario, hasEnded, stateOf } = require('./scenario.js');
const { strategies } = require('./strategies.js');

const deadlineMs = 180_000;
const downloadMs = 3000;
const wanted = new RegExp(process.env.REMUDA_SCENARIOS ?? '');
// In turn, one each time that the controller is started: it dies before a commit that moves a deployment into a step,
// the next time after one, then once such a commit is published.
const failpoints = ['deployment-step-before', 'deployment-step-after', 'deployment-step-published'].map((name) => `${name}=kill`);

const newScenarios = (fleet) => [
  ...Object.keys(strategies).map((strategy) => ({ strategy, scenario: new Scenario(fleet, strategy, { modes: ['good', 'good'], rate: 12 }) })),
  { strategy: 'blue-green', scenario: new ShiftScenario(fleet, 'shift', { modes: ['good', 'good'], rate: 12 }) },
].filter(({ scenario }) => wanted.test(scenario.id));

// Starts the controller again each time that it has ended, until stop() is called; how often it was ended, and where.
class Restarter {
  constructor(fleet) {
    this.fleet = fleet;
    this.starts = 0;
    this.stopping = false;
    this.running = this.#run();
  }

  async #run() {
    while (!this.stopping) {
      const controller = this.fleet.program('controller');
      await waitFor(() => controller.result || this.stopping, { deadlineMs: 10 * deadlineMs, what: 'the controller to end' });
      if (this.stopping) return;
      const flag = failpoints[this.starts % failpoints.length];
      this.starts += 1;
      await this.fleet.startController('--failpoint', flag);
    }
  }

  async stop() {
    this.stopping = true;
    await this.running;
  }

  // How often each failpoint was met.
  met() {
    const log = fs.readFileSync(`${this.fleet.folder('controller')}.log`, 'utf8');
    return Object.fromEntries(failpoints.map((name) => [name, log.split('\n').filter((line) => line.includes(`failpoint ${name}`) && !line.includes('is set')).length]));
  }
}

// Begins a deployment of each to the version, with a download and WebSockets across it.
async function deployAll(all, version) {
  return Promise.all(all.map(async ({ strategy, scenario }) => {
    const sockets = await scenario.traffic.webSockets();
    const download = scenario.traffic.download(downloadMs);
    const followed = await scenario.deploy(version, strategies[strategy](2));
    scenario.approve(followed);
    const over = (async () => {
      await download;
      await sockets.close();
      return followed.end();
    })();
    return { scenario, followed, over };
  }));
}

async function allServe(all, version) {
  await Promise.all(all.map(async ({ scenario }) => {
    await scenario.servesOnly(version);
    await scenario.settled();
  }));
}

async function startAll(t) {
  const fleet = await startFleet(t);
  const all = newScenarios(fleet);
  t.after(() => Promise.all(all.map(({ scenario }) => scenario.stop())));
  await Promise.all(all.map(({ scenario }) => scenario.start()));
  return { fleet, all };
}

test('controller killed at each boundary of each step', async (t) => {
  const { fleet, all } = await startAll(t);
  await fleet.program('controller').end();
  const restarter = new Restarter(fleet);
  let steps = 0;
  try {
    const deployments = await deployAll(all, 2);
    for (const { scenario, followed, over } of deployments) {
      const last = await over;
      assert.equal(stateOf(last), 'SUCCEEDED', `${scenario.id}: ${last.rollbackReason}`);
      steps += last.steps.length;
      console.log(`${scenario.id}: ${followed.seen.join(' ')}`);
    }
  } finally {
    await restarter.stop();
  }
  await fleet.program('controller').end();
  await fleet.startController();
  await allServe(all, 2);
  const met = restarter.met();
  console.log(`${steps} steps; controller started ${restarter.starts} times; ${JSON.stringify(met)}`);
  for (const [name, count] of Object.entries(met)) assert.ok(count > 0, `${name} was met`);
  all.forEach(({ scenario }) => scenario.noneFailed());
});

test('an agent and a proxy killed in the middle', async (t) => {
  const { fleet, all } = await startAll(t);
  const deployments = await deployAll(all, 2);
  await Promise.all(deployments.map(({ followed }) => followed.until((d) => d.currentStep > 1 || d.steps.length === 1 || hasEnded(d), 'to be under way')));
  const [, host] = fleet.hosts;
  await fleet.kill(host.name);
  await fleet.startHost(host);
  const [, proxy] = fleet.proxies;
  let backAt = Infinity;
  // Its own clients: those whose connections began before it was back.
  all.forEach(({ scenario }) => { scenario.traffic.isExempt = ({ outcome, address, opened }) => outcome !== 'ok' && address === proxy.address && opened < backAt; });
  await fleet.kill(proxy.name);
  await fleet.startProxy(proxy);
  backAt = Date.now();
  for (const { scenario, over } of deployments) {
    const last = await over;
    assert.equal(stateOf(last), 'SUCCEEDED', `${scenario.id}: ${last.rollbackReason}`);
  }
  await allServe(all, 2);
  all.forEach(({ scenario }) => scenario.noneFailed());
});
