#include "common/identity/join_client.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <google/protobuf/util/json_util.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "common/identity/authority.h"
#include "common/identity/controller_addresses.h"
#include "common/identity/join_exchange.h"
#include "common/identity/key.h"
#include "common/identity/renewal_proof.h"
#include "common/identity/verify_chain.h"
#include "common/private_directory.h"
#include "remuda/join/v1/join.pb.h"

namespace remuda::identity {
namespace {

constexpr char kRecordFile[] = "joined.json";
constexpr size_t kMaxRecordBytes = size_t{16} * 1024;

std::string JsonOf(const google::protobuf::Message& message) {
  std::string out;
  (void)google::protobuf::util::MessageToJsonString(message, &out);
  return out;
}

template <class Message>
bool FromJson(const std::string& text, Message& message) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // a newer controller says more
  return google::protobuf::util::JsonStringToMessage(text, &message, options).ok();
}

// A controller's, good now, by `authorities`. Its cluster is answered.
absl::StatusOr<std::string> ClusterOf(STACK_OF(X509) * shown, STACK_OF(X509) * authorities) {
  X509* const leaf = sk_X509_value(shown, 0);
  if (absl::Status status = VerifyChain(leaf, shown, authorities, ChainUse::kServer, absl::Now());
      !status.ok())
    return absl::UnauthenticatedError(std::string(status.message()));
  const auto peer = ReadPeer(leaf);
  if (!peer.ok()) return absl::UnauthenticatedError(std::string(peer.status().message()));
  if (peer->id.role != v1::IDENTITY_ROLE_CONTROLLER)
    return absl::UnauthenticatedError(Text(peer->id) + " is no controller");
  return peer->id.cluster;
}

// The authority with the pin, among those shown.
absl::StatusOr<std::string> CheckPin(STACK_OF(X509) * shown, const std::string& pin) {
  const tls::ChainPtr pinned(sk_X509_new_null());
  for (int i = 0; i < sk_X509_num(shown); ++i) {
    X509* const one = sk_X509_value(shown, i);
    if (PinOf(one) != pin || X509_check_ca(one) != 1) continue;
    X509_up_ref(one);
    sk_X509_push(pinned.get(), one);
  }
  tls::TakeErrors();
  if (sk_X509_num(pinned.get()) == 0) {
    return absl::UnauthenticatedError(
        "no authority with the pin " + pin +
        " stands behind this controller: it is of another cluster, or somebody is in between");
  }
  return ClusterOf(shown, pinned.get());
}

absl::Status CheckOnly(const std::string& only, const std::string& cluster) {
  if (only.empty() || only == cluster) return absl::OkStatus();
  return absl::FailedPreconditionError("it is of cluster " + cluster +
                                       ", and an identity of cluster " + only +
                                       " is here already; --force replaces it");
}

bool HasPin(const std::string& authorities_pem, const std::string& pin) {
  tls::ChainPtr authorities;
  std::string error;
  if (!tls::ReadCertificates(authorities_pem, kMaxChainLength, authorities, error)) return false;
  for (int i = 0; i < sk_X509_num(authorities.get()); ++i) {
    if (PinOf(sk_X509_value(authorities.get(), i)) == pin) return true;
  }
  return false;
}

absl::Status StatusOfHttp(int status, const std::string& text) {
  switch (status) {
    case 400:
    case 413:
      return absl::InvalidArgumentError(text);
    case 403:
      return absl::PermissionDeniedError(text);
    case 404:
    case 405:
    case 409:
      return absl::FailedPreconditionError(text);
    case 429:
      return absl::ResourceExhaustedError(text);
    case 503:
      return absl::UnavailableError(text);
    default:
      return absl::InternalError("status " + std::to_string(status) + ": " + text);
  }
}

absl::StatusOr<join::v1::JoinResponse> ReadAnswer(const ExchangeAnswer& answer) {
  constexpr int kOk = 200;
  if (answer.status != kOk) {
    join::v1::JoinError error;
    const bool is_ours = FromJson(answer.body, error) && !error.error().empty();
    return StatusOfHttp(answer.status, is_ours ? error.error() : "no words");
  }
  join::v1::JoinResponse response;
  if (!FromJson(answer.body, response)) return absl::InternalError("the answer is no JSON of ours");
  return response;
}

// That what came is what was asked for.
absl::StatusOr<Joined> Check(const join::v1::JoinResponse& response, const SpiffeId& wanted,
                             EVP_PKEY* key) {
  auto peer = ReadPeer(std::string_view(response.certificate_pem()));
  if (!peer.ok()) return peer.status();
  if (!(peer->id == wanted))
    return absl::InternalError("the certificate is of " + Text(peer->id) + ", not of " +
                               Text(wanted));
  const auto certified = PublicKeyOf(response.certificate_pem());
  if (!certified.ok()) return certified.status();
  if (EVP_PKEY_eq(certified->get(), key) != 1) {
    tls::TakeErrors();
    return absl::InternalError("the certificate is for another key");
  }
  if (absl::Status status = VerifyChain(response.certificate_pem(), response.authorities_pem(),
                                        ChainUse::kClient, absl::Now());
      !status.ok())
    return absl::Status(status.code(), std::string(status.message()) + "; is this clock right?");
  auto key_pem = KeyPem(key);
  if (!key_pem.ok()) return key_pem.status();
  return Joined{
      .peer = *std::move(peer),
      .key_pem = *std::move(key_pem),
      .certificate_pem = response.certificate_pem(),
      .authorities_pem = response.authorities_pem(),
      .controllers = {response.controllers().begin(), response.controllers().end()},
  };
}

struct NewKey {
  tls::KeyPtr key;
  std::string request_pem;
};
absl::StatusOr<NewKey> MakeNewKey() {
  auto key = MakeKey();
  if (!key.ok()) return key.status();
  auto request = MakeCertificateRequest(key->get());
  if (!request.ok()) return request.status();
  return NewKey{.key = *std::move(key), .request_pem = *std::move(request)};
}

std::string DirectoryOf(const IdentityFiles& files) {
  return std::filesystem::path(files.identity).parent_path().string();
}

}  // namespace

