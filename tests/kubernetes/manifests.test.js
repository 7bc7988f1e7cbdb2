'use strict';
// deploy/kubernetes: every rendered overlay fits the schemas of two versions of Kubernetes, its own parts fit each other, and the programs know
// what they are run with. Each check is broken once, and must see it.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { run } = require('../../deploy/lab/process.js');
const { checks, podsOf, yours } = require('./checks.js');
const { judge, versions } = require('./schema.js');

const root = path.join(__dirname, '../..');
const folder = path.join(root, 'deploy/kubernetes');
const modules = path.join(root, 'tests/tools/node_modules');
assert.ok(fs.existsSync(path.join(modules, 'yaml')), 'the schemas are missing: deploy/install-deps --test');
const YAML = require(path.join(modules, 'yaml'));
const bin = process.env.REMUDA_BIN_DIR;

const load = (overlay) => YAML.parseAllDocuments(fs.readFileSync(path.join(folder, 'rendered', `${overlay}.yaml`), 'utf8')).map((document) => {
  assert.deepEqual(document.errors, []);
  return document.toJS();
});
const overlays = fs.readdirSync(path.join(folder, 'overlays'));
const checkAll = (objects) => Object.values(checks).flatMap((check) => check(objects));

test('what is rendered is what the overlays give', async () => {
  const { code, stderr } = await run(path.join(folder, 'render'), ['--check']);
  assert.equal(code, 0, stderr);
});

test('without Kustomize it is still seen what was rendered of other files, or changed by hand', async (t) => {
  const copy = fs.mkdtempSync(path.join(os.tmpdir(), 'remuda-render-'));
  t.after(() => fs.rmSync(copy, { recursive: true }));
  fs.cpSync(folder, copy, { recursive: true });
  // A kubectl as Debian 12 has it, and what the script uses.
  const programs = path.join(copy, 'bin');
  fs.mkdirSync(programs);
  for (const program of ['basename', 'bash', 'cut', 'diff', 'dirname', 'find', 'grep', 'sed', 'sha256sum', 'sort', 'tail', 'xargs']) {
    const { stdout } = await run('which', [program]);
    fs.symlinkSync(stdout.trim(), path.join(programs, program));
  }
  fs.writeFileSync(path.join(programs, 'kubectl'), '#!/bin/sh\necho "Client Version: v1.20.2"\n', { mode: 0o755 });
  const check = async (...args) => {
    const { code, stderr } = await run(path.join(copy, 'render'), args, { env: { PATH: programs } });
    return `${code} ${stderr}`;
  };
  assert.equal(await check('--check'), '0 ');
  assert.match(await check(), /^3 render: neither kustomize/);
  const rendered = path.join(copy, 'rendered/single.yaml');
  const before = fs.readFileSync(rendered, 'utf8');
  fs.writeFileSync(rendered, before.replace('replicas: 1', 'replicas: 2'));
  assert.match(await check('--check'), /^1 render: rendered\/single.yaml was changed by hand/);
  fs.writeFileSync(rendered, before);
  fs.appendFileSync(path.join(copy, 'components/agents/agents.yaml'), '# more\n');
  assert.match(await check('--check'), /^1 render: rendered\/replicated.yaml was made of other files .*\nrender: rendered\/single.yaml was made of other files/);
});

for (const overlay of overlays) {
  for (const version of versions) {
    test(`${overlay}: Kubernetes ${version} takes all of it`, async () => {
      const wrong = [];
      for (const object of load(overlay)) wrong.push(...await judge(version, object));
      assert.deepEqual(wrong, []);
    });
  }
  test(`${overlay}: its parts fit each other`, () => assert.deepEqual(checkAll(load(overlay)), []));
}

test('what is yours to make is documented', () => {
  const page = fs.readFileSync(path.join(root, 'docs/kubernetes.md'), 'utf8');
  for (const [object, keys] of Object.entries(yours)) {
    for (const word of [object.split('/')[1], ...keys]) assert.ok(page.includes(word), `docs/kubernetes.md does not name ${word} (${object})`);
  }
});

// Flags and variables that a program's help names.
async function helpOf(image, isJoin) {
  const program = path.join(bin, path.basename(image).split(':')[0]);
  const { code, stdout } = await run(program, [...(isJoin ? ['join'] : []), '--help']);
  assert.equal(code, 0, program);
  return { flags: new Set(stdout.match(/--[a-z][a-z-]*/g)), variables: new Set(stdout.match(/REMUDA_[A-Z_]+/g)) };
}

test('the programs know what they are run with', async () => {
  const wrong = [];
  for (const overlay of overlays) {
    const objects = load(overlay);
    for (const pod of podsOf(objects)) {
      for (const { name, image, args, env = [], envFrom = [] } of pod.containers) {
        const help = await helpOf(image, args[0] === 'join');
        const given = envFrom.flatMap((one) => Object.keys(objects.find((object) => object.kind === 'ConfigMap' && object.metadata.name === one.configMapRef.name).data));
        for (const arg of args.filter((one) => one !== 'join')) {
          const flag = arg.split('=')[0];
          if (!help.flags.has(flag)) wrong.push(`${overlay}: ${name}: ${flag} is no flag of ${image}`);
        }
        for (const variable of [...env.map((one) => one.name), ...given].filter((one) => one.startsWith('REMUDA_'))) {
          if (!help.variables.has(variable)) wrong.push(`${overlay}: ${name}: ${variable} is no variable of ${image}`);
        }
      }
    }
  }
  assert.deepEqual(wrong, []);
});

