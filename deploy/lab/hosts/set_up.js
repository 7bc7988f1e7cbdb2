'use strict';
// Starts programs and database of a lab, inside of its namespaces: set_up.js FOLDER. Started by deploy/lab/up.

const { HostsCluster } = require('./hosts_cluster.js');

const cluster = new HostsCluster({ bin: process.env.REMUDA_BIN_DIR, folder: process.argv[2] });
cluster.start().then(() => process.exit(0), (error) => {
  process.stderr.write(`lab: ${error.message}\n`);
  process.exit(1);
});
