'use strict';
// Who does not belong is refused, and nobody else notices.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const tls = require('node:tls');
const { runOn } = require('../../../deploy/lab/hosts/membership.js');
const { controllerAddress } = require('../../../deploy/lab/hosts/programs.js');
const { deadlineMs, fault } = require('./fault.js');

// Of `remuda token create`: the token, and the arguments of the command that uses it.
function tokenFor({ cluster }, role, name) {
  const text = runOn('client', [cluster.remuda, 'token', 'create', '--role', role, '--name', name], { env: cluster.environment });
  const [, token, , args] = / echo (\S+) \| (\S+ \S+) (.*)/.exec(text);
  return { token, args: args.split(' ') };
}

fault('token used again, by another name, or guessed', 'remuda-agent join with each', async (scene) => {
  const { cluster } = scene;
  const join = ({ token, args }, folder) => {
    const data = path.join(cluster.scratch(), folder);
    fs.mkdirSync(data, { mode: 0o711 });
    return runOn('client', [path.join(cluster.bin, 'remuda-agent'), 'join', ...args, '--data-dir', data], { input: `${token}\n` });
  };
  const good = tokenFor(scene, 'agent', 'h9');
  join(good, 'once');
  assert.throws(() => join(good, 'again'), /refused|token/i);
  const other = tokenFor(scene, 'agent', 'h8');
  assert.throws(() => join({ token: other.token, args: other.args.map((word) => (word === 'h8' ? 'h7' : word)) }, 'other-name'), /refused|token/i);
  assert.throws(() => join({ token: 'A'.repeat(other.token.length), args: other.args }, 'guessed'), /refused|token/i);
  return {};
});

// Whether the controller ends the connection of a client that shows this certificate, without a byte of HTTP/2.
function isRefused(pem) {
  const [host, port] = controllerAddress.split(':');
  return new Promise((resolve) => {
    const socket = tls.connect({ host, port: Number(port), ...(pem ? { key: pem, cert: pem } : {}), rejectUnauthorized: false, ALPNProtocols: ['h2'], timeout: deadlineMs });
    let hasSpoken = false;
    socket.on('data', () => { hasSpoken = true; socket.destroy(); });
    socket.on('error', () => {});
    socket.on('timeout', () => socket.destroy());
    socket.on('close', () => resolve(!hasSpoken));
    socket.on('secureConnect', () => socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00'));
  });
}

fault("no certificate, another authority's", 'TLS clients at the controller with each', async (scene) => {
  const make = (name, days) => {
    const [key, certificate] = ['key', 'pem'].map((end) => path.join(scene.cluster.scratch(), `${name}.${end}`));
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', certificate, '-days', `${days}`,
      '-subj', `/CN=${name}`, '-addext', 'subjectAltName=URI:spiffe://remuda/person/admin'], { stdio: 'ignore' });
    return fs.readFileSync(key, 'utf8') + fs.readFileSync(certificate, 'utf8');
  };
  assert.ok(await isRefused(null), 'without a certificate');
  assert.ok(await isRefused(make('other', 1)), "another authority's");
  const own = scene.programs.membership.person.identity;
  assert.equal(await isRefused(own), false, 'and its own admin is let in');
  return {};
});
