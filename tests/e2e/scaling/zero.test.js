'use strict';
// A group that rests at no instance: requests for it wait until one is there, within bounds.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { ask } = require('../../../deploy/lab/cluster.js');
const { deadlineMs, seconds, startScene } = require('./scene.js');

const askAll = (url, count) => Promise.all(Array.from({ length: count }, () => ask(url, { deadlineMs, agent: false })));
const statuses = (answers) => answers.map(({ status }) => status);
const times = (count, status) => Array.from({ length: count }, () => status);

async function rests(scene) {
  await scene.settled('web', 0);
  await scene.until(async () => ((await scene.group('web')).capacity.desired ?? 0) === 0, 'none to be wanted');
}

test('from zero: what comes first is answered, and so are twenty at once', async (t) => {
  const scene = await startScene(t);
  const group = { min: 0, max: 2, fromZero: { idleAfter: '2s', wakeTo: 1 } };
  await scene.makeGroup('web', { group, targetGroup: { requestHold: { maxRequests: 100, timeout: '60s' } } });
  await rests(scene);

  let start = Date.now();
  const answer = await ask(scene.url, { deadlineMs });
  t.diagnostic(`from none to the first answer: ${seconds(Date.now() - start)}`);
  assert.equal(answer.status, 200, answer.text);
  assert.ok((await scene.causes()).some((text) => /Set desired from 0 to 1.*requests wait/.test(text)), 'why it woke');

  start = Date.now();
  await rests(scene);
  t.diagnostic(`at rest again ${seconds(Date.now() - start)} after it`);
  assert.ok((await scene.causes()).some((text) => /Set desired from 1 to 0.*no request/.test(text)), 'why it rests');

  start = Date.now();
  const answers = await askAll(scene.url, 20);
  t.diagnostic(`twenty at once: all answered after ${seconds(Date.now() - start)}`);
  assert.deepEqual(statuses(answers), times(20, 200));
  assert.equal(new Set(answers.map(({ text }) => text)).size, 1, 'by one instance');
});

test('beyond what may wait: 503 with Retry-After, and no other is touched', async (t) => {
  const scene = await startScene(t);
  const make = (more) => scene.makeGroup('web', { group: { min: 0, max: 1, fromZero: { idleAfter: '2s', wakeTo: 1 }, ...more },
    targetGroup: { requestHold: { maxRequests: 5, timeout: '60s' } } });
  await make({ hostSelector: { disk: 'none-has-it' } });
  await rests(scene);
  let refused = 0;
  const asked = Array.from({ length: 20 }, async () => {
    const answer = await ask(scene.url, { deadlineMs, agent: false });
    refused += answer.status === 503;
    return answer;
  });
  await scene.until(() => refused === 15, 'fifteen to be refused while nothing can start');
  await make({});
  const answers = await Promise.all(asked);
  assert.deepEqual(statuses(answers).sort(), [...times(5, 200), ...times(15, 503)]);
  for (const { status, headers } of answers) if (status === 503) assert.match(headers['retry-after'] ?? '', /^[1-9][0-9]*$/);
});
