#!/usr/bin/env node
'use strict';
// Nothing that the API accepts is ignored, and nothing that it shows is never set: each field of each message of
// remuda.v1 that a request can hold is read somewhere in the programs, each that only answers hold is written.
//
// No compiler is asked. A field whose name no other message has is found by its accessor. One whose name several
// messages have needs an accessor on something that is known to be of its message: a variable or argument declared
// so, an element of such a list, or the accessor of a field of that type. A request may also be handed on whole to
// what reads it (`handedTo`). Where none of this is seen (templates, bindings, reflection), fields_read_at.js says where
// the field is read, and that text must stand there.
//
//   node tests/lint/fields.js [ROOT]

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { handedTo, readAt } = require('./fields_read_at.js');

const root = path.resolve(process.argv[2] ?? path.join(__dirname, '../..'));
const buf = path.join(root, 'tests/tools/node_modules/.bin/buf');

// --- The schema ---

const image = JSON.parse(execFileSync(buf, ['build', path.join(root, 'proto'), '-o', '-#format=json'], { maxBuffer: 1 << 28 }));
const messages = new Map(); // full name → { name, fields: [{ name, type, isMap, isOutput }] }
const outputOnly = /\bOutput only\b/;

for (const file of image.file) {
  const comments = new Map((file.sourceCodeInfo?.location ?? []).map((at) => [(at.path ?? []).join('.'), at.leadingComments ?? '']));
  const walk = (type, at, prefix) => {
    const name = `${prefix}.${type.name}`;
    if (!type.options?.mapEntry) {
      messages.set(name, { name, short: type.name, package: file.package, fields: (type.field ?? []).map((field, index) => ({
        name: field.name, type: field.typeName?.slice(1), oneof: field.oneofIndex !== undefined && !field.proto3Optional,
        isOutput: outputOnly.test(comments.get(`${at}.2.${index}`) ?? ''),
      })) });
    }
    (type.nestedType ?? []).forEach((nested, index) => walk(nested, `${at}.3.${index}`, name));
  };
  (file.messageType ?? []).forEach((type, index) => walk(type, `4.${index}`, file.package));
}
const ours = [...messages.values()].filter((message) => message.package === 'remuda.v1');
const owners = new Map(); // field name → how many messages of ours (of any package) have it
for (const message of messages.values()) {
  if (!message.package.startsWith('remuda.')) continue;
  for (const field of message.fields) owners.set(field.name, (owners.get(field.name) ?? 0) + 1);
}

// What a request can hold.
const inputs = new Set();
const reach = (name) => {
  if (inputs.has(name) || !messages.has(name)) return;
  inputs.add(name);
  for (const field of messages.get(name).fields) if (field.type && !field.isOutput) reach(field.type);
};
for (const message of ours) if (message.short.endsWith('Request')) reach(message.name);

// --- The sources ---

const files = execFileSync('git', ['-C', root, 'ls-files', '*.cc', '*.h'], { encoding: 'utf8' }).split('\n')
  .filter((file) => file && !file.startsWith('tests/'));
const texts = new Map(files.map((file) => [file, fs.readFileSync(path.join(root, file), 'utf8').replace(/\/\/.*$/gm, '').replace(/\s+/g, ' ')]));

const everything = [...texts.values()].join('\n');

const camel = (name) => `k${name.replace(/(^|_)([a-z0-9])/g, (_, __, letter) => letter.toUpperCase())}`;
const readOf = (field) => `(?:has_|)${field}(?:_size|_case|)\\(|mutable_${field}\\(\\)[,)]`;

// Accessors, of any message, that answer one of this type.
const accessorsTo = (type) => [...new Set([...messages.values()].flatMap((message) => message.fields)
  .filter((field) => field.type === type).map((field) => field.name))];

