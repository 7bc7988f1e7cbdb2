'use strict';
// A cluster that measures each second, and groups on it that size themselves: what the scaling tests look at, and the
// load that they put on.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { freePort, shortId } = require('../../../deploy/lab/cluster.js');
const { LoadProcess } = require('../../../deploy/lab/load_process.js');
const { waitFor } = require('../../../deploy/lab/process.js');
const { startCluster } = require('../harness.js');

const deadlineMs = 120_000; // of what takes seconds: the machine may be busy
const metricPeriod = '1s';
const connections = 8;

const healthCheck = { path: '/health', interval: '0.5s', timeout: '2s', healthyThreshold: 1, unhealthyThreshold: 4 };
const tracking = (target) => ({ name: 'requests', targetTracking: { metric: 'REQUEST_COUNT_PER_TARGET', target, scaleInAfter: '10s', scaleInCooldown: '5s' } });
const alive = (pid) => fs.existsSync(`/proc/${pid}`);
const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

class Scene {
  constructor(t, cluster) {
    this.t = t;
    this.cluster = cluster;
    this.loads = new Set();
    this.served = { requests: 0, failed: 0 };
  }

  // Documents of a manifest, applied; gives the file.
  async apply(name, ...documents) {
    const file = path.join(this.cluster.scratch, `${name}.yaml`);
    fs.writeFileSync(file, documents.map((document) => JSON.stringify(document)).join('\n---\n'));
    await this.cluster.ok('apply', '-f', file);
    return file;
  }

  // Launch template, group, and with a port target group and load balancer, all called `id`. The file.
  async makeGroup(id, { env = {}, group = {}, targetGroup = {}, hasPort = true } = {}) {
    const template = { kind: 'LaunchTemplate', name: id, image: 'app', command: ['node', 'app.js'], env, stopGrace: '10s' };
    const base = { kind: 'AutoScalingGroup', name: id, launchTemplate: { launchTemplate: id }, healthCheckGracePeriod: '20s', instanceWarmup: '2s' };
    if (!hasPort) return this.apply(id, template, { ...base, ...group });
    this.port ??= await freePort();
    this.url = `http://127.0.0.1:${this.port}/`;
    return this.apply(id, { ...template, port: 0 },
      { kind: 'TargetGroup', name: id, healthCheck, deregistrationDelay: '10s', ...targetGroup },
      { ...base, targetGroups: [id], ...group },
      { kind: 'LoadBalancer', name: id, listeners: [{ port: this.port, defaultAction: { forward: { targetGroups: [{ targetGroup: id }] } } }] });
  }

  async group(id) {
    return (await this.cluster.get('asg')).find(({ name }) => shortId(name) === id);
  }

  async instances(id) {
    return (await this.cluster.instances()).filter(({ autoScalingGroup }) => autoScalingGroup && shortId(autoScalingGroup) === id);
  }

  async inState(id, state) {
    return (await this.instances(id)).filter((instance) => instance.state === state);
  }

  // Polls until condition() gives something true; what it gave.
  until(condition, what) {
    return waitFor(condition, { deadlineMs, what, everyMs: 100 });
  }

  // The group's instances once exactly `count` are there (but those of its warm pool), all in service.
  settled(id, count) {
    return this.until(async () => {
      const all = (await this.instances(id)).filter(({ state }) => state !== 'WARM');
      return all.length === count && all.every(({ state }) => state === 'IN_SERVICE') && all;
    }, `${count} of ${id} to be in service, and no other`);
  }

  // What the policies decided, the oldest first.
  async evaluations(id, ...flags) {
    const parsed = JSON.parse(await this.cluster.ok('evaluations', `asg/${id}`, ...flags, '-o', 'json'));
    const all = Array.isArray(parsed) ? parsed : parsed.evaluations ?? [];
    return all.sort((a, b) => Date.parse(a.time) - Date.parse(b.time));
  }

  async causes() {
    return (await this.cluster.get('activities')).map(({ description = '', cause = '' }) => `${description} ${cause}`);
  }

  load(rate) {
    const load = new LoadProcess(this.url, { rate, connections });
    this.loads.add(load);
    return load;
  }

  // Who served the next `count` requests of the load, by instance.
  async whoServes(load, count) {
    await this.#mark(load);
    const byInstance = {};
    let served = 0;
    await this.until(async () => {
      const report = await this.#mark(load);
      served += report.requests;
      for (const [id, requests] of Object.entries(report.byInstance)) byInstance[id] = (byInstance[id] ?? 0) + requests;
      return served >= count;
    }, `${count} more requests`);
    return byInstance;
  }

  async endLoad(load) {
    this.loads.delete(load);
    const { requests, failed, errors } = await load.stop();
    this.served.requests += requests;
    this.served.failed += failed;
    Object.assign(this.served, failed ? { errors } : {});
  }

  // Ends every load: none of its requests failed.
  async noneFailed() {
    for (const load of [...this.loads]) await this.endLoad(load);
    assert.equal(this.served.failed, 0, JSON.stringify(this.served));
    assert.ok(this.served.requests > 0);
    this.t.diagnostic(`${this.served.requests} requests, none failed`);
  }

  #mark(load) {
    return load.mark('window');
  }
}

// A started cluster with the app's image, ended with the test.
async function startScene(t, options = {}) {
  const cluster = await startCluster(t, { env: { REMUDA_METRIC_PERIOD: metricPeriod }, ...options });
  const scene = new Scene(t, cluster);
  t.after(() => Promise.all([...scene.loads].map((load) => load.process.end())));
  await cluster.ok('image', 'push', 'app', path.join(__dirname, 'app'));
  return scene;
}

module.exports = { Scene, alive, deadlineMs, seconds, startScene, tracking };
