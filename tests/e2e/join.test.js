'use strict';
// A cluster with identities, from nothing: the first admin, a host, a proxy and another person join by the commands that are printed; what is
// wrong with a token, a name or a cluster is refused.

const assert = require('node:assert/strict');
const { X509Certificate } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { freePort } = require('../../deploy/lab/cluster.js');
const { Process, run, waitFor } = require('../../deploy/lab/process.js');
const { bin, scratchFolder } = require('./harness.js');

const deadlineMs = 30_000;

// A controller of its own authority.
class Controller {
  constructor(t, scratch, name = 'controller') {
    this.dataDir = path.join(scratch, name);
    this.readyFile = path.join(scratch, `${name}.ready`);
    this.ports = { listen: 0, join: 0 };
    t.after(() => this.end());
  }

  async start(...more) {
    fs.rmSync(this.readyFile, { force: true });
    this.process = new Process(path.join(bin, 'remuda-controller'), {
      args: ['--data-dir', this.dataDir, '--listen', `127.0.0.1:${this.ports.listen}`, '--http', '127.0.0.1:0', '--join-listen', `127.0.0.1:${this.ports.join}`, '--ready-file', this.readyFile, ...more],
    });
    await waitFor(() => fs.existsSync(this.readyFile) || this.process.result, { deadlineMs, what: 'the controller to serve' });
    assert.ok(fs.existsSync(this.readyFile), this.process.tail());
    Object.assign(this, JSON.parse(fs.readFileSync(this.readyFile, 'utf8')));
    return this;
  }

  async end() {
    if (this.process) await this.process.end();
  }

  // Logs in with the token that the controller has left.
  async adminLogsIn(person, ...more) {
    const [, pin] = await this.process.waitForOutput(/--pin (sha256:[0-9a-f]{64})/, deadlineMs);
    this.pin = pin;
    return person.ok('login', '--controller', this.join, '--pin', pin, '--name', 'admin', '--token-file', path.join(this.dataDir, 'admin-token'), ...more);
  }
}

// Somebody with a home of their own.
class Person {
  constructor(scratch, name) {
    this.home = path.join(scratch, name);
    fs.mkdirSync(this.home);
    this.env = { HOME: this.home, XDG_CONFIG_HOME: '', PATH: `${bin}:${process.env.PATH}` };
  }

  remuda(...args) {
    return run(path.join(bin, 'remuda'), args, { env: this.env });
  }

  async ok(...args) {
    const { code, stdout, stderr } = await this.remuda(...args);
    assert.equal(code, 0, `remuda ${args.join(' ')}: ${stderr}`);
    return stdout;
  }

  // A printed command, with what is put behind it.
  shell(command, more = '') {
    return run('/bin/sh', ['-c', `${command.trimEnd()} ${more}`], { env: this.env });
  }
}

const modeOf = (file) => (fs.statSync(file).mode & 0o777).toString(8);

