'use strict';
// Plays the quiz, inside of a lab's namespaces, on its client machine: play_quiz.js FOLDER RATE once|stay. Started by deploy/lab/play.

const fs = require('node:fs');
const path = require('node:path');
const { killAll } = require('../process.js');
const { say, table, takeSteps } = require('../rows.js');
const { HostsCluster } = require('./hosts_cluster.js');
const { HostsLab } = require('./hosts_lab.js');
const { putUpAgain, steps } = require('./quiz.js');

async function main() {
  const [folder, rate, mode] = process.argv.slice(2);
  const cluster = new HostsCluster({ bin: process.env.REMUDA_BIN_DIR, folder });
  const lab = new HostsLab({ cluster, urls: cluster.urls(), scratch: cluster.scratch(), rate: Number(rate) });
  let rows = [];
  try {
    rows = await takeSteps(steps, lab);
  } finally {
    await lab.stopLoad().catch(() => {});
    killAll();
  }
  const reached = rows.filter((row) => row.reached).length;
  const clean = reached === steps.length && lab.total.failed === 0;
  process.stdout.write(`\n${table(rows)}\n`);
  if (lab.total.failed > 0) say(`failures: ${JSON.stringify(lab.failures)}`);
  if (!clean) {
    // The folder goes with the lab; what tells why stays.
    const kept = fs.mkdtempSync(path.join(path.dirname(folder), 'remuda-quiz-logs-'));
    fs.cpSync(path.join(folder, 'logs'), kept, { recursive: true });
    say(`read why in ${kept}`);
  }
  process.stdout.write(`lab: steps=${reached}/${steps.length} requests=${lab.total.requests} failed=${lab.total.failed}\n`);
  if (clean && mode === 'stay') {
    const next = await putUpAgain(lab);
    say(`
The shop is up again, for you, until Ctrl-C. In another terminal, as root:
  deploy/lab/remuda get asg
  deploy/lab/on client curl -s ${lab.urls[0]}
  deploy/lab/remuda deploy asg/blue --template shop:${next}`);
    // A promise keeps no process alive.
    await new Promise(() => setInterval(() => {}, 60_000));
  }
  return clean ? 0 : 1;
}

process.on('exit', killAll);
main().then((code) => process.exit(code), (error) => {
  say(`lab: ${error.stack}`);
  process.exit(1);
});
