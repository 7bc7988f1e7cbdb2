'use strict';
// Faults of the network between machines: cables that are cut say nothing to anybody.

const assert = require('node:assert/strict');
const { count, fault, network, rate } = require('./fault.js');

const hostState = async (scene, name) => (await scene.cluster.get('hosts')).find((host) => host.name === `hosts/${name}`).state;
const servedBy = async (scene) => Object.keys((await scene.lab.mark()).byInstance).sort();

fault('agent partitioned from the controller', 'packets between the two dropped', async (scene) => {
  const { cluster, lab } = scene;
  const victim = await scene.anyOn('h2');
  network.cutBetween(victim.host, 'controller');
  let lost;
  try {
    await scene.until('the host to be lost', async () => (await hostState(scene, victim.host)) !== 'CONNECTED');
    await lab.mark();
    await lab.serveMore(rate);
    lost = await scene.until('another in its place', async () => {
      const others = (await scene.instances()).filter(({ id, state }) => id !== victim.id && state === 'IN_SERVICE');
      return others.length === count;
    });
    await lab.mark();
    await lab.serveMore(rate);
  } finally {
    network.mend(victim.host);
  }
  const back = await scene.until('one of the four to be drained', async () => (await cluster.joined(), (await scene.settled(count)).length === count));
  assert.ok(lost >= 0);
  return { seconds: back, until: 'the surplus was drained, counted from the return of the host; its app was served all along' };
});

fault('more than half of the hosts gone at once', 'packets between two of three hosts and the controller dropped', async (scene) => {
  const { cluster, lab } = scene;
  const before = (await scene.balanced()).map(({ id }) => id).sort();
  const cut = ['h1', 'h2'];
  cut.forEach((host) => network.cutBetween(host, 'controller'));
  try {
    await scene.until('both to be lost', async () => (await Promise.all(cut.map((host) => hostState(scene, host)))).every((state) => state !== 'CONNECTED'));
    await scene.until('the group to say so', async () => /host/.test((await cluster.get('asg'))[0].status?.waiting ?? ''));
    await lab.serveMore(8 * rate); // longer than the grace after which one lost host's instances are replaced
    const now = (await scene.instances()).map(({ id }) => id).sort();
    assert.deepEqual(now, before, 'nothing is replaced');
    await lab.mark();
    await lab.serveMore(rate);
  } finally {
    cut.forEach((host) => network.mend(host));
  }
  const seconds = await scene.until('all to be well', () => scene.well().then(() => true));
  const kept = (await scene.instances()).filter(({ id }) => before.includes(id)).length;
  assert.ok(kept >= count - 1, 'with one host back the other is one lost host among three, whose instance is replaced: no more than that');
  return { seconds, until: 'both were back and three in service; none was replaced meanwhile' };
});

fault('proxy partitioned from the controller', 'packets between the two dropped; an instance killed meanwhile', async (scene) => {
  const { lab, cluster } = scene;
  network.cutBetween('p1', 'controller');
  let victim;
  try {
    await scene.until('the controller to miss it', async () => !(await cluster.get('proxies')).find(({ name }) => name === 'proxies/p1').connected);
    victim = await scene.anyOn('h3');
    process.kill(Number(victim.process.pid), 'SIGKILL');
    await lab.serveMore(4 * rate);
  } finally {
    network.mend('p1');
  }
  const seconds = await scene.until('it to have the newest config', async () => {
    const p1 = (await cluster.get('proxies')).find(({ name }) => name === 'proxies/p1');
    const { sent, acknowledged } = p1.config ?? {};
    return p1.connected && sent && JSON.stringify(sent) === JSON.stringify(acknowledged);
  });
  await scene.well();
  await scene.until('it to serve by all three', async () => (await servedBy(scene)).length === count);
  return { seconds, until: 'it had confirmed the newest config; it had taken the dead instance out by its own checks' };
});

fault('half-open TCP', 'a host cut off altogether: no FIN, no RST', async (scene) => {
  const victim = await scene.anyOn('h1');
  network.cut(victim.host);
  let seconds;
  try {
    seconds = await scene.until('the controller to see it', async () => (await hostState(scene, victim.host)) !== 'CONNECTED');
    await scene.until('nobody to be served there', async () => !(await servedBy(scene)).includes(victim.id));
    await scene.lab.serveMore(2 * rate);
  } finally {
    network.mend(victim.host);
  }
  await scene.well();
  return { seconds, until: 'the controller knew that the host was silent' };
});