test('a cluster from nothing', async (t) => {
  const scratch = scratchFolder(t);
  const controller = await new Controller(t, scratch).start();
  const admin = new Person(scratch, 'admin');
  assert.equal((await admin.remuda('get', 'hosts')).code, 1, 'nobody is logged in');
  const tokenFile = path.join(controller.dataDir, 'admin-token');
  assert.equal(modeOf(tokenFile), '600');
  const shown = () => run(path.join(bin, 'remuda-controller'), ['admin-token', '--data-dir', controller.dataDir]);
  const first = await shown();
  assert.equal(first.stdout, fs.readFileSync(tokenFile, 'utf8'));
  await controller.adminLogsIn(admin);
  assert.ok(first.stderr.includes(`--pin ${controller.pin} --name admin`), first.stderr);
  await waitFor(() => !fs.existsSync(tokenFile), { deadlineMs, what: 'the used token to go' });
  const none = await shown();
  assert.equal(none.code, 1);
  assert.match(none.stderr, /an admin has joined already/);
  assert.equal(modeOf(path.join(admin.home, '.config/remuda/config.yaml')), '600');
  await admin.ok('get', 'hosts');

  await t.test('a host joins by the command that is printed, once', async () => {
    const command = await admin.ok('token', 'create', '--role', 'agent', '--name', 'h1', '--ttl', '5m');
    assert.equal(command.trimEnd().split('\n').length, 1, command);
    const dataDir = path.join(scratch, 'h1');
    const joined = await admin.shell(command, `--data-dir ${dataDir}`);
    assert.equal(joined.code, 0, joined.stderr);
    assert.match(joined.stdout, /Joined as spiffe:\/\/[^/]+\/agent\/h1/);
    for (const file of ['identity.pem', 'authorities.pem', 'joined.json']) assert.equal(modeOf(path.join(dataDir, 'identity', file)), '600');
    const again = await admin.shell(command, `--data-dir ${path.join(scratch, 'thief')}`);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /the token is not good for this/);
    const agent = new Process(path.join(bin, 'remuda-agent'), {
      args: ['--controller', controller.grpc, '--data-dir', dataDir, '--admin', ''],
    });
    t.after(() => agent.end());
    const machine = path.join(dataDir, 'machine');
    await waitFor(async () => /\bh1\b/.test(await admin.ok('get', 'hosts')), { deadlineMs, what: `h1 to be there: ${agent.tail()}` });
    await waitFor(() => fs.existsSync(machine), { deadlineMs, what: 'what the agent notes of its machine' });
  });

  await t.test('a token is for its name and role, and for a time', async () => {
    const command = await admin.ok('token', 'create', '--role', 'agent', '--name', 'h2');
    const dataDir = `--data-dir ${path.join(scratch, 'h2')}`;
    for (const [from, to] of [['--name h2', '--name h3'], ['remuda-agent', 'remuda-proxy'], [/echo \S+/, `echo ${'x'.repeat(43)}`]]) {
      const wrong = await admin.shell(command.replace(from, to), dataDir);
      assert.equal(wrong.code, 1, `${from}`);
      assert.match(wrong.stderr, /the token is not good for this/);
    }
    const elsewhere = await admin.shell(command.replace(/sha256:\w+/, `sha256:${'0'.repeat(64)}`), dataDir);
    assert.match(elsewhere.stderr, /no authority with the pin/);
    assert.equal((await admin.shell(command, dataDir)).code, 0);
    assert.match((await admin.remuda('token', 'create', '--role', 'agent', '--name', 'h4', '--ttl', '2s')).stderr, /10s-24h/);
    const dropped = await admin.ok('token', 'create', '--role', 'agent', '--name', 'h5');
    const [, name] = /(joinTokens\/\S+)\s+agent\/h5\s+open/.exec(await admin.ok('token', 'list'));
    await admin.ok('token', 'delete', name);
    assert.match((await admin.shell(dropped, `--data-dir ${path.join(scratch, 'h5')}`)).stderr, /not good/);
  });

  await t.test('machines of one kind join with one token, so many times', async () => {
    const command = await admin.ok('token', 'create', '--role', 'agent', '--name', 'node-*', '--uses', '3', '--ttl', '30d');
    assert.ok(!command.includes('--name'), 'each has its own');
    const join = (name, ...more) => admin.shell(command, [`--name ${name} --data-dir ${path.join(scratch, name)}`, ...more].join(' '));
    assert.match((await join('h7')).stderr, /the token is not good for this/);
    assert.equal((await join('node-1')).code, 0);
    assert.match((await join('node-1', '--if-needed')).stdout, /Joined already as node-1/, 'what runs before each start uses up nothing');
    assert.equal((await join('node-2', '--if-needed')).code, 0);
    assert.match(await admin.ok('token', 'list'), /agent\/node-\*\s+open\s+2\/3/);
    fs.rmSync(path.join(scratch, 'node-1'), { recursive: true });
    assert.equal((await join('node-1', '--if-needed')).code, 0, 'one that has lost its disk');
    assert.match((await join('node-3')).stderr, /the token is not good for this/);
    assert.match(await admin.ok('token', 'list'), /agent\/node-\*\s+used\s+3\/3/);
    assert.match((await admin.remuda('token', 'create', '--role', 'agent', '--name', 'node-*')).stderr, /max_uses must be 2 or more/);
    assert.match((await admin.remuda('token', 'create', '--role', 'agent', '--name', 'node-*', '--uses', '2', '--ttl', '366d')).stderr, /10s-8760h/);
    assert.match((await admin.remuda('token', 'create', '--role', 'person', '--name', 'admin', '--uses', '2')).stderr, /used once/);
  });

  await t.test('a token whose time is over', async () => {
    const command = await admin.ok('token', 'create', '--role', 'agent', '--name', 'h6', '--ttl', '10s');
    const isOver = async () => /agent\/h6\s+over/.test(await admin.ok('token', 'list'));
    assert.equal(await isOver(), false);
    await waitFor(isOver, { deadlineMs, what: 'the token to be over' });
    const late = await admin.shell(command, `--data-dir ${path.join(scratch, 'h6')}`);
    assert.equal(late.code, 1);
    assert.match(late.stderr, /the token is not good for this/);
  });

  await t.test('a proxy joins', async () => {
    const command = await admin.ok('token', 'create', '--role', 'proxy', '--name', 'p1');
    const dataDir = path.join(scratch, 'p1');
    assert.equal((await admin.shell(command, `--data-dir ${dataDir}`)).code, 0);
    const proxy = new Process(path.join(bin, 'remuda-proxy'), {
      args: ['--controller', controller.grpc, '--data-dir', dataDir, '--admin', '127.0.0.1:0'],
    });
    t.after(() => proxy.end());
    await waitFor(async () => /\bp1\b/.test(await admin.ok('get', 'proxies')), { deadlineMs, what: `p1 to be there: ${proxy.tail()}` });
  });

  await t.test('contexts: two clusters, two people', async () => {
    const other = await new Controller(t, scratch, 'other').start();
    await assert.rejects(other.adminLogsIn(admin), /is of another cluster/);
    await other.adminLogsIn(admin, '--as', 'second');
    assert.equal((await admin.ok('get', 'hosts')).includes('h1'), false, 'now in the other one');
    assert.equal((await admin.ok('config', 'current-context')).trim(), 'second');
    await admin.ok('config', 'rename-context', 'admin@127.0.0.1', 'first');
    const contexts = await admin.ok('config', 'get-contexts');
    assert.match(contexts, /^\*\s+second\s/m);
    assert.match(contexts, /^\s+first\s.*spiffe:\S+\/person\/admin/m);
    assert.equal((await admin.ok('--context', 'first', 'get', 'hosts')).includes('h1'), true);
    // Its identity stands where it stood: nobody else's is put there.
    await admin.ok('--context', 'first', 'user', 'create', 'bob', '--role', 'viewer');
    const bob = (await admin.ok('--context', 'first', 'token', 'create', '--role', 'person', '--name', 'bob')).trimEnd();
    const taken = await admin.shell(bob, '--as admin@127.0.0.1');
    assert.equal(taken.code, 1);
    assert.match(taken.stderr, /context first keeps the identity of person\/admin/);
    assert.match(await admin.ok('--context', 'first', 'whoami'), /person\/admin, admin/);
    assert.equal((await admin.shell(bob)).code, 0, 'the token was not used up for it');
    assert.match(await admin.ok('whoami'), /person\/bob, viewer/);
    await admin.ok('config', 'use-context', 'second');
    assert.equal((await admin.ok('config', 'current-context')).trim(), 'second');
    await admin.ok('config', 'delete-context', 'second');
    assert.equal((await admin.remuda('get', 'hosts')).code, 1);
    await admin.ok('config', 'use-context', 'first');
    // An identity of one cluster is not written over by another's.
    await other.end();
    await other.start('--new-admin-token');
    const foreign = new Person(scratch, 'foreign');
    await other.adminLogsIn(foreign);
    const command = await foreign.ok('token', 'create', '--role', 'agent', '--name', 'h1');
    const here = `--data-dir ${path.join(scratch, 'h1')}`;
    assert.match((await foreign.shell(command, here)).stderr, /--force replaces it/);
    // The token was not used up for it.
    assert.equal((await foreign.shell(command, `--data-dir ${path.join(scratch, 'foreign-h1')}`)).code, 0);
  });

  await t.test('once an admin is in, no start makes a token', async () => {
    await controller.end();
    await controller.start();
    assert.equal(fs.existsSync(tokenFile), false);
    // The same authority: who had joined is known still.
    await admin.ok('--controller', controller.grpc, 'get', 'hosts');
  });
});

