'use strict';
// The controller's API by gRPC, in this process: what follows many deployments at once would otherwise begin a command
// for each look. Fields are as in JSON (camelCase, enums by name); a duration is {seconds, nanos}.

const path = require('node:path');
const { root } = require('../../../deploy/lab/cluster.js');

const tools = path.join(root, 'tests/tools/node_modules');
const grpc = require(path.join(tools, '@grpc/grpc-js'));
const loader = require(path.join(tools, '@grpc/proto-loader'));

const files = ['apply', 'auto_scaling', 'cluster', 'deployment', 'launch_template', 'load_balancer', 'target_group'];
const callDeadlineMs = 30_000;
const retryMs = 20;

const protoFolder = path.join(root, 'proto');

function services() {
  const there = files.map((name) => `remuda/v1/${name}.proto`);
  const definition = loader.loadSync(there, { includeDirs: [protoFolder], longs: Number, enums: String, oneofs: true });
  return grpc.loadPackageDefinition(definition).remuda.v1;
}

class Api {
  #clients = {};

  // credentials: of who calls; deadlineMs: of a call; channel: more options of it
  constructor(address, { credentials = grpc.credentials.createInsecure(), deadlineMs = callDeadlineMs, channel = {} } = {}) {
    Object.assign(this, { address, credentials, deadlineMs, channel });
    this.services = services();
  }

  #client(service) {
    this.#clients[service] ??= new this.services[service](this.address, this.credentials,
      { 'grpc.initial_reconnect_backoff_ms': 50, 'grpc.max_reconnect_backoff_ms': 200, ...this.channel });
    return this.#clients[service];
  }

  // One call. With `patient` it is tried again while there is no controller.
  async call(service, method, request = {}, { patient = false } = {}) {
    const end = Date.now() + this.deadlineMs;
    for (;;) {
      try {
        return await this.#once(service, method, request);
      } catch (error) {
        if (!patient || error.code !== grpc.status.UNAVAILABLE || Date.now() > end) throw error;
        await new Promise((resolve) => setTimeout(resolve, retryMs));
      }
    }
  }

  #once(service, method, request) {
    return new Promise((resolve, reject) => {
      const name = method[0].toLowerCase() + method.slice(1);
      this.#client(service)[name](request, { deadline: Date.now() + this.deadlineMs }, (error, answer) => {
        if (error) reject(Object.assign(error, { message: `${method}: ${error.details || error.message}` }));
        else resolve(answer);
      });
    });
  }

  // Calls onMessage with each answer of a stream, and onEnd once when it is over; gives a function that ends it.
  stream(service, method, request, onMessage, onEnd = () => {}) {
    const name = method[0].toLowerCase() + method.slice(1);
    const stream = this.#client(service)[name](request);
    stream.on('data', onMessage);
    let isOver = false;
    const over = () => {
      if (!isOver) onEnd();
      isOver = true;
    };
    stream.on('error', over);
    stream.on('end', over);
    return () => stream.cancel();
  }

  // A call after it makes new connections.
  close() {
    Object.values(this.#clients).forEach((client) => client.close());
    this.#clients = {};
  }
}

const seconds = (number) => ({ seconds: Math.floor(number), nanos: Math.round((number % 1) * 1e9) });

module.exports = { Api, grpc, seconds };
