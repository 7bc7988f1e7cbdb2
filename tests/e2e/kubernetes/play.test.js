'use strict';
// Overlays played on this machine: steps.js says how far.

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');
const { run } = require('../../../deploy/lab/process.js');

for (const overlay of ['single', 'replicated']) {
  test(`overlay ${overlay}, as processes`, { skip: process.getuid() !== 0 && 'namespaces are made by root alone' }, async (t) => {
    const { code, stdout, stderr } = await run(path.join(__dirname, 'run'), ['--overlay', overlay, '--by', 'processes', '--bin', process.env.REMUDA_BIN_DIR], { deadlineMs: 300_000 });
    assert.equal(code, 0, stdout + stderr);
    t.diagnostic(stdout);
  });
}
