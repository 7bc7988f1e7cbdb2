'use strict';
// The API as a client of another make sees it: `buf curl` finds every method by reflection, and a wrong call says
// what is wrong with it.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { root } = require('../../deploy/lab/cluster.js');
const { run } = require('../../deploy/lab/process.js');
const { startCluster } = require('./harness.js');

const buf = path.join(root, 'tests/tools/node_modules/.bin/buf');

// package.Service/Method of each rpc in the public protos.
function methodsInProtos() {
  const folder = path.join(root, 'proto/remuda/v1');
  return fs.readdirSync(folder).filter((name) => name.endsWith('.proto')).flatMap((name) => {
    let service = null;
    return fs.readFileSync(path.join(folder, name), 'utf8').split('\n').flatMap((line) => {
      service = /^service (\w+)/.exec(line)?.[1] ?? service;
      const method = /^\s+rpc (\w+)/.exec(line)?.[1];
      return method ? [`remuda.v1.${service}/${method}`] : [];
    });
  });
}

test('reflection and errors', async (t) => {
  const cluster = await startCluster(t, { hosts: 1 });
  const file = (name) => path.join(cluster.identity, name);
  const identity = ['--cacert', file('authorities.pem'), '--cert', file('identity.pem'), '--key', file('identity.pem')];
  const curl = (target, ...args) => run(buf, ['curl', ...identity, '--reflect', '--reflect-protocol', 'grpc-v1alpha',
    '--protocol', 'grpc', ...args, `https://${cluster.address}${target}`], { deadlineMs: 30_000 });

  await t.test('every method is listed', async () => {
    const { code, stdout, stderr } = await curl('', '--list-methods');
    assert.equal(code, 0, stderr);
    const expected = [...methodsInProtos(), 'grpc.health.v1.Health/Check', 'grpc.channelz.v1.Channelz/GetServers'];
    assert.ok(expected.length > 30);
    for (const method of expected) assert.ok(stdout.includes(method), `${method} is listed:\n${stdout}`);
  });

  // grpcurl does so too: a refusal other than UNIMPLEMENTED would keep either from asking for the older one.
  await t.test('a client that asks for the newer reflection first finds them as well', async () => {
    const { code, stdout, stderr } = await run(buf, ['curl', ...identity, '--protocol', 'grpc', '--list-methods',
      `https://${cluster.address}`], { deadlineMs: 30_000 });
    assert.equal(code, 0, stderr);
    assert.match(stdout, /remuda\.v1\.ClusterService\/GetCluster/);
  });

  await t.test('a call works', async () => {
    const { code, stdout, stderr } = await curl('/remuda.v1.ClusterService/GetCluster');
    assert.equal(code, 0, stderr);
    assert.ok(JSON.parse(stdout).clusterId);
  });

  // [method, request, code, what the error names]
  const wrong = [
    ['AutoScalingService/GetAutoScalingGroup', { name: 'targetGroups/blue' }, 'invalid_argument', /name/],
    ['AutoScalingService/GetAutoScalingGroup', { name: 'No Sense' }, 'invalid_argument', /No Sense/],
    ['AutoScalingService/GetAutoScalingGroup', { name: 'autoScalingGroups/none' }, 'not_found', /autoScalingGroups\/none/],
    ['AutoScalingService/CreateAutoScalingGroup', { autoScalingGroupId: 'x', autoScalingGroup: { min: -1 } }, 'invalid_argument', /min/],
    ['TargetGroupService/CreateTargetGroup', { targetGroupId: 'Not_OK', targetGroup: {} }, 'invalid_argument', /Not_OK/],
    ['TargetGroupService/ListTargetGroups', { pageSize: -1 }, 'invalid_argument', /page_size/],
    ['TargetGroupService/ListTargetGroups', { pageToken: 'forged' }, 'invalid_argument', /page_token/],
    ['DeploymentService/CreateDeployment', {}, 'invalid_argument', /deployment/],
    ['TargetGroupService/ListTargets', { filter: 'state = GONE' }, 'invalid_argument', /HEALTHY/],
    ['ListenerService/GetRule', { name: 'loadBalancers/x/listeners/y' }, 'invalid_argument', /LISTENER\/rules\/RULE/],
    ['ListenerService/CreateRule', { parent: 'loadBalancers/none/listeners/none', rule: { priority: 1 } }, 'not_found', /loadBalancers\/none/],
    ['LoadBalancerService/CreateLoadBalancer', { loadBalancerId: 'x', loadBalancer: { listeners: [{ port: 70000 }] } }, 'invalid_argument', /port/],
  ];
  for (const [method, request, code, named] of wrong) {
    await t.test(`${method} ${JSON.stringify(request)}: ${code}`, async () => {
      const result = await curl(`/remuda.v1.${method}`, '--data', JSON.stringify(request));
      assert.notEqual(result.code, 0, result.stdout);
      assert.match(result.stderr, new RegExp(code));
      assert.match(result.stderr, named);
    });
  }

  await t.test('every method answers an empty request without harm', async () => {
    for (const method of methodsInProtos().filter((name) => !/Watch|PushImage/.test(name))) {
      const { code, stderr } = await curl(`/${method}`, '--data', '{}');
      if (code !== 0) assert.doesNotMatch(stderr, /unimplemented|unavailable|"unknown"|internal/i, `${method}: ${stderr}`);
    }
    assert.equal((await curl('/remuda.v1.ClusterService/GetCluster')).code, 0, 'the controller is alive');
  });
});
