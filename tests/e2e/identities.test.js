'use strict';
// Who does not belong: certificates that are wrong in each way, crowds at each port, and what renews while requests go on.

const assert = require('node:assert/strict');
const { X509Certificate } = require('node:crypto');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { test } = require('node:test');
const { Process, run, waitFor } = require('../../deploy/lab/process.js');
const { bin, scratchFolder, startCluster, startShop } = require('./harness.js');

const deadlineMs = 60_000;

async function openssl(...args) {
  const { code, stderr } = await run('openssl', args, { deadlineMs: 30_000 });
  assert.equal(code, 0, `openssl ${args.join(' ')}: ${stderr}`);
}

// So many hours from now, as openssl writes it.
function moment(hours) {
  return new Date(Date.now() + hours * 3_600_000).toISOString().replace(/[-:T]|\.\d+/g, '');
}

// A folder with an identity as programs keep it: key and certificate of `id`, signed by `ca` ({cert, key}), trusting `trusted`.
async function makeIdentity(folder, { ca, trusted, id, from = moment(-1), to = moment(24 * 30) }) {
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const at = (name) => path.join(folder, name);
  await openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', at('key.pem'), '-subj', '/CN=x', '-out', at('request.pem'));
  fs.writeFileSync(at('extensions'), `subjectAltName=URI:${id}\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n`);
  fs.writeFileSync(at('index'), '');
  fs.writeFileSync(at('serial'), `${Math.floor(Math.random() * 1e9) + 4096}`.padStart(10, '4'));
  fs.writeFileSync(at('ca.conf'), `[ca]\ndefault_ca=d\n[d]\ndatabase=${at('index')}\nserial=${at('serial')}\nnew_certs_dir=${folder}\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n`);
  await openssl('ca', '-batch', '-notext', '-config', at('ca.conf'), '-cert', ca.cert, '-keyfile', ca.key, '-in', at('request.pem'), '-out', at('cert.pem'),
    '-extfile', at('extensions'), '-startdate', from, '-enddate', to);
  fs.writeFileSync(at('identity.pem'), fs.readFileSync(at('key.pem')) + fs.readFileSync(at('cert.pem')), { mode: 0o600 });
  fs.copyFileSync(trusted, at('authorities.pem'));
  return folder;
}

async function makeAuthority(folder, cluster) {
  fs.mkdirSync(folder, { recursive: true });
  const ca = { cert: path.join(folder, 'ca.pem'), key: path.join(folder, 'ca.key') };
  await openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', ca.key, '-out', ca.cert, '-days', '100',
    '-subj', `/CN=Remuda ${cluster}`, '-addext', 'keyUsage=critical,keyCertSign');
  return ca;
}