const pod = (objects, name) => podsOf(objects).find((one) => one.owner.metadata.name === name);
const get = (objects, kind, name) => objects.find((object) => object.kind === kind && object.metadata.name === name);

const dropArg = (objects, name, arg) => {
  const [container] = pod(objects, name).spec.containers;
  container.args = container.args.filter((one) => one !== arg);
};

// [what is broken, how (in `replicated`), what is said of it]
const broken = [
  ['a label', (o) => { pod(o, 'remuda-proxy').template.metadata.labels['app.kubernetes.io/name'] = 'proxy'; }, /Deployment\/remuda-proxy: its selector .* fits pods of 0 owners/],
  ['a port of a Service', (o) => { get(o, 'Service', 'remuda-proxy').spec.ports[0].targetPort = 'web'; }, /targetPort "web" is no port of Deployment\/remuda-proxy/],
  ['a port of a policy', (o) => { get(o, 'NetworkPolicy', 'remuda-controller').spec.ingress[0].ports[0].port = 'grpc'; }, /port "grpc" is no port/],
  ['an account', (o) => { pod(o, 'remuda-agent').spec.serviceAccountName = 'nobody'; }, /ServiceAccount\/nobody is neither made nor documented/],
  ['a Secret', (o) => { pod(o, 'remuda-agent').spec.volumes.find((one) => one.secret).secret.secretName = 'x'; }, /Secret\/x is neither made nor documented/],
  ['a key of a Secret', (o) => { pod(o, 'remuda-agent').spec.initContainers[0].env[1].valueFrom.secretKeyRef.key = 'x'; }, /Secret\/remuda-join-agent has no key "x"/],
  ['a mount', (o) => { pod(o, 'remuda-controller').spec.containers[0].volumeMounts[0].name = 'x'; }, /mounts "x", which is no volume/],
  ['a role', (o) => { get(o, 'ClusterRoleBinding', 'remuda-read-endpoints').roleRef.name = 'x'; }, /ClusterRole\/x is neither made/],
  ['a namespace', (o) => { get(o, 'Service', 'remuda-proxy').metadata.namespace = 'x'; }, /its namespace "x" is not made/],
  ['a probe', (o) => { delete pod(o, 'remuda-proxy').spec.containers[0].readinessProbe; }, /readinessProbe is missing/],
  ['the port of a probe', (o) => { pod(o, 'remuda-agent').spec.containers[0].livenessProbe.httpGet.port = 7471; }, /asks port 7471; the pages are served on 7470/],
  ['seccomp', (o) => { delete pod(o, 'remuda-proxy').spec.securityContext.seccompProfile; }, /seccompProfile is not RuntimeDefault/],
  ['root', (o) => { pod(o, 'remuda-proxy').spec.securityContext.runAsUser = 0; }, /may run as root/],
  ['a capability', (o) => { pod(o, 'remuda-proxy').spec.containers[0].securityContext.capabilities.add = ['NET_RAW']; }, /adds capabilities/],
  ['the level of the namespace', (o) => { get(o, 'Namespace', 'remuda').metadata.labels['pod-security.kubernetes.io/enforce'] = 'restricted'; }, /enforces "restricted", which forbids/],
  ['an image', (o) => { pod(o, 'remuda-proxy').spec.containers[0].image = 'remuda-proxy:latest'; }, /"remuda-proxy:latest" is not pinned/],
  ['a variable', (o) => { pod(o, 'remuda-proxy').spec.containers[0].env.shift(); }, /NAMESPACE is no variable of it/],
  ['the name of a Service', (o) => { pod(o, 'remuda-proxy').spec.containers[0].args[0] = '--controller=c.$(NAMESPACE).svc:7400'; }, /there is no such Service/],
  ['time to drain', (o) => { pod(o, 'remuda-proxy').spec.terminationGracePeriodSeconds = 50; }, /drains for 20\+0\+30 s and is killed after 50/],
  ['readiness without a controller', (o) => { dropArg(o, 'remuda-proxy', '--ready-without-lease'); }, /without a controller none is ready/],
  ['how a pod leaves a Service', (o) => { delete pod(o, 'remuda-proxy').spec.containers[0].lifecycle; }, /preStop must sleep/],
  ['what comes after preStop', (o) => { pod(o, 'remuda-proxy').spec.containers[0].args.push('--drain-delay=5s'); }, /nothing be waited for after it/],
  ['the pace of an upgrade', (o) => { delete pod(o, 'remuda-proxy').owner.spec.minReadySeconds; }, /no minReadySeconds/],
  ['a budget', (o) => { delete get(o, 'PodDisruptionBudget', 'remuda-controller').spec.unhealthyPodEvictionPolicy; }, /hold up the drain of a node/],
];
for (const [what, breakIt, said] of broken) {
  test(`it is seen when ${what} is wrong`, () => {
    const objects = load('replicated');
    breakIt(objects);
    assert.match(checkAll(objects).join('\n'), said);
  });
}

test('a schema is strict: fields that it does not know, and types', async () => {
  const [object] = load('replicated').filter((one) => one.kind === 'Deployment');
  object.spec.replicas = '3';
  object.spec.template.spec.containers[0].readnessProbe = { periodSeconds: 1 };
  for (const version of versions) {
    const wrong = await judge(version, object);
    assert.match(wrong.join('\n'), /\/spec\/replicas: type/);
    assert.match(wrong.join('\n'), /containers\[0\]\.readnessProbe is no field/);
    assert.equal(wrong.length, 2, wrong.join('\n'));
  }
});
