'use strict';
// load.js as a child, so that whoever measures does not disturb what is measured.

const path = require('node:path');
const { Process, waitFor } = require('./process.js');

const answerDeadlineMs = 10_000;

class LoadProcess {
  constructor(url, { rate, connections }) {
    this.windows = 0;
    this.process = new Process(process.execPath, {
      name: 'load',
      args: [path.join(__dirname, 'load.js'), '--rate', `${rate}`, '--connections', `${connections}`, url],
      input: true,
    });
  }

  // Closes a window: its figures.
  async mark(name) {
    this.windows += 1;
    this.process.child.stdin.write(`${name}\n`);
    return this.#report(this.windows);
  }

  // Ends the load: the figures of the whole.
  async stop() {
    this.process.signal('SIGTERM');
    await this.process.waitForExit(answerDeadlineMs);
    return this.#report(this.windows + 1);
  }

  async #report(count) {
    const lines = () => this.process.stdout.split('\n').slice(0, -1);
    await waitFor(() => {
      if (lines().length < count && this.process.result) throw new Error(`the load ended:\n${this.process.tail()}`);
      return lines().length >= count;
    }, { deadlineMs: answerDeadlineMs, what: 'the load generator' });
    return JSON.parse(lines()[count - 1]);
  }
}

module.exports = { LoadProcess };
