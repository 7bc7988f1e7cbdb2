// Our framing against a parser of another make: node's llhttp. Whatever we accept, of a client or
// of a target, it must frame the same way (the same messages, in the same places, with the same
// bodies) or refuse; and what we would send on it must take as we meant it. What it accepts and we
// do not must be something that we are stricter about on purpose: the tables below.
//
// REMUDA_DIFFERENTIAL_SECONDS: how long each (3). REMUDA_DIFFERENTIAL_SEED: to repeat a run.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstring>
#include <functional>
#include <map>
#include <random>
#include <string>

#include "proxy/http/chars.h"
#include "tests/component/proxy/http/differential_generator.h"
#include "tests/component/proxy/http/other_parser.h"
#include "tests/component/proxy/testing/environment.h"
#include "tests/component/proxy/testing/response_reader.h"
#include "tests/component/proxy/testing/stream_reader.h"

namespace remuda::proxy::testing {
namespace {

using http::Reason;
using Words = std::vector<std::string>;

constexpr int kStreamsARound = 500;

// What both directions are stricter about.
const std::vector<Reason> kStricterOfBoth = {
    Reason::kBadLineEnd,                // LF alone before a first line, or at a chunk's
    Reason::kBadContentLength,          // leading zeros
    Reason::kBadTransferEncoding,       // a list with chunked elsewhere than at its end; quoted
    Reason::kUnknownTransferEncoding,   // gzip and the like, to llhttp until the end
    Reason::kRepeatedTransferEncoding,  // one after the other
    Reason::kChunkedInHttp10,           // RFC 9112, section 6.1: treat as faulty
    Reason::kBadConnection,             // names a field that it must not take away
    Reason::kBadChunk,                  // more than 16 digits, what is no extension
    Reason::kBadTrailer,                // a field of framing, routing or authentication
};
const std::vector<Reason> kStricterOfRequests = {
    Reason::kBadRequestLine,       // two spaces, none before the version
    Reason::kBadMethod,            // before its end has come
    Reason::kBadTarget,            // a fragment, bytes that a URI must escape, `*` with a method
    Reason::kBadPath,              // bad escapes, %00, `.` and `..` segments, what hides a path
    Reason::kSuspiciousFieldName,  // Transfer_Encoding and the like
    Reason::kLengthAndTransferEncoding,  // one of them by such a name
    Reason::kMissingHost,
    Reason::kRepeatedHost,
    Reason::kBadHost,       // no host name, or none with a port
    Reason::kHostMismatch,  // another one in the target
    Reason::kBadExpect,     // anything but 100-continue
};
const std::vector<Reason> kStricterOfResponses = {
    Reason::kBadRequestLine,        // a status below 100 or over 599, control bytes in a phrase
    Reason::kTargetUnaskedUpgrade,  // a 101 without a protocol
};

// A stream both ways, as the other parser reads it, and what we make of it.
struct Sample {
  std::string stream;
  StreamView view;  // as the proxy takes it unless it is told otherwise
  std::string forwarded;
  std::vector<Frame> forwarded_frames;
};

struct Direction {
  OtherParser::Messages messages;
  std::function<Sample()> next;
  // How llhttp's words begin where it may refuse what we take, so that it is no disagreement about
  // framing: in what is sent on, too, or in what came only.
  Words stricter_always;
  Words stricter_with_senders;
  // Why we may refuse what llhttp takes, told apart by our reason; another one is a disagreement.
  // With those of kStricterOfBoth.
  std::vector<Reason> we_are_stricter;
};

// RFC 9110, section 5.5: a tab behind a value is no part of it. llhttp takes it for one, refuses
// such a coding in a request, and reads such a response to the end of the connection.
bool HasTabBehindCoding(std::string stream) {
  for (char& c : stream) c = http::Lower(c);
  for (size_t at = 0; (at = stream.find("chunked", at)) != std::string::npos;) {
    at += std::strlen("chunked");
    const size_t end = stream.find_first_not_of(' ', at);
    if (end != std::string::npos && stream[end] == '\t') return true;
  }
  return false;
}

bool BeginsWithOne(const std::string& text, const Words& words) {
  for (const std::string& word : words) {
    if (text.rfind(word, 0) == 0) return true;
  }
  return false;
}

// Its words for a stream that ends within a message.
bool WantsMore(const std::string& end) { return end.rfind("HPE_INVALID_EOF_STATE ", 0) == 0; }

class Differential {
 public:
  explicit Differential(Direction direction) : direction_(std::move(direction)) {
    for (const Reason reason : kStricterOfBoth) refused_[reason] = 0;
    for (const Reason reason : direction_.we_are_stricter) refused_[reason] = 0;
  }

  // Empty: no disagreement.
  std::string Round() {
    std::vector<Sample> samples;
    std::vector<std::string> all;
    for (int i = 0; i < kStreamsARound; ++i) {
      samples.push_back(direction_.next());
      all.push_back(samples.back().stream);
      accepted += static_cast<int>(samples.back().view.frames.size());
    }
    for (const Sample& sample : samples) all.push_back(sample.forwarded);
    const auto theirs = other_.Read(all);
    if (theirs.size() != all.size()) return "the other parser ended early";
    Words with_senders = direction_.stricter_always;
    with_senders.insert(with_senders.end(), direction_.stricter_with_senders.begin(),
                        direction_.stricter_with_senders.end());
    for (size_t i = 0; i < samples.size(); ++i) {
      const Sample& sample = samples[i];
      std::string what =
          Disagreement(sample.view.frames, sample.view.wants_more, theirs[i], with_senders);
      if (what.empty()) what = RefusedByUs(sample.view, theirs[i]);
      if (!what.empty()) return what + "\n" + Escaped(sample.stream);
      what = Disagreement(sample.forwarded_frames, true, theirs[samples.size() + i],
                          direction_.stricter_always);
      if (!what.empty()) {
        return "as forwarded: " + what + "\n" + Escaped(sample.stream) + "\n---\n" +
               Escaped(sample.forwarded);
      }
    }
    count += kStreamsARound;
    return "";
  }

