'use strict';
// The packages, in a clean Debian: installed, configured, a request served, upgraded with the app running on, removed, purged. There
// is no systemd in there: the test starts what the units start, as they start it.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { root: source } = require('../../../deploy/lab/cluster.js');
const { run, waitFor } = require('../../../deploy/lab/process.js');
const { bin, scratchFolder } = require('../harness.js');
const { CleanRoot, deadlineMs, ok, packagesOf, rootArchive } = require('./clean_root.js');

const build = path.dirname(bin);
const names = ['remuda-controller', 'remuda-agent', 'remuda-proxy', 'remuda'];
const upgraded = '9.0.0';

// The packages of a version: {name: file}.
async function buildPackages(folder, ...more) {
  await ok(path.join(source, 'deploy/packages/build'), ['--build-dir', build, '--output', folder, ...more], { deadlineMs: 480_000 });
  const files = fs.readdirSync(folder).filter((file) => file.endsWith('.deb'));
  const found = Object.fromEntries(names.map((name) => [name, path.join(folder, files.find((file) => file.startsWith(`${name}_`)) || 'missing')]));
  assert.equal(files.length, names.length, files.join(' '));
  return found;
}

// What ExecStart of a unit says.
function commandOf(root, name) {
  return /^ExecStart=(.*)$/m.exec(root.read(`lib/systemd/system/${name}.service`))[1].split(' ');
}

// Starts it as its unit does: its user, its capabilities, its command line.
function startService(root, name) {
  const capabilities = name === 'remuda-proxy' ? ['--inh-caps=-all,+net_bind_service', '--ambient-caps=-all,+net_bind_service', '--bounding-set=-all,+net_bind_service'] : [];
  const user = name === 'remuda-agent' ? [] : ['setpriv', `--reuid=${name}`, `--regid=${name}`, '--clear-groups', '--no-new-privs', ...capabilities];
  // Whether it is spared or not where memory is short, apps have a score of their own.
  const scored = ['sh', '-c', 'echo 500 >/proc/self/oom_score_adj && exec "$@"', 'sh'];
  return root.start(...scored, ...user, ...commandOf(root, name));
}

async function stopService(root, name) {
  const pid = root.pidOf(`/usr/bin/${name} `);
  assert.notEqual(pid, 0, `${name} runs`);
  await root.ok('sh', '-c', `kill -TERM ${pid}`);
  await waitFor(() => root.pidOf(`/usr/bin/${name} `) === 0, { deadlineMs, what: `${name} to end` });
}

// As postinst does under systemd: one after the other is replaced; the proxy by itself, with another that takes over.
async function replaceServices(root) {
  for (const name of ['remuda-controller', 'remuda-agent']) {
    await stopService(root, name);
    startService(root, name);
  }
  const old = root.pidOf('/usr/bin/remuda-proxy ');
  await root.ok('sh', '-c', `kill -USR2 ${old}`);
  await waitFor(() => {
    const running = root.processes();
    return !running[old] && Object.values(running).some((command) => command.startsWith('/usr/bin/remuda-proxy '));
  }, { deadlineMs, what: 'a new proxy to take over, and the old one to end' });
}

