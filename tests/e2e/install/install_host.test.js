'use strict';
// deploy/install-host: the same files as the packages have, where they have them; again and again; and gone again.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { root: source } = require('../../../deploy/lab/cluster.js');
const { run } = require('../../../deploy/lab/process.js');
const { bin, scratchFolder } = require('../harness.js');

const build = path.dirname(bin);
const program = path.join(source, 'deploy/install-host');
const deadlineMs = 120_000;
const all = ['controller', 'agent', 'proxy', 'cli'];

// A file system with what the programs are linked to, so that ldd finds it: this machine's, seen from a folder.
function makeRoot(folder) {
  for (const name of ['etc', 'tmp', 'var/lib/dpkg', 'proc', 'dev', 'usr']) fs.mkdirSync(path.join(folder, name), { recursive: true });
  fs.writeFileSync(path.join(folder, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  fs.writeFileSync(path.join(folder, 'etc/group'), 'root:x:0:\nadm:x:4:\n');
  fs.writeFileSync(path.join(folder, 'var/lib/dpkg/status'), '');
  return folder;
}

function filesUnder(folder) {
  return fs.readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(folder, path.join(entry.path ?? entry.parentPath, entry.name))).sort();
}

const install = (...args) => run(program, args, { deadlineMs });

test('wrong uses are refused and change nothing', async () => {
  for (const [args, says] of [
    [['server'], "unknown argument 'server'"],
    [['--root'], '--root needs a value'],
    [['--purge', 'agent'], '--purge is for --uninstall'],
    [['--check', '--uninstall', 'agent'], 'exclude each other'],
  ]) {
    const result = await install(...args);
    assert.equal(result.code, 2, args.join(' '));
    assert.match(result.stderr, new RegExp(says.replaceAll('-', '\\-')));
  }
  const help = await install('--help');
  assert.equal(help.code, 0);
  assert.match(help.stdout, /^usage: deploy\/install-host/);
});

test('into another file system, again, and out of it', { skip: process.getuid() === 0 ? false : 'needs root: it makes users' }, async (t) => {
  const scratch = scratchFolder(t);
  const root = makeRoot(path.join(scratch, 'root'));
  const before = filesUnder(root);

  const check = await install('--from', build, '--root', root, '--check', ...all);
  assert.equal(check.code, 1);
  assert.match(check.stderr, /to be installed: .*\/usr\/bin\/remuda-controller/);
  assert.deepEqual(filesUnder(root), before, '--check changes nothing');

  const first = await install('--from', build, '--root', root, ...all);
  assert.equal(first.code, 0, first.stdout + first.stderr);
  const installed = filesUnder(root).filter((file) => !before.includes(file));
  for (const name of ['controller', 'agent', 'proxy']) {
    for (const file of [`usr/bin/remuda-${name}`, `lib/systemd/system/remuda-${name}.service`, `etc/remuda/${name}.conf`, `usr/lib/tmpfiles.d/remuda-${name}.conf`]) assert.ok(installed.includes(file), file);
    assert.equal(fs.readlinkSync(path.join(root, `etc/systemd/system/multi-user.target.wants/remuda-${name}.service`)), `/lib/systemd/system/remuda-${name}.service`);
    assert.ok(fs.statSync(path.join(root, `var/lib/remuda/${name}`)).isDirectory());
  }
  const passwd = fs.readFileSync(path.join(root, 'etc/passwd'), 'utf8');
  const uid = Number(/^remuda-controller:[^:]*:(\d+):/m.exec(passwd)[1]);
  const data = fs.statSync(path.join(root, 'var/lib/remuda/controller'));
  assert.deepEqual([data.uid, data.mode & 0o7777], [uid, 0o700]);

  const settings = path.join(root, 'etc/remuda/agent.conf');
  fs.appendFileSync(settings, 'name = host-1\n');
  fs.writeFileSync(path.join(root, 'usr/bin/remuda'), 'an older one');
  const second = await install('--from', build, '--root', root, ...all);
  assert.equal(second.code, 0, second.stdout + second.stderr);
  assert.match(second.stdout, /will install: \/usr\/bin\/remuda\n/, 'what is as it should be is left alone');
  assert.match(fs.readFileSync(settings, 'utf8'), /name = host-1/, 'settings are kept');
  const third = await install('--from', build, '--root', root, ...all);
  assert.match(third.stdout, /everything is installed/);

  const removed = await install('--root', root, '--uninstall', ...all);
  assert.equal(removed.code, 0, removed.stdout + removed.stderr);
  assert.ok(fs.existsSync(settings), 'settings stay');
  const purged = await install('--root', root, '--uninstall', '--purge', ...all);
  assert.equal(purged.code, 0, purged.stdout + purged.stderr);
  assert.match((await install('--root', root, '--uninstall', ...all)).stdout, /nothing of it is installed/);
  const left = filesUnder(root).filter((file) => !before.includes(file) && !/^etc\/(passwd|group|shadow|gshadow)-?$|^etc\/\.pwd\.lock$/.test(file));
  assert.deepEqual(left, []);
});

test('what broke off half way is brought to its end the next time', { skip: process.getuid() === 0 ? false : 'needs root: it makes users' }, async (t) => {
  const scratch = scratchFolder(t);
  const root = makeRoot(path.join(scratch, 'root'));
  const broken = path.join(scratch, 'broken');
  fs.mkdirSync(broken);
  fs.writeFileSync(path.join(broken, 'systemd-tmpfiles'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
  const args = ['--from', build, '--root', root, 'controller'];
  const first = await run(program, args, { deadlineMs, env: { PATH: `${broken}:${process.env.PATH}` } });
  assert.equal(first.code, 1, first.stdout + first.stderr);
  const second = await install(...args);
  assert.equal(second.code, 0, second.stdout + second.stderr);
  assert.ok(fs.existsSync(path.join(root, 'usr/bin/remuda-controller')));
  fs.readlinkSync(path.join(root, 'etc/systemd/system/multi-user.target.wants/remuda-controller.service'));
});

test('what keeps a unit from its start reads the settings as the programs do', async (t) => {
  const scratch = scratchFolder(t);
  const script = path.join(scratch, 'is-set-up');
  fs.writeFileSync(script, fs.readFileSync(path.join(source, 'deploy/systemd/is-set-up'), 'utf8').replace('/etc/remuda/', `${scratch}/`), { mode: 0o755 });
  const data = path.join(scratch, 'a place');
  fs.mkdirSync(path.join(data, 'identity'), { recursive: true });
  fs.writeFileSync(path.join(data, 'identity/identity.pem'), '');
  for (const [name, settings, code] of [
    ['agent', `data-dir = ${data}\n`, 0],
    ['agent', `data-dir = "${data}"   # quoted\n`, 0],
    ['agent', `data-dir = "${data}"\r\n`, 0],
    ['agent', `#data-dir = ${data}\n`, 1],
    ['agent', `data-dir = ${data}x\n`, 1],
    ['agent', 'data-dir = /nowhere\ninsecure = true\n', 0],
    ['agent', 'data-dir = /nowhere\ninsecure = "false"\n', 1],
    ['proxy', `data-dir = "${data}"\n`, 1],
    ['proxy', `data-dir = "${data}"\ncontroller = ""\n`, 1],
    ['proxy', `data-dir = "${data}"\ncontroller = "10.0.0.1:7400"\n`, 0],
    ['proxy', 'config = "/etc/remuda/proxy.yaml"\n', 0],
  ]) {
    fs.writeFileSync(path.join(scratch, `${name}.conf`), settings);
    assert.equal((await run(script, [name])).code, code, settings);
  }
});

test('it installs what the packages do', async (t) => {
  const scratch = scratchFolder(t);
  const staged = path.join(scratch, 'staged');
  const result = await run('cmake', ['--install', build, '--prefix', staged], { deadlineMs });
  assert.equal(result.code, 0, result.stderr);
  const packaged = filesUnder(staged).filter((file) => !/^usr\/share\/(doc|bash-completion|zsh)\//.test(file));
  const script = fs.readFileSync(program, 'utf8');
  assert.match(script, /files_of/);
  const listed = await run('bash', ['-c', `deploy=${path.join(source, 'deploy')}; source_dir=${build}; ${/^files_of\(\) \{[\s\S]*?^\}/m.exec(script)[0]}; for name in ${all.join(' ')}; do files_of $name; done`]);
  assert.deepEqual(listed.stdout.trim().split('\n').map((line) => line.split(' ')[1]).sort(), packaged);
});
