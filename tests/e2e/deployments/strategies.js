'use strict';
// Each way to deploy, quick or with waits of `wait` seconds in which an analysis has the time to find something.

const { seconds } = require('./api.js');

const errorRate = { name: 'errors', errorRate: { maxPercent: 5, minRequests: 25 } };
const latency = { name: 'latency', latency: { percentile: 50, max: seconds(0.4), minRequests: 25 } };
const healthDeadline = 15; // seconds, of versions that never come up: also the time that the way back has

const strategies = {
  'blue-green': (wait) => ({ blueGreen: { bake: seconds(wait) } }),
  rolling: (wait) => ({ rolling: { minHealthyPercent: 100, maxPercent: 150, bake: seconds(wait) } }),
  'in-place': (wait) => ({ inPlace: { minHealthyPercent: 50, bake: seconds(wait) } }),
  canary: (wait) => ({ canary: { percent: 20, interval: seconds(wait), bake: seconds(1) } }),
  linear: (wait) => ({ linear: { stepPercent: 40, interval: seconds(wait), bake: seconds(1) } }),
  steps: (wait) => ({
    steps: [{ traffic: 25 }, { pause: seconds(wait) }, { approval: { name: 'go' } },
      { analysis: { duration: seconds(2), interval: seconds(1), checks: [{ errorRate: { maxPercent: 5, minRequests: 5 } }] } },
      { traffic: 50 }, { pause: seconds(1) }],
  }),
};

const analysisBy = (...checks) => ({ analysis: { interval: seconds(1), checks } });

// What is wrong with a version, and how it is to be found.
const faults = {
  'bad-health': { more: { healthDeadline: seconds(healthDeadline) }, reason: /./, wait: 2 },
  crash: { more: { healthDeadline: seconds(healthDeadline) }, reason: /./, wait: 2 },
  errors: { more: analysisBy(errorRate), reason: /error/i, wait: 120, rate: 40 },
  slow: { more: analysisBy(latency), reason: /latency|p50|within|slow/i, wait: 120, rate: 40 },
};

module.exports = { faults, strategies };
