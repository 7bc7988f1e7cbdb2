'use strict';
// Those who read and write through each controller all the time, and the history of what they were answered.

const crypto = require('node:crypto');
const { Api, grpc } = require('../deployments/api.js');

const callMs = 5_000;
const patienceMs = 90_000;
const retryMs = 50;
const pauseMs = 40; // between the operations of one client
const createPauseMs = 500;

const { status } = grpc;
// What a controller answers that has looked and done nothing. All else may have been done.
const refusals = new Set([status.ABORTED, status.INVALID_ARGUMENT, status.NOT_FOUND, status.PERMISSION_DENIED]);

// A register is a label of a resource.
const kinds = {
  targetGroups: { service: 'TargetGroupService', get: 'GetTargetGroup', update: 'UpdateTargetGroup', field: 'targetGroup' },
  autoScalingGroups: { service: 'AutoScalingService', get: 'GetAutoScalingGroup', update: 'UpdateAutoScalingGroup', field: 'autoScalingGroup' },
};
const label = 'register';
const kindOf = (key) => kinds[key.slice(0, key.indexOf('/'))];
const valueOf = (resource) => resource.labels?.[label] ?? null;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// What was asked and answered, on one clock (performance.now()).
class History {
  constructor() {
    this.operations = []; // see linearizable.js; `by` is the controller, `code` that of the answer
    this.created = []; // names of resources whose making was acknowledged
  }

  add(operation) {
    this.operations.push(operation);
  }

  // Those that were begun at this time or after it, newest first.
  since(time) {
    return this.operations.filter(({ start }) => start >= time);
  }

  // When the first write was accepted that was begun after `time`; null: none was.
  acceptedAfter(time) {
    const ends = this.since(time).filter(({ kind, outcome }) => kind !== 'read' && outcome === 'ok').map(({ end }) => end);
    return ends.length > 0 ? Math.min(...ends) : null;
  }

  // How many operations got each code, by its name.
  codes(operations) {
    const counts = {};
    for (const { code } of operations) counts[status[code]] = (counts[status[code]] ?? 0) + 1;
    return counts;
  }
}

// One client of one controller: an operation at a time on a register drawn from `keys`.
class RegisterClient {
  constructor({ id, controller, api, history, keys }) {
    Object.assign(this, { id, controller, api, history, keys });
    this.known = new Map(); // of each key what it was answered last: {value, etag}
    this.count = 0;
    this.isOver = false;
  }

  start() {
    this.running = this.#run();
  }

  async stop() {
    this.isOver = true;
    await this.running;
  }

  // One read of a register, into the history.
  read(key) {
    const { service, get } = kindOf(key);
    return this.#operate({ key, kind: 'read' }, () => this.api.call(service, get, { name: key }));
  }

  async #run() {
    while (!this.isOver) {
      const key = this.keys[crypto.randomInt(this.keys.length)];
      const known = this.known.get(key);
      const kind = ['read', 'write', known ? 'swap' : 'read'][crypto.randomInt(3)];
      await (kind === 'read' ? this.read(key) : this.#write(key, kind === 'swap' ? known : null));
      await sleep(pauseMs);
    }
    this.api.close();
  }

  // With `known`: only if that is what stands there.
  #write(key, known) {
    const { service, update, field } = kindOf(key);
    this.count += 1;
    const value = `${this.id}-${this.count}`;
    const resource = { name: key, labels: { [label]: value }, ...(known && { etag: known.etag }) };
    const operation = { key, kind: known ? 'swap' : 'write', value, ...(known && { expected: known.value }) };
    return this.#operate(operation, () => this.api.call(service, update, { [field]: resource, updateMask: { paths: ['labels'] } }));
  }

  async #operate(operation, call) {
    Object.assign(operation, { by: this.controller, start: performance.now() });
    try {
      const resource = await call();
      Object.assign(operation, { end: performance.now(), outcome: 'ok', code: status.OK });
      if (operation.kind === 'read') operation.value = valueOf(resource);
      this.known.set(operation.key, { value: valueOf(resource), etag: resource.etag });
    } catch (error) {
      Object.assign(operation, { end: performance.now(), outcome: refusals.has(error.code) ? 'failed' : 'unknown', code: error.code ?? status.UNKNOWN, error: error.message });
      this.known.delete(operation.key);
      if (error.code === status.DEADLINE_EXCEEDED) this.api.close(); // a new connection, as the other end may be gone without a word
    }
    this.history.add(operation);
  }
}

// Makes resources through one controller after the other.
class Creator {
  constructor({ apis, history }) {
    Object.assign(this, { apis, history });
    this.isOver = false;
  }

  start() {
    this.running = this.#run();
  }

  async stop() {
    this.isOver = true;
    await this.running;
  }

  async #run() {
    for (let i = 1; !this.isOver; i += 1) {
      const targetGroupId = `made-${i}`;
      const api = this.apis[i % this.apis.length];
      try {
        await api.call('TargetGroupService', 'CreateTargetGroup', { targetGroupId, targetGroup: {} });
        this.history.created.push(targetGroupId);
      } catch (error) {
        if (error.code === status.DEADLINE_EXCEEDED) api.close();
      }
      await sleep(createPauseMs);
    }
    this.apis.forEach((api) => api.close());
  }
}

// Calls whichever controller answers, as a person's command does.
class AnyController {
  constructor(apis) {
    this.apis = apis;
  }

  // A write needs a requestId: it is sent until it is answered.
  async call(service, method, request = {}) {
    const end = performance.now() + patienceMs;
    for (let i = 0; ; i += 1) {
      const api = this.apis[i % this.apis.length];
      try {
        return await api.call(service, method, request);
      } catch (error) {
        const isPassing = [status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.CANCELLED].includes(error.code);
        if (error.code === status.DEADLINE_EXCEEDED) api.close();
        if (!isPassing || performance.now() > end) throw error;
      }
      await sleep(retryMs);
    }
  }

  close() {
    this.apis.forEach((api) => api.close());
  }
}

// Of the person of the lab.
function makeApi(address, { identity, authorities }) {
  const [key, root] = [identity, authorities].map((pem) => Buffer.from(pem));
  // Nothing is sent twice: what became of a call is what the history is about. No connection is shared, so that each client has its own fate.
  const channel = { 'grpc.enable_retries': 0, 'grpc.use_local_subchannel_pool': 1 };
  return new Api(address, { credentials: grpc.credentials.createSsl(root, key, key), deadlineMs: callMs, channel });
}

module.exports = { AnyController, Creator, History, RegisterClient, makeApi, status };