  // How often we refused what llhttp takes, by reason.
  std::string StricterText() const {
    std::string text;
    for (const auto& [reason, times] : refused_)
      text += " " + std::string(http::NameOf(reason)) + ":" + std::to_string(times);
    return text;
  }

  int count = 0;
  int accepted = 0;  // messages

 private:
  // Empty if `theirs` frames as `ours` does.
  static std::string Disagreement(const std::vector<Frame>& ours, bool wants_more,
                                  const Words& theirs, const Words& stricter) {
    const std::string& end = theirs.back();
    const size_t taken = theirs.size() - 1;
    for (size_t i = 0; i < ours.size(); ++i) {
      if (i == taken) {
        // "upgrade": to it the connection speaks something else from there on.
        const bool may_end = BeginsWithOne(end, stricter) || end == "upgrade";
        return may_end ? "" : "it refuses a message: " + end;
      }
      const std::string text = ToText(ours[i]);
      if (text != theirs[i])
        return "message " + std::to_string(i) + ": " + text + " and " + theirs[i];
    }
    if (wants_more && taken > ours.size()) return "it sees more messages: " + theirs[ours.size()];
    return "";
  }

  // Empty if we refused nothing that it takes, or for a reason that is meant.
  std::string RefusedByUs(const StreamView& view, const Words& theirs) {
    if (view.reason == Reason::kNone) return "";
    const std::string& end = theirs.back();
    const bool refuses = (end.rfind("HPE_", 0) == 0 && !WantsMore(end)) || end == "upgrade";
    if (theirs.size() - 1 <= view.frames.size() && refuses) return "";
    const auto it = refused_.find(view.reason);
    if (it == refused_.end())
      return "we refuse what it takes: " + std::string(http::NameOf(view.reason));
    ++it->second;
    return "";
  }

  Direction direction_;
  OtherParser other_{direction_.messages};
  std::map<Reason, int> refused_;  // by us, what llhttp takes
};

void Compare(Direction direction) {
  signal(SIGPIPE, SIG_IGN);
  const auto end = std::chrono::steady_clock::now() +
                   std::chrono::seconds(NumberFrom("REMUDA_DIFFERENTIAL_SECONDS", 3));
  Differential differential(std::move(direction));
  do {
    const std::string what = differential.Round();
    ASSERT_TRUE(what.empty()) << what << "\nafter " << differential.count << " streams";
  } while (std::chrono::steady_clock::now() < end);
  std::printf("%d streams, %d messages accepted; stricter than llhttp:%s\n", differential.count,
              differential.accepted, differential.StricterText().c_str());
  // A generator that makes only garbage would test nothing.
  EXPECT_GT(differential.accepted, differential.count / 4);
}

uint64_t Seed() {
  const uint64_t seed = NumberFrom("REMUDA_DIFFERENTIAL_SEED", std::random_device()());
  std::printf("REMUDA_DIFFERENTIAL_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

TEST(DifferentialTest, RequestsThatWeAcceptLlhttpFramesAlike) {
  Compare({.messages = OtherParser::Messages::kRequests,
           .next =
               [generator = RequestGenerator(Seed())]() mutable {
                 const std::string stream = generator.NextStream();
                 // What passes in the mode that lets most pass is no less clear when it is sent on.
                 StreamView lax = ReadStream(stream, http::DesyncMode::kMonitor);
                 return Sample{stream, ReadStream(stream), lax.forwarded, lax.forwarded_frames};
               },
           // Methods that it does not know, and what is no URL to it.
           .stricter_always = {"HPE_INVALID_METHOD ", "HPE_INVALID_URL "},
           // What we do not pass on: chunk extensions with spaces, a tab behind a length or a
           // coding, Proxy-Connection, which it takes for Connection, and minor versions to come.
           .stricter_with_senders =
               {"HPE_INVALID_VERSION ", "HPE_STRICT Invalid character in chunk extensions",
                "HPE_INVALID_CONTENT_LENGTH Invalid character in Content-Length",
                "HPE_INVALID_TRANSFER_ENCODING Request has invalid", "HPE_CLOSED_CONNECTION "},
           .we_are_stricter = kStricterOfRequests});
}

TEST(DifferentialTest, ResponsesThatWeAcceptLlhttpFramesAlike) {
  Compare(
      {.messages = OtherParser::Messages::kResponses,
       .next =
           [generator = ResponseGenerator(Seed())]() mutable {
             ResponseStream stream = generator.NextStream();
             while (HasTabBehindCoding(stream.bytes)) stream = generator.NextStream();
             const std::string heads(1, static_cast<char>(stream.heads));
             StreamView view = ReadResponses(stream);
             return Sample{heads + stream.bytes, view, heads + view.forwarded,
                           view.forwarded_frames};
           },
       .stricter_always = {},
       // As with requests.
       .stricter_with_senders = {"HPE_STRICT Invalid character in chunk extensions",
                                 "HPE_INVALID_CONTENT_LENGTH Invalid character in Content-Length",
                                 "HPE_INVALID_VERSION ", "HPE_CLOSED_CONNECTION "},
       .we_are_stricter = kStricterOfResponses});
}

}  // namespace
}  // namespace remuda::proxy::testing
