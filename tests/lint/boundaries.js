#!/usr/bin/env node
'use strict';
// Checks who may include what (docs/architecture.md). A rule holds for a folder and what lies under it, unless a
// longer folder has a rule of its own. `own` are folders of this project (and generated protos, "remuda/..."),
// `outside` are other headers: what a file may not reach, directly or through headers of ours, is refused.
//
//   node tests/lint/boundaries.js [ROOT]

const fs = require('node:fs');
const path = require('node:path');

const messages = ['remuda/', 'google/rpc/']; // generated; `services` adds *.grpc.pb.h
const threads = ['thread', 'mutex', 'shared_mutex', 'condition_variable', 'future', 'semaphore', 'latch', 'barrier'];
// A name is the header's own, a folder's (with / at its end), or the beginning of several (with *).
const io = ['boost/', 'grpc*', 'sys/socket.h', 'sys/epoll.h', 'netinet/', 'unistd.h', 'fcntl.h', 'sqlite3.h', 'openssl/',
  'archive*', 'spdlog/', 'yaml-cpp/', 'CLI/', 'fstream', 'filesystem', 'iostream'];

// The rooms of the controller, each with those whose headers it may include besides its own.
const core = (...rooms) => ({ own: [...rooms.map((room) => `controller/core/${room}`), 'common/', ...messages],
  never: [...io, ...threads], pure: true });
const shell = (...rooms) => ({ own: [...rooms.map((room) => `controller/${room}/`), 'controller/limits.h', 'controller/core/',
  'common/', ...messages], services: true });

// Those of the proxy. What an exchange needs of its client it says itself (exchange/client_stream.h).
const room = (...rooms) => ({ own: [...rooms.map((name) => `proxy/${name}`), 'proxy/core/', 'proxy/http/', 'common/', ...messages],
  services: true });

const rules = {
  'common': { own: ['common/', ...messages], services: true },
  'controller/core': core(''),
  'controller/core/model': core('model/'),
  'controller/core/analysis': core('model/', 'analysis/'),
  'controller/core/schedule': core('model/time.h', 'schedule/'),
  'controller/core/reconcile': core('model/', 'reconcile/'),
  'controller/core/metrics': core('model/', 'reconcile/', 'metrics/'),
  'controller/core/deployment': core('model/', 'analysis/', 'reconcile/', 'deployment/'),
  'controller/core/policies': core('model/', 'policies/'),
  'controller/core/scaling': core('model/', 'schedule/', 'policies/', 'reconcile/', 'deployment/', 'scaling/'),
  'controller/core/views': core('model/', 'analysis/', 'reconcile/', 'deployment/', 'views/'),
  'controller/core/door': core('model/', 'analysis/', 'schedule/', 'reconcile/', 'metrics/', 'policies/', 'deployment/', 'views/', 'door/'),
  'controller': { own: ['controller/', 'common/', ...messages], services: true },
  'controller/store': shell('store'),
  'controller/images': shell('images'),
  'controller/identity': shell('identity'),
  'controller/backup': shell('store', 'images', 'backup'),
  'controller/views': shell('views'),
  'controller/engine': shell('store', 'views', 'engine'),
  'controller/sessions': shell('views', 'engine', 'identity', 'sessions'),
  'controller/probes': shell('engine', 'views', 'probes'),
  'controller/kubernetes': shell('engine', 'views', 'kubernetes'),
  'controller/metering': shell('engine', 'views', 'probes', 'metering'),
  'controller/api': shell('views', 'engine', 'sessions', 'identity', 'images', 'backup', 'probes', 'kubernetes', 'metering', 'api'),
  'agent/core': { own: ['agent/core/', 'common/', ...messages], never: [...io, ...threads], pure: true },
  'agent': { own: ['agent/', 'common/', ...messages], services: true },
  'proxy/core': { own: ['proxy/core/', 'proxy/http/', 'common/', ...messages], never: [...io, ...threads], pure: true },
  'proxy/http': { own: ['proxy/http/', 'common/'], never: [...io, ...threads, 'google/protobuf/', 'remuda/'], pure: true },
  'proxy/io': room('io/'),
  'proxy/tls': room('tls/', 'io/'),
  'proxy/telemetry': room('telemetry/', 'tls/'),
  'proxy/target': room('target/', 'io/', 'tls/'),
  'proxy/exchange': room('exchange/', 'target/', 'telemetry/', 'io/', 'tls/'),
  'proxy/client': room('client/', 'exchange/', 'target/', 'telemetry/', 'io/', 'tls/'),
  'proxy/control': room('control/', 'worker.h', 'target/', 'telemetry/', 'io/', 'tls/'),
  'proxy/admin': room('admin/', 'control/', 'telemetry/'),
  'proxy': { own: ['proxy/', 'common/', ...messages], services: true },
  'cli': { own: ['cli/', 'common/', ...messages], services: true },
};

