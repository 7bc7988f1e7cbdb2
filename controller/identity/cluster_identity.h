// ClusterIdentity: what this controller is among the cluster's identities: the authority that
// issues them, its own certificate, and what it trusts.
//
// There are three ways to run it: with an authority of its own, made at the first start; with one
// that is given (an intermediate or a root, and its key); and with certificates that are issued
// elsewhere, where files are read again when they change and nothing is issued here.
//
// Owns: DATA_DIR/identity, and a thread that looks after the controller's own certificate. Does not
// own: who may have a certificate. Thread: any; what Start is given is called on its thread.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/identity/authority.h"
#include "common/identity/identity_files.h"
#include "controller/identity/identity_options.h"

namespace remuda {

// What the controller shows and trusts. Immutable.
struct ShownIdentity {
  identity::Peer peer;
  std::string certificate_pem;  // with those between it and the authority
  std::string key_pem;
  std::string authorities_pem;

  bool operator==(const ShownIdentity& other) const {
    return certificate_pem == other.certificate_pem && key_pem == other.key_pem &&
           authorities_pem == other.authorities_pem;
  }
};
using ShownIdentityPtr = std::shared_ptr<const ShownIdentity>;

// HOST:PORT by which others reach a controller that listens on `api` (ADDRESS:PORT), as far as it
// was told; the first is what tokens say. And where they join. Pure.
std::vector<std::string> ApiAddresses(const IdentityOptions& given, const std::string& api);
std::string JoinAddress(const IdentityOptions& given, const std::string& join);
// The machine's name, as far as it is one of an identity; else "controller".
std::string DefaultControllerName();

class ClusterIdentity {
 public:
  // Files that are given are looked at so often, and so is whether the certificate is to be
  // renewed.
  static constexpr absl::Duration kLookInterval = absl::Seconds(5);
  // A certificate that is given and ends within this is warned of.
  static constexpr absl::Duration kWarnBeforeEnd = absl::Hours(24 * 7);
  // An authority that ends within this is warned of: people's certificates live as long.
  static constexpr absl::Duration kWarnBeforeAuthorityEnds = absl::Hours(24 * 60);

  struct Options {
    std::string directory;  // DATA_DIR/identity; made
    std::string cluster;
    // The controller's, as identities are named. Empty: the machine's, as far as it is one.
    std::string name = {};
    // Names and addresses that its certificate has beside those of this machine: what it listens
    // on (a wildcard is left out) and what it is advertised by.
    std::vector<std::string> hosts = {};
    IdentityOptions given = {};
  };

  // Errors name the file, or the flag.
  static absl::StatusOr<std::unique_ptr<ClusterIdentity>> Open(Options options, absl::Time now);
  ClusterIdentity(const ClusterIdentity&) = delete;
  ClusterIdentity& operator=(const ClusterIdentity&) = delete;
  ~ClusterIdentity();  // stops

  using OnChange = std::function<void(const ShownIdentity&)>;
  // Told what is shown whenever that changes, from Start on. Before Start.
  void AddListener(OnChange on_change) { listeners_.push_back(std::move(on_change)); }
  // Renews from now on in time.
  void Start(OnChange on_change);
  void Stop();  // may be called twice

  // What the thread does now and then. Answers whether what is shown has changed; an error leaves
  // it as it was. A new certificate is shown also where it cannot be saved, or the bundle cannot be
  // read again: the next call says so. Not from two threads.
  absl::StatusOr<bool> Refresh(absl::Time now);

  const std::string& cluster() const { return options_.cluster; }
  ShownIdentityPtr current() const;
  // Where it stands for the controller's own calls (ChannelCredentials).
  identity::IdentityFiles files() const { return identity::FilesIn(options_.directory); }
  // Of the first certificate that is trusted: by which who joins knows the cluster.
  std::string authority_pin() const;

  // Where the API and the join endpoint listen, ADDRESS:PORT: what is advertised follows from it.
  void SetListening(const std::string& api, const std::string& join);
  // HOST:PORT by which others reach them, as far as the controller was told. The first is what
  // tokens say.
  std::vector<std::string> api_addresses() const;
  std::string join_address() const;

  // Whether certificates are issued here; otherwise FAILED_PRECONDITION, which says where.
  absl::Status CanIssue() const;
  struct Issued {
    identity::Peer peer;
    std::string certificate_pem;
    std::string authorities_pem;
  };
  // A certificate for the key of a request (ReadCertificateRequest), as long as its role has it.
  absl::StatusOr<Issued> Issue(std::string_view request_pem, v1::IdentityRole role,
                               const std::string& name, absl::Time now) const;

 private:
  explicit ClusterIdentity(Options options) : options_(std::move(options)) {}

  absl::StatusOr<ShownIdentity> IssueOwn(absl::Time now) const;
  absl::StatusOr<ShownIdentity> ReadGiven(absl::Time now) const;
  // Those of the authority and those of --ca-bundle.
  absl::StatusOr<std::string> Trusted() const;
  void Run();

  const Options options_;
  std::optional<identity::Authority> authority_;  // none: issued elsewhere. Constant after Open
  std::vector<OnChange> listeners_;               // constant after Start
  bool is_saved_ = true;                          // Refresh's: what is shown stands in the files
  mutable std::mutex mutex_;                      // guards what follows
  ShownIdentityPtr shown_;
  std::string api_;   // where it listens
  std::string join_;  // and the join endpoint
  std::condition_variable stopped_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses the others
};

// Whether `shown` proves an identity to those who trust what it trusts: a controller's of
// `cluster`, good at `now`. INVALID_ARGUMENT: why not.
absl::Status CheckShown(const ShownIdentity& shown, const std::string& cluster, absl::Time now);

}  // namespace remuda
