'use strict';
// Manifests with one mistake each: the error names the file, the line, the field and the rule, and nothing is applied.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { root } = require('../../deploy/lab/cluster.js');
const { run } = require('../../deploy/lab/process.js');
const { startCluster } = require('./harness.js');

const good = `kind: TargetGroup
name: fine
---
`;

// [what, manifest after `good` (its first line is line 4), line, patterns that the error holds]
const mistakes = [
  ['unknown field', 'kind: TargetGroup\nname: x\nhealthChek: {}\n', 6, [/healthChek/]],
  ['unknown nested field', 'kind: TargetGroup\nname: x\nhealthCheck:\n  intervall: 1s\n', 7, [/intervall/]],
  ['wrong unit', 'kind: TargetGroup\nname: x\nderegistrationDelay: 10 parsecs\n', 6, [/deregistrationDelay/, /10 parsecs/]],
  ['out of range', 'kind: TargetGroup\nname: x\nhealthCheck: { interval: 1ms }\n', 6, [/healthCheck\.interval/, /100ms/]],
  ['reference to nothing', 'kind: AutoScalingGroup\nname: x\nlaunchTemplate: { launchTemplate: ghost, version: 1 }\nmin: 0\nmax: 1\n', 6, [/launchTemplate/, /ghost/]],
  ['min above max', 'kind: AutoScalingGroup\nname: x\nmin: 3\nmax: 2\n', [6, 7], [/max/, /3/, /2/]],
  ['duplicate port', `kind: LoadBalancer
name: x
listeners:
  - { port: 18080, protocol: HTTP, defaultAction: { fixedResponse: { status: 200 } } }
  - { port: 18080, protocol: HTTP, defaultAction: { fixedResponse: { status: 200 } } }
`, [7, 8], [/listeners\[1\]\.port/, /18080/]],
  ['unknown kind', 'kind: LoadBalancr\nname: x\n', 4, [/LoadBalancr/]],
  ['bad name', 'kind: TargetGroup\nname: Not_OK\n', 5, [/Not_OK/]],
  ['broken YAML', 'kind: TargetGroup\nname: [x\n', null, []],
];

test('one mistake: file, line, field, rule; nothing applied', async (t) => {
  const cluster = await startCluster(t, { hosts: 1 });
  for (const [what, text, lines, patterns] of mistakes) {
    await t.test(what, async () => {
      const file = path.join(cluster.scratch, `${what.replaceAll(' ', '-')}.yaml`);
      fs.writeFileSync(file, good + text);
      const { code, stderr } = await cluster.command('apply', '-f', file);
      assert.ok([1, 2].includes(code), `exit code ${code}: ${stderr}`);
      const named = [...stderr.matchAll(new RegExp(`${path.basename(file)}:(\\d+)`, 'g'))].map((match) => Number(match[1]));
      assert.ok(named.length > 0, `names the file and the line: ${stderr}`);
      if (lines) assert.ok([lines].flat().some((line) => named.includes(line)), `names line ${lines}: ${stderr}`);
      patterns.forEach((pattern) => assert.match(stderr, pattern));
      for (const kind of ['tg', 'asg', 'lb', 'lt']) assert.deepEqual(await cluster.get(kind), [], `no ${kind} was made`);
    });
  }
  await t.test('--dry-run changes nothing, and apply then says what it made', async () => {
    const file = path.join(cluster.scratch, 'good.yaml');
    fs.writeFileSync(file, good);
    await cluster.ok('apply', '-f', file, '--dry-run');
    assert.deepEqual(await cluster.get('tg'), []);
    assert.match(await cluster.ok('apply', '-f', file), /fine.*created/i);
    assert.match(await cluster.ok('apply', '-f', file), /fine.*unchanged/i);
  });
});

test('the sample manifests are taken, each alone and all together', async (t) => {
  const cluster = await startCluster(t, { hosts: 1 });
  const folder = path.join(cluster.scratch, 'examples');
  fs.cpSync(path.join(root, 'deploy/examples/manifests'), folder, { recursive: true });
  for (const name of ['shop.example', 'api.example']) {
    const made = await run('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', `/CN=${name}`,
      '-addext', `subjectAltName=DNS:${name}`, '-keyout', path.join(folder, `${name}.key`), '-out', path.join(folder, `${name}.pem`)]);
    assert.equal(made.code, 0, made.stderr);
  }
  const app = path.join(cluster.scratch, 'app');
  fs.mkdirSync(app);
  fs.writeFileSync(path.join(app, 'app.js'), '');
  await cluster.ok('image', 'push', 'hello-v1', app);
  await cluster.ok('image', 'push', 'page-v1', app);
  const files = fs.readdirSync(folder).filter((name) => name.endsWith('.yaml'));
  assert.ok(files.length >= 5);
  for (const name of files) {
    await t.test(name, () => cluster.ok('apply', '--dry-run', '-f', path.join(folder, name)));
  }
  await t.test('all of them', () => cluster.ok('apply', '--dry-run', '-f', folder));
});