// A core gets time and seeds as arguments.
const impure = [
  [/\babsl::Now\(\)/, 'reads the clock'],
  [/\b(system|steady|high_resolution)_clock::now\(\)/, 'reads the clock'],
  [/\bstd::random_device\b|\babsl::BitGen\b|\brand\(\)/, 'makes randomness of its own'],
  [/\bgetenv\(/, 'reads the environment'],
];

function sourcesUnder(root, folder) {
  const full = path.join(root, folder);
  if (!fs.existsSync(full)) return [];
  return fs.readdirSync(full, { withFileTypes: true }).flatMap((entry) => {
    const name = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return sourcesUnder(root, name);
    return /\.(cc|h)$/.test(entry.name) ? [name] : [];
  });
}

function ruleOf(file) {
  const folders = Object.keys(rules).filter((folder) => file.startsWith(`${folder}/`));
  return folders.sort((a, b) => b.length - a.length)[0];
}

function readSource(root, file) {
  const lines = fs.readFileSync(path.join(root, file), 'utf8').split('\n');
  const includes = [];
  lines.forEach((line, index) => {
    const match = /^\s*#\s*include\s*([<"])([^>"]+)[>"]/.exec(line);
    if (match) includes.push({ name: match[2], line: index + 1 });
  });
  return { lines, includes };
}

const matchesAny = (name, patterns) => patterns.some((pattern) => name === pattern ||
  (/[*/]$/.test(pattern) && name.startsWith(pattern.replace('*', ''))));

// Every complaint about the sources under `root`, one line each.
function check(root) {
  const complaints = [];
  const sources = new Map();
  const load = (file) => {
    if (!sources.has(file)) sources.set(file, readSource(root, file));
    return sources.get(file);
  };
  const isOurs = (name) => Boolean(ruleOf(name)) && fs.existsSync(path.join(root, name));

  // The headers outside this project that `file` reaches, each with the way to it.
  const reach = (file, way, seen) => load(file).includes.flatMap(({ name, line }) => {
    const step = [...way, `${file}:${line}`];
    if (!isOurs(name)) return [{ name, way: step }];
    if (seen.has(name)) return [];
    seen.add(name);
    return reach(name, step, seen);
  });

  for (const top of new Set(Object.keys(rules).map((folder) => folder.split('/')[0]))) {
    for (const file of sourcesUnder(root, top)) {
      const folder = ruleOf(file);
      const rule = rules[folder];
      const { lines, includes } = load(file);
      for (const { name, line } of includes) {
        const generated = messages.some((prefix) => name.startsWith(prefix));
        const known = generated || ruleOf(name) || name.startsWith('tests/');
        if (known && !rule.own.some((prefix) => name.startsWith(prefix))) {
          complaints.push(`${file}:${line}: ${folder} may not include ${name} (it may: ${rule.own.join(' ')})`);
        }
        if (name.endsWith('.grpc.pb.h') && !rule.services) {
          complaints.push(`${file}:${line}: ${folder} may not include services (${name})`);
        }
      }
      for (const { name, way } of rule.never ? reach(file, [], new Set([file])) : []) {
        if (matchesAny(name, rule.never)) {
          complaints.push(`${way[0]}: ${folder} may not reach <${name}>${way.length > 1 ? ` (through ${way.slice(1).join(', ')})` : ''}`);
        }
      }
      if (rule.pure) {
        lines.forEach((text, index) => {
          const found = impure.find(([pattern]) => pattern.test(text.replace(/\/\/.*/, '')));
          if (found) complaints.push(`${file}:${index + 1}: ${folder} ${found[1]}: ${text.trim()}`);
        });
      }
    }
  }
  return [...new Set(complaints)];
}

if (require.main === module) {
  const complaints = check(process.argv[2] || path.join(__dirname, '../..'));
  complaints.forEach((complaint) => console.error(`boundaries: ${complaint}`));
  process.exitCode = complaints.length ? 1 : 0;
}
module.exports = { check };
