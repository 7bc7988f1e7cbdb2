'use strict';
// Pods of an overlay on this machine: controller, proxy and agent from the rendered manifests, in a network namespace of their own.
// How their pods are run its kinds say (podman_play.js, process_play.js); pods.js says what they are not given. Whoever makes a Play ends it.

const crypto = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { run, waitFor } = require('../../../deploy/lab/process.js');
const { podOf, secretFolder } = require('./pods.js');

const root = path.join(__dirname, '../../..');
const deadlineMs = 120_000;

// Its kinds have: start(owner, objects), hasEnded(owner): for good, exec(owner, ...command), stop(owner, graceSeconds): exit code,
// forget(owner), logs(owner): text.
class Play {
  // overlay: its name; bin: folder of the programs; say(line)
  constructor({ overlay, prefix = 'localhost/', tag = '0.1.0', bin, say }) {
    Object.assign(this, { prefix, tag, bin, say });
    this.id = `remuda-play-${crypto.randomBytes(3).toString('hex')}`;
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'remuda-play-'));
    fs.chmodSync(this.folder, 0o755); // pods' users look for their files below it
    this.hostRoot = path.join(this.folder, 'host');
    this.played = new Set();
    this.secrets = {}; // {name: {key: base64}}
    this.config = {}; // in place of what ConfigMaps say
    const YAML = require(path.join(root, 'tests/tools/node_modules/yaml'));
    const rendered = fs.readFileSync(path.join(root, `deploy/kubernetes/rendered/${overlay}.yaml`), 'utf8');
    this.objects = YAML.parseAllDocuments(rendered).map((document) => document.toJS());
    this.env = { HOME: this.folder, XDG_CONFIG_HOME: '' };
  }

  async begin() {
    await this.must('ip', 'netns', 'add', this.id);
    this.hasNetwork = true;
    await this.must('ip', '-n', this.id, 'link', 'set', 'lo', 'up');
  }

  get network() {
    return `--net=/var/run/netns/${this.id}`;
  }

  // In the network of the play; the machine's mounts stay, as podman needs its cgroups. Not `ip netns exec`: that hides them.
  inside(...command) {
    return run('nsenter', [this.network, ...command], { deadlineMs, env: { ...this.env, ...this.session } });
  }

  async ok(...command) {
    const { code, stdout, stderr } = await this.inside(...command);
    if (code !== 0) throw new Error(`${command.join(' ')}: exit code ${code}\n${stdout}${stderr}`);
    return { stdout, stderr };
  }

  async must(...command) {
    const { code, stderr } = await run(command[0], command.slice(1), { deadlineMs });
    if (code !== 0) throw new Error(`${command.join(' ')}: ${stderr}`);
  }

  remuda(...args) {
    return this.ok(path.join(this.bin, 'remuda'), ...args).then(({ stdout }) => stdout);
  }

  // Plays the pods of an owner (`remuda-proxy`), with the Secrets that there are.
  async up(owner) {
    const objects = podOf(this.objects, owner, { prefix: this.prefix, tag: this.tag, folder: this.hostRoot, secrets: this.secrets, config: this.config });
    for (const volume of objects.at(-1).spec.volumes) if (volume.hostPath) fs.mkdirSync(volume.hostPath.path, { recursive: true });
    for (const [name, data] of Object.entries(this.secrets)) {
      const folder = secretFolder(this.hostRoot, name);
      fs.mkdirSync(folder, { recursive: true });
      for (const [key, value] of Object.entries(data)) fs.writeFileSync(path.join(folder, key), Buffer.from(value, 'base64'), { mode: 0o444 });
    }
    this.played.add(owner);
    await this.start(owner, objects);
    this.say(`played ${owner}`);
  }

  // As Kubernetes ends a pod: SIGTERM, the grace, and what the container ended with.
  async down(owner) {
    const grace = this.objects.find((object) => object.spec?.template && object.metadata.name === owner).spec.template.spec.terminationGracePeriodSeconds;
    const code = await this.stop(owner, grace);
    await this.forget(owner);
    this.played.delete(owner);
    return code;
  }

  async page(port, name) {
    return (await this.inside('curl', '-sS', '--max-time', '5', `http://127.0.0.1:${port}${name}`)).stdout;
  }

  async ready(owner, port) {
    let said = '';
    const isReadyOrOver = async () => {
      said = (await this.page(port, '/readyz')).trim();
      return said === 'ok' || this.hasEnded(owner);
    };
    await waitFor(isReadyOrOver, { deadlineMs, what: () => `${owner} to be ready; it says: ${said || 'nothing'}` });
    if (said !== 'ok') throw new Error(`${owner} has ended`);
  }

  async end() {
    if (this.hasNetwork) {
      for (const owner of this.played) await this.forget(owner);
      await run('ip', ['netns', 'del', this.id]);
    }
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

module.exports = { Play, deadlineMs };
