'use strict';
// What makes version 1 version 1: its looks. All versions share the rest of the code.

exports.version = 1;
exports.greeting = process.env.GREETING || 'Hello, World!';
exports.colour = '#1f6feb';
exports.ready = () => true;
