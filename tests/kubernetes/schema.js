'use strict';
// Judges objects by the schemas that Kubernetes publishes, as npm's kubernetes-models has them: compiled, a validator a type. Strict: a field
// that the schema does not know is wrong too. A validator reads each field that it knows, so that what was not read is not known.

const path = require('node:path');
const { pathToFileURL } = require('node:url');

const modules = path.join(__dirname, '../tools/node_modules');
// The oldest version of Kubernetes that is looked after, and the newest that npm has.
const versions = { 1.33: 'kubernetes-models-1-33', 1.36: 'kubernetes-models-1-36' };

// Part of the name of a type, by its group.
const groups = {
  v1: 'Core', apps: 'Apps', 'rbac.authorization.k8s.io': 'Rbac', 'networking.k8s.io': 'Networking', policy: 'Policy',
};

const capital = (text) => text[0].toUpperCase() + text.slice(1);

// 'io.k8s.api.apps.v1.StatefulSet' as the package spells it. Throws for a group that is not in the table.
function typeOf({ apiVersion = '', kind = '' }) {
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['v1', apiVersion];
  if (!groups[group]) throw new Error(`${kind}: apiVersion "${apiVersion}" is not one that is used here`);
  return `IoK8sApi${groups[group]}${capital(version)}${kind}`;
}

async function validatorOf(version, object) {
  const file = path.join(modules, versions[version], '_schemas', `${typeOf(object)}.js`);
  const loaded = await import(pathToFileURL(file));
  return loaded.validate || loaded.default.validate;
}

// `value`, and in `unread` the paths of the fields of it that nobody has read since.
function watched(value, at, unread) {
  if (value === null || typeof value !== 'object') return value;
  const isList = Array.isArray(value);
  const parts = new Map();
  for (const key of Object.keys(value)) {
    const where = isList ? `${at}[${key}]` : `${at}.${key}`;
    if (!isList) unread.add(where);
    parts.set(key, { where, value: watched(value[key], where, unread) });
  }
  return new Proxy(value, {
    get(target, key, receiver) {
      const part = parts.get(key);
      if (!part) return Reflect.get(target, key, receiver);
      unread.delete(part.where);
      return part.value;
    },
  });
}

const nameOf = (object) => `${object.kind}/${object.metadata?.name}`;

// What is wrong with it in that version: a line each.
async function judge(version, object) {
  const name = nameOf(object);
  let validate;
  try {
    validate = await validatorOf(version, object);
  } catch (error) {
    return [`${name}: no schema of Kubernetes ${version}: ${error.message}`];
  }
  const unread = new Set();
  const wrong = [];
  if (!validate(watched(object, '', unread))) {
    for (const error of validate.errors) {
      wrong.push(`${name}: ${error.instancePath || '/'}: ${error.keyword} ${JSON.stringify(error.params)} (Kubernetes ${version})`);
    }
  }
  const below = (field) => [...unread].some((other) => field !== other && (field.startsWith(`${other}.`) || field.startsWith(`${other}[`)));
  for (const field of unread) {
    if (!below(field)) wrong.push(`${name}: ${field} is no field (Kubernetes ${version})`);
  }
  return wrong;
}

module.exports = { judge, nameOf, versions: Object.keys(versions) };
