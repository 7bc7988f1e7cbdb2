'use strict';
// Each rule is broken once, and must be seen; each legal include must not be.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { check } = require('./boundaries.js');

// [what, {file: text}, pattern of the one complaint, or null]
const cases = [
  ['core includes its shell', { 'controller/core/a.cc': '#include "controller/engine/loop.h"\n', 'controller/engine/loop.h': '' }, /may not include controller\/engine\/loop\.h/],
  ['a room of the core includes one above it', { 'controller/core/model/a.h': '#include "controller/core/door/b.h"\n', 'controller/core/door/b.h': '' }, /controller\/core\/model may not include/],
  ['a room of the core includes one below it', { 'controller/core/door/a.h': '#include "controller/core/model/b.h"\n', 'controller/core/model/b.h': '' }, null],
  ['a room of the core reads the clock', { 'controller/core/scaling/a.cc': 'auto t = absl::Now();\n' }, /reads the clock/],
  ['views include the engine', { 'controller/views/a.h': '#include "controller/engine/b.h"\n', 'controller/engine/b.h': '' }, /controller\/views may not include/],
  ['a room includes the root', { 'controller/engine/a.h': '#include "controller/options.h"\n', 'controller/options.h': '' }, /may not include controller\/options/],
  ['a room of the proxy includes one above it', { 'proxy/io/a.h': '#include "proxy/client/b.h"\n', 'proxy/client/b.h': '' }, /proxy\/io may not include/],
  ['an exchange includes a client', { 'proxy/exchange/a.h': '#include "proxy/client/b.h"\n', 'proxy/client/b.h': '' }, /proxy\/exchange may not include/],
  ['a client includes exchanges', { 'proxy/client/a.h': '#include "proxy/exchange/b.h"\n', 'proxy/exchange/b.h': '' }, null],
  ['target connections know no worker', { 'proxy/target/a.h': '#include "proxy/worker.h"\n', 'proxy/worker.h': '' }, /may not include proxy\/worker/],
  ['control knows the worker', { 'proxy/control/a.h': '#include "proxy/worker.h"\n', 'proxy/worker.h': '' }, null],
  ['all know the limits', { 'controller/engine/a.h': '#include "controller/limits.h"\n', 'controller/limits.h': '' }, null],
  ['shell includes its core', { 'controller/a.cc': '#include "controller/core/b.h"\n', 'controller/core/b.h': '' }, null],
  ['program includes another', { 'cli/a.cc': '#include "agent/core/b.h"\n', 'agent/core/b.h': '' }, /cli may not include agent/],
  ['core includes a service', { 'controller/core/a.cc': '#include "remuda/v1/image.grpc.pb.h"\n' }, /may not include services/],
  ['core includes messages', { 'controller/core/a.cc': '#include "remuda/v1/image.pb.h"\n#include <absl/status/status.h>\n#include <chrono>\n' }, null],
  ['core reaches Asio through common', { 'agent/core/a.cc': '#include "common/b.h"\n', 'common/b.h': '#include <boost/asio.hpp>\n' }, /agent\/core\/a\.cc:1: .*boost\/asio\.hpp.*through common\/b\.h:1/],
  ['core uses threads', { 'proxy/core/a.h': '#include <thread>\n' }, /may not reach <thread>/],
  ['core uses gRPC', { 'controller/core/a.h': '#include <grpcpp/grpcpp.h>\n' }, /grpcpp/],
  ['parsing touches protobuf', { 'proxy/http/a.h': '#include <google/protobuf/message.h>\n' }, /google\/protobuf/],
  ['shell may do all that', { 'proxy/a.cc': '#include <boost/asio.hpp>\n#include <thread>\n#include "remuda/proxy/v1/proxy.grpc.pb.h"\n' }, null],
  ['core reads the clock', { 'agent/core/a.cc': 'auto t = std::chrono::steady_clock::now();\n' }, /reads the clock/],
  ['core speaks of the clock', { 'agent/core/a.cc': '// not absl::Now(): time is an argument\n' }, null],
  ['program includes tests', { 'proxy/a.cc': '#include "tests/testing/fake.h"\n' }, /may not include tests/],
];

for (const [name, files, expected] of cases) {
  test(name, () => {
    const root = fs.mkdtempSync(path.join(os.tmpdir(), 'boundaries-'));
    try {
      for (const [file, text] of Object.entries(files)) {
        fs.mkdirSync(path.join(root, path.dirname(file)), { recursive: true });
        fs.writeFileSync(path.join(root, file), text);
      }
      const complaints = check(root);
      assert.equal(complaints.length, expected ? 1 : 0, complaints.join('\n'));
      if (expected) assert.match(complaints[0], expected);
    } finally {
      fs.rmSync(root, { recursive: true });
    }
  });
}
