// Why the proxy answers a request itself, or drops a connection: one name for the response header,
// the access log, the metrics and the tests. The status code follows from the reason.
#pragma once

#include <cstdint>
#include <string_view>

namespace remuda::proxy::http {

enum class Reason : uint8_t {
  kNone = 0,
  // Malformed requests.
  kBadRequestLine,
  kBadMethod,
  kBadTarget,
  kBadPath,
  kBadVersion,
  kHttp2Preface,
  kBadLineEnd,
  kFoldedLine,
  kBadFieldName,
  kSuspiciousFieldName,
  kBadFieldValue,
  kMissingHost,
  kRepeatedHost,
  kBadHost,
  kHostMismatch,
  kBadContentLength,
  kRepeatedContentLength,
  kBadTransferEncoding,
  kUnknownTransferEncoding,
  kRepeatedTransferEncoding,
  kLengthAndTransferEncoding,
  kChunkedInHttp10,
  kBadConnection,
  kBadExpect,
  kMethodNotAllowed,
  kTooManyForwardedAddresses,
  kBadChunk,
  kBadTrailer,
  kBadPseudoField,
  kBodyMismatch,
  // Over a bound.
  kRequestLineTooLong,
  kFieldTooLong,
  kHeadTooLarge,
  kTooManyFields,
  kTrailersTooLarge,
  // Clients.
  kClientHeadTimeout,
  kClientBodyTimeout,
  kClientClosed,
  kClientWriteTimeout,
  // Targets.
  kNoRegisteredTarget,
  kTargetConnectFailed,
  kTargetConnectTimeout,
  kTargetTlsFailed,
  kTargetResponseTimeout,
  kTargetClosed,
  kTargetBadResponse,
  kTargetHeadTooLarge,
  kTargetUnaskedUpgrade,
  kTargetDrainTimeout,
  kTunnelIdleTimeout,
  // Ours.
  kNoRule,
  kOverloaded,
  kRedirectTooLong,
  kBadRewrite,
  kQueueFull,
  kQueueTimeout,
  kHoldFull,
  kHoldTimeout,
  kProxyDraining,
  kCount,  // not a reason
};

// The code of the answer: 400, 405, 408, 414, 417, 431, 460, 463, 464, 500, 501, 502, 503,
// 504, 505.
int StatusOf(Reason reason);

// Whether it is answered so because no target, or none with a place, would take the request.
bool IsForWantOfTarget(Reason reason);

// A stable CamelCase name, e.g. "RepeatedContentLength"; empty for kNone.
std::string_view NameOf(Reason reason);

// The reason phrase of a status code, "Unknown" if it has none.
std::string_view PhraseOf(int status);

}  // namespace remuda::proxy::http
