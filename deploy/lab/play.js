#!/usr/bin/env node
'use strict';
// Plays the lab: starts a cluster, takes the steps of steps.js under load, prints how each went and a table at the
// end. Its last line is `lab: steps=N/N requests=R failed=F`; exit code 0 only if all steps were reached and F is 0.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { Cluster, bind, freePort, root, writeManifests } = require('./cluster.js');
const { Lab } = require('./lab.js');
const { endProcessesOf, killAll } = require('./process.js');
const { say, table, takeSteps } = require('./rows.js');
const { steps } = require('./steps.js');

const hostAddresses = ['127.0.1.1', '127.0.1.2'];
const appPorts = [8000, 9000];
const metricPeriod = '1s'; // the lab is short

const usage = `usage: play.js [--once] [--bin DIR] [--data-dir DIR] [--controller-port P]
       [--controller-http-port P] [--lb-port P] [--rate R]

  --once          end after the last step, with a data folder and ports of its own
  --bin DIR       folder of the programs (default build/release/bin)
  --data-dir DIR  where the cluster keeps its state; empty or not there yet (default: temporary, removed at the end)
  --controller-port P, --controller-http-port P
                  the controller's gRPC and HTTP ports (default 7400 and 7480; with --once: free ones)
  --lb-port P     the load balancer's port (default 8080; with --once: a free one)
  --rate R        requests a second of the constant load (default 300)
`;


const defaults = { 'controller-port': 7400, 'controller-http-port': 7480, 'lb-port': 8080 };

function parse(args) {
  const options = { once: false, bin: path.join(root, 'build/release/bin'), 'data-dir': null, 'controller-port': 0, 'controller-http-port': 0, 'lb-port': 0, rate: 300 };
  for (let i = 0; i < args.length; i += 1) {
    const name = args[i].replace(/^--/, '');
    if (name === 'once') {
      options.once = true;
    } else if (args[i].startsWith('--') && name in options && i + 1 < args.length) {
      i += 1;
      options[name] = typeof options[name] === 'number' ? wholeNumber(name, args[i]) : path.resolve(args[i]);
    } else {
      throw new Error(`'${args[i]}': unknown, or its value is missing`);
    }
  }
  return options;
}

function wholeNumber(name, text) {
  if (!/^[1-9][0-9]{0,4}$/.test(text) || Number(text) > 65535) throw new Error(`--${name}: '${text}' is not a number of 1 to 65535`);
  return Number(text);
}

// Ports that were asked for, or are the default, must be free; with --once the rest are any free ones.
async function choosePorts(options) {
  const taken = [];
  for (const [name, port] of Object.entries(defaults)) {
    if (options[name] === 0) options[name] = options.once ? await freePort() : port;
    if (!(await bind(options[name], '127.0.0.1'))) taken.push(`--${name} ${options[name]}`);
  }
  if (taken.length > 0) {
    throw new Error(`another program listens already on what these flags say: ${taken.join(', ')}. Stop it, or choose other ports with them.`);
  }
  const ports = { 8080: options['lb-port'] };
  for (const port of appPorts) {
    ports[port] = await freePort(port, hostAddresses);
    if (ports[port] !== port) say(`port ${port} is taken on this machine: the app uses ${ports[port]} instead`);
  }
  return ports;
}

// The lab begins from nothing; state of an earlier cluster would make its steps mean something else.
function checkDataDir(folder) {
  if (folder && fs.existsSync(folder) && fs.readdirSync(folder).length > 0) {
    throw new Error(`--data-dir ${folder}: is not empty, and the lab begins from nothing`);
  }
}

