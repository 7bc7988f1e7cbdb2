'use strict';
// The namespaces in which a lab of several hosts is: made by `unshare`, held by their process 1 (init), entered by `nsenter`. Nothing of the
// machine is touched but a folder and control groups, and what runs inside ends with process 1, however that ends. Needs root.

const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { waitFor } = require('../process.js');

const openDeadlineMs = 20_000;
const closeDeadlineMs = 30_000;
const needed = { unshare: 'util-linux', nsenter: 'util-linux', ip: 'iproute2', nft: 'nftables', mariadbd: 'mariadb-server-core' };

const folderOf = (run) => path.join(os.tmpdir(), `remuda-lab-${run}`);
const stateFile = (folder) => path.join(folder, 'room.json');

// Throws with what is to be done where a lab cannot be made.
function check(run) {
  if (!/^[a-z0-9-]{1,20}$/.test(run)) throw new Error(`--run: '${run}' is not 1 to 20 small letters, digits and hyphens`);
  if (process.getuid() !== 0) throw new Error('network namespaces are made by root alone: run it with sudo');
  const folders = `${process.env.PATH}:/usr/sbin:/sbin`.split(':');
  const missing = Object.keys(needed).filter((name) => !folders.some((folder) => fs.existsSync(path.join(folder, name))));
  if (missing.length > 0) throw new Error(`not on this machine: ${missing.map((name) => `${name} (package ${needed[name]})`).join(', ')}. Install with: deploy/install-deps --test`);
}

// Start of a process in clock ticks since boot, by which a pid that was given out again is told apart; null if there is none.
function startOf(pid) {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return null;
  }
}

// Whether nobody else can have put there what is in it. The folder for all has room for everybody's: what stands in another's names processes to
// be ended and programs to be run, as root.
function isOurs(folder) {
  const { uid, mode } = fs.lstatSync(folder);
  return (mode & fs.constants.S_IFMT) === fs.constants.S_IFDIR && uid === process.getuid() && (mode & 0o022) === 0;
}

class Room {
  constructor(run, { pid, start, bin }) {
    Object.assign(this, { run, pid, start, bin, folder: folderOf(run) });
  }

  // A new one. held: it ends with this process. bin: folder of the programs, for who comes later.
  static async open(run, { held, bin = '' }) {
    check(run);
    const folder = folderOf(run);
    if (Room.find(run)) throw new Error(`lab ${run} is up already: deploy/lab/down --run ${run} removes it`);
    sweep(run); // what one that crashed has left
    fs.mkdirSync(folder, { mode: 0o711 });
    const log = fs.openSync(path.join(folder, 'init.log'), 'a');
    const child = spawn('unshare', ['--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc', path.join(__dirname, 'init'), folder, run, held ? 'held' : 'kept', process.execPath],
      { detached: true, stdio: [held ? 'pipe' : 'ignore', log, log], env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` } });
    fs.closeSync(log);
    await waitFor(() => {
      if (child.exitCode !== null) throw new Error(fs.readFileSync(path.join(folder, 'init.log'), 'utf8'));
      return fs.existsSync(path.join(folder, 'open'));
    }, { deadlineMs: openDeadlineMs, what: 'the namespaces to be made' });
    const pid = Number(fs.readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim());
    const room = new Room(run, { pid, start: startOf(pid), bin });
    fs.writeFileSync(stateFile(folder), JSON.stringify({ pid, start: room.start, bin }));
    child.unref();
    child.stdin?.unref?.();
    return room;
  }

  // That of an earlier `up`; null if it is not up.
  static find(run) {
    try {
      if (!isOurs(folderOf(run))) return null;
      const state = JSON.parse(fs.readFileSync(stateFile(folderOf(run)), 'utf8'));
      return state.start === startOf(state.pid) ? new Room(run, state) : null;
    } catch {
      return null;
    }
  }

  // Runs of all labs that have left something on this machine, up or not.
  static runs() {
    return fs.readdirSync(os.tmpdir()).map((name) => /^remuda-lab-([a-z0-9-]{1,20})$/.exec(name)?.[1]).filter((run) => run && fs.existsSync(path.join(folderOf(run), 'init.log')));
  }

  // Command and arguments that run a command in it; on one of its machines if that is named.
  enter(command, machine = null) {
    const network = machine ? `/proc/${this.pid}/root/run/netns/${machine}` : `/proc/${this.pid}/ns/net`;
    return ['nsenter', '--target', `${this.pid}`, '--mount', '--pid', `--net=${network}`, 'env', `--chdir=${process.cwd()}`, ...command];
  }

  async close() {
    if (startOf(this.pid) === this.start) {
      process.kill(this.pid, 'SIGTERM');
      const isGone = () => startOf(this.pid) !== this.start;
      await waitFor(isGone, { deadlineMs: closeDeadlineMs, what: `process 1 of lab ${this.run} to end` }).catch(() => process.kill(this.pid, 'SIGKILL'));
      await waitFor(isGone, { deadlineMs: closeDeadlineMs, what: `process 1 of lab ${this.run} to be gone` });
    }
    sweep(this.run);
  }
}

// Removes what is left of a lab whose process 1 is gone.
function sweep(run) {
  spawnSync(path.join(__dirname, 'sweep'), [run, folderOf(run)], { stdio: 'inherit' });
}

module.exports = { Room, sweep };
