'use strict';
// An excerpt that is not its file's text is seen; what is right is not complained of.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { check } = require('./excerpts.js');

const files = { 'x/a.yaml': 'kind: A\nname: a\n', 'x/b.yaml': 'kind: B\n' };
const b = '```yaml x/b.yaml\nkind: B\n```\n';

// [what, document, pattern of the one complaint, or null]
const cases = [
  ['the whole file', `${b}\`\`\`yaml x/a.yaml\nkind: A\nname: a\n\`\`\`\n`, null],
  ['a part of it', `${b}\`\`\`yaml x/a.yaml\nname: a\n\`\`\`\n`, null],
  ['a part of a line', `${b}\`\`\`yaml x/a.yaml\nme: a\n\`\`\`\n`, /^doc\.md:4: is not what stands in x\/a\.yaml$/],
  ['another text', `${b}\`\`\`yaml x/a.yaml\nname: c\n\`\`\`\n`, /^doc\.md:4: is not what stands in x\/a\.yaml$/],
  ['a file that is gone', `${b}\`\`\`yaml x/a.yaml\nkind: A\n\`\`\`\n\`\`\`yaml y/c.yaml\n1\n\`\`\`\n`, /there is no y\/c\.yaml/],
  ['a file that is not shown', b, /not x\/a\.yaml/],
  ['a block of no file', '```yaml\nkind: C\n```\n', null],
];

for (const [name, text, expected] of cases) {
  test(name, () => {
    const complaints = check('doc.md', text, Object.keys(files), (file) => files[file]);
    assert.equal(complaints.length, expected ? 1 : 0, complaints.join('\n'));
    if (expected) assert.match(complaints[0], expected);
  });
}
