#!/usr/bin/env node
'use strict';
// Checks that what the docs show of a file is the file's text. A code block that begins with ```LANGUAGE FILE holds lines of FILE, as they
// stand there one after the other; of a folder whose files a page shows so, every YAML file is shown.
//
//   node tests/lint/excerpts.js [ROOT]

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

// The blocks of a text: {file, line, text}.
function blocksOf(text) {
  return [...text.matchAll(/^```\w+ (\S+)\n([^]*?)^```$/gm)]
    .map((match) => ({ file: match[1], line: text.slice(0, match.index).split('\n').length, text: match[2] }));
}

// Every complaint about a document's text, one line each. `files`: all of the project; `read`: the text of one.
function check(document, text, files, read) {
  const blocks = blocksOf(text);
  const complaints = blocks.flatMap(({ file, line, text: shown }) => {
    if (!files.includes(file)) return [`${document}:${line}: there is no ${file}`];
    return `\n${read(file)}`.includes(`\n${shown}`) ? [] : [`${document}:${line}: is not what stands in ${file}`];
  });
  const folders = new Set(blocks.map(({ file }) => path.dirname(file)));
  const missing = files.filter((file) => file.endsWith('.yaml') && folders.has(path.dirname(file)) && !blocks.some((block) => block.file === file));
  return [...complaints, ...missing.map((file) => `${document}: shows others of its folder, but not ${file}`)];
}

function checkAll(root) {
  const files = execFileSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' }).split('\n').filter((file) => file && fs.existsSync(path.join(root, file)));
  const read = (file) => fs.readFileSync(path.join(root, file), 'utf8');
  return files.filter((file) => file.endsWith('.md')).flatMap((file) => check(file, read(file), files, read));
}

module.exports = { check, checkAll };

if (require.main === module) {
  const complaints = checkAll(process.argv[2] ?? path.join(__dirname, '..', '..'));
  for (const complaint of complaints) console.error(complaint);
  process.exit(complaints.length > 0 ? 1 : 0);
}
