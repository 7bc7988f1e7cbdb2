'use strict';
// Apps that do what they should not. Their host and their neighbours must be well.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { waitFor } = require('../../../deploy/lab/process.js');
const { count, deadlineMs, fault, rate } = require('./fault.js');

const illMs = 8000;
const lone = (name, fields = []) => ['kind: AutoScalingGroup', `name: ${name}`, `launchTemplate: { launchTemplate: ${name} }`, 'min: 0', 'max: 1', 'desired: 1', ...fields, ''].join('\n');
const drop = async ({ cluster }, name) => {
  await cluster.ok('delete', `asg/${name}`, '--force', '--wait');
  await cluster.ok('delete', 'lt', name);
};
const commandsOf = (text) => fs.readdirSync('/proc').filter((pid) => /^\d+$/.test(pid)).filter((pid) => {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
  } catch {
    return false;
  }
});

fault('app ignores SIGTERM and leaves a daemon behind', 'scaled to 0', async (scene) => {
  await scene.template({ MODE: 'stubborn' }, { name: 'stubborn', lines: ['stopGrace: 2s'] });
  await scene.apply(lone('stubborn'));
  const [instance] = await scene.settled(1, 'stubborn');
  await waitFor(() => commandsOf(`fault-app-${instance.id}`).length > 0, { deadlineMs, what: 'its daemon' });
  await scene.cluster.ok('scale', 'asg/stubborn', '--desired', '0');
  const seconds = await scene.until('all of it to be gone', () => commandsOf(`fault-app-${instance.id}`).length === 0 && !fs.existsSync(`/proc/${instance.process.pid}`));
  await scene.settled(0, 'stubborn');
  await drop(scene, 'stubborn');
  return { seconds, until: 'app and daemon were gone (2 s of them its stopGrace)' };
});

fault('app forks without end', 'a template with pids: 64', async (scene) => {
  await scene.template({ MODE: 'forks' }, { name: 'forks', lines: ['limits: { pids: 64 }', 'stopGrace: 2s'] });
  await scene.apply(lone('forks'));
  await waitFor(() => commandsOf('fault-app-').length > 10, { deadlineMs, what: 'it to fork' });
  await scene.lab.serveMore(2 * rate);
  const most = commandsOf('fault-app-').length;
  assert.ok(most <= 64, `${most} processes`);
  await scene.cluster.ok('scale', 'asg/forks', '--desired', '0');
  const seconds = await scene.until('all of it to be gone', () => commandsOf('fault-app-').length === 0);
  await drop(scene, 'forks');
  return { seconds, until: 'none of its processes (64 at most) was left' };
});

fault('app eats memory', 'a template with memory: 256Mi', async (scene) => {
  await scene.template({ MODE: 'memory' }, { name: 'memory', lines: ['limits: { memory: 256Mi }'] });
  await scene.apply(lone('memory'));
  const seconds = await scene.activitySays(/its process ran out of memory/);
  await scene.lab.serveMore(rate);
  await drop(scene, 'memory');
  return { seconds, until: 'it was ended and an activity said so, counted from its start' };
});

fault('app exits at once', 'a version that does, deployed blue-green', async (scene) => {
  await scene.template({ MODE: 'exits' });
  const versions = (await scene.cluster.get('lt')).find(({ name }) => name === 'launchTemplates/app').latestVersion;
  const begin = performance.now();
  const { code, stdout, stderr } = await scene.cluster.command('deploy', 'asg/web', '--template', `app:${versions}`, '--strategy', 'blue-green', '--health-deadline', '20s');
  assert.equal(code, 4, `rolled back: ${stdout}${stderr}`);
  assert.match(stdout, /its process exited with code 3/);
  return { seconds: (performance.now() - begin) / 1000, until: 'the deployment was rolled back by itself, after three launches' };
});

fault('all targets unhealthy', "each instance's health check made to fail, those of new ones too, for 8 s", async (scene) => {
  const say = async (is) => Promise.all((await scene.instances()).filter(({ address, port }) => address && port)
    .map(({ address, port }) => fetch(`http://${address}:${port}/well?is=${is}`).catch(() => {})));
  let wereAllIll = false;
  let fewest = count;
  const end = performance.now() + illMs;
  while (performance.now() < end || !wereAllIll) {
    await say('no');
    const running = (await scene.instances()).filter(({ process: { pid } = {} }) => Number(pid) > 0);
    fewest = Math.min(fewest, running.length);
    wereAllIll ||= (await scene.cluster.get('targets')).every(({ state }) => /UNHEALTHY/.test(state));
    assert.ok(performance.now() < end + deadlineMs, 'all are found unhealthy at some time');
  }
  assert.ok(fewest >= count - 1, `never replaced all at once: ${fewest} were left`);
  const seconds = await scene.until('three to be in service', async () => (await say('yes'), (await scene.instances()).filter(({ state }) => state === 'IN_SERVICE').length === count));
  return { seconds, until: `three were in service, after they were well again; at least ${fewest} of ${count} ran all along` };
});

fault('app prints without end', 'as fast as its output is taken, for 5 s', async (scene) => {
  await scene.template({ MODE: 'prints' }, { name: 'prints' });
  await scene.apply(lone('prints'));
  const [instance] = await scene.settled(1, 'prints');
  await scene.lab.serveMore(5 * rate);
  const bytesOf = (folder) => fs.readdirSync(folder, { withFileTypes: true, recursive: false }).reduce((sum, entry) => {
    const file = path.join(folder, entry.name);
    return sum + (entry.isDirectory() ? bytesOf(file) : entry.isFile() ? fs.statSync(file).size : 0);
  }, 0);
  const folders = fs.readdirSync(scene.programs.data(instance.host), { recursive: true }).filter((name) => path.basename(name) === instance.id).map((name) => path.join(scene.programs.data(instance.host), name));
  assert.ok(folders.length > 0);
  const mebibytes = folders.reduce((sum, folder) => sum + bytesOf(folder), 0) / (1 << 20);
  assert.ok(mebibytes < 64, `${mebibytes} MiB are kept`);
  const seconds = await scene.until('it to be gone', () => drop(scene, 'prints').then(() => true));
  return { seconds, until: `it was gone; ${mebibytes.toFixed(0)} MiB of it were kept` };
});