test('people: what each may do, who did it, who is shut out', async (t) => {
  const scratch = scratchFolder(t);
  const controller = await new Controller(t, scratch).start();
  const admin = new Person(scratch, 'admin');
  await controller.adminLogsIn(admin);

  // Makes the user, and a person who is logged in as it.
  const join = async (name, ...role) => {
    assert.match(await admin.ok('user', 'create', name, ...role), new RegExp(`${name}\\s+${role[1]}`));
    const person = new Person(scratch, name);
    const login = await person.shell(await admin.ok('token', 'create', '--role', 'person', '--name', name));
    assert.equal(login.code, 0, login.stderr);
    return person;
  };
  const vera = await join('vera', '--role', 'viewer');
  const dan = await join('dan', '--role', 'deployer', '--group', 'blue', '--group', 'green');
  assert.match(await dan.ok('whoami'), /^spiffe:\/\/\S+\/person\/dan, deployer blue green; certificate [0-9a-f]+ until /);
  assert.match(JSON.parse(await vera.ok('whoami', '-o', 'json')).user.role, /VIEWER$/);
  const users = await admin.ok('user', 'list');
  assert.match(users, /^dan\s+deployer\s+blue,green/m);
  assert.doesNotMatch(await admin.ok('user', 'list', '--filter', 'role = ADMIN'), /dan/);
  const again = await admin.remuda('user', 'create', 'dan', '--role', 'viewer');
  assert.equal(again.code, 1);
  assert.match(again.stderr, /users\/dan: exists already|exists already/);
  assert.equal((await admin.remuda('user', 'create', 'eve', '--role', 'king')).code, 2, 'no such role');

  const manifest = path.join(scratch, 'group.yaml');
  fs.writeFileSync(manifest, 'kind: TargetGroup\nname: blue\nprotocol: HTTP\n');
  await t.test('what the role does not allow is refused, by name', async () => {
    for (const person of [vera, dan]) {
      const { code, stderr } = await person.remuda('apply', '-f', manifest);
      assert.equal(code, 1);
      assert.match(stderr, /may not call remuda\.v1\.ApplyService\/ApplyResources/);
    }
    await vera.ok('get', 'hosts');
    assert.match((await vera.remuda('user', 'set-role', 'vera', '--role', 'admin')).stderr, /person\/vera \(viewer\) may not call/);
  });

  await t.test('another role acts with the next call', async () => {
    assert.match(await admin.ok('user', 'set-role', 'vera', '--role', 'operator'), /vera\s+operator/);
    await vera.ok('apply', '-f', manifest);
  });

  await t.test('the audit log has all of it', async () => {
    const records = (await admin.ok('audit', '--filter', 'actor = person/vera', '-o', 'json', '--limit', '100')).trim();
    const list = records.startsWith('[') ? JSON.parse(records) : records.split('\n').map((line) => JSON.parse(line));
    assert.ok(list.some((one) => one.code === 7 && /may not call/.test(one.error) && one.userRole === 'viewer'), records);
    assert.ok(list.some((one) => !one.code && one.resources?.includes('targetGroups/blue') && one.userRole === 'operator' && one.certificateSerial), records);
    const text = await admin.ok('audit', '-o', 'wide');
    assert.match(text, /person\/vera\s+operator\s+127\.0\.0\.1:\d+\s+[0-9a-f]+\s+ApplyResources\s+targetGroups\/blue/);
    assert.match((await admin.remuda('audit', '--filter', 'colour = red')).stderr, /filter/);
  });

  await t.test('who is revoked is out, is told where to look, and comes back with a new token', async () => {
    assert.match(await admin.ok('revoke', 'person/dan', '--reason', 'left'), /person\/dan\s+person\/admin\s.*left/);
    const out = await dan.remuda('get', 'hosts', '--timeout', '10s');
    assert.equal(out.code, 1);
    assert.match(out.stderr, /person\/dan/, 'as whom it was tried');
    assert.match(await admin.ok('audit', '--filter', 'method = handshake'), /person\/dan is shut out: the identity was revoked/);
    assert.match(await admin.ok('revocation', 'list'), /r-1\s+person\/dan/);
    // Certificates' times are whole seconds: what is issued in that of the revocation is shut out by it.
    const revoked = Math.floor(Date.now() / 1_000);
    await waitFor(() => Math.floor(Date.now() / 1_000) > revoked, { deadlineMs, what: 'the next second' });
    const login = await dan.shell(await admin.ok('token', 'create', '--role', 'person', '--name', 'dan'));
    assert.equal(login.code, 0, login.stderr);
    await dan.ok('get', 'hosts');
    const [, serial] = /certificate ([0-9a-f]+) /.exec(await dan.ok('whoami'));
    await admin.ok('revoke', serial);
    assert.equal((await dan.remuda('get', 'hosts', '--timeout', '10s')).code, 1);
    await admin.ok('revocation', 'delete', 'r-2');
    await dan.ok('get', 'hosts');
  });

  await t.test('nobody locks the last door behind him', async () => {
    assert.match((await admin.remuda('revoke', 'person/admin')).stderr, /is your own; another admin must do it/);
    assert.match((await admin.remuda('user', 'set-role', 'admin', '--role', 'viewer')).stderr, /is the only admin/);
    assert.match((await admin.remuda('user', 'delete', 'admin')).stderr, /is the only admin/);
    assert.match((await admin.remuda('revoke', 'king/dan')).stderr, /must be ROLE\/NAME/);
    assert.match((await admin.remuda('revocation', 'delete', 'r-9')).stderr, /r-9/);
    assert.match((await admin.remuda('user', 'delete', 'nobody')).stderr, /users\/nobody/);
  });

  await t.test('a user that is deleted is out, and another of that name inherits nothing', async () => {
    await admin.ok('user', 'delete', 'vera');
    assert.equal((await vera.remuda('get', 'hosts', '--timeout', '10s')).code, 1);
    await admin.ok('user', 'create', 'vera', '--role', 'viewer');
    assert.equal((await vera.remuda('get', 'hosts', '--timeout', '10s')).code, 1);
  });
});

