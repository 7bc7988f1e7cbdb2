#include "proxy/http/reason.h"

#include <array>
#include <cstddef>

namespace remuda::proxy::http {
namespace {

struct Entry {
  Reason reason;
  int status;
  Classification classification;
  std::string_view name;
};

using C = Classification;

constexpr std::array<Entry, static_cast<size_t>(Reason::kCount)> kEntries = {{
    {Reason::kNone, 0, C::kAcceptable, ""},
    {Reason::kBadRequestLine, 400, C::kSevere, "BadRequestLine"},
    {Reason::kBadMethod, 400, C::kSevere, "BadMethod"},
    {Reason::kBadTarget, 400, C::kSevere, "BadTarget"},
    {Reason::kBadPath, 400, C::kAmbiguous, "BadPath"},
    {Reason::kBadVersion, 505, C::kSevere, "BadVersion"},
    {Reason::kHttp2Preface, 464, C::kSevere, "Http2Preface"},
    {Reason::kBadLineEnd, 400, C::kSevere, "BadLineEnd"},
    {Reason::kFoldedLine, 400, C::kSevere, "FoldedLine"},
    {Reason::kBadFieldName, 400, C::kSevere, "BadFieldName"},
    {Reason::kBadFieldValue, 400, C::kSevere, "BadFieldValue"},
    {Reason::kMissingHost, 400, C::kAmbiguous, "MissingHost"},
    {Reason::kRepeatedHost, 400, C::kSevere, "RepeatedHost"},
    {Reason::kBadHost, 400, C::kSevere, "BadHost"},
    {Reason::kHostMismatch, 400, C::kAmbiguous, "HostMismatch"},
    {Reason::kBadContentLength, 400, C::kSevere, "BadContentLength"},
    {Reason::kRepeatedContentLength, 400, C::kSevere, "RepeatedContentLength"},
    {Reason::kBadTransferEncoding, 400, C::kSevere, "BadTransferEncoding"},
    {Reason::kUnknownTransferEncoding, 501, C::kSevere, "UnknownTransferEncoding"},
    {Reason::kRepeatedTransferEncoding, 400, C::kSevere, "RepeatedTransferEncoding"},
    {Reason::kLengthAndTransferEncoding, 400, C::kAmbiguous, "LengthAndTransferEncoding"},
    {Reason::kChunkedInHttp10, 400, C::kAmbiguous, "ChunkedInHttp10"},
    {Reason::kBadConnection, 400, C::kSevere, "BadConnection"},
    {Reason::kBadExpect, 417, C::kAcceptable, "BadExpect"},
    {Reason::kMethodNotAllowed, 405, C::kAcceptable, "MethodNotAllowed"},
    {Reason::kTooManyForwardedAddresses, 463, C::kAcceptable, "TooManyForwardedAddresses"},
    {Reason::kBadChunk, 400, C::kSevere, "BadChunk"},
    {Reason::kBadTrailer, 400, C::kSevere, "BadTrailer"},
    {Reason::kBadPseudoField, 400, C::kSevere, "BadPseudoField"},
    {Reason::kBodyMismatch, 400, C::kSevere, "BodyMismatch"},
    {Reason::kRequestLineTooLong, 414, C::kAcceptable, "RequestLineTooLong"},
    {Reason::kFieldTooLong, 431, C::kAcceptable, "FieldTooLong"},
    {Reason::kHeadTooLarge, 431, C::kAcceptable, "HeadTooLarge"},
    {Reason::kTooManyFields, 431, C::kAcceptable, "TooManyFields"},
    {Reason::kTrailersTooLarge, 431, C::kAcceptable, "TrailersTooLarge"},
    {Reason::kBodyTooLarge, 413, C::kAcceptable, "BodyTooLarge"},
    {Reason::kClientHeadTimeout, 408, C::kAcceptable, "ClientHeadTimeout"},
    {Reason::kClientBodyTimeout, 408, C::kAcceptable, "ClientBodyTimeout"},
    {Reason::kClientClosed, 460, C::kAcceptable, "ClientClosed"},
    {Reason::kClientWriteTimeout, 460, C::kAcceptable, "ClientWriteTimeout"},
    {Reason::kNoRegisteredTarget, 503, C::kAcceptable, "NoRegisteredTarget"},
    {Reason::kTargetConnectFailed, 502, C::kAcceptable, "TargetConnectFailed"},
    {Reason::kTargetConnectTimeout, 504, C::kAcceptable, "TargetConnectTimeout"},
    {Reason::kTargetTlsFailed, 502, C::kAcceptable, "TargetTlsFailed"},
    {Reason::kTargetResponseTimeout, 504, C::kAcceptable, "TargetResponseTimeout"},
    {Reason::kTargetClosed, 502, C::kAcceptable, "TargetClosed"},
    {Reason::kTargetBadResponse, 502, C::kAcceptable, "TargetBadResponse"},
    {Reason::kTargetUnaskedUpgrade, 502, C::kAcceptable, "TargetUnaskedUpgrade"},
    {Reason::kTargetBodyMismatch, 502, C::kAcceptable, "TargetBodyMismatch"},
    {Reason::kTargetDrainTimeout, 502, C::kAcceptable, "TargetDrainTimeout"},
    {Reason::kTunnelIdleTimeout, 504, C::kAcceptable, "TunnelIdleTimeout"},
    {Reason::kNoRule, 404, C::kAcceptable, "NoRule"},
    {Reason::kOverloaded, 503, C::kAcceptable, "Overloaded"},
    {Reason::kRedirectTooLong, 500, C::kAcceptable, "RedirectTooLong"},
    {Reason::kBadRewrite, 400, C::kAcceptable, "BadRewrite"},
    {Reason::kQueueFull, 503, C::kAcceptable, "QueueFull"},
    {Reason::kQueueTimeout, 503, C::kAcceptable, "QueueTimeout"},
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
std::string_view NameOf(Reason reason) { return kEntries[static_cast<size_t>(reason)].name; }
Classification ClassificationOf(Reason reason) {
  return kEntries[static_cast<size_t>(reason)].classification;
}

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
