'use strict';
// Pods by `podman kube play`, from the images.

const fs = require('node:fs');
const path = require('node:path');
const { Play } = require('./play.js');

// What may be set here; podman's own defaults may be above it.
function limits() {
  const text = fs.readFileSync('/proc/self/limits', 'utf8');
  const hard = (name, most) => Math.min(Number(new RegExp(`^${name} +\\S+ +(\\d+)`, 'm').exec(text)?.[1] ?? most), most);
  return `[containers]\ndefault_ulimits = ["nofile=${hard('Max open files', 20_000)}:${hard('Max open files', 20_000)}", "nproc=4096:4096"]\n`;
}

const containerOf = (owner) => `${owner}-0-${owner.split('-')[1]}`;

class PodmanPlay extends Play {
  // podman: its command and flags; prefix, tag: of the images
  constructor({ podman, ...options }) {
    super(options);
    this.podman = podman;
    const conf = path.join(this.folder, 'containers.conf');
    fs.writeFileSync(conf, limits());
    this.env.CONTAINERS_CONF = conf;
  }

  async start(owner, objects) {
    const file = path.join(this.folder, `${owner}.yaml`);
    fs.writeFileSync(file, objects.map((object) => JSON.stringify(object, null, 2)).join('\n---\n'));
    await this.ok(...this.podman, 'kube', 'play', '--network', 'host', file);
  }

  hasEnded() {
    return false; // podman starts it again
  }

  exec(owner, ...command) {
    return this.ok(...this.podman, 'exec', containerOf(owner), ...command);
  }

  async stop(owner, grace) {
    await this.ok(...this.podman, 'pod', 'stop', '--time', String(grace), `${owner}-0`);
    const { stdout } = await this.ok(...this.podman, 'inspect', containerOf(owner), '--format', '{{.State.ExitCode}}');
    return Number(stdout);
  }

  async logs(owner) {
    const texts = await Promise.all([`${owner}-0-join`, containerOf(owner)].map((name) => this.inside(...this.podman, 'logs', '--tail', '15', name)));
    return `${owner}:\n${texts.map(({ stdout, stderr }) => stdout + stderr).join('')}`;
  }

  async forget(owner) {
    await this.inside(...this.podman, 'pod', 'rm', '--force', '--time', '5', `${owner}-0`);
    const { stdout } = await this.inside(...this.podman, 'volume', 'ls', '--quiet');
    const names = stdout.split('\n').filter((name) => name.startsWith(`${owner}-0-`));
    if (names.length > 0) await this.inside(...this.podman, 'volume', 'rm', '--force', ...names);
  }
}

module.exports = { PodmanPlay };