async function openssl(...args) {
  const { code, stdout, stderr } = await run('openssl', args);
  assert.equal(code, 0, `openssl ${args.join(' ')}: ${stderr}`);
  return stdout;
}

// Certificates as an organisation's own authority would make them: a root, and what it signs.
class Issuer {
  constructor(folder) {
    fs.mkdirSync(folder);
    this.at = (name) => path.join(folder, name);
  }

  async makeRoot() {
    await openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', this.at('root.key'), '-out', this.at('root.pem'), '-days', '100',
      '-subj', '/CN=the root', '-addext', 'keyUsage=critical,keyCertSign');
    return this;
  }

  async sign(name, extensions) {
    await openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', this.at(`${name}.key`), '-subj', `/CN=${name}`, '-out', this.at(`${name}.csr`));
    fs.writeFileSync(this.at(`${name}.ext`), extensions.join('\n'));
    await openssl('x509', '-req', '-in', this.at(`${name}.csr`), '-CA', this.at('root.pem'), '-CAkey', this.at('root.key'), '-CAcreateserial', '-days', '10', '-extfile', this.at(`${name}.ext`), '-out', this.at(`${name}.pem`));
    fs.chmodSync(this.at(`${name}.key`), 0o600);
  }

  // Of a program or a person.
  signIdentity(name, id, uses) {
    return this.sign(name, [`subjectAltName=URI:${id}`, 'basicConstraints=critical,CA:FALSE', 'keyUsage=critical,digitalSignature', `extendedKeyUsage=${uses}`]);
  }
}

