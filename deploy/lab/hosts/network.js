'use strict';
// The lab's machines as network namespaces, joined by a bridge; and cables that can be cut. To be used inside of a lab's namespaces (room.js).

const fs = require('node:fs');
const { spawnSync } = require('node:child_process');

// What there is, in the order in which it is started. Hosts are in zones of their own.
const machines = {
  controller: { address: '10.77.0.2' },
  h1: { address: '10.77.0.11', zone: 'a' },
  h2: { address: '10.77.0.12', zone: 'b' },
  h3: { address: '10.77.0.13', zone: 'c' },
  p1: { address: '10.77.0.21', zone: 'a' },
  p2: { address: '10.77.0.22', zone: 'b' },
  client: { address: '10.77.0.31' },
  database: { address: '10.77.0.41' },
  // A control plane of several: controllers, and the members of an etcd.
  c1: { address: '10.77.0.51' },
  c2: { address: '10.77.0.52' },
  c3: { address: '10.77.0.53' },
  e1: { address: '10.77.0.61' },
  e2: { address: '10.77.0.62' },
  e3: { address: '10.77.0.63' },
};
const prefixBits = 24;
const hosts = ['h1', 'h2', 'h3'];
const proxies = ['p1', 'p2'];
const controllers = ['c1', 'c2', 'c3'];
const stores = ['e1', 'e2', 'e3'];

function must(command, args, input) {
  const { status, stderr, error } = spawnSync(command, args, { input, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr}`);
}

// All machines, each with one cable to the bridge, which is in a namespace of its own.
function build() {
  const lines = ['netns add bridge', ...Object.keys(machines).map((name) => `netns add ${name}`)];
  must('ip', ['-batch', '-'], `${lines.join('\n')}\n`);
  const inBridge = ['link add name br0 type bridge', 'link set br0 up'];
  for (const name of Object.keys(machines)) {
    inBridge.push(`link add name ${name} type veth peer name eth0 netns ${name}`, `link set ${name} master br0 up`);
  }
  must('ip', ['-netns', 'bridge', '-batch', '-'], `${inBridge.join('\n')}\n`);
  for (const [name, { address }] of Object.entries(machines)) {
    must('ip', ['-netns', name, '-batch', '-'], `link set lo up\naddress add ${address}/${prefixBits} dev eth0\nlink set eth0 up\n`);
  }
}

// Command and arguments that run a command on a machine. The process is the command itself: its id stays.
const on = (name, command) => ['nsenter', `--net=/run/netns/${name}`, ...command];

// Runs a script of nft on a machine.
function nft(name, script) {
  const [command, ...args] = on(name, ['nft', '-f', '-']);
  must(command, args, script);
}

// What is on a machine drops, in both directions, what matches: `ip daddr 10.77.0.2`, `tcp flags fin`. Nobody is told, as with a cable that
// is cut. Without a match: everything but loopback.
function cut(name, matches = null) {
  const rules = (hook) => (matches ?? [hook === 'input' ? 'iifname eth0' : 'oifname eth0'])
    .map((match) => `${match} drop`).join('\n');
  nft(name, `table inet cut {
  chain incoming { type filter hook input priority -300; policy accept;\n${rules('input')}\n}
  chain outgoing { type filter hook output priority -300; policy accept;\n${rules('output')}\n}
}\n`);
}

// Between a machine and these others only; what each says to the rest goes through.
function cutBetween(name, ...others) {
  cut(name, others.flatMap((other) => [`ip saddr ${machines[other].address}`, `ip daddr ${machines[other].address}`]));
}

function mend(name) {
  nft(name, 'table inet cut\ndelete table inet cut\n');
}

// Ids of the processes on a machine.
function processesOn(name) {
  const inode = (file) => fs.statSync(file).ino;
  const wanted = inode(`/run/netns/${name}`);
  return fs.readdirSync('/proc').filter((entry) => /^[0-9]+$/.test(entry)).map(Number).filter((pid) => {
    try {
      return inode(`/proc/${pid}/ns/net`) === wanted;
    } catch {
      return false;
    }
  });
}

if (require.main === module) build();
module.exports = { controllers, cut, cutBetween, hosts, machines, mend, nft, on, processesOn, proxies, stores };
