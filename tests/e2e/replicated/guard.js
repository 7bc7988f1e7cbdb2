'use strict';
// What two leaders at once would do to hosts: instances beyond what is allowed, one twice, an epoch that goes back. Seen from outside of the
// control plane: in the processes of the hosts and the logs of agents and proxies.

const fs = require('node:fs');

const everyMs = 200;

// Of each app process: its group and instance.
function appsRunning() {
  return fs.readdirSync('/proc').filter((entry) => /^[0-9]+$/.test(entry)).flatMap((pid) => {
    try {
      const [program, script] = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      if (!/\bnode$/.test(program) || script !== 'app.js') return [];
      const environment = Object.fromEntries(fs.readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').map((line) => line.split(/=(.*)/s)));
      return environment.REMUDA_INSTANCE ? [{ pid, group: environment.REMUDA_GROUP, instance: environment.REMUDA_INSTANCE }] : [];
    } catch {
      return []; // it has just ended
    }
  });
}

class Guard {
  // limits: by group, how many processes of it there may be at once
  constructor(limits) {
    this.limits = limits;
    this.most = Object.fromEntries(Object.keys(limits).map((group) => [group, 0]));
    this.troubles = [];
  }

  start() {
    this.timer = setInterval(() => this.#look(), everyMs);
  }

  stop() {
    clearInterval(this.timer);
  }

  // Processes of a group now.
  running(group) {
    return appsRunning().filter((app) => app.group === group).length;
  }

  #look() {
    const apps = appsRunning();
    for (const [group, limit] of Object.entries(this.limits)) {
      const ofGroup = apps.filter((app) => app.group === group);
      this.most[group] = Math.max(this.most[group], ofGroup.length);
      if (ofGroup.length > limit) this.#say(`${group} had ${ofGroup.length} processes: at most ${limit} are allowed (${ofGroup.map(({ instance }) => instance).sort()})`);
    }
    const instances = apps.map(({ instance }) => instance);
    const twice = instances.find((instance, i) => instances.indexOf(instance) !== i);
    if (twice) this.#say(`instance ${twice} runs twice`);
  }

  #say(trouble) {
    if (!this.troubles.includes(trouble)) this.troubles.push(trouble);
  }
}

// Of a program's log: the sessions that it had, in order: {address, epoch}.
function sessionsIn(file) {
  return [...fs.readFileSync(file, 'utf8').matchAll(/session with the controller at (\S+), epoch (\d+)/g)].map(([, address, epoch]) => ({ address, epoch: Number(epoch) }));
}

module.exports = { Guard, sessionsIn };
