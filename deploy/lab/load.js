#!/usr/bin/env node
'use strict';
// A constant load and a strict count of what came of it. Nothing is retried: a request counts as failed when its
// connection fails, is reset or ends early, when it takes longer than the timeout, or when its status is not 2xx.
// Times are from the moment a request is handed to its connection to the last byte of the answer.
//
// A line on stdin closes a window and is its name; the answer is one line of JSON on stdout with the figures since
// the window before. At SIGINT, SIGTERM or the end of stdin the requests in flight are finished (they count), and the
// last line is the total. Exit code: 0 if no request failed, 1 if one did, 2 for wrong usage.

const http = require('node:http');
const readline = require('node:readline');

const timeoutMs = 5000;
const keptErrors = 5;
const pauseAfterFailureMs = 50; // a refused connection fails at once; without a pause one outage counts as thousands

const usage = `usage: load.js [--rate R] [--connections N] [--fresh N] URL

  --rate R          requests a second in all, spread over the connections (default 100)
  --connections N   keep-alive connections, one request at a time on each (default 16)
  --fresh N         of these, how many make a new connection for each request (default 2)

Example: node deploy/lab/load.js --rate 200 http://127.0.0.1:8080/
`;

// Figures of one stretch of time.
class Window {
  constructor(name) {
    this.name = name;
    this.start = performance.now();
    this.requests = 0;
    this.failed = 0;
    this.slowestMs = 0;
    this.latencies = [];
    this.byInstance = {};
    this.byVersion = {};
    this.errors = {};
  }

  add({ error, ms, instance, version }) {
    this.requests += 1;
    this.latencies.push(ms);
    this.slowestMs = Math.max(this.slowestMs, ms);
    if (error) {
      this.failed += 1;
      if (error in this.errors || Object.keys(this.errors).length < keptErrors) this.errors[error] = (this.errors[error] || 0) + 1;
      return;
    }
    if (instance) this.byInstance[instance] = (this.byInstance[instance] || 0) + 1;
    if (version) this.byVersion[version] = (this.byVersion[version] || 0) + 1;
  }

  report() {
    this.latencies.sort((a, b) => a - b);
    const quantile = (q) => round(this.latencies[Math.min(this.latencies.length - 1, Math.floor(q * this.latencies.length))] ?? 0);
    return {
      window: this.name,
      seconds: round((performance.now() - this.start) / 1000),
      requests: this.requests,
      failed: this.failed,
      p50Ms: quantile(0.5),
      p99Ms: quantile(0.99),
      slowestMs: round(this.slowestMs),
      byInstance: this.byInstance,
      byVersion: this.byVersion,
      errors: this.errors,
    };
  }
}

const round = (number) => Math.round(number * 10) / 10;

// One request to its very end; never rejects. {error|null, ms, instance, version}
function ask(url, agent) {
  return new Promise((resolve) => {
    const start = performance.now();
    let done = false;
    const finish = (error, response) => {
      if (done) return;
      done = true;
      clearTimeout(timer);
      resolve({
        error,
        ms: performance.now() - start,
        instance: response?.headers['x-served-by'],
        version: response?.headers['x-version'],
      });
    };
    const request = http.get(url, { agent, headers: { accept: 'application/json' } }, (response) => {
      response.resume();
      response.on('error', (error) => finish(`answer: ${error.code || error.message}`));
      response.on('end', () => {
        const ok = response.statusCode >= 200 && response.statusCode < 300;
        finish(ok && response.complete ? null : `status ${response.statusCode}`, response);
      });
      response.on('close', () => finish('answer ended early'));
    });
    request.on('error', (error) => finish(error.code || error.message));
    const timer = setTimeout(() => {
      finish(`no answer in ${timeoutMs} ms`);
      request.destroy();
    }, timeoutMs);
  });
}

class Load {
  // {url, rate, connections, fresh}; runs from construction until stop().
  constructor(options) {
    this.options = options;
    this.total = new Window('total');
    this.window = new Window('start');
    this.stopping = false;
    this.sleepers = new Set();
    this.workers = Array.from({ length: options.connections }, (_, index) => this.#work(index));
  }

  // Closes the window and gives its figures under `name`.
  mark(name) {
    this.window.name = name;
    const report = this.window.report();
    this.window = new Window('');
    return report;
  }

  // Finishes what is in flight and gives the total.
  async stop() {
    this.stopping = true;
    this.sleepers.forEach((wake) => wake());
    await Promise.all(this.workers);
    return this.total.report();
  }

  async #work(index) {
    const { url, rate, connections, fresh } = this.options;
    const keepAlive = index >= fresh;
    const agent = new http.Agent({ keepAlive, maxSockets: 1 });
    const periodMs = (1000 * connections) / rate;
    let next = performance.now() + (periodMs * index) / connections;
    while (!this.stopping) {
      await this.#sleep(next - performance.now());
      if (this.stopping) break;
      next = Math.max(next + periodMs, performance.now());
      const result = await ask(url, agent);
      this.total.add(result);
      this.window.add(result);
      if (result.error) await this.#sleep(pauseAfterFailureMs);
    }
    agent.destroy();
  }

  #sleep(ms) {
    if (ms <= 0) return undefined;
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.sleepers.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.sleepers.add(wake);
    });
  }
}

function parse(args) {
  const options = { rate: 100, connections: 16, fresh: 2, url: null };
  for (let i = 0; i < args.length; i += 1) {
    const name = args[i].replace(/^--/, '');
    if (args[i].startsWith('--')) {
      if (!['rate', 'connections', 'fresh'].includes(name)) throw new Error(`unknown flag ${args[i]}`);
      i += 1;
      options[name] = Number(args[i]);
      if (!(Number.isInteger(options[name]) && options[name] >= (name === 'fresh' ? 0 : 1))) {
        throw new Error(`--${name}: '${args[i]}' is not a positive whole number`);
      }
    } else {
      options.url = args[i];
    }
  }
  if (!options.url) throw new Error('URL is missing');
  return options;
}

function main() {
  if (process.argv.includes('--help')) {
    process.stdout.write(usage);
    return;
  }
  let load;
  try {
    load = new Load(parse(process.argv.slice(2)));
  } catch (error) {
    process.stderr.write(`${usage}load.js: ${error.message}\n`);
    process.exit(2);
  }
  const print = (report) => process.stdout.write(`${JSON.stringify(report)}\n`);
  let ending = false;
  const end = async () => {
    if (ending) return;
    ending = true;
    const total = await load.stop();
    print(total);
    process.exitCode = total.failed === 0 ? 0 : 1;
    process.stdin.destroy();
  };
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
  const lines = readline.createInterface({ input: process.stdin });
  lines.on('line', (name) => print(load.mark(name)));
  lines.on('close', end);
}

if (require.main === module) main();
module.exports = { Load };
