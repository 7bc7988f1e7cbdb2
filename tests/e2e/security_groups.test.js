'use strict';
// Security groups on several hosts, each a network namespace: who reaches the load balancer, who the instances, and that a proxy which joins
// under load loses no request. Skipped, and said so, where namespaces cannot be made.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const path = require('node:path');
const { test } = require('node:test');
const { root } = require('../../deploy/lab/cluster.js');
const { runOnce } = require('../../deploy/lab/hosts/once.js');

const bin = process.env.REMUDA_BIN_DIR || path.join(root, 'build/dev/bin');
const skip = process.getuid() !== 0 ? 'only root makes network namespaces' : false;

test('security groups at proxies and at hosts', { skip }, async () => {
  const code = await runOnce({
    run: `sg-${crypto.randomBytes(4).toString('hex')}`,
    bin,
    command: (room) => [process.execPath, path.join(__dirname, 'security_groups/scene.js'), room.folder],
  });
  assert.equal(code, 0, 'the scene inside of the namespaces; what went wrong is above');
});