// Names of variables of the type in a text.
function variablesOf(message, text) {
  const names = new Set();
  const types = [message.short, ...[...text.matchAll(new RegExp(`using (\\w+) = (?:\\w+::)*${message.short};`, 'g'))].map((m) => m[1])];
  const add = (pattern) => { for (const match of text.matchAll(new RegExp(pattern, 'g'))) names.add(match[1]); };
  for (const type of types) {
    add(`\\b(?:\\w+::)*${type}>* ?(?:const)?[&*]* ?(\\w+) ?[=;,){(\\[:]`);
    add(`\\bauto[&*]* (\\w+) ?= ?[^;{]*\\b(?:\\w+::)?${type}\\b`);
    add(`\\(const auto[&]? (\\w+)[,)][^;]*\\b${type}\\b`);
  }
  const accessors = accessorsTo(message.name).join('|');
  if (accessors) {
    add(`\\b(?:auto|${message.short})[&*]* (\\w+) ?[=:] ?[^;{]*(?:\\.|->)(?:mutable_|add_|)(?:${accessors})\\(`);
  }
  return [...names].filter((name) => !['const', 'return', 'value_type'].includes(name));
}

// Whether a method hands its request on to something that reads the field, and that stands where it is said to.
const handed = new Set();
function isHandedOn(message, field) {
  if (!message.short.endsWith('Request')) return false;
  const method = message.short.slice(0, -'Request'.length);
  return handedTo.some((rule, index) => {
    if (!rule.fields.includes(field.name) || !texts.get(rule.reads)?.includes(rule.by.replace(/\s+/g, ' '))) return false;
    const found = rule.at.some((pattern) => new RegExp(pattern.replaceAll('METHOD', method)).test(everything));
    if (found) handed.add(index);
    return found;
  });
}

const variables = new Map(); // message → file → names
function isRead(message, field) {
  const read = readOf(field.name);
  const isAlone = owners.get(field.name) === 1;
  const accessors = accessorsTo(message.name).join('|');
  if (isHandedOn(message, field)) return true;
  for (const [file, text] of texts) {
    if (isAlone && new RegExp(`(?:\\.|->|::)(?:${read}|${field.name}\\b)`).test(text)) return true;
    if (!text.includes(field.name) && !text.includes(camel(field.name))) continue;
    if (new RegExp(`\\b${message.short}::(?:${field.name}\\b|${camel(field.name)}\\b)`).test(text)) return true;
    if (accessors && new RegExp(`\\b(?:${accessors})\\([^()]*\\)(?:\\.|->)(?:${read})`).test(text)) return true;
    const key = `${message.name} ${file}`;
    if (!variables.has(key)) variables.set(key, variablesOf(message, text));
    const names = variables.get(key);
    if (names.length === 0) continue;
    if (new RegExp(`\\b(?:${names.join('|')})\\)?(?:->value|\\.value|->second|\\.second|)(?:\\.|->)(?:${read})`).test(text)) return true;
  }
  return false;
}

const isWritten = (field) => new RegExp(`\\b(?:set|mutable|add)_${field.name}\\(`).test(everything);

// --- The table ---

let status = 0;
const fail = (text) => { console.error(`lint: ${text}`); status = 1; };
const used = new Set();
function isTold(message, field) {
  const key = [`${message.short}.${field.name}`, `${message.short}.*`].find((each) => readAt[each]);
  if (!key) return false;
  used.add(key);
  return true;
}
for (const [key, [file, text]] of Object.entries(readAt)) {
  const source = fs.existsSync(path.join(root, file)) ? fs.readFileSync(path.join(root, file), 'utf8') : '';
  if (!source.includes(text)) fail(`tests/lint/fields_read_at.js: ${key}: ${file} does not hold ${JSON.stringify(text)}`);
}

for (const message of ours) {
  for (const field of message.fields) {
    const isInput = inputs.has(message.name) && !field.isOutput;
    if (!isInput && isWritten(field)) continue;
    if (isRead(message, field) || isTold(message, field)) continue;
    fail(`${message.name}.${field.name}: ${isInput ? 'a request can hold it, and no code reads it' : 'no code sets it'}`);
  }
}
handedTo.forEach((rule, index) => {
  if (!handed.has(index)) fail(`tests/lint/fields_read_at.js: nothing is handed to ${rule.by} any more`);
});
for (const key of Object.keys(readAt)) if (!used.has(key)) fail(`tests/lint/fields_read_at.js: ${key} is not needed any more`);
process.exitCode = status;
