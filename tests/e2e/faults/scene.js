'use strict';
// An app of three instances, one a host, on a lab of several hosts, behind both proxies and under load. To be used inside of a lab
// (deploy/lab/within).

const fs = require('node:fs');
const path = require('node:path');
const { HostsCluster } = require('../../../deploy/lab/hosts/hosts_cluster.js');
const { HostsLab } = require('../../../deploy/lab/hosts/hosts_lab.js');
const { killAll, waitFor } = require('../../../deploy/lab/process.js');
const { shortId } = require('../../../deploy/lab/remuda.js');

const deadlineMs = 90_000;
const rate = 100; // requests a second, over both proxies
const count = 3; // instances of group web, one a host

const manifests = (max) => `kind: TargetGroup
name: web
healthCheck: { path: /health, interval: 0.5s, timeout: 0.5s, healthyThreshold: 2, unhealthyThreshold: 2 }
deregistrationDelay: 2s
---
kind: AutoScalingGroup
name: web
launchTemplate: { launchTemplate: app, version: 1 }
min: ${count}
max: ${max}
targetGroups: [web]
healthCheckGracePeriod: 5s
---
kind: LoadBalancer
name: web
listeners:
  - port: 80
    protocol: HTTP
    defaultAction: { forward: { targetGroups: [{ targetGroup: web, weight: 1 }] } }
`;

class Scene {
  constructor(folder, bin, { max = count, cluster = new HostsCluster({ bin, folder }) } = {}) {
    this.max = max;
    this.cluster = cluster;
    this.programs = this.cluster.programs;
    this.lab = new HostsLab({ cluster: this.cluster, urls: this.cluster.urls(), scratch: this.cluster.scratch(), rate });
  }

  // Three instances behind both proxies, with load.
  async open() {
    await this.cluster.start({ hasDatabase: false });
    await this.cluster.ok('image', 'push', 'app', path.join(__dirname, 'app'));
    await this.template({ MODE: 'ticks' });
    await this.apply(manifests(this.max));
    await this.well();
    for (const url of this.lab.urls) await waitFor(async () => (await fetch(url)).status === 200, { deadlineMs, what: `${url} to answer` });
    await this.lab.startLoad();
    await this.lab.serveMore(rate);
  }

  // A version of launch template `name` whose app has these variables; lines: more fields.
  async template(env, { name = 'app', lines = [] } = {}) {
    const variables = Object.entries(env).map(([key, value]) => `${key}: "${value}"`).join(', ');
    await this.apply(['kind: LaunchTemplate', `name: ${name}`, 'image: app', 'command: [node, app.js]', `env: { ${variables} }`, ...lines, ''].join('\n'));
  }

  async apply(text) {
    const file = path.join(this.cluster.scratch(), 'manifest.yaml');
    fs.writeFileSync(file, text);
    return this.cluster.ok('apply', '-f', file);
  }

  // All hosts and proxies joined, exactly three instances of web in service; these.
  async well() {
    await this.cluster.joined();
    return this.settled(count);
  }

  // And one of them on each host.
  balanced() {
    return waitFor(async () => {
      const instances = await this.settled(count);
      return new Set(instances.map(({ host }) => host)).size === count && instances;
    }, { deadlineMs, what: 'an instance of web on each host', everyMs: 100 });
  }

  settled(number, group = 'web') {
    return this.cluster.settled(number, `${group} to have ${number} in service`, deadlineMs, group);
  }

  async instances(group = 'web') {
    return (await this.cluster.instances()).filter((instance) => shortId(instance.autoScalingGroup) === group);
  }

  // An instance of web, preferably on this host; alone there, as of two the balance of zones may end one.
  anyOn(host) {
    return waitFor(async () => {
      const all = await this.settled(count);
      const alone = all.filter((one) => all.every((other) => other === one || other.host !== one.host));
      return alone.find((one) => one.host === host) ?? alone[0];
    }, { deadlineMs, what: 'an instance of web that is alone on its host', everyMs: 100 });
  }

  // Seconds from now until what is asked for is so.
  async until(what, condition, everyMs = 50) {
    const start = performance.now();
    await waitFor(condition, { deadlineMs, what, everyMs });
    return (performance.now() - start) / 1000;
  }

  activitySays(pattern) {
    return this.until(`an activity to say ${pattern}`, async () => (await this.cluster.get('activities')).some((activity) => pattern.test(JSON.stringify(activity))));
  }

  async close() {
    await this.lab.stopLoad().catch(() => {});
    killAll();
    if (process.env.REMUDA_KEEP_LOGS) fs.cpSync(path.join(this.cluster.folder, 'logs'), process.env.REMUDA_KEEP_LOGS, { recursive: true });
  }
}

module.exports = { Scene, count, deadlineMs, rate };