test('a certificate that is wrong in any way proves nothing', async (t) => {
  const cluster = await startCluster(t, { hosts: 1 });
  const scratch = scratchFolder(t);
  const controller = path.join(cluster.options.dataDir, 'controller/identity');
  const ca = { cert: path.join(controller, 'ca.pem'), key: path.join(controller, 'ca.key') };
  const trusted = path.join(controller, 'authorities.pem');
  const { clusterId: id } = JSON.parse(await cluster.ok('cluster', '-o', 'json'));
  const strangers = await makeAuthority(path.join(scratch, 'strangers'), id);
  const get = (folder) => run(cluster.remuda, ['get', 'hosts', '--timeout', '10s'], { deadlineMs, env: { REMUDA_CONTROLLER: cluster.address, REMUDA_IDENTITY_DIR: folder } });

  const good = await makeIdentity(path.join(scratch, 'good'), { ca, trusted, id: `spiffe://${id}/person/admin` });
  assert.equal((await get(good)).code, 0, 'one that openssl has made rightly is as good as any');

  await t.test('a person who works with the cluster stays logged in, one who does not drops out', async () => {
    const held = (folder) => new X509Certificate(fs.readFileSync(path.join(folder, 'identity.pem')));
    const renewed = async (name, from, to) => {
      const folder = await makeIdentity(path.join(scratch, name), { ca, trusted, id: `spiffe://${id}/person/admin`, from: moment(from * 24), to: moment(to * 24) });
      const before = held(folder);
      const { code, stderr } = await get(folder);
      return { code, stderr, isNew: held(folder).serialNumber !== before.serialNumber, daysLeft: (Date.parse(held(folder).validTo) - Date.now()) / 86_400_000 };
    };
    const young = await renewed('young', -10, 20);
    assert.deepEqual([young.code, young.isNew], [0, false], 'not before two thirds of its life');
    const old = await renewed('old', -25, 5);
    assert.deepEqual([old.code, old.isNew], [0, true], old.stderr);
    assert.ok(old.daysLeft > 29 && old.daysLeft < 31, `${old.daysLeft}`);
    assert.equal((await get(path.join(scratch, 'old'))).code, 0, 'and the new one is good');
    const over = await renewed('over', -31, -1);
    assert.deepEqual([over.code, over.isNew], [1, false]);
    assert.match(over.stderr, /ended at .*: log in anew/);
  });

  const wrong = {
    'of another authority': { ca: strangers, id: `spiffe://${id}/person/admin` },
    expired: { ca, id: `spiffe://${id}/person/admin`, from: '20200101000000Z', to: '20200201000000Z' },
    'not yet valid': { ca, id: `spiffe://${id}/person/admin`, from: '20390101000000Z', to: '20390201000000Z' },
    'of another cluster': { ca, id: `spiffe://${'0'.repeat(8)}/person/admin` },
    'of no known person': { ca, id: `spiffe://${id}/person/nobody` },
    'of an agent': { ca, id: `spiffe://${id}/agent/h7` },
    'of a proxy': { ca, id: `spiffe://${id}/proxy/p1` },
    'of no identity': { ca, id: 'https://example.org/' },
  };
  for (const [what, options] of Object.entries(wrong)) {
    await t.test(what, async () => {
      const folder = await makeIdentity(path.join(scratch, what.replaceAll(' ', '-')), { trusted, ...options });
      const { code, stderr } = await get(folder);
      assert.notEqual(code, 0);
      assert.doesNotMatch(stderr, /h1/, 'and is told nothing');
    });
  }

  await t.test('revoked, at once', async () => {
    const serial = (await run('openssl', ['x509', '-noout', '-serial', '-in', path.join(good, 'identity.pem')], { deadlineMs: 10_000 })).stdout.split('=')[1].trim().toLowerCase().replace(/^0+/, '');
    await cluster.ok('revoke', serial, '--reason', 'lost');
    const refused = await get(good);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /closed the connection\n.*person\/admin in \(revoked/, 'and is told that it may be that');
    assert.match((await cluster.command('get', 'hosts', '--insecure')).stderr, /leave --insecure out/);
    const misspelt = await cluster.command('revoke', 'agent/h11');
    assert.equal(misspelt.code, 0);
    assert.match(misspelt.stderr, /no agent of the name h11 is known.*revocation delete/, 'who is meant is still in');
    assert.match((await cluster.command('revoke', 'h1')).stderr, /neither ROLE\/NAME/);
    assert.equal((await cluster.command('get', 'hosts')).code, 0, 'others are as before');
  });

  // An agent with another host's certificate, and a program that trusts somebody else.
  for (const [what, make, says] of [
    ['an agent with another host\'s certificate', { ca, trusted, id: `spiffe://${id}/agent/h7` }, /identity of spiffe:.*h7/],
    ['an agent with a proxy\'s certificate', { ca, trusted, id: `spiffe://${id}/proxy/p1` }, /that of a agent is needed|is needed/],
  ]) {
    await t.test(what, async () => {
      const folder = await makeIdentity(path.join(scratch, `agent-${what.length}`), make);
      const agent = new Process(path.join(bin, 'remuda-agent'), { name: 'agent',
        args: ['--name', 'h9', '--controller', cluster.address, '--data-dir', path.join(scratch, 'agent'), '--identity-dir', folder, '--admin', ''] });
      const { code } = await agent.waitForExit(deadlineMs);
      assert.equal(code, 2);
      assert.match(agent.tail(), says);
    });
  }
  await t.test('an agent that trusts another authority does not talk to the controller', async () => {
    const folder = await makeIdentity(path.join(scratch, 'misled'), { ca, trusted: strangers.cert, id: `spiffe://${id}/agent/h8` });
    const agent = new Process(path.join(bin, 'remuda-agent'), { name: 'agent',
      args: ['--controller', cluster.address, '--data-dir', path.join(scratch, 'misled-data'), '--identity-dir', folder, '--admin', ''] });
    try {
      await waitFor(() => /certificate|handshake|SSL|TLS|session/i.test(agent.tail()), { deadlineMs, what: 'the agent to say why' });
      assert.ok(!(await cluster.get('hosts')).some((host) => host.name === 'hosts/h8'));
    } finally {
      agent.signal('SIGKILL');
      await agent.waitForExit(deadlineMs);
    }
  });
});

