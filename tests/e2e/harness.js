'use strict';
// A cluster with the shop on it, as a user would have set it up, for one test. The app's ports are picked by the
// agents, so that tests do not meet on a port.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { Cluster, freePort, root, writeManifests } = require('../../deploy/lab/cluster.js');
const { Lab } = require('../../deploy/lab/lab.js');
const { endProcessesOf, killAll, waitFor } = require('../../deploy/lab/process.js');
const { addVersion } = require('../../deploy/lab/steps.js');

const bin = process.env.REMUDA_BIN_DIR || path.join(root, 'build/dev/bin');
const rate = 150;

process.on('exit', killAll);

function makeScratch() {
  return fs.mkdtempSync(path.join(os.tmpdir(), 'remuda-e2e-'));
}

function dropScratch(folder) {
  if (process.env.REMUDA_KEEP_LOGS) console.log(`logs are kept in ${folder}`);
  else fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

// A folder that is gone after the test, unless logs are to be kept.
function scratchFolder(t) {
  const folder = makeScratch();
  t.after(() => dropScratch(folder));
  return folder;
}

// A started cluster, ended with the test.
async function startCluster(t, options = {}) {
  const scratch = makeScratch();
  const cluster = new Cluster({ bin, dataDir: path.join(scratch, 'data'), logFile: path.join(scratch, 'dev.log'), ...options });
  t.after(async () => {
    try {
      await cluster.stop();
    } finally {
      endProcessesOf(cluster.options.dataDir);
      dropScratch(scratch); // not before: who still writes there would keep it from being removed
    }
  });
  await cluster.start();
  cluster.scratch = scratch;
  return cluster;
}

// A lab of two instances of version 1 behind a load balancer, with the load on it.
async function startShop(t, options = {}) {
  const { onStarted, ...more } = options;
  const cluster = await startCluster(t, more);
  if (onStarted) await onStarted(cluster);
  const lbPort = await freePort();
  const manifests = path.join(cluster.scratch, 'manifests');
  fs.mkdirSync(manifests);
  writeManifests(manifests, { 8080: lbPort, 8000: 0, 9000: 0 });
  const lab = new Lab({ cluster, url: `http://127.0.0.1:${lbPort}/`, scratch: cluster.scratch, manifests, rate });
  t.after(() => lab.stopLoad().catch(() => {}));
  await addVersion(lab, 1);
  await cluster.ok('apply', '-f', path.join(manifests, 'shop.yaml'));
  await cluster.ok('scale', 'asg/blue', '--desired', '2');
  await cluster.settled(2, 'two instances of blue to be in service');
  await waitFor(async () => (await lab.probe('/')).status === 200, { deadlineMs: 20_000, what: `${lab.url} to answer` });
  lab.total.failed = 0; // until here nobody was promised an answer
  lab.failures = {};
  await lab.startLoad();
  await lab.serveMore(rate);
  return lab;
}

module.exports = { bin, rate, scratchFolder, startCluster, startShop };
