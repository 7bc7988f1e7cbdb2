'use strict';
// The lab while it is played on several hosts: as lab.js, with the load on every proxy, since a client reaches any of them.

const { Lab } = require('../lab.js');
const { LoadProcess } = require('../load_process.js');

const connections = 8; // to each proxy

class HostsLab extends Lab {
  // options: as Lab's; urls: one a proxy
  constructor(options) {
    super({ ...options, url: options.urls[0] });
    this.urls = options.urls;
  }

  async startLoad() {
    for (const url of this.urls) {
      const process = new LoadProcess(url, { rate: Math.ceil(this.rate / this.urls.length), connections });
      this.loads.push({ process, requests: 0, failed: 0 });
    }
  }
}

module.exports = { HostsLab };