const certificatesIn = (file) => fs.readFileSync(file, 'utf8').split('BEGIN CERTIFICATE').length - 1;

test('an intermediate authority that is given', async (t) => {
  const scratch = scratchFolder(t);
  const issuer = await new Issuer(path.join(scratch, 'issuer')).makeRoot();
  await issuer.sign('intermediate', ['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign', 'subjectKeyIdentifier=hash']);
  const chain = issuer.at('chain.pem');
  fs.writeFileSync(chain, fs.readFileSync(issuer.at('intermediate.pem'), 'utf8') + fs.readFileSync(issuer.at('root.pem'), 'utf8'));
  const controller = await new Controller(t, scratch).start('--ca-cert', chain, '--ca-key', issuer.at('intermediate.key'));
  const admin = new Person(scratch, 'admin');
  await controller.adminLogsIn(admin);
  const fingerprint = await openssl('x509', '-in', issuer.at('root.pem'), '-noout', '-fingerprint', '-sha256');
  assert.equal(controller.pin, `sha256:${fingerprint.trim().split('=')[1].replaceAll(':', '').toLowerCase()}`, 'the root is what all know');
  const command = await admin.ok('token', 'create', '--role', 'agent', '--name', 'h1');
  const dataDir = path.join(scratch, 'h1');
  assert.equal((await admin.shell(command, `--data-dir ${dataDir}`)).code, 0);
  assert.equal(certificatesIn(path.join(dataDir, 'identity/identity.pem')), 2);
  assert.equal(fs.readFileSync(path.join(dataDir, 'identity/authorities.pem'), 'utf8'), fs.readFileSync(issuer.at('root.pem'), 'utf8'));
  assert.equal(fs.existsSync(path.join(controller.dataDir, 'identity/ca.key')), false, 'its key stays where it was');
});

