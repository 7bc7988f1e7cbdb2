'use strict';
// The shop with DATABASE_URL: a real MariaDB server, mysql2, and text that would hurt were it pasted into SQL.
// Skipped, and said so, where `deploy/install-deps --test` has not been run.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { Process, killAll, run } = require('../../process.js');

const app = path.join(__dirname, '..');
const deadlineMs = 60_000;
const schema = `CREATE DATABASE shop; USE shop;
CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(100) NOT NULL, city VARCHAR(100) NOT NULL);
INSERT INTO users VALUES (1, 'Ada Lovelace', 'London'), (2, 'Robert''); DROP TABLE users;--', 'Hereford');
`;

const folders = `${process.env.PATH}:/usr/sbin`.split(':');
const server = folders.map((folder) => path.join(folder, 'mariadbd')).find((file) => fs.existsSync(file));
const skip = !server ? 'no mariadbd here' : !fs.existsSync(path.join(app, 'node_modules/mysql2')) ? 'no mysql2 here' : false;
let scratch;
let databaseUrl;

before(async () => {
  if (skip) return;
  scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'shop-db-'));
  const data = path.join(scratch, 'data');
  const asUser = process.getuid() === 0 ? ['--user=root'] : [];
  fs.mkdirSync(data);
  // No system tables and no accounts: those would need the client's package, and the app needs neither.
  const init = path.join(scratch, 'init.sql'); // one statement a line: that is how --init-file reads
  fs.writeFileSync(init, schema.replace(/; (?!DROP)/g, ';\n'));
  const database = new Process(server, {
    args: ['--no-defaults', `--datadir=${data}`, `--socket=${scratch}/s`, '--port=0', '--bind-address=127.0.0.1',
      '--skip-grant-tables', `--pid-file=${scratch}/pid`, `--init-file=${init}`, ...asUser],
  });
  await database.waitForOutput(/ready for connections/, deadlineMs);
  databaseUrl = `mysql://shop:${encodeURIComponent('pa:ss/word')}@localhost/shop?socketPath=${encodeURIComponent(`${scratch}/s`)}`;
});

after(() => {
  killAll();
  if (scratch) fs.rmSync(scratch, { recursive: true });
});

test('users come from the database, by parameters', { skip }, async (t) => {
  const image = path.join(scratch, 'image');
  const made = await run(path.join(app, 'make-image'), ['2', image, '--with-database']);
  assert.equal(made.code, 0, made.stderr);
  const shop = new Process(process.execPath, { args: ['app.js'], cwd: image, env: { PORT: '0', DATABASE_URL: databaseUrl } });
  t.after(() => shop.end(0));
  const [, port] = await shop.waitForOutput(/listens on 127\.0\.0\.1:(\d+)/, deadlineMs);
  const ask = async (target) => {
    const answer = await fetch(`http://127.0.0.1:${port}${target}`);
    return [answer.status, await answer.json()];
  };
  const robert = { id: 2, name: "Robert'); DROP TABLE users;--", city: 'Hereford' };
  assert.deepEqual(await ask('/users/2'), [200, robert]);
  assert.deepEqual(await ask('/users'), [200, [{ id: 1, name: 'Ada Lovelace', city: 'London' }, robert]]);
  assert.deepEqual(await ask('/users/3'), [404, { error: 'no user 3' }]);
  assert.equal((await ask("/users/1'%20OR%20'1'='1"))[0], 400);
  shop.signal('SIGTERM');
  assert.equal((await shop.waitForExit(deadlineMs)).code, 0);
});

test('without mysql2 the app says what to install', async () => {
  const image = fs.mkdtempSync(path.join(os.tmpdir(), 'shop-bare-'));
  try {
    await run(path.join(app, 'make-image'), ['1', image]);
    const result = await run(process.execPath, ['app.js'], { cwd: image, env: { PORT: '0', DATABASE_URL: 'mysql://localhost/x' }, deadlineMs });
    assert.equal(result.code, 1);
    assert.match(result.stderr, /mysql2 is not installed: run 'npm ci'/);
  } finally {
    fs.rmSync(image, { recursive: true });
  }
});
