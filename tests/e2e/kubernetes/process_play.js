'use strict';
// Pods without a container engine or images: the programs of a build folder, with the arguments, variables, volumes, user, capabilities and
// read-only root that the manifests give them (container says how). Not so: seccomp, AppArmor, bounds of memory, the images' own files.

const fs = require('node:fs');
const path = require('node:path');
const { Process, run } = require('../../../deploy/lab/process.js');
const { Play, deadlineMs } = require('./play.js');

const isolated = ['unshare', '--mount', '--pid', '--fork', '--kill-child'];
const programs = '/remuda'; // where they are in a container
const everybody = 0o777; // what an emptyDir is
const groups = 0o2775; // and a volume that is a group's (fsGroup)
const groupMayRead = 0o440; // a file of a Secret, with such a group at the least

class ProcessPlay extends Play {
  constructor(options) {
    super(options);
    this.containers = new Map(); // owner: its Process
  }

  async start(owner, objects) {
    const { spec } = objects.at(-1);
    for (const container of spec.initContainers) {
      const [command, ...args] = this.#command(owner, spec, container);
      const { code, stdout, stderr } = await run(command, args, { deadlineMs });
      if (code !== 0) throw new Error(`${owner}: ${container.name}: exit code ${code}\n${stdout}${stderr}`);
    }
    const [container] = spec.containers;
    const [command, ...args] = this.#command(owner, spec, container);
    this.containers.set(owner, { ...container, process: new Process(command, { args, name: owner }) });
  }

  hasEnded(owner) {
    return this.containers.get(owner).process.result !== undefined;
  }

  // As another process of its container.
  exec(owner, program, ...args) {
    const { env } = this.containers.get(owner);
    const pid = String(this.#pidOf(owner));
    const user = ['setpriv', `--reuid=${fs.statSync(`/proc/${pid}`).uid}`, '--clear-groups', '--no-new-privs', '--bounding-set=-all'];
    return this.ok('nsenter', '--target', pid, '--mount', '--pid', ...user, ...withVariables(env), program.replace('/usr/bin', programs), ...args);
  }

  async stop(owner, grace) {
    const { process: whole } = this.containers.get(owner);
    process.kill(this.#pidOf(owner), 'SIGTERM');
    const { code } = await whole.waitForExit(grace * 1_000);
    return code;
  }

  async logs(owner) {
    return `${owner}:\n${this.containers.get(owner)?.process.tail() ?? 'has not been started'}\n`;
  }

  async forget(owner) {
    const { process: whole } = this.containers.get(owner) ?? {};
    if (whole && !whole.result) {
      whole.signalGroup('SIGKILL');
      await whole.exited;
    }
    this.containers.delete(owner);
    fs.rmSync(this.#podFolder(owner), { recursive: true, force: true });
  }

  #podFolder(owner) {
    return path.join(this.folder, 'pods', owner);
  }

  // Of the container's process 1, as this machine numbers it; its parent is who made its namespaces.
  #pidOf(owner) {
    const { pid } = this.containers.get(owner).process;
    const [child] = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    if (!child) throw new Error(`${owner}: its container has ended:\n${this.containers.get(owner).process.tail()}`);
    return Number(child);
  }

  // The directory of a volume, made as the kubelet makes it.
  #volume(owner, spec, name) {
    const volume = spec.volumes.find((one) => one.name === name);
    const { secret } = this.#volumeInManifest(owner, name);
    if (secret) return this.#secret(owner, spec, secret);
    if (volume.hostPath) return volume.hostPath.path;
    const claim = volume.persistentVolumeClaim?.claimName;
    const folder = claim ? path.join(this.folder, 'claims', claim) : path.join(this.#podFolder(owner), 'volumes', name);
    fs.mkdirSync(folder, { recursive: true });
    const group = spec.securityContext.fsGroup;
    if (group) fs.chownSync(folder, 0, group);
    fs.chmodSync(folder, group ? groups : everybody);
    return folder;
  }

  #volumeInManifest(owner, name) {
    const { spec } = this.objects.find((object) => object.spec?.template && object.metadata.name === owner);
    return (spec.template.spec.volumes || []).find((volume) => `${owner}-0-${volume.name}` === name) ?? {};
  }

  #secret(owner, spec, { secretName, defaultMode, items }) {
    const folder = path.join(this.#podFolder(owner), 'secrets', secretName);
    fs.rmSync(folder, { recursive: true, force: true });
    fs.mkdirSync(folder, { recursive: true });
    const data = this.secrets[secretName];
    const group = spec.securityContext.fsGroup;
    for (const { key, path: file } of items ?? Object.keys(data).map((key) => ({ key, path: key }))) {
      const whole = path.join(folder, file);
      fs.writeFileSync(whole, Buffer.from(data[key], 'base64'));
      fs.chownSync(whole, 0, group ?? 0);
      fs.chmodSync(whole, group ? defaultMode | groupMayRead : defaultMode);
    }
    return folder;
  }

  #command(owner, spec, container) {
    const context = { ...spec.securityContext, ...container.securityContext };
    const root = path.join(this.#podFolder(owner), `root-${container.name}`);
    fs.mkdirSync(root, { recursive: true });
    const volumes = container.volumeMounts.map(({ name, mountPath, readOnly }) => `${this.#volume(owner, spec, name)}:${mountPath}${readOnly ? ':ro' : ''}`);
    const added = (context.capabilities.add ?? []).map((one) => `+${one.toLowerCase()}`);
    const program = path.join(programs, path.basename(container.image).split(':')[0]);
    return ['nsenter', this.network, ...isolated, ...withVariables(container.env), path.join(__dirname, 'container'), root,
      String(context.readOnlyRootFilesystem), String(context.allowPrivilegeEscalation !== false), String(context.runAsUser),
      String(context.runAsGroup ?? context.runAsUser), ['-all', ...added].join(), [`${fs.realpathSync(this.bin)}:${programs}:ro`, ...volumes].join(), program, ...container.args];
  }
}

// Nothing of our own environment.
function withVariables(env) {
  return ['env', '-i', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...env.map(({ name, value }) => `${name}=${value}`)];
}

module.exports = { ProcessPlay };
