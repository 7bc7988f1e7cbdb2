#!/usr/bin/env node
'use strict';
// Checks that a name of an unnamed namespace belongs to one source of its library: release builds compile the sources of
// a library several at a time as one file (cmake/targets.cmake), where two would meet.
//
//   node tests/lint/names.js [ROOT]

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

// The sources of each remuda_library() in the text of a CMakeLists.txt.
function librariesIn(text) {
  return [...text.replace(/#[^\n]*/g, '').matchAll(/remuda_library\(\s*NAME\s+(\S+)([^)]*)\)/g)].map(([, name, rest]) => {
    const words = rest.split(/\s+/);
    const begin = words.indexOf('SRCS') + 1;
    const end = words.indexOf('DEPS', begin);
    return { name, sources: words.slice(begin, end < 0 ? undefined : end).filter((word) => word.endsWith('.cc')) };
  });
}

// What a source (as clang-format leaves it) defines in its unnamed namespaces: name to the line of it.
function namesIn(text) {
  const names = new Map();
  let isUnnamed = false;
  for (const line of text.split('\n')) {
    if (line === 'namespace {') isUnnamed = true;
    if (line.startsWith('}  // namespace')) isUnnamed = false;
    if ((!isUnnamed && !line.startsWith('using ')) || !/^[A-Za-z[]/.test(line) || /^(namespace|template|using namespace|return)\b/.test(line)) continue;
    const match = /^using (?:[\w:]+::)?(\w+)(?: =.*)?;/.exec(line) ?? /^(?:struct|class|enum class|enum|union) (\w+)/.exec(line) ??
      /^[^=({]*?[\s*&](\w+)\(/.exec(line) ?? /\b(k[A-Z]\w*)\b/.exec(line);
    if (match) names.set(match[1], line);
  }
  return names;
}

// Every complaint about the libraries of `lists` (CMakeLists.txt files), one line each. `read`: the text of a file.
function check(lists, read) {
  const complaints = [];
  for (const list of lists) {
    for (const library of librariesIn(read(list))) {
      const owners = new Map();
      for (const source of library.sources.map((name) => path.join(path.dirname(list), name))) {
        for (const [name, line] of namesIn(read(source))) {
          const owner = owners.get(name);
          if (owner === undefined) {
            owners.set(name, { source, line });
          } else if (!line.startsWith('using ') || owner.line !== line) {
            complaints.push(`${source}: ${name} is a name of ${owner.source} too, another source of ${library.name}: rename one`);
          }
        }
      }
    }
  }
  return complaints;
}

function checkAll(root) {
  const lists = execFileSync('git', ['ls-files', '*CMakeLists.txt'], { cwd: root, encoding: 'utf8' }).split('\n').filter(Boolean);
  return check(lists, (file) => fs.readFileSync(path.join(root, file), 'utf8'));
}

module.exports = { check, checkAll };

if (require.main === module) {
  const complaints = checkAll(process.argv[2] ?? path.join(__dirname, '..', '..'));
  for (const complaint of complaints) console.error(complaint);
  process.exit(complaints.length > 0 ? 1 : 0);
}
