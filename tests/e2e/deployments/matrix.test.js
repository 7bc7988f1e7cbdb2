'use strict';
// Every way to change a version, with versions that do well and versions that do not, under load on the real programs:
// two proxies, three hosts, many groups at once. No request may fail and none may be cut.
//
// REMUDA_SCENARIOS, a regular expression, names the scenarios to play; all if it is not set.

const assert = require('node:assert/strict');
const http = require('node:http');
const { test } = require('node:test');
const { startFleet } = require('./fleet.js');
const { seconds } = require('./api.js');
const { Scenario, ShiftScenario, stateOf, stepOf } = require('./scenario.js');
const { faults, strategies } = require('./strategies.js');

const atOnce = 10;
const longMs = 20_000; // an answer that lasts longer than the deployment would without it
const shortMs = 3_000;
const canaryRequests = 5000;
const canaryPercent = 5;
const canaryTolerance = 1;

const wanted = new RegExp(process.env.REMUDA_SCENARIOS ?? '');
const rows = [];

// Plays a deployment to its end while a download and WebSockets cross it: they began before it, and it waits for them.
async function deployAcross(scenario, ms, begin) {
  const sockets = await scenario.traffic.webSockets();
  const download = scenario.traffic.download(ms);
  const followed = await begin();
  scenario.approve(followed);
  await download;
  await sockets.close();
  return followed.end();
}

const succeeds = (strategy, ms = longMs) => async (scenario) => {
  const last = await deployAcross(scenario, ms, () => scenario.deploy(2, strategies[strategy](2)));
  assert.equal(stateOf(last), 'SUCCEEDED', last.rollbackReason);
  await scenario.servesOnly(2);
  await scenario.settled();
};

const isRolledBack = (strategy, fault) => async (scenario) => {
  const { more, reason, wait } = faults[fault];
  const last = await deployAcross(scenario, shortMs, () => scenario.deploy(2, strategies[strategy](wait), more));
  const { 1: good = 0, 2: bad = 0 } = scenario.traffic.versionsSince('deployment');
  assert.equal(stateOf(last), 'ROLLED_BACK', last.rollbackReason);
  assert.match(last.rollbackReason, reason);
  await scenario.servesOnly(1);
  await scenario.settled();
  return `bad version got ${((100 * bad) / (good + bad)).toFixed(1)} % of ${good + bad} requests`;
};

// When a person rolls it back: in each step, and where a step replaces instances one after the other, also amid them.
const moments = (steps) => steps.flatMap(({ kind }, i) => {
  const begun = { what: kind, isHere: (d) => d.currentStep > i };
  const amid = { what: `amid ${kind}`, isHere: (d) => d.currentStep > i + 1 || (d.currentStep > i && d.newSide?.inService > 0) };
  return ['replace', 'update'].includes(kind) ? [begun, amid] : [begun];
});

// One deployment after the other.
const isUndoneInEachStep = (strategy) => async (scenario) => {
  const plan = await scenario.plan(2, strategies[strategy](1));
  const met = [];
  for (const { what, isHere } of moments(plan.steps)) {
    const followed = await scenario.deploy(2, strategies[strategy](1));
    scenario.approve(followed);
    const now = await followed.until((d) => isHere(d) || stateOf(d) !== 'IN_PROGRESS', `to be in ${what}`);
    const answer = await scenario.rollBack(followed);
    const here = stateOf(now) === 'IN_PROGRESS' ? stepOf(now) : stateOf(now);
    met.push(what.endsWith(here) ? what : `${here} for ${what}`);
    const last = await (answer.name === followed.name ? followed : scenario.follow(answer.name)).end();
    assert.equal(stateOf(last), answer.name === followed.name ? 'ROLLED_BACK' : 'SUCCEEDED', `${last.name} from ${met.at(-1)}: ${last.rollbackReason}`);
    await scenario.servesOnly(1);
    await scenario.settled();
  }
  return `rolled back in ${met.join(', ')}`;
};

const isUndoneAfter = (strategy) => async (scenario) => {
  const followed = await scenario.deploy(2, strategies[strategy](1));
  scenario.approve(followed);
  assert.equal(stateOf(await followed.end()), 'SUCCEEDED');
  await scenario.servesOnly(2);
  const undo = scenario.follow((await scenario.rollBack(followed)).name);
  assert.notEqual(undo.name, followed.name);
  scenario.approve(undo);
  const last = await undo.end();
  assert.equal(stateOf(last), 'SUCCEEDED', last.rollbackReason);
  assert.equal(last.rollbackOf, followed.name);
  await scenario.servesOnly(1);
  await scenario.settled();
};

