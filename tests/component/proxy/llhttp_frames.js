'use strict';
// How node's own parser (llhttp, strict) frames streams of requests. Reads streams from stdin, each behind its length
// (4 bytes, little endian); writes one line for each: a field for every whole request, then one that says how it ended.
//
//   METHOD,TARGET IN HEX,BODY BYTES,FNV-1a OF THE BODY|...|ok        (all read, nothing wrong)
//   ...|HPE_INVALID_HEADER_TOKEN Invalid header token                  (refused there)
//   ...|upgrade                                                        (the rest is not HTTP any more)

const { HTTPParser, methods } = require('_http_common');

const { kOnHeaders, kOnHeadersComplete, kOnBody, kOnMessageComplete } = HTTPParser;

function frame(stream) {
  const fields = [];
  let request = null;
  let pending = '';
  let upgrades = false;
  const parser = new HTTPParser();
  parser.initialize(HTTPParser.REQUEST, {}, 64 * 1024);
  // Heads with many fields come in parts; the target comes with the first of them. Trailers come here too.
  parser[kOnHeaders] = (headers, url) => {
    if (request === null) pending += url;
  };
  parser[kOnHeadersComplete] = (major, minor, headers, method, url, status, phrase, upgrade) => {
    const target = url === undefined ? pending : url;
    upgrades = upgrade;
    request = { method: methods[method], target, bytes: 0, hash: 0x811c9dc5 };
    pending = '';
    return 0;
  };
  parser[kOnBody] = (chunk) => {
    for (const byte of chunk) request.hash = Math.imul(request.hash ^ byte, 0x01000193) >>> 0;
    request.bytes += chunk.length;
  };
  parser[kOnMessageComplete] = () => {
    const target = Buffer.from(request.target, 'latin1').toString('hex');
    fields.push(`${request.method},${target},${request.bytes},${request.hash}`);
    request = null;
  };
  const result = parser.execute(stream);
  let end = 'ok';
  if (result instanceof Error) end = `${result.code} ${result.reason}`;
  else if (upgrades && result < stream.length) end = 'upgrade';
  fields.push(end);
  return fields.join('|');
}

let input = Buffer.alloc(0);
process.stdin.on('data', (chunk) => {
  input = Buffer.concat([input, chunk]);
  let at = 0;
  let lines = '';
  while (input.length - at >= 4) {
    const size = input.readUInt32LE(at);
    if (input.length - at - 4 < size) break;
    lines += `${frame(Buffer.from(input.subarray(at + 4, at + 4 + size)))}\n`;
    at += 4 + size;
  }
  input = input.subarray(at);
  if (lines) process.stdout.write(lines);
});
