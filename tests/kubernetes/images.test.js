'use strict';
// deploy/images: that the stage which compiles has what it runs. Images themselves are made by hand (docs/kubernetes.md).

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { run } = require('../../deploy/lab/process.js');

const root = path.join(__dirname, '../..');
const text = (file) => fs.readFileSync(path.join(root, file), 'utf8');

// What deploy/install-deps installs on a machine that has nothing.
async function dependencies(t) {
  const programs = fs.mkdtempSync(path.join(os.tmpdir(), 'remuda-images-'));
  t.after(() => fs.rmSync(programs, { recursive: true }));
  for (const program of ['bash', 'dirname']) fs.symlinkSync((await run('which', [program])).stdout.trim(), path.join(programs, program));
  for (const program of ['apt-get', 'dpkg-query']) fs.writeFileSync(path.join(programs, program), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
  // It looks in /usr/sbin too: nothing that is built with is there.
  const { code, stderr } = await run(path.join(root, 'deploy/install-deps'), ['--check'], { env: { PATH: programs } });
  assert.equal(code, 1);
  return /missing packages: (.*)/.exec(stderr)[1].split(' ');
}

// All packages that come with these on an empty Debian.
async function withDependencies(packages) {
  const { code, stdout, stderr } = await run('apt-get', ['--simulate', '-o', 'Dir::State::status=/dev/null', '--no-install-recommends', 'install', ...packages]);
  assert.equal(code, 0, `apt-get update may be needed: ${stderr}`);
  return new Set([...stdout.matchAll(/^Inst (\S+)/gm)].map(([, name]) => name));
}

// By the program; null: every Debian has it.
const packages = { cpack: 'cmake', 'dpkg-shlibdeps': 'dpkg-dev', gzip: null };

test('the stage that compiles has what deploy/packages/build needs', async (t) => {
  const stage = /AS built\n(.*?)\n\n/s.exec(text('deploy/images/Containerfile'))[1];
  const own = [...stage.matchAll(/apt-get install -y --no-install-recommends ([a-z0-9.+ -]+?) *(?:&&|\n|$)/g)].flatMap(([, list]) => list.split(' '));
  assert.match(stage, /deploy\/install-deps && /);
  const there = await withDependencies([...own, ...await dependencies(t)]);
  const needed = /for program in (.*); do\n +command -v/.exec(text('deploy/packages/build'))[1].split(' ');
  assert.deepEqual(needed.filter((program) => !(program in packages)), []);
  for (const program of needed) assert.ok(packages[program] === null || there.has(packages[program]), `${program} is not installed in the stage`);
});