// The share of many requests while the canary is alone with its share.
async function hasItsShare(scenario) {
  const followed = await scenario.deploy(2, { steps: [{ traffic: canaryPercent }, { approval: { name: 'go' } }] });
  await followed.until((d) => stepOf(d) === 'approval', 'to wait for its approval');
  const byVersion = { 1: 0, 2: 0 };
  const connections = 16;
  await Promise.all(Array.from({ length: connections }, async (_, i) => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const address = scenario.traffic.addresses[i % scenario.traffic.addresses.length];
    for (let n = i; n < canaryRequests; n += connections) {
      const result = await scenario.traffic.ask({ address, path: '/', agent });
      scenario.traffic.add(result);
      byVersion[result.version] += 1;
    }
    agent.destroy();
  }));
  const percent = (100 * byVersion[2]) / canaryRequests;
  assert.ok(Math.abs(percent - canaryPercent) <= canaryTolerance, `${percent} % instead of ${canaryPercent} %`);
  scenario.approve(followed);
  assert.equal(stateOf(await followed.end()), 'SUCCEEDED');
  await scenario.servesOnly(2);
  return `${percent.toFixed(2)} % of ${canaryRequests} requests`;
}

// What one who asks beforehand is told of it.
const isWarned = (strategy, play) => async (scenario) => {
  const { warnings = [] } = await scenario.plan(2, strategies[strategy](2));
  assert.ok(warnings.length > 0, `the plan of ${scenario.id} warns`);
  await play(scenario);
  return warnings.join(' ');
};

const good = ['good', 'good'];

// Everything of one strategy, of a group or (kind) of two.
function* ofStrategy(strategy, name = strategy, kind = Scenario) {
  yield { name: `${name}-success`, kind, modes: good, play: succeeds(strategy) };
  for (const [fault, { rate }] of Object.entries(faults)) {
    yield { name: `${name}-${fault}`, kind, modes: ['good', fault], rate, play: isRolledBack(strategy, fault) };
  }
  yield { name: `${name}-undone-in-each-step`, kind, modes: good, play: isUndoneInEachStep(strategy) };
  yield { name: `${name}-undone-after`, kind, modes: good, play: isUndoneAfter(strategy) };
}

// Those of one instance, and of one on each host at the same port.
function* tight() {
  const one = { modes: good, size: 1, max: 1 };
  for (const strategy of ['blue-green', 'rolling', 'canary']) yield { name: `${strategy}-of-one`, ...one, play: succeeds(strategy, shortMs) };
  // Between its two versions there is nobody.
  yield { name: 'in-place-of-one', ...one, mayRefuse: true, play: isWarned('in-place', succeeds('in-place', shortMs)) };
  const full = { modes: good, size: 3, max: 3, fixedPort: true };
  yield { name: 'rolling-no-spare-host', ...full, play: isWarned('rolling', succeeds('rolling', shortMs)) };
  yield { name: 'in-place-no-spare-host', ...full, play: succeeds('in-place', shortMs) };
}

function* scenarios() {
  for (const strategy of Object.keys(strategies)) yield* ofStrategy(strategy);
  for (const strategy of ['blue-green', 'canary']) yield* ofStrategy(strategy, `shift-${strategy}`, ShiftScenario);
  yield* tight();
  yield { name: 'slow-start', modes: ['good', 'slow-start'], play: succeeds('blue-green', shortMs) };
  yield { name: 'canary-share', modes: good, play: hasItsShare };
}

// Scenarios that wait for their turn, taken by so many at once.
async function playAll(t, fleet, list) {
  const queue = [...list];
  const player = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) await t.test(next.name, () => play(fleet, next));
  };
  await Promise.all(Array.from({ length: atOnce }, player));
}

async function play(fleet, { name, kind = Scenario, play: playIt, mayRefuse = false, ...options }) {
  const scenario = new kind(fleet, name, options);
  let note = '';
  try {
    await scenario.start();
    note = await playIt(scenario);
    if (mayRefuse) scenario.onlyRefused();
    else scenario.noneFailed();
  } finally {
    rows.push({ ...await scenario.stop(), note: note || scenario.followed.map((followed) => followed.seen.join(' ')).join(' | ') });
    await scenario.clear().catch(() => {});
  }
}

function printTable() {
  const columns = ['scenario', 'seconds', 'requests', 'ok', 'erring', 'failed', 'cut', 'note'];
  const widths = columns.map((column) => Math.max(column.length, ...rows.map((row) => `${row[column]}`.length)));
  const line = (cells) => cells.map((cell, i) => (typeof cell === 'number' ? `${cell}`.padStart(widths[i]) : `${cell}`.padEnd(widths[i]))).join('  ').trimEnd();
  console.log([line(columns), ...rows.map((row) => line(columns.map((column) => row[column])))].join('\n'));
}

test('every strategy with every kind of version', { concurrency: atOnce }, async (t) => {
  t.after(printTable);
  const fleet = await startFleet(t);
  await playAll(t, fleet, [...scenarios()].filter(({ name }) => wanted.test(name)));
});
