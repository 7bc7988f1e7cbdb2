#include "proxy/http/reason.h"

#include <array>
#include <cstddef>

namespace remuda::proxy::http {
namespace {

struct Entry {
  Reason reason;
  int status;
  std::string_view name;
};

constexpr std::array<Entry, static_cast<size_t>(Reason::kCount)> kEntries = {{
    {Reason::kNone, 0, ""},
    {Reason::kBadRequestLine, 400, "BadRequestLine"},
    {Reason::kBadMethod, 400, "BadMethod"},
    {Reason::kBadTarget, 400, "BadTarget"},
    {Reason::kBadPath, 400, "BadPath"},
    {Reason::kBadVersion, 505, "BadVersion"},
    {Reason::kHttp2Preface, 464, "Http2Preface"},
    {Reason::kBadLineEnd, 400, "BadLineEnd"},
    {Reason::kFoldedLine, 400, "FoldedLine"},
    {Reason::kBadFieldName, 400, "BadFieldName"},
    {Reason::kSuspiciousFieldName, 400, "SuspiciousFieldName"},
    {Reason::kBadFieldValue, 400, "BadFieldValue"},
    {Reason::kMissingHost, 400, "MissingHost"},
    {Reason::kRepeatedHost, 400, "RepeatedHost"},
    {Reason::kBadHost, 400, "BadHost"},
    {Reason::kHostMismatch, 400, "HostMismatch"},
    {Reason::kBadContentLength, 400, "BadContentLength"},
    {Reason::kRepeatedContentLength, 400, "RepeatedContentLength"},
    {Reason::kBadTransferEncoding, 400, "BadTransferEncoding"},
    {Reason::kUnknownTransferEncoding, 501, "UnknownTransferEncoding"},
    {Reason::kRepeatedTransferEncoding, 400, "RepeatedTransferEncoding"},
    {Reason::kLengthAndTransferEncoding, 400, "LengthAndTransferEncoding"},
    {Reason::kChunkedInHttp10, 400, "ChunkedInHttp10"},
    {Reason::kBadConnection, 400, "BadConnection"},
    {Reason::kBadExpect, 417, "BadExpect"},
    {Reason::kMethodNotAllowed, 405, "MethodNotAllowed"},
    {Reason::kTooManyForwardedAddresses, 463, "TooManyForwardedAddresses"},
    {Reason::kBadChunk, 400, "BadChunk"},
    {Reason::kBadTrailer, 400, "BadTrailer"},
    {Reason::kBadPseudoField, 400, "BadPseudoField"},
    {Reason::kBodyMismatch, 400, "BodyMismatch"},
    {Reason::kRequestLineTooLong, 414, "RequestLineTooLong"},
    {Reason::kFieldTooLong, 431, "FieldTooLong"},
    {Reason::kHeadTooLarge, 431, "HeadTooLarge"},
    {Reason::kTooManyFields, 431, "TooManyFields"},
    {Reason::kTrailersTooLarge, 431, "TrailersTooLarge"},
    {Reason::kClientHeadTimeout, 408, "ClientHeadTimeout"},
    {Reason::kClientBodyTimeout, 408, "ClientBodyTimeout"},
    {Reason::kClientClosed, 460, "ClientClosed"},
    {Reason::kClientWriteTimeout, 460, "ClientWriteTimeout"},
    {Reason::kNoRegisteredTarget, 503, "NoRegisteredTarget"},
    {Reason::kTargetConnectFailed, 502, "TargetConnectFailed"},
    {Reason::kTargetConnectTimeout, 504, "TargetConnectTimeout"},
    {Reason::kTargetTlsFailed, 502, "TargetTlsFailed"},
    {Reason::kTargetResponseTimeout, 504, "TargetResponseTimeout"},
    {Reason::kTargetClosed, 502, "TargetClosed"},
    {Reason::kTargetBadResponse, 502, "TargetBadResponse"},
    {Reason::kTargetHeadTooLarge, 502, "TargetHeadTooLarge"},
    {Reason::kTargetUnaskedUpgrade, 502, "TargetUnaskedUpgrade"},
    {Reason::kTargetDrainTimeout, 502, "TargetDrainTimeout"},
    {Reason::kTunnelIdleTimeout, 504, "TunnelIdleTimeout"},
    {Reason::kNoRule, 404, "NoRule"},
    {Reason::kOverloaded, 503, "Overloaded"},
    {Reason::kRedirectTooLong, 500, "RedirectTooLong"},
    {Reason::kBadRewrite, 400, "BadRewrite"},
    {Reason::kQueueFull, 503, "QueueFull"},
    {Reason::kQueueTimeout, 503, "QueueTimeout"},
    {Reason::kHoldFull, 503, "HoldFull"},
    {Reason::kHoldTimeout, 503, "HoldTimeout"},
    {Reason::kProxyDraining, 503, "ProxyDraining"},
}};

constexpr bool InOrder() {
  for (size_t i = 0; i < kEntries.size(); ++i) {
    if (static_cast<size_t>(kEntries[i].reason) != i) return false;
  }
  return true;
}
static_assert(InOrder(), "kEntries is indexed by Reason");

}  // namespace

int StatusOf(Reason reason) { return kEntries[static_cast<size_t>(reason)].status; }

bool IsForWantOfTarget(Reason reason) {
  return reason == Reason::kNoRegisteredTarget ||
         (reason >= Reason::kQueueFull && reason <= Reason::kProxyDraining);
}

std::string_view NameOf(Reason reason) { return kEntries[static_cast<size_t>(reason)].name; }

std::string_view PhraseOf(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 417:
      return "Expectation Failed";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 460:
      return "Client Closed";
    case 463:
      return "Too Many Forwarded Addresses";
    case 464:
      return "Protocol Mismatch";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

}  // namespace remuda::proxy::http
