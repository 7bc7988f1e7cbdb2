'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { ask } = require('./cluster.js');
const { LoadProcess } = require('./load_process.js');
const { waitFor } = require('./process.js');

const minimumRequests = 5000; // that a lab must have served to mean something
const replacedDeadlineMs = 60_000;
const servedDeadlineMs = 60_000;
const connections = 16;

// The lab while it is played: the cluster, the load on it, and the count of all requests. A window is what was counted
// since the step began.
class Lab {
  constructor({ cluster, url, scratch, manifests, rate }) {
    Object.assign(this, { cluster, url, scratch, manifests, rate });
    this.minimumRequests = minimumRequests;
    this.loads = []; // {process, requests, failed}: what was counted of each so far
    this.total = emptyWindow();
    this.window = emptyWindow();
    this.failures = {};
  }

  // One request of the player's own through the load balancer: counted as strictly as the load's.
  async probe(target, options) {
    const start = performance.now();
    let error = null;
    try {
      const answer = await ask(new URL(target, this.url), options);
      if (answer.status < 200 || answer.status > 299) error = `${target}: status ${answer.status}`;
      return answer;
    } catch (thrown) {
      error = thrown.code || thrown.message;
      throw thrown;
    } finally {
      this.#count({ requests: 1, failed: error ? 1 : 0, slowestMs: performance.now() - start, errors: error ? { [error]: 1 } : {} });
    }
  }

  async servedBy(agent) {
    return (await this.probe('/', { agent })).json.instance;
  }

  async startLoad() {
    this.loads.push({ process: new LoadProcess(this.url, { rate: this.rate, connections }), requests: 0, failed: 0 });
  }

  // Ends the load that was started last.
  async endLastLoad() {
    const last = this.loads.at(-1);
    await this.mark();
    const total = await last.process.stop();
    this.loads.pop();
    const late = { requests: total.requests - last.requests, failed: total.failed - last.failed };
    this.#count({ ...late, slowestMs: 0, errors: late.failed > 0 ? total.errors : {} });
  }

  async stopLoad() {
    while (this.loads.length > 0) await this.endLastLoad();
  }

  // The loads' figures since the last mark, added; they also go into the step's row.
  async mark() {
    if (this.loads.length === 0) return null;
    const sum = { requests: 0, byInstance: {}, byVersion: {} };
    for (const load of this.loads) {
      const report = await load.process.mark('window');
      load.requests += report.requests;
      load.failed += report.failed;
      this.#count(report);
      sum.requests += report.requests;
      for (const field of ['byInstance', 'byVersion']) {
        for (const [key, count] of Object.entries(report[field])) sum[field][key] = (sum[field][key] || 0) + count;
      }
    }
    return sum;
  }

  requests() {
    return this.total.requests;
  }

  // Lets the load go on until it has served `count` requests more; who served them.
  async serveMore(count) {
    const byInstance = {};
    let served = 0;
    await waitFor(async () => {
      if (served >= count) return true;
      const report = await this.mark();
      served += report.requests;
      for (const [id, requests] of Object.entries(report.byInstance)) byInstance[id] = (byInstance[id] || 0) + requests;
      return served >= count;
    }, { deadlineMs: 60_000, what: `${count} more requests`, everyMs: 200 });
    return byInstance;
  }

  // Waits until `victim` is gone, another instance is in service in its place, and the load sees exactly these two.
  async replaced(victim) {
    await waitFor(async () => !(await this.cluster.instances()).some((i) => i.id === victim.id && i.state === 'IN_SERVICE'),
      { deadlineMs: replacedDeadlineMs, what: `${victim.id} to be out of service`, everyMs: 50 });
    const after = await this.cluster.settled(2, `a replacement of ${victim.id}`, replacedDeadlineMs);
    if (after.some((i) => i.id === victim.id)) throw new Error(`${victim.id} is still there`);
    await this.serves((seen) => seen.length === 2 && seen.every((id) => after.some((i) => i.id === id)), 'byInstance',
      `the load to be served by ${after.map((i) => i.id).join(' and ')}`);
    return after;
  }

  servesOnly(version) {
    return this.serves((seen) => seen.length === 1 && seen[0] === `${version}`, 'byVersion', `version ${version} alone to be served`);
  }

  async serves(wanted, field, what) {
    await this.mark();
    await waitFor(async () => {
      const report = await this.mark();
      return report.requests > 0 && wanted(Object.keys(report[field]));
    }, { deadlineMs: servedDeadlineMs, what, everyMs: 300 });
  }

  // A manifest with a field's value changed; the file.
  manifestWith(name, field, value) {
    const file = path.join(this.scratch, name);
    fs.writeFileSync(file, fs.readFileSync(path.join(this.manifests, name), 'utf8').replace(new RegExp(`\\b${field}: [0-9]+`), `${field}: ${value}`));
    return file;
  }

  // shop.yaml's group with a field emptied; the file.
  manifestWithout(field) {
    const group = fs.readFileSync(path.join(this.manifests, 'shop.yaml'), 'utf8').split('---\n').find((text) => /^kind: AutoScalingGroup$/m.test(text));
    const text = group.replace(new RegExp(`^${field}:.*$`, 'm'), `${field}: []`).replace(/^min: .*$/m, 'min: 0');
    const file = path.join(this.scratch, 'detached.yaml');
    fs.writeFileSync(file, text);
    return file;
  }

  // Adds a row: what is given, and the figures since the row before.
  async takeWindowInto(rows, row) {
    rows.push(row);
    try {
      await this.mark();
    } finally {
      Object.assign(row, this.window);
      this.window = emptyWindow();
    }
  }

  #count({ requests, failed, slowestMs, errors }) {
    for (const sums of [this.total, this.window]) {
      sums.requests += requests;
      sums.failed += failed;
      sums.slowestMs = Math.max(sums.slowestMs, slowestMs);
    }
    for (const [error, count] of Object.entries(errors)) this.failures[error] = (this.failures[error] || 0) + count;
  }
}

const emptyWindow = () => ({ requests: 0, failed: 0, slowestMs: 0 });

module.exports = { Lab };
