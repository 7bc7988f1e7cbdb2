#include "proxy/http/classify.h"

namespace remuda::proxy::http {

std::string_view NameOf(Classification classification) {
  switch (classification) {
    case Classification::kAcceptable:
      return "Acceptable";
    case Classification::kAmbiguous:
      return "Ambiguous";
    case Classification::kSevere:
      return "Severe";
    case Classification::kCompliant:
      break;
  }
  return "";
}

Verdict VerdictOf(Oddity oddity) {
  using C = Classification;
  switch (oddity) {
    case Oddity::kGetHeadZeroContentLength:
      return {C::kAcceptable, "GetHeadZeroContentLength"};
    case Oddity::kSuspiciousHeader:
      return {C::kAmbiguous, "SuspiciousHeader"};
    case Oddity::kUndefinedContentLengthSemantics:
      return {C::kAcceptable, "UndefinedContentLengthSemantics"};
    case Oddity::kUndefinedTransferEncodingSemantics:
      return {C::kAcceptable, "UndefinedTransferEncodingSemantics"};
    case Oddity::kDotSegments:
    case Oddity::kHostMismatch:
      return {C::kAmbiguous, "AmbiguousUri"};
    case Oddity::kDuplicateContentLength:
      return {C::kAmbiguous, "DuplicateContentLength"};
    case Oddity::kBothTeClPresent:
      return {C::kAmbiguous, "BothTeClPresent"};
    case Oddity::kNone:
      break;
  }
  return {};
}

Verdict VerdictOf(Reason reason) {
  using C = Classification;
  switch (reason) {
    case Reason::kBadRequestLine:
    case Reason::kBadTarget:
    case Reason::kBadPath:
      return {C::kSevere, "BadUri"};
    case Reason::kBadMethod:
      return {C::kSevere, "BadMethod"};
    case Reason::kBadVersion:
    case Reason::kHttp2Preface:
      return {C::kSevere, "BadVersion"};
    case Reason::kBadLineEnd:
    case Reason::kFoldedLine:
    case Reason::kBadFieldName:
    case Reason::kBadFieldValue:
    case Reason::kMissingHost:
    case Reason::kRepeatedHost:
    case Reason::kBadHost:
    case Reason::kBadConnection:
      return {C::kSevere, "BadHeader"};
    case Reason::kBadContentLength:
      return {C::kSevere, "BadContentLength"};
    case Reason::kRepeatedContentLength:
      return {C::kSevere, "MultipleContentLength"};
    case Reason::kBadTransferEncoding:
    case Reason::kUnknownTransferEncoding:
      return {C::kSevere, "BadTransferEncoding"};
    case Reason::kRepeatedTransferEncoding:
      return {C::kSevere, "MultipleTransferEncodingChunked"};
    case Reason::kLengthAndTransferEncoding:
      return {C::kSevere, "SuspiciousTeClPresent"};
    case Reason::kChunkedInHttp10:
      return {C::kSevere, "UndefinedTransferEncodingSemantics"};
    case Reason::kBadChunk:
    case Reason::kBadTrailer:
    case Reason::kBadPseudoField:
    case Reason::kBodyMismatch:
      return {C::kSevere, NameOf(reason)};
    default:
      return {};
  }
}

namespace {

// Under which reason the strictest mode refuses it; kNone: it passes there too.
Reason ReasonOf(Oddity oddity) {
  switch (oddity) {
    case Oddity::kSuspiciousHeader:
      return Reason::kSuspiciousFieldName;
    case Oddity::kDotSegments:
      return Reason::kBadPath;
    case Oddity::kHostMismatch:
      return Reason::kHostMismatch;
    case Oddity::kDuplicateContentLength:
      return Reason::kRepeatedContentLength;
    case Oddity::kBothTeClPresent:
      return Reason::kLengthAndTransferEncoding;
    default:
      return Reason::kNone;
  }
}

}  // namespace

Reason Refusal(Oddity oddity, DesyncMode mode) {
  return mode == DesyncMode::kStrictest ? ReasonOf(oddity) : Reason::kNone;
}

Verdict VerdictOf(Reason reason, Oddity oddity) {
  const Verdict noticed = VerdictOf(oddity);
  if (reason == ReasonOf(oddity)) return noticed;  // also where there is neither
  const Verdict refused = VerdictOf(reason);
  return refused.classification > noticed.classification ? refused : noticed;
}

}  // namespace remuda::proxy::http
