'use strict';
// MariaDB on the database machine, as the course's RDS: one database, one account, and a firewall that lets in the hosts of the apps alone. It
// is no instance of Remuda's, as RDS is none of an auto scaling group.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { waitFor } = require('../process.js');
const { hosts, machines, nft } = require('./network.js');

const deadlineMs = 60_000;
const port = 3306;
const account = { user: 'shop', password: 'quiz-lab-password' }; // of a database that ends with the lab
const tables = ['mysql_system_tables.sql', 'mysql_system_tables_data.sql'].map((name) => path.join('/usr/share/mysql', name));

const users = `CREATE DATABASE shop;
CREATE TABLE shop.users (id INT PRIMARY KEY, name VARCHAR(100) NOT NULL, city VARCHAR(100) NOT NULL);
INSERT INTO shop.users VALUES (1, 'Ada Lovelace', 'London'), (2, 'Grace Hopper', 'New York'), (3, 'Hedy Lamarr', 'Vienna');
DROP USER IF EXISTS ''@'localhost';
CREATE USER '${account.user}'@'10.77.0.%' IDENTIFIED BY '${account.password}';
GRANT SELECT, INSERT, UPDATE, DELETE ON shop.* TO '${account.user}'@'10.77.0.%';
`;

const url = `mysql://${account.user}:${account.password}@${machines.database.address}:${port}/shop`;

const serverFlags = (folder) => ['--no-defaults', '--user=root', `--datadir=${folder}/data`, `--socket=${folder}/socket`, `--pid-file=${folder}/pid`,
  '--innodb-buffer-pool-size=32M', '--innodb-log-file-size=8M', '--skip-log-bin', '--skip-name-resolve'];

// A data folder with system tables, accounts and the users.
function make(folder) {
  fs.mkdirSync(path.join(folder, 'data'), { recursive: true, mode: 0o700 });
  const script = ['CREATE DATABASE IF NOT EXISTS mysql;', 'USE mysql;', ...tables.map((file) => fs.readFileSync(file, 'utf8')), 'FLUSH PRIVILEGES;', users].join('\n');
  const { status, stderr } = spawnSync('mariadbd', [...serverFlags(folder), '--bootstrap'], { input: script, encoding: 'utf8', timeout: deadlineMs });
  if (status !== 0 || /ERROR: \d+/.test(stderr)) throw new Error(`mariadbd --bootstrap: exit code ${status}\n${stderr.slice(-2000)}`);
}

async function start(programs) {
  nft('database', `table inet database {
  chain incoming { type filter hook input priority 0; policy accept;
    tcp dport ${port} ip saddr != { ${hosts.map((name) => machines[name].address).join(', ')} } drop
  }
}\n`);
  const folder = programs.data('database');
  if (!fs.existsSync(path.join(folder, 'data'))) make(folder);
  programs.spawn('database', 'database', ['mariadbd', ...serverFlags(folder), `--bind-address=${machines.database.address}`, `--port=${port}`]);
  await waitFor(() => {
    if (!programs.pidOf('database')) throw new Error(programs.tail('database'));
    return /ready for connections/.test(fs.readFileSync(programs.log('database'), 'utf8'));
  }, { deadlineMs, what: 'the database to be ready' });
}

module.exports = { port, start, url };
