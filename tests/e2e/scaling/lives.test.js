'use strict';
// The lives of instances beyond launch and end, on the real programs: hooks, the warm pool, protection, standby.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { ask } = require('../../../deploy/lab/cluster.js');
const { alive, deadlineMs, seconds, startScene } = require('./scene.js');

const rate = 40;
const some = 100; // requests that tell who takes them

const hook = (name, transition) => ({ name, transition, heartbeatTimeout: '300s', defaultResult: 'ABANDON', notificationMetadata: 'a test' });
const pidOf = (instance) => Number(instance.process.pid);

// One of the group that waits for a hook, its process running.
function held(scene, state, isNew = () => true) {
  return scene.until(async () => (await scene.inState('web', state)).find((instance) => pidOf(instance) > 0 && isNew(instance)), `one to be ${state}`);
}

const gone = (scene, { id }) => scene.until(async () => !(await scene.instances('web')).some((instance) => instance.id === id), `${id} to be gone`);

test('a launching hook: held without a request, abandoned, completed', async (t) => {
  const scene = await startScene(t);
  const { cluster } = scene;
  await scene.makeGroup('web', { group: { min: 1, max: 3, lifecycleHooks: [hook('warm-up', 'LAUNCHING')] } });
  const first = await held(scene, 'PENDING_WAIT');
  assert.deepEqual(first.lifecycleActions.map((action) => [action.hook, action.notificationMetadata]), [['warm-up', 'a test']]);
  assert.equal((await ask(scene.url)).status, 503, 'nobody takes requests yet');
  await cluster.ok('hook', 'complete', first.id);
  await scene.settled('web', 1);
  await scene.until(async () => (await ask(scene.url)).status === 200, 'the first to answer');
  const load = scene.load(rate);
  assert.deepEqual(Object.keys(await scene.whoServes(load, some)), [first.id]);

  await cluster.ok('scale', 'asg/web', '--desired', '2');
  const second = await held(scene, 'PENDING_WAIT');
  assert.deepEqual(Object.keys(await scene.whoServes(load, some)), [first.id], 'the one that is held gets no request');
  await cluster.ok('hook', 'heartbeat', second.id);
  await cluster.ok('hook', 'complete', second.id, '--result', 'abandon');
  const third = await held(scene, 'PENDING_WAIT', ({ id }) => id !== second.id);
  await gone(scene, second);
  await scene.until(() => !alive(pidOf(second)), 'the process of the abandoned one to have ended');
  await cluster.ok('hook', 'complete', third.id, '--hook', 'warm-up', '--result', 'continue');
  await scene.settled('web', 2);
  await scene.until(async () => Object.keys(await scene.whoServes(load, some)).sort().join() === [first.id, third.id].sort().join(), 'both to serve');
  await scene.noneFailed();
});

test('an app completes its own launching hook', async (t) => {
  const scene = await startScene(t, { hosts: 1 });
  await scene.makeGroup('web', { env: { COMPLETES: 'warm-up' }, group: { min: 1, max: 1, lifecycleHooks: [hook('warm-up', 'LAUNCHING')] } });
  const [instance] = await scene.settled('web', 1);
  assert.match(await scene.cluster.ok('logs', instance.id), /completed warm-up: 204/);
  await scene.until(async () => (await ask(scene.url)).status === 200, 'it to answer');
});

test('a terminating hook: alive and without a request until it is completed', async (t) => {
  const scene = await startScene(t);
  await scene.makeGroup('web', { group: { min: 1, max: 2, desired: 2, lifecycleHooks: [hook('save-logs', 'TERMINATING')] } });
  await scene.settled('web', 2);
  await scene.until(async () => (await ask(scene.url)).status === 200, 'an answer');
  const load = scene.load(rate);
  await scene.until(async () => Object.keys(await scene.whoServes(load, some)).length === 2, 'both to serve');
  await scene.cluster.ok('scale', 'asg/web', '--desired', '1');
  const ending = await held(scene, 'TERMINATING_WAIT');
  const served = await scene.whoServes(load, some);
  assert.ok(!(ending.id in served), `no request reaches it: ${JSON.stringify(served)}`);
  assert.ok(alive(pidOf(ending)), 'its process runs');
  assert.equal((await scene.inState('web', 'TERMINATING_WAIT')).length, 1);
  await scene.cluster.ok('hook', 'complete', ending.id);
  await gone(scene, ending);
  await scene.until(() => !alive(pidOf(ending)), 'its process to have ended');
  await scene.settled('web', 1);
  await scene.noneFailed();
});

