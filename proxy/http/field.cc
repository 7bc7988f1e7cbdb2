#include "proxy/http/field.h"

namespace remuda::proxy::http {
namespace {

FieldId Match(std::string_view name, std::string_view known, FieldId id) {
  return EqualsIgnoreCase(name, known) ? id : FieldId::kOther;
}

}  // namespace

FieldId IdOfField(std::string_view name) {
  const char first = name.empty() ? '\0' : Lower(name[0]);
  switch (name.size()) {
    case 2:
      return Match(name, "te", FieldId::kTe);
    case 4:
      return first == 'd' ? Match(name, "date", FieldId::kDate)
                          : Match(name, "host", FieldId::kHost);
    case 6:
      return first == 'e' ? Match(name, "expect", FieldId::kExpect)
                          : Match(name, "cookie", FieldId::kCookie);
    case 7:
      return first == 'u' ? Match(name, "upgrade", FieldId::kUpgrade)
                          : Match(name, "trailer", FieldId::kTrailer);
    case 10:
      switch (first) {
        case 'c':
          return Match(name, "connection", FieldId::kConnection);
        case 'k':
          return Match(name, "keep-alive", FieldId::kKeepAlive);
        case 't':
          return Match(name, "tracestate", FieldId::kTracestate);
        default:
          return Match(name, "user-agent", FieldId::kUserAgent);
      }
    case 11:
      return Match(name, "traceparent", FieldId::kTraceparent);
    case 13:
      return Match(name, "authorization", FieldId::kAuthorization);
    case 14:
      return first == 'c' ? Match(name, "content-length", FieldId::kContentLength)
                          : Match(name, "http2-settings", FieldId::kHttp2Settings);
    case 15:
      if (Lower(name[2]) == 'f') {
        return Match(name, "x-forwarded-for", FieldId::kXForwardedFor);
      }
      return Lower(name[2]) == 'a' ? Match(name, "x-amzn-trace-id", FieldId::kXAmznTraceId)
                                   : Match(name, "x-remuda-reason", FieldId::kRemudaReason);
    case 16:
      if (first == 'p') return Match(name, "proxy-connection", FieldId::kProxyConnection);
      return Lower(name[12]) == 'p' ? Match(name, "x-forwarded-port", FieldId::kXForwardedPort)
                                    : Match(name, "x-forwarded-host", FieldId::kXForwardedHost);
    case 17:
      return first == 't' ? Match(name, "transfer-encoding", FieldId::kTransferEncoding)
                          : Match(name, "x-forwarded-proto", FieldId::kXForwardedProto);
    case 18:
      return Match(name, "proxy-authenticate", FieldId::kProxyAuthenticate);
    case 19:
      return Match(name, "proxy-authorization", FieldId::kProxyAuthorization);
    case 22:
      return Match(name, "x-remuda-reason-detail", FieldId::kRemudaReasonDetail);
    default:
      return FieldId::kOther;
  }
}

bool IsHopByHop(FieldId id) {
  switch (id) {
    case FieldId::kConnection:
    case FieldId::kKeepAlive:
    case FieldId::kProxyConnection:
    case FieldId::kProxyAuthenticate:
    case FieldId::kProxyAuthorization:
    case FieldId::kTe:
    case FieldId::kTrailer:
    case FieldId::kUpgrade:
    case FieldId::kHttp2Settings:
      return true;
    default:
      return false;
  }
}

bool IsProtected(FieldId id) {
  switch (id) {
    case FieldId::kHost:
    case FieldId::kContentLength:
    case FieldId::kTransferEncoding:
    case FieldId::kAuthorization:
    case FieldId::kCookie:
    case FieldId::kXForwardedFor:
    case FieldId::kXForwardedProto:
    case FieldId::kXForwardedPort:
    case FieldId::kXForwardedHost:
      return true;
    default:
      return false;
  }
}

bool IsTrailerPassedOn(std::string_view name) {
  return IdOfField(name) == FieldId::kOther && AllOf(name, kPlainNameChar) &&
         !IsClientCertificateField(name);
}

}  // namespace remuda::proxy::http