// Serves the shop again after its clean-up, for whoever wants to look, until Ctrl-C.
async function stayUp(lab, cluster, options, interrupted) {
  await cluster.ok('apply', '-f', path.join(lab.manifests, 'shop.yaml'));
  await cluster.ok('scale', 'asg/blue', '--desired', '2');
  say(`
The shop is up again, for you:
  page        ${lab.url}
  controller  ${cluster.address} (gRPC), http://${cluster.programs.controller.http}/metrics
  manifests   ${lab.manifests}

What next? In another terminal:
  export REMUDA_CONTROLLER=${cluster.address} REMUDA_IDENTITY_DIR=${cluster.identity} PATH="${options.bin}:$PATH"
  remuda get asg                                  # what runs
  curl -s -H 'Accept: application/json' ${lab.url}
  remuda describe asg blue                        # with its instances, targets and what was done, and why
  remuda deploy asg/blue --template shop:2        # to another version, and back:
  remuda deployment rollback blue
  remuda logs asg/blue -f                         # what the instances print
  remuda help
Your own app listens on $HOST:$PORT: remuda image push my-app DIR, then manifests like those of ${path.join(root, 'deploy/examples/manifests')}
Ctrl-C here stops everything.`);
  await interrupted;
}

async function main() {
  if (process.argv.includes('--help')) {
    process.stdout.write(usage);
    return 0;
  }
  let options;
  let manifestPorts;
  try {
    options = parse(process.argv.slice(2));
    checkDataDir(options['data-dir']);
    manifestPorts = await choosePorts(options);
  } catch (error) {
    say(`${usage}\nlab: ${error.message}`);
    return 2;
  }
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'remuda-lab-'));
  const dataDir = options['data-dir'] || path.join(scratch, 'data');
  const manifests = path.join(scratch, 'manifests');
  fs.mkdirSync(manifests);
  writeManifests(manifests, manifestPorts);
  const ports = { 'controller-port': options['controller-port'], 'controller-http-port': options['controller-http-port'] };
  const env = { REMUDA_METRIC_PERIOD: metricPeriod };
  const cluster = new Cluster({ bin: options.bin, dataDir, ports, env, logFile: path.join(scratch, 'dev.log') });
  const lab = new Lab({ cluster, url: `http://127.0.0.1:${options['lb-port']}/`, scratch, manifests, rate: options.rate });

  const interrupted = new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => resolve(signal));
  });
  let rows = [];
  let clean = false;
  try {
    const playing = takeSteps(steps, lab).then((result) => { rows = result; });
    const first = await Promise.race([playing, interrupted]);
    if (first) say(`${first}: stopping`);
    const reached = rows.filter((row) => row.reached).length === steps.length;
    if (!first) process.stdout.write(`\n${table(rows)}\n`);
    if (lab.total.failed > 0) say(`failures: ${JSON.stringify(lab.failures)}`);
    if (!first && reached && !options.once) await stayUp(lab, cluster, options, interrupted);
    clean = reached && lab.total.failed === 0;
  } finally {
    await stopAll(lab, cluster).catch((error) => { clean = false; say(`lab: stopping: ${error.message}`); });
    killAll();
    if (clean) fs.rmSync(scratch, { recursive: true, force: true });
    else say(['read why in', ...cluster.logs(), `all is kept in ${scratch}`].join('\n      '));
  }
  const reached = rows.filter((row) => row.reached).length;
  if (clean && options.once) say('\nWhat next? deploy/quickstart without --once leaves the cluster up, to try things with; docs/cli.md has the command.');
  process.stdout.write(`lab: steps=${reached}/${steps.length} requests=${lab.total.requests} failed=${lab.total.failed}\n`);
  return clean ? 0 : 1;
}

// Whatever happened before: when this returns, no process of the cluster runs.
async function stopAll(lab, cluster) {
  await lab.stopLoad().catch(() => {});
  let left = [];
  let end = null;
  try {
    end = await cluster.stop();
  } finally {
    left = endProcessesOf(cluster.options.dataDir);
  }
  if (end && end.code !== 0) throw new Error(`remuda dev ended with ${JSON.stringify(end)}`);
  if (left.length > 0) throw new Error(`remuda dev left processes behind, which were killed:\n${left.join('\n')}`);
}

process.on('exit', killAll);
main().then((code) => process.exit(code), (error) => {
  say(`lab: ${error.stack}`);
  process.exit(1);
});