function configure(root, file, settings) {
  const text = root.read(file);
  fs.writeFileSync(root.path(file), `${text}\n${Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`).join('')}`);
}

const modeOf = (root, name) => (fs.statSync(root.path(name)).mode & 0o7777).toString(8);

test('packages: installed, used, upgraded, removed, purged', { skip: process.getuid() === 0 ? false : 'needs root: it makes a root file system' }, async (t) => {
  const scratch = scratchFolder(t);
  const first = await buildPackages(path.join(scratch, 'first'));
  const second = await buildPackages(path.join(scratch, 'second'), '--version', upgraded);
  const files = Object.values(first);

  await t.test('lintian finds no error', async () => {
    const result = await run('lintian', ['--fail-on', 'error', ...files], { deadlineMs: 120_000 });
    assert.equal(result.code, 0, result.stdout + result.stderr);
  });

  const needed = [];
  for (const file of files) needed.push(...packagesOf(await ok('dpkg-deb', ['-f', file, 'Depends'])).filter((name) => !names.includes(name)));
  const archive = await rootArchive(path.join(build, 'clean_root'), needed);
  const root = await CleanRoot.start(t, archive, path.join(scratch, 'root'));
  const before = await root.listing();
  const install = async (packages) => {
    for (const file of packages) fs.copyFileSync(file, root.path(`tmp/${path.basename(file)}`));
    await root.ok('dpkg', '--force-confold', '-i', ...packages.map((file) => `/tmp/${path.basename(file)}`));
  };

  await t.test('installed', async () => {
    await install(files);
    for (const name of names) {
      assert.match(await root.ok(name, '--version'), new RegExp(`^${name}[ \\d.]`), name);
      assert.match(await root.ok(name, '--help'), /Usage/i, name);
    }
    for (const [name, owner, mode] of [['controller', 'remuda-controller', '700'], ['proxy', 'remuda-proxy', '700'], ['agent', 'root', '711']]) {
      assert.equal(modeOf(root, `var/lib/remuda/${name}`), mode);
      assert.equal((await root.ok('stat', '-c', '%U', `/var/lib/remuda/${name}`)).trim(), owner);
      assert.match(await root.ok('dpkg-query', '-W', '-f', '${Conffiles}', `remuda-${name}`), new RegExp(`/etc/remuda/${name}.conf`));
      assert.ok(fs.lstatSync(root.path(`etc/systemd/system/multi-user.target.wants/remuda-${name}.service`)).isSymbolicLink(), 'enabled');
    }
    for (const name of ['agent', 'proxy']) {
      const condition = await root.run(`/usr/lib/remuda/${name}-is-set-up`, name);
      assert.equal(condition.code, 1, 'nothing tells it yet whom to follow');
      assert.match(condition.stderr, /has not joined/);
    }
  });

  await t.test('the units are right', async () => {
    // Beside them only what they name: units of systemd itself, and a shell.
    const folder = path.join(scratch, 'units');
    for (const file of files) await ok('dpkg-deb', ['-x', file, folder]);
    fs.cpSync('/lib/systemd/system', path.join(folder, 'lib/systemd/system'), { recursive: true, verbatimSymlinks: true, force: false });
    fs.mkdirSync(path.join(folder, 'bin'));
    for (const name of ['sh', 'sleep']) fs.copyFileSync(`/bin/${name}`, path.join(folder, 'bin', name));
    const units = ['controller', 'agent', 'instances', 'proxy'].map((name) => `remuda-${name}.service`);
    const result = await run('systemd-analyze', ['verify', '--man=no', '--recursive-errors=no', `--root=${folder}`, ...units]);
    assert.deepEqual([result.code, result.stdout + result.stderr], [0, '']);
    for (const [unit, most] of [['controller', 20], ['proxy', 20], ['instances', 20], ['agent', 67]]) {
      const security = await run('systemd-analyze', ['security', '--offline=yes', `--threshold=${most}`, `--root=${folder}`, `remuda-${unit}.service`]);
      assert.equal(security.code, 0, `${unit} is more exposed than ${most / 10}:\n${security.stdout.slice(-200)}${security.stderr}`);
    }
  });

  await t.test('configured, one request', async () => {
    const controller = startService(root, 'remuda-controller');
    const [, login] = await controller.waitForOutput(/(remuda login .*admin-token)/, deadlineMs);
    await root.ok(...login.split(' '));
    configure(root, 'etc/remuda/agent.conf', { controller: '127.0.0.1:7400', zone: 'a' });
    configure(root, 'etc/remuda/proxy.conf', { controller: '127.0.0.1:7400', 'access-log': '/var/log/remuda/access.log' });
    for (const [name, of] of [['agent', 'host-1'], ['proxy', 'proxy-1']]) {
      assert.equal((await root.run(`/usr/lib/remuda/${name}-is-set-up`, name)).code, 1, 'it has not joined');
      await root.ok('sh', '-c', await root.ok('remuda', 'token', 'create', '--role', name, '--name', of));
      await root.ok(`/usr/lib/remuda/${name}-is-set-up`, name);
      startService(root, `remuda-${name}`);
    }
    assert.equal((await root.ok('stat', '-c', '%U %a', '/var/lib/remuda/proxy/identity/identity.pem')).trim(), 'remuda-proxy 600');
    for (const port of [7480, 7470, 7490]) await root.waitForPage(port, '/readyz');
    fs.cpSync(path.join(__dirname, 'app'), root.path('tmp/app'), { recursive: true });
    fs.copyFileSync(path.join(__dirname, 'app.yaml'), root.path('tmp/app.yaml'));
    await root.ok('remuda', 'image', 'push', 'pid-v1', '/tmp/app');
    await root.ok('remuda', 'apply', '-f', '/tmp/app.yaml', '--wait');
    await root.waitForPage(80);
    assert.equal(await root.ok('cat', `/proc/${root.pidOf('serve.pl')}/oom_score_adj`), '0\n');
  });

  const served = await root.get(80);
  const appPid = root.pidOf('serve.pl');

  await t.test('upgraded: the app runs on, settings are kept', async () => {
    const settings = root.read('etc/remuda/agent.conf');
    await install(Object.values(second));
    assert.equal((await root.ok('dpkg-query', '-W', '-f', '${Version}', 'remuda-agent')).trim(), upgraded);
    assert.deepEqual(await root.get(80), served, 'nothing has stopped yet');
    await replaceServices(root);
    for (const port of [7480, 7470, 7490]) await root.waitForPage(port, '/readyz');
    await root.waitForPage(80);
    assert.deepEqual(await root.get(80), served, 'the same process answers');
    assert.equal(root.pidOf('serve.pl'), appPid);
    assert.equal(root.read('etc/remuda/agent.conf'), settings);
    assert.match(root.read('var/log/remuda/access.log'), /GET/);
  });

  await t.test('removed: settings and data stay; purged: data stays', async () => {
    await root.ok('remuda', 'scale', 'asg/pid', '--min', '0', '--desired', '0', '--wait');
    for (const name of ['remuda-proxy', 'remuda-agent', 'remuda-controller']) await stopService(root, name);
    await root.ok('dpkg', '--remove', ...names);
    for (const name of ['controller', 'agent', 'proxy']) assert.ok(fs.existsSync(root.path(`etc/remuda/${name}.conf`)));
    const said = await root.ok('dpkg', '--purge', ...names);
    assert.match(said, /var\/lib\/remuda\/controller is left as it is/);
    assert.ok(fs.existsSync(root.path('var/lib/remuda/controller/state.db')));
    const known = new Set(before);
    const left = (await root.listing()).filter((line) => !known.has(line) && !/^. var\/lib\/remuda(\/|$)/.test(line));
    assert.deepEqual(left, [], 'what a purge leaves behind');
  });

  await t.test('install-host installs the packages of a folder, the newest, and takes them away', async () => {
    const installHost = (...args) => run(path.join(source, 'deploy/install-host'), ['--root', root.folder, ...args], { deadlineMs: 120_000 });
    const folder = path.dirname(files[0]);
    for (const file of Object.values(second)) fs.copyFileSync(file, path.join(folder, path.basename(file)));
    const installed = await installHost('--from', folder, 'agent', 'cli');
    assert.equal(installed.code, 0, installed.stdout + installed.stderr);
    assert.equal((await root.ok('dpkg-query', '-W', '-f', '${Version}', 'remuda-agent')).trim(), upgraded);
    assert.match((await installHost('--from', folder, 'agent', 'cli')).stdout, /everything is installed/);
    const refused = await installHost('--from', build, 'agent');
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /the package remuda-agent is installed/);
    const removed = await installHost('--uninstall', '--purge', 'agent', 'cli');
    assert.equal(removed.code, 0, removed.stdout + removed.stderr);
    assert.equal((await root.run('dpkg-query', '-W', 'remuda-agent')).code, 1);
  });
});
