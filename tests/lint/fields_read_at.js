'use strict';
// For fields.js: where fields are read that it does not see read.

const execute = 'const v1::METHODRequest& request, const Context& context\\) \\{[^}]*?';

// Requests that are handed on whole: `fields` of them are read by what stands as `by` in the file `reads`. `at`: how a
// method hands its request on, METHOD being its name, in a source without line breaks.
const handedTo = [
  { fields: ['request_id'], reads: 'controller/core/door/execute_once.cc', by: 'FindFieldByName("request_id")',
    at: ['REMUDA_WRITE\\(METHOD,', 'ImageService/METHOD"'] },
  { fields: ['validate_only'], reads: 'controller/core/door/execute_once.cc', by: 'FindFieldByName("validate_only")',
    at: ['REMUDA_WRITE\\(METHOD,', 'ImageService/METHOD"'] },
  { fields: ['name', 'etag'], reads: 'controller/core/door/rows.h', by: 'CheckEtag(*row, request.etag())',
    at: [`${execute}FindRowToWrite<v1::\\w+>\\(draft, request\\)`] },
  { fields: ['name', 'etag'], reads: 'controller/core/door/execute_deployment.cc', by: 'FindRowToWrite<v1::Deployment>(draft, request)',
    at: [`${execute}SetPaused\\(draft, request,`, `${execute}FindRunning\\(draft, request\\)`] },
  { fields: ['name', 'etag'], reads: 'controller/core/door/execute_host.cc', by: 'FindRowToWrite<v1::Host>(draft, request)',
    at: [`${execute}return SetSchedule\\(draft, request,`] },
  { fields: ['page_size', 'page_token', 'filter'], reads: 'controller/core/door/read_list.h',
    by: 'request.page_size(), request.page_token()',
    at: ['const v1::METHODRequest& request\\) \\{ return List\\(from, request,',
      'const v1::METHODRequest& request\\) \\{(?:(?!const Snapshot).)*?ListPage<v1::\\w+>::From\\([^;]*request\\)'] },
];

// MESSAGE.FIELD (or `*`, all of its fields) → the file, and what stands in it.
const readAt = {
  // A word of C++: its accessor has a line at its end.
  'KubernetesTargets.namespace': ['controller/core/door/follow_targets.cc', 'of.namespace_()'],
};

module.exports = { handedTo, readAt };