test('certificates that are issued elsewhere', async (t) => {
  const scratch = scratchFolder(t);
  const controller = await new Controller(t, scratch).start();
  const admin = new Person(scratch, 'admin');
  await controller.adminLogsIn(admin);
  const { clusterId } = JSON.parse(await admin.ok('cluster', '-o', 'json'));
  await controller.end();

  const issuer = await new Issuer(path.join(scratch, 'issuer')).makeRoot();
  await issuer.signIdentity('controller', `spiffe://${clusterId}/controller/m1`, 'serverAuth,clientAuth');
  await issuer.signIdentity('person', `spiffe://${clusterId}/person/admin`, 'clientAuth');
  const identity = path.join(scratch, 'identity');
  fs.mkdirSync(identity, { mode: 0o700 });
  fs.writeFileSync(path.join(identity, 'identity.pem'), fs.readFileSync(issuer.at('person.key')) + fs.readFileSync(issuer.at('person.pem')), { mode: 0o600 });
  fs.copyFileSync(issuer.at('root.pem'), path.join(identity, 'authorities.pem'));
  const given = ['--tls-cert', issuer.at('controller.pem'), '--tls-key', issuer.at('controller.key'), '--ca-bundle', issuer.at('root.pem')];
  await controller.start(...given);
  const remuda = (...args) => admin.remuda('--controller', controller.grpc, '--identity-dir', identity, ...args);
  assert.equal((await remuda('get', 'hosts')).code, 0);
  assert.equal((await admin.remuda('--controller', controller.grpc, 'get', 'hosts')).code, 1, 'the authority of before is trusted no more');
  const token = await remuda('token', 'create', '--role', 'agent', '--name', 'h1');
  assert.equal(token.code, 1);
  assert.match(token.stderr, /issued elsewhere/);

  // Renewed by whoever issues them: the key alone is a pair that does not fit, and leaves what was shown.
  const shown = () => fs.readFileSync(path.join(controller.dataDir, 'identity/identity.pem'), 'utf8');
  const before = shown();
  await issuer.signIdentity('controller', `spiffe://${clusterId}/controller/m1`, 'serverAuth,clientAuth');
  await waitFor(() => shown() !== before, { deadlineMs, what: 'the new certificate to be shown' });
  assert.equal((await remuda('get', 'hosts')).code, 0);
});

test('an agent that was away for longer than its certificate comes back by itself', async (t) => {
  const scratch = scratchFolder(t);
  const controller = new Controller(t, scratch);
  controller.ports = { listen: await freePort(), join: await freePort() };
  await controller.start('--certificate-lifetime', '15s');
  const admin = new Person(scratch, 'admin');
  await controller.adminLogsIn(admin);
  const command = await admin.ok('token', 'create', '--role', 'agent', '--name', 'h1');
  const dataDir = path.join(scratch, 'h1');
  assert.equal((await admin.shell(command, `--data-dir ${dataDir}`)).code, 0);
  const agent = new Process(path.join(bin, 'remuda-agent'), { args: ['--controller', controller.grpc, '--data-dir', dataDir, '--admin', ''] });
  t.after(() => agent.end());
  const isReady = async () => /"CONNECTED"/.test(await admin.ok('get', 'host', 'h1', '-o', 'json'));
  await waitFor(isReady, { deadlineMs, what: `h1 to be ready: ${agent.tail()}` });
  await controller.end();
  const endsIn = () => Date.parse(new X509Certificate(fs.readFileSync(path.join(dataDir, 'identity/identity.pem'))).validTo) - Date.now();
  await waitFor(() => endsIn() < -2_000, { deadlineMs, what: 'the certificate to be over' });
  await controller.start();
  await waitFor(() => endsIn() > 0, { deadlineMs: 120_000, what: `the certificate to be renewed: ${agent.tail()}` });
  await waitFor(isReady, { deadlineMs: 120_000, what: `h1 to be ready again: ${agent.tail()}` });
});
