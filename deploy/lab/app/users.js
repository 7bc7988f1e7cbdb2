'use strict';
// Where the shop's users are kept: a file by default, a MySQL-protocol database when DATABASE_URL is set.
// Both answer list() and find(id) with promises; find gives null where there is nobody.

const fs = require('node:fs/promises');

const connectionLimit = 8;
const databaseTimeoutMs = 5000;

class FileUsers {
  constructor(path) {
    this.path = path;
  }

  async list() {
    return JSON.parse(await fs.readFile(this.path, 'utf8'));
  }

  async find(id) {
    return (await this.list()).find((user) => user.id === id) || null;
  }

  async close() {}
}

// Values reach the database as parameters of prepared statements, never as pasted text.
class MySqlUsers {
  constructor(url) {
    let mysql;
    try {
      mysql = require('mysql2/promise');
    } catch (error) {
      throw new Error(`DATABASE_URL is set, but mysql2 is not installed: run 'npm ci' in ${__dirname} (${error.code})`);
    }
    this.pool = mysql.createPool({ uri: url, connectionLimit, connectTimeout: databaseTimeoutMs });
  }

  async list() {
    const [rows] = await this.pool.execute('SELECT id, name, city FROM users ORDER BY id');
    return rows;
  }

  async find(id) {
    const [rows] = await this.pool.execute('SELECT id, name, city FROM users WHERE id = ?', [id]);
    return rows[0] || null;
  }

  async close() {
    await this.pool.end();
  }
}

function openUsers({ databaseUrl, file }) {
  return databaseUrl ? new MySqlUsers(databaseUrl) : new FileUsers(file);
}

module.exports = { openUsers };
