// What is known of an exchange for its target, the log and the metrics. Small: of a tunnel it
// outlives all else.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "proxy/core/picker.h"
#include "proxy/exchange/in_flight.h"
#include "proxy/http/reason.h"

namespace remuda::proxy {

struct AdoptedTable;
struct Rule;

struct ExchangeRecord {
  GroupState* group = nullptr;
  InFlight in_flight;
  AdoptedTable* table = nullptr;  // pinned: `rule` and `group` are of it
  const Rule* rule = nullptr;

  int64_t begin_us = 0;  // since the epoch
  SteadyTime first_byte, head_end, sent_to_target, response_begin, response_sent;
  uint64_t received_bytes = 0, sent_bytes = 0;
  int status = 0;         // to the client
  int target_status = 0;  // from the target
  http::Reason reason = http::Reason::kNone;
  char trace_id[36] = {};  // "1-xxxxxxxx-xxxxxxxxxxxxxxxxxxxxxxxx"
  uint32_t attempts = 0;
  // Attempts that gave no response; their targets may be gone by now.
  std::array<std::array<char, kMaxEndpointBytes>, kMaxAttempts> failed_endpoints;
  std::array<uint8_t, kMaxAttempts> failed_endpoint_bytes{};
  size_t failed_attempts = 0;

  // As if new; the endpoints of failed attempts are not touched.
  void Reset();
};

}  // namespace remuda::proxy
