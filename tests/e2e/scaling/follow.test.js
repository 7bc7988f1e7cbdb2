'use strict';
// Groups that follow what is measured, on the real programs under load: what a client sees of it must be nothing but
// answers. Times are printed, and asserted no closer than a busy machine allows.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { test } = require('node:test');
const { seconds, startScene, tracking } = require('./scene.js');

const target = 40; // requests a second and instance
const one = 30; // what one instance is enough for
const three = 75; // with `one` on top: three are needed
const steadyRequests = 60;

const reasonsOf = ({ policies = [] }) => policies.map(({ reason }) => reason).join('; ');

test('target tracking under a load step: out, and in again after its times', async (t) => {
  const scene = await startScene(t);
  const { cluster } = scene;
  const manifest = await scene.makeGroup('web', { group: { min: 1, max: 4, policies: [tracking(target)] } });
  await scene.settled('web', 1);
  const base = scene.load(one);
  await scene.whoServes(base, steadyRequests);
  const read = path.join(cluster.scratch, 'read.yaml');
  fs.writeFileSync(read, await cluster.ok('get', 'asg', 'web', '-o', 'yaml'));

  let start = Date.now();
  const more = scene.load(three);
  await scene.until(async () => (await scene.group('web')).capacity.desired >= 3, 'three to be wanted');
  const decided = Date.now() - start;
  const grown = await scene.settled('web', 3);
  t.diagnostic(`load step from ${one}/s to ${one + three}/s: three are wanted after ${seconds(decided)}, in service after ${seconds(Date.now() - start)}`);
  await scene.until(async () => Object.keys(await scene.whoServes(more, steadyRequests)).length === 3, 'each of three to serve');

  await t.test('why is said by evaluations, describe and activities', async () => {
    const out = (await scene.evaluations('web', '--changes')).find((row) => row.desiredBefore === 1);
    assert.match(out.outcome, /^Out from 1 to [234]: policy requests: requests is /);
    assert.match(reasonsOf(out), /needed/);
    assert.match(await cluster.ok('describe', 'asg', 'web'), /policy requests/);
    assert.ok((await scene.causes()).some((text) => /Set desired from 1 to [234].*policy requests/.test(text)));
  });

  await t.test('metrics show the load', async () => {
    const metrics = JSON.parse(await cluster.ok('metrics', 'asg/web', '-o', 'json'));
    const values = metrics.series.find(({ metric }) => metric === 'requests').values.filter((value) => value !== null);
    assert.ok(values.some((value) => value > 0.5 * (one + three) && value < 2 * (one + three)), JSON.stringify(values));
    assert.equal(metrics.instances.length, 3);
    assert.match(await cluster.ok('metrics', 'asg/web'), /\nrequests /);
  });

  await t.test('neither the manifest nor what was read before undoes it', async () => {
    await cluster.ok('apply', '-f', manifest);
    assert.equal((await scene.group('web')).capacity.desired, 3);
    await cluster.ok('apply', '-f', read); // its etag holds
    assert.equal((await scene.group('web')).capacity.desired, 3);
    assert.deepEqual((await scene.settled('web', 3)).map(({ id }) => id).sort(), grown.map(({ id }) => id).sort());
  });

  await scene.endLoad(more);
  start = Date.now();
  const [left] = await scene.settled('web', 1);
  t.diagnostic(`without it: one again after ${seconds(Date.now() - start)}`);
  assert.deepEqual(Object.keys(await scene.whoServes(base, steadyRequests)), [left.id]);
  const rows = await scene.evaluations('web', '--changes');
  assert.match(rows.at(-1).outcome, /^In from [234] to 1: policy requests: /);
  assert.ok((await scene.evaluations('web')).some((row) => /^Left at \d: policy requests: /.test(row.outcome)), 'also what changed nothing is kept');
  await scene.noneFailed();
});

