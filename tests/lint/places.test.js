'use strict';
// Each way in which a document can be wrong is seen; what is right is not complained of.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { check } = require('./places.js');

const files = {
  'core/a.cc': 'namespace x {\n// Gone(1)\nvoid Engine::Turn() { Decide(1); }\nstatic int Free(int a) { return a; }\n}\n',
  'core/a.h': 'class Engine {\n  void Turn();\n};\nenum class Phase { kOne };\n',
  'proto/a.proto': 'message Rule {}\nservice S {\n  rpc GetRule(A) returns (B);\n}\n',
};

// [what, line of the document, pattern of the one complaint, or null]
const cases = [
  ['a file that is there', 'see `core/a.h`', null],
  ['a file that is gone', 'see `core/b.h`', /there is no core\/b\.h/],
  ['a header by its name alone', 'see `a.h`', null],
  ['a header by its name alone that is gone', 'see `b.h`', /there is no b\.h/],
  ['a method', '`core/a.cc:Engine::Turn`', null],
  ['a method of another class', '`core/a.cc:Loop::Turn`', /core\/a\.cc has no Loop::Turn/],
  ['a method that is only declared there', '`core/a.h:Engine::Turn`', null],
  ['a function', '`core/a.cc:Free`', null],
  ['a function that only a comment names', '`core/a.cc:Gone`', /has no Gone/],
  ['a type', '`core/a.h:Phase`', null],
  ['an rpc', '`proto/a.proto:GetRule`', null],
  ['a message', '`proto/a.proto:Rule`', null],
  ['a file of the user', 'write `app.yaml`', null],
  ['an example', '```\n`core/b.h`\n```', null],
  ['several files', '`core/*.h`', null],
];

for (const [name, text, expected] of cases) {
  test(name, () => {
    const complaints = check('doc.md', text, Object.keys(files), (file) => files[file]);
    if (expected === null) {
      assert.deepEqual(complaints, []);
    } else {
      assert.equal(complaints.length, 1, complaints.join('\n'));
      assert.match(complaints[0], expected);
    }
  });
}
