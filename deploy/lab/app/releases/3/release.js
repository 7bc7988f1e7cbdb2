'use strict';
// Version 3 is broken, as releases are: it waits for a catalogue that nobody ships, so it starts, listens,
// and never becomes healthy.

const fs = require('node:fs');
const path = require('node:path');

exports.version = 3;
exports.greeting = process.env.GREETING || 'Hello, Broken World!';
exports.colour = '#cf222e';
exports.ready = () => fs.existsSync(path.join(__dirname, 'catalogue.json'));