bool IsPin(const std::string& text) {
  constexpr std::string_view kPrefix = "sha256:";
  constexpr size_t kDigits = 64;
  return text.size() == kPrefix.size() + kDigits && text.starts_with(kPrefix) &&
         std::all_of(text.begin() + kPrefix.size(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

namespace {

// Asks the one controller at options.address.
absl::StatusOr<Joined> JoinAt(const JoinOptions& options) {
  if (!IsPin(options.pin))
    return absl::InvalidArgumentError("pin \"" + options.pin +
                                      "\": must be sha256: and 64 lowercase hex digits");
  auto made = MakeNewKey();
  if (!made.ok()) return made.status();
  join::v1::JoinRequest request;
  request.set_token(options.token);
  request.set_role(options.role);
  request.set_subject(options.name);
  request.set_certificate_request_pem(made->request_pem);
  std::string cluster;
  const auto answer = Exchange({.address = options.address,
                                .target = "/v1/join",
                                .body = JsonOf(request),
                                .timeout = options.timeout,
                                .check_peer = [&](STACK_OF(X509) * shown) -> absl::Status {
                                  auto checked = CheckPin(shown, options.pin);
                                  if (!checked.ok()) return checked.status();
                                  cluster = *std::move(checked);
                                  return CheckOnly(options.only_cluster, cluster);
                                }});
  if (!answer.ok()) return answer.status();
  const auto response = ReadAnswer(*answer);
  if (!response.ok()) return response.status();
  if (!HasPin(response->authorities_pem(), options.pin))
    return absl::InternalError("the authorities that were answered lack the one of the pin");
  auto joined = Check(*response, {.cluster = cluster, .role = options.role, .name = options.name},
                      made->key.get());
  if (joined.ok()) joined->join_address = options.address;
  return joined;
}

}  // namespace

absl::StatusOr<Joined> Join(const JoinOptions& options) {
  const auto addresses = ParseControllers(options.address);
  if (!addresses.ok()) return addresses.status();
  absl::StatusOr<Joined> joined;
  JoinOptions one = options;
  std::string before;
  for (const std::string& address : *addresses) {
    one.address = address;
    joined = JoinAt(one);
    if (!absl::IsUnavailable(joined.status())) break;
    before = std::string(joined.status().message());
  }
  // A token that one of them has taken works at no other, and the answer may have been lost.
  if (absl::IsPermissionDenied(joined.status()) && !before.empty()) {
    return absl::PermissionDeniedError(
        absl::StrCat(joined.status().message(), " (asked before: ", before, ")"));
  }
  return joined;
}

absl::Status SaveJoined(const std::string& directory, const Joined& joined) {
  if (absl::Status status = SaveIdentity(FilesIn(directory), joined.key_pem, joined.certificate_pem,
                                         joined.authorities_pem);
      !status.ok())
    return status;
  join::v1::JoinRecord record;
  record.set_join_address(joined.join_address);
  for (const std::string& controller : joined.controllers) record.add_controllers(controller);
  return WritePrivateFile(directory + "/" + kRecordFile, JsonOf(record) + "\n");
}

namespace {

std::string RecordPath(const IdentityFiles& files) {
  return DirectoryOf(files) + "/" + kRecordFile;
}

join::v1::JoinRecord ReadRecord(const IdentityFiles& files) {
  const auto text = ReadSmallFile(RecordPath(files), kMaxRecordBytes);
  join::v1::JoinRecord record;
  if (!text.ok() || !FromJson(*text, record)) return {};
  return record;
}

// Where the controllers' join endpoints may be: they have the same port on each.
std::vector<std::string> JoinAddresses(const join::v1::JoinRecord& record,
                                       const RenewalPlaces& places) {
  std::vector<std::string> out = {record.join_address()};
  const std::string port = record.join_address().substr(record.join_address().rfind(':') + 1);
  const auto add = [&out, &port](const std::string& controller) {
    const size_t colon = controller.rfind(':');
    if (colon == std::string::npos || out.size() == kMaxRenewalPlaces) return;
    std::string address = controller.substr(0, colon + 1) + port;
    if (std::find(out.begin(), out.end(), address) == out.end()) out.push_back(std::move(address));
  };
  for (const std::string& controller : LearnedControllers(places.file)) add(controller);
  for (const std::string& controller : places.given) add(controller);
  for (const std::string& controller : record.controllers()) add(controller);
  return out;
}

// At the one controller of which the join endpoint is at `address`.
absl::Status RenewExpiredAt(const IdentityFiles& files, const std::string& address) {
  const auto held = LoadIdentity(files);
  if (!held.ok()) return held.status();
  auto old_key = ReadKey(held->key_pem);
  if (!old_key.ok()) return old_key.status();
  auto made = MakeNewKey();
  if (!made.ok()) return made.status();
  auto proof = MakeRenewalProof(old_key->get(), held->certificate_pem, made->request_pem);
  if (!proof.ok()) return proof.status();
  join::v1::RenewRequest request;
  request.set_certificate_pem(held->certificate_pem);
  request.set_certificate_request_pem(made->request_pem);
  request.set_proof(*proof);
  const auto check = [&](STACK_OF(X509) * shown) -> absl::Status {
    tls::ChainPtr trusted;
    std::string error;
    if (!tls::ReadCertificates(held->authorities_pem, kMaxChainLength, trusted, error))
      return absl::InvalidArgumentError(error);
    const auto cluster = ClusterOf(shown, trusted.get());
    if (!cluster.ok()) return cluster.status();
    if (*cluster != held->peer.id.cluster)
      return absl::UnauthenticatedError("it is a controller of another cluster, " + *cluster);
    return absl::OkStatus();
  };
  const auto answer = Exchange({.address = address,
                                .target = "/v1/renew",
                                .body = JsonOf(request),
                                .timeout = kJoinTimeout,
                                .check_peer = check});
  if (!answer.ok()) return answer.status();
  const auto response = ReadAnswer(*answer);
  if (!response.ok()) return response.status();
  auto joined = Check(*response, held->peer.id, made->key.get());
  if (!joined.ok()) return joined.status();
  joined->join_address = address;
  return SaveJoined(DirectoryOf(files), *joined);
}

}  // namespace

std::vector<std::string> JoinedControllers(const IdentityFiles& files) {
  std::vector<std::string> out;
  const join::v1::JoinRecord record = ReadRecord(files);
  for (const std::string& address : record.controllers()) {
    if (CheckControllerAddress(address).empty() && out.size() < kMaxControllers)
      out.push_back(address);
  }
  return out;
}

absl::Status RenewExpired(const IdentityFiles& files, const RenewalPlaces& places,
                          const std::function<bool()>& is_stopping) {
  const join::v1::JoinRecord record = ReadRecord(files);
  if (record.join_address().empty())
    return absl::FailedPreconditionError(
        RecordPath(files) +
        ": does not say where this identity joined, so its certificate, which is over, "
        "cannot be renewed: join anew");
  absl::Status status;
  for (const std::string& address : JoinAddresses(record, places)) {
    if (is_stopping()) return absl::CancelledError("the program stops");
    status = RenewExpiredAt(files, address);
    // An address may be another cluster's by now. It was shown nothing.
    if (!absl::IsUnavailable(status) && !absl::IsUnauthenticated(status)) break;
  }
  return status;
}

}  // namespace remuda::identity
