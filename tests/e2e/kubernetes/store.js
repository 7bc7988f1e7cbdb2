'use strict';
// An etcd of one member with TLS in the network of a play, as a cluster's own is, and the Secret by which controllers reach it.

const fs = require('node:fs');
const path = require('node:path');
const { Process, waitFor } = require('../../../deploy/lab/process.js');

const address = '127.0.0.1:2379';
const deadlineMs = 60_000;
const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];

class Store {
  constructor(play) {
    this.play = play;
    this.folder = path.join(play.folder, 'etcd');
    fs.mkdirSync(this.folder);
    this.variable = `etcd://${address}/remuda`;
  }

  file(name) {
    return path.join(this.folder, name);
  }

  async #certify(name) {
    const { play } = this;
    await play.must('openssl', 'req', '-new', ...key, '-keyout', this.file(`${name}.key`), '-out', this.file(`${name}.csr`), '-subj', `/CN=${name}`);
    await play.must('openssl', 'x509', '-req', '-days', '2', '-in', this.file(`${name}.csr`), '-CA', this.file('ca.pem'), '-CAkey', this.file('ca.key'), '-CAcreateserial',
      '-extfile', this.file('names'), '-out', this.file(`${name}.crt`));
  }

  async start() {
    await this.play.must('openssl', 'req', '-x509', ...key, '-keyout', this.file('ca.key'), '-out', this.file('ca.pem'), '-subj', '/CN=etcd');
    fs.writeFileSync(this.file('names'), 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n');
    await this.#certify('server');
    await this.#certify('tls');
    const urls = [`https://${address}`, 'http://127.0.0.1:2380'];
    this.process = new Process('nsenter', { name: 'etcd', args: [this.play.network, 'etcd', '--name=m', `--data-dir=${this.file('data')}`,
      `--listen-client-urls=${urls[0]}`, `--advertise-client-urls=${urls[0]}`, `--listen-peer-urls=${urls[1]}`, `--initial-advertise-peer-urls=${urls[1]}`, `--initial-cluster=m=${urls[1]}`,
      `--cert-file=${this.file('server.crt')}`, `--key-file=${this.file('server.key')}`, '--client-cert-auth', `--trusted-ca-file=${this.file('ca.pem')}`, '--logger=zap', '--log-level=error'] });
    const isWell = async () => (await this.play.inside('curl', '-sS', '--cacert', this.file('ca.pem'), '--cert', this.file('tls.crt'), '--key', this.file('tls.key'), `https://${address}/health`)).stdout.includes('"true"');
    await waitFor(isWell, { deadlineMs, what: () => `etcd to be well: ${this.process.tail()}` });
  }

  get secret() {
    return Object.fromEntries(['ca.pem', 'tls.crt', 'tls.key'].map((name) => [name, fs.readFileSync(this.file(name)).toString('base64')]));
  }

  async end() {
    await this.process?.end();
  }
}

module.exports = { Store };