// A Prometheus that answers as it is told to.
async function startPrometheus(t) {
  const state = { answer: null, asked: [] };
  const server = http.createServer((request, response) => {
    state.asked.push(decodeURIComponent(request.url));
    const bad = { status: 'error', errorType: 'bad_data', error: 'invalid parameter "query": parse error: unclosed left parenthesis' };
    const good = { status: 'success', data: { resultType: 'vector', result: [{ metric: {}, value: [Date.now() / 1000, `${state.answer}`] }] } };
    response.writeHead(state.answer === null ? 400 : 200, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(state.answer === null ? bad : good));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return Object.assign(state, { url: `http://127.0.0.1:${server.address().port}` });
}

test('a PromQL that is wrong is said, and changes nothing; once it answers it scales', async (t) => {
  const prometheus = await startPrometheus(t);
  const scene = await startScene(t);
  const query = { prometheus: { url: prometheus.url, query: 'sum(app_sessions{group="{{group}}"}', timeout: '5s' }, isTotal: true, target: 50 };
  const group = { min: 1, max: 4, desired: 2, policies: [{ name: 'sessions', targetTracking: query }] };
  await scene.makeGroup('workers', { hasPort: false, env: { WORKS: 'yes' }, group });
  await scene.settled('workers', 2);
  const row = await scene.until(async () => (await scene.evaluations('workers')).findLast((each) => /parse error/.test(reasonsOf(each))), 'the error to be said');
  assert.match(row.outcome, /^Left at 2: /);
  assert.match(await scene.cluster.ok('describe', 'asg', 'workers'), /parse error/);
  assert.ok(prometheus.asked.some((url) => /group="workers"/.test(url)), 'the group stands in the query');
  assert.deepEqual(await scene.evaluations('workers', '--changes'), [], 'nothing was changed');
  assert.equal((await scene.group('workers')).capacity.desired, 2);

  const start = Date.now();
  prometheus.answer = 190;
  await scene.settled('workers', 4);
  t.diagnostic(`once it answers 190 at a target of 50: four after ${seconds(Date.now() - start)}`);
  assert.match((await scene.evaluations('workers', '--changes')).at(-1).outcome, /^Out from 2 to 4: policy sessions: /);
});

test('values of its own scale a group without target groups out, and in to none', async (t) => {
  const scene = await startScene(t);
  const depth = { customMetric: 'queue-depth', isTotal: true, target: 20, scaleInAfter: '5s', scaleInCooldown: '1s' };
  const group = { min: 0, max: 4, policies: [{ name: 'queue', targetTracking: depth }] };
  await scene.makeGroup('workers', { hasPort: false, env: { WORKS: 'yes' }, group });
  const put = (value) => scene.cluster.ok('metrics', 'put', 'asg/workers', `queue-depth=${value}`);
  let start = Date.now();
  await put(50);
  await scene.settled('workers', 3);
  t.diagnostic(`50 jobs at 20 each: from none to three after ${seconds(Date.now() - start)}`);
  start = Date.now();
  await put(0);
  await scene.settled('workers', 0);
  t.diagnostic(`no job: none after ${seconds(Date.now() - start)}`);
  assert.equal((await scene.group('workers')).capacity.desired ?? 0, 0);
  const { code, stderr } = await scene.cluster.command('metrics', 'put', 'asg/workers', 'queue-depth=much');
  assert.notEqual(code, 0);
  assert.match(stderr, /much/);
});

test('the controller killed in the middle of a scale-out: the numbers are right afterwards', async (t) => {
  const scene = await startScene(t);
  const { cluster } = scene;
  // No more than three: what a clear excess looks ahead to would be taken away again, the oldest first.
  await scene.makeGroup('web', { env: { BOOT_MS: '1500' }, group: { min: 1, max: 3, policies: [tracking(target)] } });
  const [first] = await scene.settled('web', 1);
  const base = scene.load(one);
  await scene.whoServes(base, steadyRequests);
  const more = scene.load(three);
  await scene.until(async () => (await scene.inState('web', 'PENDING')).length > 0, 'a scale-out to be under way');
  const killed = cluster.pidOf('controller');
  const launched = (await scene.instances('web')).map(({ id }) => id);
  process.kill(killed, 'SIGKILL');
  const start = Date.now();
  await scene.until(() => ![0, killed].includes(cluster.pidOf('controller')), 'the controller to be started again');
  const after = await scene.settled('web', 3);
  t.diagnostic(`killed with ${launched.length} there: three in service ${seconds(Date.now() - start)} later`);
  for (const id of [first.id, ...launched]) assert.ok(after.some((instance) => instance.id === id), `${id} is still there`);
  assert.equal((await scene.group('web')).capacity.desired, 3);
  await scene.until(async () => Object.keys(await scene.whoServes(more, steadyRequests)).length === 3, 'each of three to serve');
  await scene.noneFailed();
});
