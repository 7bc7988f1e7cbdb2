'use strict';
// Churn without end on a lab of several hosts, inside of it (deploy/lab/within): soak.js MINUTES SEED. The last line of its output is its
// figures in JSON. Apps are killed, an agent is killed and cut off, versions are deployed, groups grow and shrink, resources come and go.
// What is measured (controller, two agents, both proxies) is never restarted.

const fs = require('node:fs');
const network = require('../../../deploy/lab/hosts/network.js');
const { killAll } = require('../../../deploy/lab/process.js');
const { Scene, count } = require('../faults/scene.js');

const measured = ['controller', 'h1', 'h3', 'p1', 'p2'];
const victimHost = 'h2'; // whose agent is killed and cut off
const warmUpMs = 30_000;
const pauseMs = 2000; // between two changes
const cutMs = 3000; // too short for the host to be lost
const logsEvery = 20; // changes
const tailLines = 10_000;

// Small and with a seed, so that a run can be repeated (mulberry32).
function randomFrom(seed) {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function measure(programs) {
  return Object.fromEntries(measured.map((name) => {
    const pid = programs.pidOf(name);
    const kib = Number(/^VmRSS:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
    return [name, { pid, mebibytes: Math.round(kib / 102.4) / 10, descriptors: fs.readdirSync(`/proc/${pid}/fd`).length }];
  }));
}

// Lines that the logs of living instances lack: each prints a number a tick.
async function lostLines(scene) {
  let lines = 0;
  let lost = 0;
  for (const { id, state } of await scene.instances()) {
    if (state !== 'IN_SERVICE') continue;
    const { code, stdout } = await scene.cluster.command('logs', id, '--tail', `${tailLines}`);
    if (code !== 0) continue; // it ended meanwhile
    const ticks = [...stdout.matchAll(/tick (\d+)$/gm)].map(([, tick]) => Number(tick));
    lines += ticks.length;
    ticks.forEach((tick, i) => { lost += i > 0 ? Math.max(0, tick - ticks[i - 1] - 1) : 0; });
  }
  return { lines, lost };
}

function changesOf(scene, random) {
  const { cluster, programs } = scene;
  let version = 1;
  let made = 0;
  const inService = async () => (await scene.instances()).filter(({ state, process: { pid } = {} }) => state === 'IN_SERVICE' && Number(pid) > 0);
  const desired = async (n) => cluster.ok('scale', 'asg/web', '--desired', `${n}`);
  return {
    'app killed': async () => {
      const instances = await inService();
      if (instances.length < count) return; // one at a time
      process.kill(Number(instances[random(instances.length)].process.pid), 'SIGKILL');
    },
    'agent killed': async () => {
      await programs.end(victimHost, 'SIGKILL');
      await programs.start(victimHost);
    },
    'host cut off': async () => {
      network.cutBetween(victimHost, 'controller');
      await sleep(cutMs);
      network.mend(victimHost);
    },
    deployed: async () => {
      version += 1;
      await scene.template({ MODE: 'ticks', VERSION: `${version}` });
      const { code, stderr } = await cluster.command('deploy', 'asg/web', '--template', `app:${version}`, '--strategy', ['blue-green', 'rolling'][random(2)], '--bake', '1s', '--health-deadline', '60s');
      if (code !== 0 && code !== 4) throw new Error(`deploy: exit code ${code}: ${stderr}`);
    },
    scaled: async () => desired(count + random(3)),
    'resources made and deleted': async () => {
      made += 1;
      await scene.apply(`kind: TargetGroup\nname: soak-${made}\n`);
      if (made > 3) await cluster.ok('delete', 'tg', `soak-${made - 3}`);
    },
  };
}

async function main() {
  const [minutes, seed] = process.argv.slice(2).map(Number);
  const scene = new Scene(process.env.REMUDA_LAB_FOLDER, process.env.REMUDA_BIN_DIR, { max: count + 2 });
  await scene.open();
  await sleep(warmUpMs);
  await scene.lab.mark();
  const { requests: requestsBefore, failed: failedBefore } = scene.lab.total;
  const start = measure(scene.programs);
  const random = randomFrom(seed);
  const changes = changesOf(scene, random);
  const counts = {};
  const log = { lines: 0, lost: 0 };
  const troubles = [];
  const end = performance.now() + minutes * 60_000;
  for (let i = 1; performance.now() < end; i += 1) {
    const name = Object.keys(changes)[random(Object.keys(changes).length)];
    try {
      await changes[name]();
      counts[name] = (counts[name] ?? 0) + 1;
    } catch (error) {
      troubles.push(`${name}: ${error.message.split('\n').slice(0, 2).join(' ')}`);
    }
    await sleep(pauseMs);
    const failedNow = scene.lab.total.failed;
    await scene.lab.mark();
    if (scene.lab.total.failed > failedNow) console.log(`${new Date().toISOString()} ${scene.lab.total.failed - failedNow} failed after: ${name} ${JSON.stringify(scene.lab.failures)}`);
    if (i % logsEvery !== 0) continue;
    const { lines, lost } = await lostLines(scene);
    log.lines += lines;
    log.lost += lost;
  }
  await scene.cluster.ok('scale', 'asg/web', '--desired', `${count}`);
  await scene.well();
  await sleep(warmUpMs / 2);
  await scene.lab.mark();
  const after = measure(scene.programs);
  const restarted = measured.filter((name) => start[name].pid !== after[name].pid);
  await scene.close();
  console.log(JSON.stringify({ minutes, seed, requests: scene.lab.total.requests - requestsBefore, failed: scene.lab.total.failed - failedBefore, failures: scene.lab.failures,
    changes: counts, troubles, log, start, end: after, restarted }));
  return scene.lab.total.failed === failedBefore && log.lost === 0 && restarted.length === 0 ? 0 : 1;
}

process.on('exit', killAll);
main().then((code) => process.exit(code), (error) => {
  console.error(error.stack);
  process.exit(1);
});