test('warm pool: a start from it beside a cold one, of an app that takes 2 s', async (t) => {
  const scene = await startScene(t);
  const bootMs = 2000;
  const make = (desired, warmPool) => scene.makeGroup('web', { env: { BOOT_MS: `${bootMs}` }, group: { min: 1, max: 6, desired, ...warmPool } });
  await make(1, {});
  await scene.settled('web', 1);
  // Scales to `count`; the one that is new, and how long that took.
  const grow = async (count) => {
    const before = new Set((await scene.inState('web', 'IN_SERVICE')).map(({ id }) => id));
    const start = Date.now();
    await scene.cluster.ok('scale', 'asg/web', '--desired', `${count}`);
    const fresh = await scene.until(async () => {
      const serving = await scene.inState('web', 'IN_SERVICE');
      return serving.length === count && serving.find(({ id }) => !before.has(id));
    }, `${count} in service`);
    return { fresh, ms: Date.parse(fresh.inServiceTime) - start };
  };
  const cold = await grow(2);
  const figures = [`cold ${seconds(cold.ms)}`];
  for (const [count, state] of [[3, 'STOPPED'], [4, 'RUNNING']]) {
    await make(count - 1, { warmPool: { minSize: 1, state, reuseOnScaleIn: true } });
    const ready = await scene.until(async () => {
      const [one] = await scene.inState('web', 'WARM');
      if (!one || (Number(one.process?.pid ?? 0) > 0) !== (state === 'RUNNING')) return null;
      if (state === 'RUNNING') await ask(`http://${one.address}:${one.port}/health`); // it has booted
      return one;
    }, `one to be ready, ${state}`);
    const { fresh, ms } = await grow(count);
    assert.equal(fresh.id, ready.id, 'the one from the pool came into service');
    figures.push(`from the pool, ${state} ${seconds(ms)}`);
  }
  t.diagnostic(figures.join(', '));
});

test('protection: scale-in leaves the protected one, by a person\'s wish and by the app\'s own', async (t) => {
  const scene = await startScene(t);
  const { cluster } = scene;
  await scene.makeGroup('web', { group: { min: 1, max: 3, desired: 3, terminationPolicies: ['OLDEST_INSTANCE'] } });
  const all = await scene.settled('web', 3);
  const oldest = [...all].sort((a, b) => Date.parse(a.createTime) - Date.parse(b.createTime) || (a.id < b.id ? -1 : 1));
  await cluster.ok('instance', 'protect', oldest[0].id);
  const asked = await ask(`http://${oldest[1].address}:${oldest[1].port}/protection?on=true`, { method: 'PUT', deadlineMs });
  assert.equal(asked.status, 200, asked.text);
  await scene.until(async () => (await scene.instances('web')).find(({ id }) => id === oldest[1].id).appProtected, 'the app\'s wish to be known');
  await scene.until(async () => (await ask(scene.url)).status === 200, 'an answer');
  const load = scene.load(rate);
  await cluster.ok('scale', 'asg/web', '--desired', '1');
  const left = await scene.settled('web', 2);
  assert.deepEqual(left.map(({ id }) => id).sort(), [oldest[0].id, oldest[1].id].sort());
  const { warnings = [] } = await scene.until(async () => {
    const { status } = await scene.group('web');
    return status.warnings?.length > 0 && status;
  }, 'it to be said');
  assert.match(warnings.join('\n'), /protected/);
  const freed = await ask(`http://${oldest[1].address}:${oldest[1].port}/protection?on=false`, { method: 'PUT', deadlineMs });
  assert.equal(freed.status, 200, freed.text);
  const [last] = await scene.settled('web', 1);
  assert.equal(last.id, oldest[0].id);
  assert.deepEqual(Object.keys(await scene.whoServes(load, some)), [last.id]);
  await scene.noneFailed();
});

test('standby under load: out of rotation while it runs, and back', async (t) => {
  const scene = await startScene(t);
  const { cluster } = scene;
  await scene.makeGroup('web', { group: { min: 1, max: 3, desired: 2 } });
  const [first, second] = await scene.settled('web', 2);
  await scene.until(async () => (await ask(scene.url)).status === 200, 'an answer');
  const load = scene.load(rate);
  await scene.until(async () => Object.keys(await scene.whoServes(load, some)).length === 2, 'both to serve');
  await cluster.ok('instance', 'standby', first.id, '--decrement');
  const apart = await held(scene, 'STANDBY');
  assert.equal(apart.id, first.id);
  assert.deepEqual(Object.keys(await scene.whoServes(load, some)), [second.id]);
  assert.ok(alive(pidOf(first)), 'its process runs');
  assert.equal((await scene.group('web')).capacity.desired, 1);
  await cluster.ok('instance', 'activate', first.id);
  const back = await scene.settled('web', 2);
  assert.deepEqual(back.map(pidOf).sort(), [first, second].map(pidOf).sort(), 'the same processes');
  await scene.until(async () => Object.keys(await scene.whoServes(load, some)).length === 2, 'both to serve again');
  await scene.noneFailed();
});
