#!/usr/bin/env node
'use strict';
// A stand-in for `remuda`, to test the lab's player: a small cluster in one process that does what the lab asks for,
// and with FAKE_FAULT=… one thing wrong, which the player must find. The command line talks to it over HTTP.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');

const fault = process.env.FAKE_FAULT || '';
const tickMs = 50;
const failuresToLeave = 2;
const patienceFailures = 20; // failed checks of all new instances, after which a deployment is rolled back
const brokenVersion = 3;
const followMs = 2000; // over which the load is measured

// The fault: users meet the broken version while it is being deployed. Only that one: a version that works is not up at
// once either, and what fails then is not what the player is to find.
const isShownEarly = (version) => fault === 'early' && version === brokenVersion;

class FakeCluster {
  constructor() {
    this.images = {};
    this.templates = [];
    this.group = null;
    this.balancer = null;
    this.targetGroup = false;
    this.instances = [];
    this.deployments = [];
    this.turn = 0;
    this.count = 0;
    this.measured = { since: Date.now(), requests: 0 };
    this.evaluations = [];
  }

  // On a host where nobody has the port, also nobody that is still ending: else it would fail to listen, and pass its
  // checks at the other one until then. No host: later.
  launch(version, live) {
    const { image, port } = this.templates[version - 1];
    const isFree = (host) => !this.instances.some((other) => other.host === `h${host}` && other.port === port);
    const host = [(this.count + 1) % 2 + 1, this.count % 2 + 1].find(isFree);
    if (!host) return;
    this.count += 1;
    const instance = { id: `i-${this.count}`, host: `h${host}`, address: `127.0.1.${host}`, port, version, live, healthy: false, failures: 0, inFlight: 0, draining: false, startTime: new Date().toISOString() };
    instance.child = spawn(process.execPath, ['app.js'], {
      cwd: this.images[image],
      env: { ...process.env, PORT: `${port}`, HOST: instance.address, REMUDA_INSTANCE: instance.id },
      stdio: 'ignore',
    });
    // With the fault a killed one stays in rotation until a few requests have met it.
    instance.child.once('exit', (code, signal) => {
      if (fault === 'no-retry' && signal === 'SIGKILL') instance.haunts = 3;
      else this.remove(instance);
    });
    this.instances.push(instance);
  }

  remove(instance) {
    this.instances = this.instances.filter((other) => other !== instance);
  }

  end(instance) {
    instance.live = false;
    if (fault !== 'leak') instance.child.kill('SIGTERM');
    else this.remove(instance);
  }

  // Out of rotation now, ended when its last request is answered.
  drain(instance) {
    Object.assign(instance, { live: false, draining: true });
    if (instance.inFlight === 0) this.end(instance);
  }

  answered(instance) {
    instance.inFlight -= 1;
    if (instance.draining && instance.inFlight === 0) this.end(instance);
  }

  check(instance) {
    const request = http.get({ host: instance.address, port: instance.port, path: '/health', timeout: 1000 }, (response) => {
      response.resume();
      const ok = response.statusCode === 200;
      instance.failures = ok ? 0 : instance.failures + 1;
      if (ok) instance.healthy = true;
      if (instance.failures >= failuresToLeave && instance.healthy) {
        instance.healthy = false;
        if (instance.live) this.end(instance);
      }
    });
    request.on('error', () => {});
  }

  tick() {
    this.instances.forEach((instance) => this.check(instance));
    if (!this.group) return;
    const live = this.instances.filter((instance) => instance.live);
    const running = this.deployments.find((deployment) => deployment.running);
    if (running) this.advance(running);
    else if (live.length < this.group.desired) this.launch(this.group.version, true);
    else if (live.length > this.group.desired) live.slice(this.group.desired).forEach((instance) => this.drain(instance));
    this.follow();
  }

  // The group's policy: an instance for each `target` requests a second, one or two.
  follow() {
    const ms = Date.now() - this.measured.since;
    if (ms < followMs) return;
    const instances = (this.measured.requests * 1000) / ms / this.group.target;
    this.measured = { since: Date.now(), requests: 0 };
    if (!this.group.target || this.group.desired === 0) return;
    const before = this.group.desired;
    this.group.desired = instances > 1.2 ? 2 : 1;
    if (this.group.desired !== before) this.evaluations.push(`${before === 1 ? 'Out' : 'In'} from ${before} to ${this.group.desired}: policy requests`);
  }

  advance(deployment) {
    // What still drains from an earlier deployment is not of this one.
    const green = this.instances.filter((instance) => instance.version === deployment.to && !instance.draining);
    if (green.length < this.group.desired) {
      this.launch(deployment.to, isShownEarly(deployment.to));
    } else if (green.every((instance) => instance.healthy)) {
      const blue = this.instances.filter((instance) => instance.version !== deployment.to);
      green.forEach((instance) => { instance.live = true; });
      this.group.version = deployment.to;
      Object.assign(deployment, { running: false, code: 0 });
      blue.forEach((instance) => this.drain(instance));
    } else if (green.every((instance) => instance.failures >= patienceFailures)) {
      // Counted in answers, not in time: a machine that is busy starts what works late.
      green.forEach((instance) => this.end(instance));
      Object.assign(deployment, { running: false, code: fault === 'no-rollback' ? 0 : 4 });
    }
  }

