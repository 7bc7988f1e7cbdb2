'use strict';
// The overlay of one controller by podman, where there is podman and the images are made. Elsewhere it is skipped, and says why: to make the images
// takes longer than all other tests of Kubernetes.

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');
const { run } = require('../../../deploy/lab/process.js');

const podman = (process.env.PODMAN || 'podman').split(' ');
const programs = ['controller', 'proxy', 'agent'];

async function whyNot() {
  if (process.getuid() !== 0) return 'not played by podman: needs root, for a network namespace';
  for (const program of [podman[0], 'catatonit']) {
    if ((await run('which', [program])).code !== 0) return `not played by podman: ${program} is missing: apt-get install podman catatonit`;
  }
  for (const program of programs) {
    const image = `localhost/remuda-${program}:0.1.0`;
    if ((await run(podman[0], [...podman.slice(1), 'image', 'exists', image])).code !== 0) return `not played by podman: image ${image} is not made: deploy/images/build (PODMAN names podman's flags)`;
  }
  return null;
}

test('the overlay of one, by podman', async (t) => {
  const why = await whyNot();
  if (why) return t.skip(why);
  const { code, stdout, stderr } = await run(path.join(__dirname, 'run'), ['--bin', process.env.REMUDA_BIN_DIR], { deadlineMs: 600_000 });
  assert.equal(code, 0, stdout + stderr);
  t.diagnostic(stdout);
});
