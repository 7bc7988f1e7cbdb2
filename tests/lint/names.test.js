'use strict';
// Two sources of a library that own the same name are seen; what may be twice is not complained of.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { check } = require('./names.js');

const list = 'remuda_library(NAME x PCH core\n  SRCS a.cc b.cc  # and more\n  DEPS y)\nremuda_library(NAME y SRCS c.cc)\n';
const unnamed = (text) => `namespace x {\nnamespace {\n\n${text}\n\n}  // namespace\n}  // namespace x\n`;

// [what, text of a.cc, of b.cc, of c.cc (another library's), pattern of the one complaint, or null]
const cases = [
  ['other names', unnamed('int One() { return 1; }'), unnamed('int Two() { return 2; }'), '', null],
  ['a function', unnamed('int One() { return 1; }'), unnamed('int One() { return 2; }'), '', /^lib\/b\.cc: One is a name of lib\/a\.cc/],
  ['an overload', unnamed('int One(int a) {'), unnamed('const T& One(const std::string& a,\n    int b) {'), '', /One/],
  ['a template', unnamed('template <class T>\nT One(T a) {'), unnamed('template <class T>\nbool One(T a) {'), '', /One/],
  ['a type', unnamed('struct Part {\n};'), unnamed('class Part {\n};'), '', /Part/],
  ['a constant', unnamed('constexpr int kParts = 1;'), unnamed('constexpr char kParts[] =\n    "a";'), '', /kParts/],
  ['another meaning of a name', 'using a::Kind;\n', 'using b::Kind;\n', '', /Kind/],
  ['the same meaning of a name', 'using a::Kind;\n', 'using a::Kind;\n', '', null],
  ['overloads in one source', unnamed('int One(int a) {\n}\nint One(char a) {\n}'), '', '', null],
  ['a call of the same name', unnamed('int One() {\n  return Two();\n}'), unnamed('int Two() {\n  return 1;\n}'), '', null],
  ['a method', unnamed('void Apply::Check() {'), unnamed('void Check() {'), '', null],
  ['the same name in another library', unnamed('int One() { return 1; }'), '', unnamed('int One() { return 1; }'), null],
  ['a function that all may call', 'int One() { return 1; }\n', unnamed('int One(char a) { return 1; }'), '', null],
];

for (const [name, a, b, c, expected] of cases) {
  test(name, () => {
    const files = { 'lib/CMakeLists.txt': list, 'lib/a.cc': a, 'lib/b.cc': b, 'lib/c.cc': c };
    const complaints = check(['lib/CMakeLists.txt'], (file) => files[file]);
    if (expected === null) {
      assert.deepEqual(complaints, []);
    } else {
      assert.equal(complaints.length, 1, complaints.join('\n'));
      assert.match(complaints[0], expected);
    }
  });
}