const residentKib = (pid) => Number(/^VmRSS:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);

test('crowds that begin a handshake and say no more keep nobody out', async (t) => {
  const lab = await startShop(t);
  const { cluster } = lab;
  const { controller, agents, proxies } = cluster.programs;
  const pids = [controller.pid, agents[0].pid, proxies[0].pid];
  const before = pids.map(residentKib);
  const ports = [controller.grpc, controller.join, controller.http, agents[0].http, proxies[0].http];
  const kinds = [null, Buffer.from([0x16, 3, 1, 2, 0, 1]), Buffer.from('GET / HTTP/1.1\r\n'), Buffer.from('\0\xff garbage \r\n\r\n')];
  const perPort = 10_000;
  for (const address of ports) {
    const [host, port] = [address.slice(0, address.lastIndexOf(':')), Number(address.slice(address.lastIndexOf(':') + 1))];
    const crowd = new Set();
    for (let made = 0; made < perPort; made += 500) {
      await Promise.all(Array.from({ length: 500 }, (_, i) => new Promise((resolve) => {
        const socket = net.connect({ host, port });
        const done = setTimeout(resolve, 2_000);
        const end = () => { clearTimeout(done); resolve(); };
        crowd.add(socket);
        socket.on('connect', () => { if (kinds[i % kinds.length]) socket.write(kinds[i % kinds.length]); end(); });
        socket.on('error', end);
        socket.on('close', () => { crowd.delete(socket); end(); });
        socket.resume();
      })));
    }
    if (address === controller.grpc) await cluster.ok('get', 'hosts'); // with the crowd still there
    if (address === controller.join) await cluster.ok('token', 'create', '--role', 'agent', '--name', 'h9', '--ttl', '1m');
    crowd.forEach((socket) => socket.destroy());
  }
  pids.forEach((pid, i) => {
    const grown = residentKib(pid) - before[i];
    assert.ok(grown < 64 * 1024, `${['controller', 'agent', 'proxy'][i]} grew by ${grown} KiB`);
  });
  await cluster.ok('get', 'hosts');
  await lab.stopLoad();
  assert.equal(lab.total.failed, 0, JSON.stringify(lab.failures));
});

test('certificates are renewed while requests go on, and nothing notices', async (t) => {
  const lab = await startShop(t, { env: { REMUDA_CERTIFICATE_LIFETIME: '15s' } });
  const { cluster } = lab;
  const data = cluster.options.dataDir;
  const folders = ['controller/identity', 'agents/h1/identity', 'proxies/p1/identity'].map((name) => path.join(data, name, 'identity.pem'));
  const read = () => folders.map((file) => fs.readFileSync(file, 'utf8'));
  const session = async (program, metric) => Number(new RegExp(`^${metric} (\\d+)`, 'm').exec(await (await fetch(`http://${program.http}/metrics`)).text())[1]);
  const sessions = () => session(cluster.programs.agents[0], 'remuda_agent_sessions_total');
  const began = await sessions();
  for (let round = 1; round <= 2; ++round) {
    const held = read();
    await waitFor(async () => {
      await cluster.ok('get', 'hosts');
      return read().every((text, i) => text !== held[i]);
    }, { deadlineMs, what: `everybody's certificate to be renewed, time ${round}` });
  }
  await lab.serveMore(300);
  await lab.stopLoad();
  assert.equal(await sessions(), began, 'on one session');
  assert.equal(lab.total.failed, 0, JSON.stringify(lab.failures));
});
