#!/usr/bin/env node
'use strict';
// Checks that what the docs name is there: files, and functions or types as `FILE:NAME` (docs/architecture.md lists the
// ways of a config and a request so). A name is looked for in the file it is said to be in, outside of comments.
//
//   node tests/lint/places.js [ROOT]

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const filePattern = /^(?<file>[\w.*/-]+\.(?:cc|h|js|proto|cmake|yaml|txt))(?::(?<name>[~\w]+(?:::[~\w]+)*))?$/;

const withoutComments = (text) => text.replace(/\/\*[^]*?\*\//g, '').replace(/\/\/[^\n]*/g, '');

// Whether `text` defines or declares `name`: a function, a type, a message or an rpc; of `A::B` the B of an A.
function defines(text, name) {
  const parts = name.split('::');
  const last = parts.at(-1);
  const typed = new RegExp(`\\b(class|struct|enum(?: class)?|union|message|rpc|service|concept) ${last}\\b`);
  const called = (prefix) => new RegExp(`(^|[\\s*&>(])${prefix}${last}\\s*\\(`, 'm');
  if (parts.length === 1) return typed.test(text) || called('(?:\\w+::)*').test(text);
  const owner = parts.at(-2);
  if (called(`(?:\\w+::)*${owner}::`).test(text)) return true;
  return new RegExp(`\\b(class|struct|namespace|service) ${owner}\\b`).test(text) && (typed.test(text) || called('').test(text));
}

// Every complaint about a document's text, one line each. `files`: all of the project; `read`: the text of one.
function check(document, text, files, read) {
  const complaints = [];
  const names = new Set(files.map((file) => path.basename(file)));
  const known = new Set(files);
  let isCode = false;
  text.split('\n').forEach((line, index) => {
    if (/^\s*```/.test(line)) isCode = !isCode;
    if (isCode) return;
    for (const [, quoted] of line.matchAll(/`([^`]+)`/g)) {
      const match = filePattern.exec(quoted);
      if (!match) continue;
      const { file, name } = match.groups;
      const at = `${document}:${index + 1}`;
      const isPlace = name !== undefined || (file.includes('/') && files.some((other) => other.startsWith(`${file.split('/')[0]}/`)));
      if (file.includes('*') || (!isPlace && !/\.(cc|h)$/.test(file))) continue;
      if (isPlace ? !known.has(file) : !names.has(file)) {
        complaints.push(`${at}: there is no ${file}`);
      } else if (name !== undefined && !defines(withoutComments(read(file)), name)) {
        complaints.push(`${at}: ${file} has no ${name}`);
      }
    }
  });
  return complaints;
}

function checkAll(root) {
  const files = execFileSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' }).split('\n').filter(Boolean);
  const read = (file) => fs.readFileSync(path.join(root, file), 'utf8');
  return files.filter((file) => file.endsWith('.md') && fs.existsSync(path.join(root, file)))
    .flatMap((file) => check(file, read(file), files, read));
}

module.exports = { check, checkAll };

if (require.main === module) {
  const complaints = checkAll(process.argv[2] ?? path.join(__dirname, '..', '..'));
  for (const complaint of complaints) console.error(complaint);
  process.exit(complaints.length > 0 ? 1 : 0);
}
