// Whatever is asked at the join endpoint gets an answer, in JSON, of a status that says what it is;
// no certificate is issued but for a token that is good, and no answer repeats a token. The first
// byte says how it is asked, the rest is the body.
#include <absl/time/time.h>
#include <google/protobuf/util/json_util.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "controller/identity/join_desk.h"
#include "tests/fuzz/require.h"

namespace remuda {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
constexpr char kGoodToken[] = "good-token";

// One authority for all inputs.
const ClusterIdentity& Identity() {
  static const std::string directory =
      std::filesystem::temp_directory_path() / ("join-fuzz-" + std::to_string(getpid()));
  struct Made {
    std::unique_ptr<ClusterIdentity> identity =
        *ClusterIdentity::Open({.directory = directory, .cluster = "c1", .name = "m1"}, kNow);
    ~Made() { std::filesystem::remove_all(directory); }
  };
  static const Made made;
  return *made.identity;
}

JoinCall CallOf(uint8_t how, std::string body) {
  static const char* const kMethods[] = {"POST", "GET"};
  static const char* const kTargets[] = {"/v1/join", "/v1/renew", "/", "/v1/join?x"};
  static const char* const kTypes[] = {"application/json", "text/plain"};
  return {.method = kMethods[(how >> 5) & 1],
          .target = kTargets[how & 3],
          .content_type = kTypes[(how >> 6) & 1],
          .body = std::move(body),
          .address = "192.0.2.1:" + std::to_string(how)};
}

}  // namespace
}  // namespace remuda

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace remuda;
  if (size == 0) return 0;
  bool is_good = false;
  int events = 0;
  JoinDesk desk({.controllers = [] { return std::vector<std::string>{"c.example:7400"}; },
                 .use_token =
                     [&is_good](const ShownToken& shown, const JoinDesk::Done& done) {
                       Require(identity::IsIdentityName(shown.subject));
                       // The hash of kGoodToken, by its first bytes: an input can hold the token.
                       is_good = shown.hash == JoinDesk::HashOf(kGoodToken);
                       done(is_good ? absl::OkStatus() : absl::UnauthenticatedError("no"));
                     },
                 .may_renew = [](const identity::Peer&,
                                 const JoinDesk::Done& done) { done(absl::OkStatus()); },
                 .on_event = [&events](const JoinEvent&) { ++events; },
                 .now = [] { return kNow; }},
                Identity());
  const std::string body(reinterpret_cast<const char*>(data) + 1, size - 1);
  int answers = 0;
  desk.Handle(CallOf(data[0], body), [&](const JoinDesk::MakeAnswer& make) {
    ++answers;
    const JoinAnswer answer = make();
    if (answer.status == 200) {
      Require(is_good);
      join::v1::JoinResponse response;
      Require(google::protobuf::util::JsonStringToMessage(answer.body, &response).ok());
      Require(identity::ReadPeer(std::string_view(response.certificate_pem())).ok());
    } else {
      Require(answer.status >= 400 && answer.status < 500);
      join::v1::JoinError error;
      Require(google::protobuf::util::JsonStringToMessage(answer.body, &error).ok());
      Require(!error.error().empty() && error.error().size() < 4096);
      Require(answer.body.find(kGoodToken) == std::string::npos);
    }
  });
  Require(answers == 1 && events == 1);
  return 0;
}
