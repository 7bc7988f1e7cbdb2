'use strict';
// How node's own parser (llhttp, strict) frames streams of requests, or of responses (argument: "requests" or
// "responses"). Reads streams from stdin, each behind its length (4 bytes, little endian); writes one line for each: a
// field for every whole message, then one that says how it ended.
//
//   METHOD OR STATUS,TARGET IN HEX,BODY BYTES,FNV-1a OF THE BODY|...|ok   (all read, nothing wrong)
//   ...|HPE_INVALID_HEADER_TOKEN Invalid header token                     (refused there)
//   ...|upgrade                                                           (the rest is not HTTP any more)
//
// A stream of responses has one more byte in front: bit i is set if final response i answers a HEAD. Its end is the
// connection's.

const { HTTPParser, methods } = require('_http_common');

const { kOnHeaders, kOnHeadersComplete, kOnBody, kOnMessageComplete } = HTTPParser;

const readsResponses = process.argv[2] === 'responses';

// For kOnHeadersComplete.
const HAS_BODY = 0;
const SKIP_BODY = 1;

function frame(input) {
  const stream = readsResponses ? input.subarray(1) : input;
  const fields = [];
  let message = null;
  let pending = '';
  let upgrades = false;
  let finalResponses = 0;
  const parser = new HTTPParser();
  parser.initialize(readsResponses ? HTTPParser.RESPONSE : HTTPParser.REQUEST, {}, 64 * 1024);
  // Heads with many fields come in parts; the target comes with the first of them. Trailers come here too.
  parser[kOnHeaders] = (headers, url) => {
    if (message === null) pending += url;
  };
  parser[kOnHeadersComplete] = (major, minor, headers, method, url, status, phrase, upgrade) => {
    const target = url === undefined ? pending : url;
    upgrades = upgrade;
    message = { name: readsResponses ? status : methods[method], target, bytes: 0, hash: 0x811c9dc5 };
    pending = '';
    if (!readsResponses) return HAS_BODY;
    // RFC 9112, section 6.3. By itself llhttp knows it of 100 and 101 only.
    if (status < 200) return SKIP_BODY;
    finalResponses += 1;
    return (input[0] >> (finalResponses - 1)) & 1 ? SKIP_BODY : HAS_BODY;
  };
  parser[kOnBody] = (chunk) => {
    for (const byte of chunk) message.hash = Math.imul(message.hash ^ byte, 0x01000193) >>> 0;
    message.bytes += chunk.length;
  };
  parser[kOnMessageComplete] = () => {
    const target = readsResponses ? '' : Buffer.from(message.target, 'latin1').toString('hex');
    fields.push(`${message.name},${target},${message.bytes},${message.hash}`);
    message = null;
  };
  let result = stream.length > 0 ? parser.execute(stream) : 0;
  if (readsResponses && result === stream.length) result = parser.finish() ?? result;
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
