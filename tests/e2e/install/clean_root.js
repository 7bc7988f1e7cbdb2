'use strict';
// A clean Debian in a folder, with namespaces of its own (mounts, processes, network): what is installed and run there leaves
// nothing on this machine, and all of it ends with the test.

const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { Process, run, waitFor } = require('../../../deploy/lab/process.js');

const makeDeadlineMs = 900_000; // packages come over the network the first time
const deadlineMs = 60_000;
const env = { LC_ALL: 'C.UTF-8', HOME: '/root', XDG_CONFIG_HOME: '' }; // of commands in there

async function ok(command, args, options = {}) {
  const result = await run(command, args, { deadlineMs, ...options });
  if (result.code !== 0) throw new Error(`${command} ${args.join(' ')}: exit ${result.code}\n${result.stdout}${result.stderr}`);
  return result.stdout;
}

// Names that a Depends field needs. Of alternatives the last: there, it is the small one.
function packagesOf(depends) {
  return depends.split(',').map((part) => part.split('|').pop().replace(/\(.*\)/, '').trim()).filter(Boolean);
}

// The sources of Debian itself that this machine has set up, as lines for apt.
async function sources() {
  const release = /^VERSION_CODENAME=(.*)$/m.exec(fs.readFileSync('/etc/os-release', 'utf8'))[1];
  const lines = await ok('apt-get', ['indextargets', '--format', 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)', 'Created-By: Packages', 'Origin: Debian']);
  const found = [...new Set(lines.split('\n'))].filter((line) => line.split(' ')[2]?.startsWith(release));
  if (found.length === 0) throw new Error('apt has no lists of Debian here: apt-get update');
  return `${found.join('\n')}\n`;
}

// A tar of a minimal Debian with these packages; made once and kept in `cacheFolder`.
async function rootArchive(cacheFolder, packages) {
  const wanted = [...new Set(packages)].sort();
  const key = crypto.createHash('sha256').update(wanted.join(',')).digest('hex').slice(0, 16);
  const archive = path.join(cacheFolder, `${key}.tar`);
  if (fs.existsSync(archive)) return archive;
  fs.mkdirSync(cacheFolder, { recursive: true });
  for (const old of fs.readdirSync(cacheFolder)) fs.rmSync(path.join(cacheFolder, old)); // of other dependencies
  const list = path.join(cacheFolder, 'sources.list');
  const fresh = path.join(cacheFolder, 'new.tar');
  fs.writeFileSync(list, await sources());
  await ok('mmdebstrap', ['--quiet', '--mode=root', '--variant=apt', `--include=${wanted.join(',')}`, '', fresh, list], { deadlineMs: makeDeadlineMs });
  fs.renameSync(fresh, archive);
  return archive;
}

class CleanRoot {
  constructor(folder) {
    this.folder = folder;
  }

  // Unpacks it and makes its namespaces; the test's end takes both away.
  static async start(t, archive, folder) {
    fs.mkdirSync(folder);
    await ok('tar', ['-x', '-f', archive, '-C', folder, '--numeric-owner']);
    const root = new CleanRoot(folder);
    // The mounts are seen in there only. As process 1 it reaps what is left behind.
    const script = `mount -t proc proc ${folder}/proc && ip link set lo up && echo up && trap : TERM && while :; do sleep 1000 & wait; done`;
    // It dies with this test, also with one that is killed; and all in there with it.
    root.holder = new Process('setpriv', { args: ['--pdeathsig', 'KILL', 'unshare', '--mount', '--pid', '--net', '--uts', '--fork', '--kill-child', 'sh', '-c', script] });
    t.after(() => root.holder.end(0));
    await root.holder.waitForOutput(/^up$/m, deadlineMs);
    root.pid = Number(fs.readFileSync(`/proc/${root.holder.pid}/task/${root.holder.pid}/children`, 'utf8').trim());
    return root;
  }

  #inside(args) {
    return ['-t', `${this.pid}`, '-m', '-p', '-n', '-u', 'chroot', this.folder, ...args];
  }

  path(name) {
    return path.join(this.folder, name);
  }

  read(name) {
    return fs.readFileSync(this.path(name), 'utf8');
  }

  // Output of a command that must succeed in there.
  ok(...args) {
    return ok('nsenter', this.#inside(args), { env });
  }

  run(...args) {
    return run('nsenter', this.#inside(args), { deadlineMs, env });
  }

  start(...args) {
    return new Process('nsenter', { args: this.#inside(args), name: path.basename(args[0]) });
  }

  // Number in its namespace of the one process that runs this command line; 0 if there is none.
  pidOf(text) {
    const lines = this.processes();
    return Number(Object.keys(lines).find((pid) => lines[pid].includes(text)) || 0);
  }

  // Command lines by number, as seen in there.
  processes() {
    const found = {};
    for (const pid of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        if (fs.readlinkSync(`/proc/${pid}/ns/pid`) !== fs.readlinkSync(`/proc/${this.pid}/ns/pid`)) continue;
        const command = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        const inside = /^NSpid:.*\s(\d+)$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1];
        if (command) found[inside] = command;
      } catch {
        // it has ended meanwhile
      }
    }
    return found;
  }

  // Answer of a server in there: {status, body}; status 0: no connection.
  async get(port, pathname = '/') {
    const script = `exec 3<>/dev/tcp/127.0.0.1/${port} || exit 9
      printf 'GET ${pathname} HTTP/1.1\\r\\nHost: test\\r\\nConnection: close\\r\\n\\r\\n' >&3; cat <&3`;
    const result = await this.run('bash', '-c', script);
    const head = /^HTTP\/1\.1 (\d+)/.exec(result.stdout);
    return { status: head ? Number(head[1]) : 0, body: result.stdout.split('\r\n\r\n').slice(1).join('\r\n\r\n') };
  }

  async waitForPage(port, pathname = '/') {
    await waitFor(async () => (await this.get(port, pathname)).status === 200, { deadlineMs, what: `http://127.0.0.1:${port}${pathname} in the clean root` });
  }

  // Every path below with its kind, but what the system itself writes.
  async listing() {
    const out = await ok('find', [this.folder, '-xdev', '-path', this.path('proc'), '-prune', '-o', '-printf', '%y %P\\n']);
    const ofSystem = /^. (var\/lib\/(dpkg|apt)|var\/cache|var\/log|tmp|run|root)(\/|$)|^. etc\/[^/]*-$/;
    return out.split('\n').filter((line) => line && !ofSystem.test(line)).sort();
  }
}

module.exports = { CleanRoot, deadlineMs, ok, packagesOf, rootArchive };