  // The fake's proxy: round robin over healthy instances, and each other one when one cannot be reached.
  forward(request, response, tried = new Set()) {
    if (request.url.startsWith('/admin/')) return response.writeHead(403).end();
    const targets = this.instances.filter((instance) => instance.live && (instance.healthy || isShownEarly(instance.version)) && !tried.has(instance));
    if (targets.length === 0) return response.writeHead(tried.size > 0 ? 502 : 503).end();
    this.turn += 1;
    this.measured.requests += tried.size === 0;
    const target = targets[fault === 'no-turns' ? 0 : this.turn % targets.length];
    const from = request.headers['x-forwarded-for'];
    const headers = { ...request.headers, 'x-forwarded-for': from ? `${from}, 127.0.0.1` : '127.0.0.1' };
    target.inFlight += 1;
    const upstream = http.get({ host: target.address, port: target.port, path: request.url, headers, agent: false }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    upstream.once('close', () => this.answered(target));
    response.once('close', () => upstream.destroy()); // a client that leaves leaves nothing in flight
    upstream.on('error', () => {
      if (response.destroyed) return undefined;
      if (target.haunts > 0) {
        target.haunts -= 1;
        if (target.haunts === 0) this.remove(target);
        return response.writeHead(502).end();
      }
      return this.forward(request, response, tried.add(target));
    });
    return undefined;
  }

  apply(text) {
    for (const document of text.split('\n---\n')) {
      const field = (name) => new RegExp(`^\\s*(?:- )?${name}: (.+)$`, 'm').exec(document)?.[1];
      const kind = field('kind');
      if (kind === 'LaunchTemplate') this.templates.push({ image: field('image'), port: Number(field('port')) });
      if (kind === 'TargetGroup') this.targetGroup = true;
      if (kind === 'AutoScalingGroup') {
        this.group ??= { version: 1, desired: 1 };
        this.group.target ??= Number(/\btarget: (\d+)/.exec(document)?.[1]) || null;
      }
      if (kind === 'LoadBalancer') {
        this.balancer = http.createServer((request, response) => this.forward(request, response));
        this.balancer.listen(Number(field('port')), '127.0.0.1');
      }
    }
    return '';
  }

  get(kind) {
    const some = (thing, name) => (thing ? [{ name }] : []);
    const kinds = {
      hosts: () => [1, 2].map((n) => ({ name: `hosts/h${n}`, address: `127.0.1.${n}`, zone: 'ab'[n - 1], state: 'CONNECTED' })),
      lt: () => some(this.templates.length, 'launchTemplates/shop').map((shop) => ({ ...shop, latestVersion: this.templates.length })),
      asg: () => some(this.group, 'autoScalingGroups/blue').map((group) => ({ ...group, status: { waiting: 'no host has joined' } })),
      tg: () => some(this.targetGroup, 'targetGroups/blue'),
      lb: () => some(this.balancer, 'loadBalancers/shop'),
      deployments: () => this.deployments.map((deployment) => ({ name: deployment.name })).reverse(),
      instances: () => this.instances.map((i) => ({
        name: `instances/${i.id}`, host: `hosts/${i.host}`, address: i.address, port: i.port, process: { pid: `${i.child.pid}`, startTime: i.startTime },
        state: i.live && i.healthy ? 'IN_SERVICE' : 'PENDING',
      })),
    };
    return JSON.stringify(kinds[kind]());
  }

  async deploy(version) {
    const deployment = { name: `deployments/blue-${this.deployments.length + 1}`, from: this.group.version, to: version, running: true };
    this.deployments.push(deployment);
    while (deployment.running) await new Promise((resolve) => setTimeout(resolve, tickMs));
    return deployment.code;
  }

  // {code, stdout} of a command.
  async run([verb, ...args]) {
    const flag = (name) => args[args.indexOf(name) + 1];
    const done = (stdout) => ({ code: 0, stdout });
    if (verb === 'image') this.images[args[1]] = args[2];
    if (verb === 'apply') return done(this.apply(fs.readFileSync(flag('-f'), 'utf8')));
    if (verb === 'get') return done(this.get(args[0]));
    if (verb === 'evaluations') return done(fault === 'no-reason' ? '' : `${this.evaluations.join('\n')}\n`);
    if (verb === 'scale') this.group.desired = Number(flag('--desired'));
    if (verb === 'deploy') return { code: await this.deploy(Number(flag('--template').split(':')[1])), stdout: 'what i-1 printed: `remuda logs i-1`\n' };
    if (verb === 'deployment') return { code: await this.deploy(this.deployments.find((d) => d.name.endsWith(args[1])).from), stdout: '' };
    if (verb === 'delete' && args[0] === 'lb') this.balancer.close(() => { this.balancer = null; }).closeAllConnections();
    if (verb === 'delete' && args[0] === 'tg') this.targetGroup = false;
    if (verb === 'delete' && args[0] === 'asg') this.group = null;
    return done('');
  }
}

function dev(args) {
  const cluster = new FakeCluster();
  const server = http.createServer(async (request, response) => {
    let text = '';
    for await (const part of request) text += part;
    response.end(JSON.stringify(await cluster.run(JSON.parse(text))));
  });
  server.listen(0, '127.0.0.1', () => {
    const address = `127.0.0.1:${server.address().port}`;
    fs.writeFileSync(args[args.indexOf('--ready-file') + 1], JSON.stringify({ controller: { grpc: address, http: address }, proxies: [] }));
  });
  for (const folder of ['controller', 'logs']) fs.mkdirSync(path.join(args[args.indexOf('--data-dir') + 1], folder), { recursive: true });
  setInterval(() => cluster.tick(), tickMs);
  process.on('SIGTERM', () => {
    cluster.instances.forEach((instance) => instance.child.kill('SIGKILL'));
    process.exit(0);
  });
}

async function main() {
  const args = process.argv.slice(2);
  if (args[0] === 'dev') return dev(args);
  const answer = await fetch(`http://${process.env.REMUDA_CONTROLLER}/`, { method: 'POST', body: JSON.stringify(args) });
  const { code, stdout } = await answer.json();
  process.stdout.write(stdout);
  process.exitCode = code;
  return undefined;
}

main();
