// Request lines, targets, fields, Host and Connection: RFC 9112 sections 2, 3 and 5, RFC 9110
// section 7.
#include "tests/component/proxy/http/raw_bytes_cases.h"

namespace remuda::proxy::testing {
namespace {

using std::string_literals::operator""s;

// A GET of `target` with these fields (each with its CRLF) behind Host.
std::string Get(const std::string& target, const std::string& fields = "") {
  return "GET " + target + " HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}

std::vector<RequestCase> RequestLines() {
  const auto line = [](const std::string& name, const std::string& text, int status,
                       const std::string& reason) {
    return Refused(name, text + "\r\nHost: a\r\n\r\n", status, reason);
  };
  return {
      line("TwoSpaces", "GET  / HTTP/1.1", 400, "BadRequestLine"),
      line("TabForSpace", "GET\t/ HTTP/1.1", 400, "BadRequestLine"),
      line("SpaceInTarget", "GET /a b HTTP/1.1", 400, "BadRequestLine"),
      line("SpaceAtTheEnd", "GET / HTTP/1.1 ", 400, "BadRequestLine"),
      line("LeadingSpace", " GET / HTTP/1.1", 400, "BadMethod"),
      line("NoVersion", "GET /", 400, "BadRequestLine"),
      line("OnlyAMethod", "GET", 400, "BadRequestLine"),
      line("VersionInSmallLetters", "GET / http/1.1", 400, "BadRequestLine"),
      line("LongVersion", "GET / HTTP/1.10", 400, "BadRequestLine"),
      Forwarded("Version12", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", Get("/")),
      line("Version21", "GET / HTTP/2.1", 505, "BadVersion"),
      line("Version09", "GET / HTTP/0.9", 505, "BadVersion"),
      line("Version30", "GET / HTTP/3.0", 505, "BadVersion"),
      line("Http2Preface", "PRI * HTTP/2.0", 464, "Http2Preface"),
      line("MethodWithAColon", "GE:T / HTTP/1.1", 400, "BadMethod"),
      line("MethodTooLong", std::string(33, 'M') + " / HTTP/1.1", 400, "BadMethod"),
      line("MethodObsText", "G\xc9T / HTTP/1.1", 400, "BadMethod"),
      line("Trace", "TRACE / HTTP/1.1", 405, "MethodNotAllowed"),
      line("Connect", "CONNECT a:80 HTTP/1.1", 405, "MethodNotAllowed"),
      line("LineTooLong", "GET /" + std::string(16 * 1024, 'a') + " HTTP/1.1", 414,
           "RequestLineTooLong"),
      Refused("BareLfLine", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400, "BadLineEnd"),
      Refused("TwoEmptyLinesBefore", "\r\n\r\n" + Get("/"), 400, "BadRequestLine"),
      Refused("BareLfBefore", "\n" + Get("/"), 400, "BadLineEnd"),
      Refused("NulByte", "\0"s + Get("/"), 400, "BadMethod"),
      Refused("TlsHello", "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n"s, 400,
              "BadRequestLine"),
      Forwarded("EmptyLineBefore", "\r\n" + Get("/"), Get("/")),
      Forwarded("MethodOfItsOwn", "PURGE / HTTP/1.1\r\nHost: a\r\n\r\n",
                "PURGE / HTTP/1.1\r\nHost: a\r\n\r\n"),
      Forwarded("MethodInSmallLettersIsAnother", "get / HTTP/1.1\r\nHost: a\r\n\r\n",
                "get / HTTP/1.1\r\nHost: a\r\n\r\n"),
      {"Http10WithoutHostOrKeepAlive",
       "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
       {200},
       "",
       true,
       Get("/")},
  };
}

std::vector<RequestCase> Targets() {
  const auto bad = [](const std::string& name, const std::string& target,
                      const std::string& reason) {
    return Refused(name, Get(target), 400, reason);
  };
  const auto path = [](const std::string& name, const std::string& sent, const std::string& as) {
    return Forwarded(name, Get(sent), Get(as));
  };
  return {
      bad("Fragment", "/a#b", "BadTarget"),
      bad("EightBitTarget", "/caf\xc3\xa9", "BadTarget"),
      bad("ControlInTarget", "/a\x01", "BadTarget"),
      bad("DelInTarget", "/a\x7f", "BadTarget"),
      bad("NoSlash", "a", "BadTarget"),
      bad("AsteriskForGet", "*", "BadTarget"),
      bad("OtherAuthority", "http://b/", "HostMismatch"),
      bad("OtherPort", "http://a:81/", "HostMismatch"),
      bad("Userinfo", "http://u@a/", "BadTarget"),
      bad("NoAuthority", "http:///", "BadTarget"),
      bad("OtherScheme", "ftp://a/", "BadTarget"),
      bad("DotDot", "/a/../b", "BadPath"),
      bad("DotDotAtTheEnd", "/a/..", "BadPath"),
      bad("EscapedDotDot", "/a/%2e%2E/b", "BadPath"),
      bad("HalfEscapedDotDot", "/a/.%2e/b", "BadPath"),
      bad("SingleDot", "/./a", "BadPath"),
      bad("EscapedNul", "/a%00", "BadPath"),
      bad("EscapeCutShort", "/a%4", "BadPath"),
      bad("EscapeNotHex", "/a%zz", "BadPath"),
      bad("Backslash", "/a\\b", "BadPath"),
      bad("BackslashDotDot", "/a\\..\\b", "BadPath"),
      path("UnreservedEscapes", "/%41%7Eb%2d", "/A~b-"),
      bad("EscapedSlash", "/a%2fb", "BadPath"),
      bad("EscapedBackslash", "/a%5Cb", "BadPath"),
      bad("DotDotWithParameter", "/x/..;/admin/x", "BadPath"),
      bad("EmptySegmentWithParameter", "/;/admin/x", "BadPath"),
      path("OtherEscapes", "/a%c3%20", "/a%C3%20"),
      path("ParametersStay", "/a;b=c/;d", "/a;b=c/;d"),
      path("DotsInANameAreFine", "/a..b/...", "/a..b/..."),
      path("DoubleEscapeStays", "/%252e%252e/a", "/%252e%252e/a"),
      path("SlashesAreMerged", "//a//b", "/a/b"),
      path("QueryStays", "/a?b=%zz&/../c", "/a?b=%zz&/../c"),
      path("EmptyQueryStays", "/a?", "/a?"),
      Forwarded("AbsoluteForm", Get("HTTP://A/x?y"), "GET /x?y HTTP/1.1\r\nHost: A\r\n\r\n"),
      Forwarded("AbsoluteFormWithoutPath", Get("http://a"), Get("/")),
      Forwarded("AbsoluteFormWithQueryOnly", Get("http://a?x"), Get("/?x")),
      Forwarded("AbsoluteFormWithOwnPort", Get("http://a:80/"),
                "GET / HTTP/1.1\r\nHost: a:80\r\n\r\n"),
      Forwarded("AbsoluteFormForOptions", "OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n",
                "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
      Forwarded("AsteriskForOptions", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
                "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
  };
}

std::vector<RequestCase> FieldLines() {
  const auto bad = [](const std::string& name, const std::string& text, const std::string& reason,
                      int status = 400) {
    return Refused(name, Get("/", text + "\r\n"), status, reason);
  };
  std::string fields;
  for (int i = 0; i < 100; ++i) fields += "X: 1\r\n";
  std::string large;
  for (int i = 0; i < 5; ++i) large += "X: " + std::string(15000, 'x') + "\r\n";
  return {
      bad("FoldedBySpace", "X: 1\r\n y", "FoldedLine"),
      bad("FoldedByTab", "X: 1\r\n\ty", "FoldedLine"),
      bad("NoColon", "X", "BadFieldName"),
      bad("NoName", ": x", "BadFieldName"),
      bad("SpaceBeforeColonOfAny", "X : 1", "BadFieldName"),
      bad("NameNotAToken", "X(y): 1", "BadFieldName"),
      bad("NameObsText", "X\xa0: 1", "BadFieldName"),
      bad("NulInName", "X\0: 1"s, "BadFieldName"),
      bad("NulInValue", "X: a\0b"s, "BadFieldValue"),
      bad("BareCrInValue", "X: a\rEvil: 1", "BadFieldValue"),
      bad("BareLfInHead", "X: a\nEvil: 1", "BadLineEnd"),
      bad("ControlInValue", "X: a\x01", "BadFieldValue"),
      bad("DelInValue", "X: a\x7f", "BadFieldValue"),
      bad("TwoCrs", "X: a\r", "BadFieldValue"),
      bad("FieldTooLong", "X: " + std::string(16 * 1024, 'x'), "FieldTooLong", 431),
      Refused("TooManyFields", Get("/", fields), 431, "TooManyFields"),
      Refused("HeadTooLarge", Get("/", large), 431, "HeadTooLarge"),
      Refused("SpaceBeforeTheFirstField", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "FoldedLine"),
      Forwarded("EmptyValue", Get("/", "X:\r\n"), Get("/", "X: \r\n")),
      Forwarded("ObsTextValue", Get("/", "X: caf\xe9\r\n"), Get("/", "X: caf\xe9\r\n")),
      Forwarded("TabInValue", Get("/", "X: a\tb\r\n"), Get("/", "X: a\tb\r\n")),
      Forwarded("NamesWithUnderscoreAreNotForwarded", Get("/", "X_Y: 1\r\nX-Z: 2\r\n"),
                Get("/", "X-Z: 2\r\n")),
      Refused("BadExpect", Get("/", "Expect: a-miracle\r\n"), 417, "BadExpect"),
  };
}

std::vector<RequestCase> Hosts() {
  const auto bad = [](const std::string& name, const std::string& fields,
                      const std::string& reason) {
    return Refused(name, "GET / HTTP/1.1\r\n" + fields + "\r\n", 400, reason);
  };
  return {
      bad("NoHost", "X: 1\r\n", "MissingHost"),
      bad("TwoHosts", "Host: a\r\nHost: b\r\n", "RepeatedHost"),
      bad("TwoEqualHosts", "Host: a\r\nhost: a\r\n", "RepeatedHost"),
      bad("EmptyHost", "Host:\r\n", "BadHost"),
      bad("HostList", "Host: a, b\r\n", "BadHost"),
      bad("HostWithPath", "Host: a/b\r\n", "BadHost"),
      bad("HostWithUserinfo", "Host: u@a\r\n", "BadHost"),
      bad("HostWithSpace", "Host: a b\r\n", "BadHost"),
      bad("HostObsText", "Host: \xe4\r\n", "BadHost"),
      bad("HostSpaceBeforeColon", "Host : a\r\n", "BadFieldName"),
      Refused("TwoHostsInHttp10", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400,
              "RepeatedHost"),
      Forwarded("HostWithPort", "GET / HTTP/1.1\r\nhost:a.b:8080\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a.b:8080\r\n\r\n"),
      Forwarded("HostAddress6", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"),
  };
}

std::vector<RequestCase> HopByHop() {
  std::string addresses = "X-Forwarded-For: 1.1.1.1";
  for (int i = 0; i < 30; ++i) addresses += ", 1.1.1.1";
  std::vector<RequestCase> cases = {
      Forwarded("NamedByConnection", Get("/", "Connection: X-A,, x-b ,\r\nX-A: 1\r\nX-B: 2\r\n"),
                Get("/")),
      Forwarded("NamedByAConnectionBehindIt", Get("/", "X-A: 1\r\nConnection: keep-alive, X-A\r\n"),
                Get("/")),
      Forwarded("HopByHopFields",
                Get("/",
                    "Keep-Alive: 5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\nTrailer: X\r\n"
                    "Proxy-Authorization: Basic eA==\r\n"),
                Get("/")),
      Forwarded("TrailersAreTaken", Get("/", "TE: gzip;q=0.5, trailers\r\nConnection: TE\r\n"),
                Get("/", "Connection: TE\r\nTE: trailers\r\n")),
      Forwarded("UpgradeToH2c",
                Get("/",
                    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: "
                    "AAMAAABkAAQAAP__\r\n"),
                Get("/")),
      Forwarded("UpgradeWithoutConnection", Get("/", "Upgrade: websocket\r\n"), Get("/")),
      Refused("ConnectionNotAToken", Get("/", "Connection: \"close\"\r\n"), 400, "BadConnection"),
      Refused("TooManyForwardedAddresses", Get("/", addresses + "\r\n"), 463,
              "TooManyForwardedAddresses"),
  };
  for (const char* name :
       {"Host", "Content-Length", "Transfer-Encoding", "Authorization", "Cookie", "X-Forwarded-For",
        "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Host", "x-forwarded-for"}) {
    std::string label = name;
    std::erase(label, '-');
    cases.push_back(Refused("ConnectionNames" + label + (name[0] == 'x' ? "Small" : ""),
                            Get("/", "Connection: close, "s + name + "\r\n"), 400,
                            "BadConnection"));
  }
  return cases;
}

}  // namespace

std::vector<RequestCase> HeadRequests() {
  std::vector<RequestCase> all;
  for (const auto& part : {RequestLines(), Targets(), FieldLines(), Hosts(), HopByHop()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace remuda::proxy::testing
