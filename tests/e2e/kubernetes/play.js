'use strict';
// The overlay of one controller on this machine, by `podman kube play`: controller, proxy and agent from the rendered manifests (pods.js says
// what podman is not given), in a network namespace of their own. Whoever makes a Play ends it.

const crypto = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { run, waitFor } = require('../../../deploy/lab/process.js');
const { podOf, secretFolder } = require('./pods.js');

const root = path.join(__dirname, '../../..');
const deadlineMs = 120_000;

// What may be set here; podman's own defaults may be above it.
function limits() {
  const text = fs.readFileSync('/proc/self/limits', 'utf8');
  const hard = (name, most) => Math.min(Number(new RegExp(`^${name} +\\S+ +(\\d+)`, 'm').exec(text)?.[1] ?? most), most);
  return `[containers]\ndefault_ulimits = ["nofile=${hard('Max open files', 20_000)}:${hard('Max open files', 20_000)}", "nproc=4096:4096"]\n`;
}

class Play {
  // podman: its command and flags; prefix, tag: of the images; bin: folder of `remuda`; say(line)
  constructor({ podman, prefix, tag, bin, say }) {
    Object.assign(this, { podman, prefix, tag, bin, say });
    this.id = `remuda-play-${crypto.randomBytes(3).toString('hex')}`;
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'remuda-play-'));
    this.played = new Set();
    this.secrets = {};
    const YAML = require(path.join(root, 'tests/tools/node_modules/yaml'));
    const rendered = fs.readFileSync(path.join(root, 'deploy/kubernetes/rendered/single.yaml'), 'utf8');
    this.objects = YAML.parseAllDocuments(rendered).map((document) => document.toJS());
    const conf = path.join(this.folder, 'containers.conf');
    fs.writeFileSync(conf, limits());
    this.env = { CONTAINERS_CONF: conf, HOME: this.folder, XDG_CONFIG_HOME: '' };
  }

  async begin() {
    await this.#must('ip', 'netns', 'add', this.id);
    this.hasNetwork = true;
    await this.#must('ip', '-n', this.id, 'link', 'set', 'lo', 'up');
  }

  // In the network of the play; the machine's mounts stay, as podman needs its cgroups. Not `ip netns exec`: that hides them.
  inside(...command) {
    return run('nsenter', [`--net=/var/run/netns/${this.id}`, ...command], { deadlineMs, env: { ...this.env, ...this.session } });
  }

  async ok(...command) {
    const { code, stdout, stderr } = await this.inside(...command);
    if (code !== 0) throw new Error(`${command.join(' ')}: exit code ${code}\n${stdout}${stderr}`);
    return { stdout, stderr };
  }

  async #must(...command) {
    const { code, stderr } = await run(command[0], command.slice(1), { deadlineMs });
    if (code !== 0) throw new Error(`${command.join(' ')}: ${stderr}`);
  }

  remuda(...args) {
    return this.ok(path.join(this.bin, 'remuda'), ...args).then(({ stdout }) => stdout);
  }

  // Plays the pods of an owner (`remuda-proxy`), with the Secrets that there are.
  async up(owner) {
    const file = path.join(this.folder, `${owner}.yaml`);
    const hostRoot = path.join(this.folder, 'host');
    const objects = podOf(this.objects, owner, { prefix: this.prefix, tag: this.tag, folder: hostRoot, secrets: this.secrets });
    for (const volume of objects.at(-1).spec.volumes) if (volume.hostPath) fs.mkdirSync(volume.hostPath.path, { recursive: true });
    for (const [name, data] of Object.entries(this.secrets)) {
      const folder = secretFolder(hostRoot, name);
      fs.mkdirSync(folder, { recursive: true });
      for (const [key, value] of Object.entries(data)) fs.writeFileSync(path.join(folder, key), Buffer.from(value, 'base64'), { mode: 0o444 });
    }
    fs.writeFileSync(file, objects.map((object) => JSON.stringify(object, null, 2)).join('\n---\n'));
    this.played.add(owner);
    await this.ok(...this.podman, 'kube', 'play', '--network', 'host', file);
    this.say(`played ${owner}`);
  }

  // As Kubernetes ends a pod: SIGTERM, the grace, and what the container ended with.
  async down(owner) {
    const pod = `${owner}-0`;
    const grace = this.objects.find((object) => object.spec?.template && object.metadata.name === owner).spec.template.spec.terminationGracePeriodSeconds;
    await this.ok(...this.podman, 'pod', 'stop', '--time', String(grace), pod);
    const { stdout } = await this.ok(...this.podman, 'inspect', `${pod}-${owner.split('-')[1]}`, '--format', '{{.State.ExitCode}}');
    await this.#forget(owner);
    this.played.delete(owner);
    return Number(stdout);
  }

  async logs(owner) {
    const containers = [`${owner}-0-join`, `${owner}-0-${owner.split('-')[1]}`];
    const texts = await Promise.all(containers.map((name) => this.inside(...this.podman, 'logs', '--tail', '15', name)));
    return `${owner}:\n${texts.map(({ stdout, stderr }) => stdout + stderr).join('')}`;
  }

  async page(port, name) {
    return (await this.inside('curl', '-sS', '--max-time', '5', `http://127.0.0.1:${port}${name}`)).stdout;
  }

  ready(owner, port) {
    return waitFor(async () => (await this.page(port, '/readyz')).trim() === 'ok', { deadlineMs, what: `${owner} to be ready` });
  }

  async #forget(owner) {
    await this.inside(...this.podman, 'pod', 'rm', '--force', '--time', '5', `${owner}-0`);
    const { stdout } = await this.inside(...this.podman, 'volume', 'ls', '--quiet');
    const own = stdout.split('\n').filter((name) => name.startsWith(`${owner}-0-`));
    const names = own.filter(Boolean);
    if (names.length > 0) await this.inside(...this.podman, 'volume', 'rm', '--force', ...names);
  }

  async end() {
    if (this.hasNetwork) {
      for (const owner of this.played) await this.#forget(owner);
      await run('ip', ['netns', 'del', this.id]);
    }
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

module.exports = { Play, deadlineMs };
