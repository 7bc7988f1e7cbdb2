'use strict';
// Serves index.html.

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');

const page = fs.readFileSync(path.join(__dirname, 'index.html'));
http.createServer((_, response) => response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page)).listen(Number(process.env.PORT), process.env.HOST);
