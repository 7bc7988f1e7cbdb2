'use strict';
// How a lab's programs and its person come into the cluster: each with a token, once, as on machines of their own.

const { spawnSync } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { waitFor } = require('../process.js');
const { hosts, machines, on } = require('./network.js');

const joinPort = 7443;
const deadlineMs = 60_000;

const joinAddressOf = (name) => `${machines[name].address}:${joinPort}`;

// Runs a command on a machine with `input`; what it printed.
function runOn(machine, command, { input = '', env = {} } = {}) {
  const [program, ...args] = on(machine, command);
  const { status, stdout, stderr, error } = spawnSync(program, args, { input, encoding: 'utf8', timeout: deadlineMs, env: { ...process.env, ...env } });
  if (status !== 0) throw new Error(`${command.map((word) => path.basename(word)).slice(0, 2).join(' ')} on ${machine}: ${error?.message ?? stderr}`);
  return stdout;
}

class Membership {
  // programs: of the lab; bin: folder of the programs; authority: the controller that was started first, which has made the authority and the first
  // admin's token
  constructor(programs, bin, authority) {
    Object.assign(this, { programs, bin, authority });
  }

  // Where the person at the client machine keeps its settings and its key.
  get environment() {
    return { XDG_CONFIG_HOME: path.join(this.programs.folder, 'home') };
  }

  // PEM of the person: its key, its certificate, and what it trusts.
  get person() {
    const folder = path.join(this.environment.XDG_CONFIG_HOME, 'remuda/identities');
    const file = (name) => fs.readFileSync(path.join(folder, fs.readdirSync(folder)[0], name), 'utf8');
    return { identity: file('identity.pem'), authorities: file('authorities.pem') };
  }

  // SHA-256 of the authority's certificate, which is what whoever joins knows of the cluster.
  get pin() {
    const pem = fs.readFileSync(path.join(this.programs.data(this.authority), 'identity/ca.pem'));
    return `sha256:${crypto.createHash('sha256').update(new crypto.X509Certificate(pem).raw).digest('hex')}`;
  }

  // The first admin, with the token that the controller has made for it.
  async login() {
    if (fs.existsSync(path.join(this.programs.folder, 'home/remuda'))) return;
    const file = path.join(this.programs.data(this.authority), 'admin-token');
    const token = await waitFor(() => fs.readFileSync(file, 'utf8'), { deadlineMs, what: "the first admin's token" });
    runOn('client', [path.join(this.bin, 'remuda'), 'login', '--controller', joinAddressOf(this.authority), '--pin', this.pin, '--name', 'admin', '--token-file', '-'], { input: token, env: this.environment });
  }

  // A host or a proxy: the token is made on the client machine and used on the other one. Who has joined has, for good.
  join(name) {
    if (fs.existsSync(path.join(this.programs.data(name), 'identity/identity.pem'))) return;
    const role = hosts.includes(name) ? 'agent' : 'proxy';
    const command = runOn('client', [path.join(this.bin, 'remuda'), 'token', 'create', '--role', role, '--name', name, '--ttl', '15m'], { env: this.environment });
    const [, token, program, args] = / echo (\S+) \| (\S+) (.*)/.exec(command); // the command to run there
    runOn(name, [path.join(this.bin, program), ...args.split(' '), '--data-dir', this.programs.data(name)], { input: `${token}\n` });
  }
}

module.exports = { Membership, joinAddressOf, runOn };
