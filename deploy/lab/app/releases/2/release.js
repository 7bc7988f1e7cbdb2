'use strict';
// Version 2: another greeting, in green.

exports.version = 2;
exports.greeting = process.env.GREETING || 'Hello, New World!';
exports.colour = '#1a7f37';
exports.ready = () => true;
