// A cluster as far as joining needs it, and identities that are over.
#pragma once

#include <absl/time/clock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>
#include <openssl/sha.h>

#include <array>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "common/identity/join_client.h"
#include "common/identity/join_exchange.h"
#include "common/identity/key.h"
#include "common/random_bytes.h"
#include "controller/identity/authority_files.h"
#include "controller/identity/join_desk.h"
#include "controller/identity/join_server.h"

namespace remuda {

inline std::string HashOf(const std::string& token) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), digest.data());
  return {digest.begin(), digest.end()};
}

inline std::string JsonOf(const google::protobuf::Message& message) {
  std::string out;
  EXPECT_TRUE(google::protobuf::util::MessageToJsonString(message, &out).ok());
  return out;
}

class Directory {
 public:
  Directory() : path_(testing::TempDir() + "/join-" + RandomHex()) {
    std::filesystem::create_directories(path_);
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

// A cluster as far as it is needed: its identity, its tokens, its endpoint.
class Cluster {
 public:
  // `listen`: its join endpoint's.
  explicit Cluster(const std::string& name, const Endpoint& listen = {.address = "127.0.0.1",
                                                                      .port = 0,
                                                                      .is_loopback = true})
      : identity_(OpenOld(directory_.path() + "/identity", name)),
        desk_({.controllers = [] { return std::vector<std::string>{"c.example:7400"}; },
               .use_token = [this](const ShownToken& shown,
                                   const JoinDesk::Done& done) { done(Use(shown)); },
               .may_renew = [this](const identity::Peer& peer,
                                   const JoinDesk::Done& done) { done(MayRenew(peer)); },
               .on_event = [this](const JoinEvent& event) { Note(event); },
               .now = [this] { return Now(); }},
              *identity_),
        server_([this](const JoinCall& call, JoinServer::Answer answer) {
          desk_.Handle(call, std::move(answer));
        }) {
    const ShownIdentityPtr shown = identity_->current();
    EXPECT_TRUE(
        server_.SetIdentity(shown->certificate_pem, shown->key_pem, shown->authorities_pem).ok());
    EXPECT_TRUE(server_.Start(listen).ok());
  }
  ~Cluster() { server_.Stop(); }

  // A token for one agent, proxy or person.
  std::string AddToken(v1::IdentityRole role, const std::string& name) {
    const std::string token = RandomHex(32);
    const std::lock_guard lock(mutex_);
    tokens_[HashOf(token)] = {role, name};
    return token;
  }
  identity::JoinOptions Options(const std::string& token, const std::string& name) const {
    return {.address = server_.address(),
            .pin = identity_->authority_pin(),
            .token = token,
            .role = v1::IDENTITY_ROLE_AGENT,
            .name = name};
  }
  void set_ahead(absl::Duration ahead) {
    const std::lock_guard lock(mutex_);
    ahead_ = ahead;
  }
  // So long takes the store to answer.
  void set_takes(absl::Duration takes) {
    const std::lock_guard lock(mutex_);
    takes_ = takes;
  }
  void set_may_renew(absl::Status status) {
    const std::lock_guard lock(mutex_);
    may_renew_ = std::move(status);
  }
  // The status of the answer.
  int Ask(const std::string& target, const std::string& body) {
    const auto answer =
        identity::Exchange({.address = server_.address(),
                            .target = target,
                            .body = body,
                            .timeout = identity::kJoinTimeout,
                            .check_peer = [](STACK_OF(X509)*) { return absl::OkStatus(); }});
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? answer->status : 0;
  }
  JoinServer& server() { return server_; }
  ClusterIdentity& identity() { return *identity_; }
  std::vector<JoinEvent> events() {
    const std::lock_guard lock(mutex_);
    return events_;
  }

 private:
  // Its authority is older than what it is to have issued.
  static std::unique_ptr<ClusterIdentity> OpenOld(const std::string& directory,
                                                  const std::string& name) {
    std::filesystem::create_directory(directory);
    std::filesystem::permissions(directory, std::filesystem::perms::owner_all);
    EXPECT_TRUE(
        LoadOrMakeAuthority(AuthorityFilesIn(directory), name, absl::Now() - absl::Hours(24 * 100))
            .ok());
    return *ClusterIdentity::Open({.directory = directory, .cluster = name, .name = "m1"},
                                  absl::Now());
  }

  absl::Status Use(const ShownToken& shown) {
    const std::lock_guard lock(mutex_);
    const auto it = tokens_.find(shown.hash);
    if (it == tokens_.end()) return absl::UnauthenticatedError("it is not known");
    if (it->second != std::pair{shown.role, shown.subject})
      return absl::UnauthenticatedError("it is for somebody else");
    tokens_.erase(it);
    ahead_ += takes_;
    return absl::OkStatus();
  }
  absl::Time Now() {
    const std::lock_guard lock(mutex_);
    return absl::Now() + ahead_;
  }
  absl::Status MayRenew(const identity::Peer&) {
    const std::lock_guard lock(mutex_);
    ahead_ += takes_;
    return may_renew_;
  }
  void Note(const JoinEvent& event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(event);
  }

  const Directory directory_;
  const std::unique_ptr<ClusterIdentity> identity_;
  std::mutex mutex_;  // guards what follows
  std::map<std::string, std::pair<v1::IdentityRole, std::string>> tokens_;
  absl::Duration ahead_;
  absl::Duration takes_;
  absl::Status may_renew_;
  std::vector<JoinEvent> events_;
  JoinDesk desk_;
  JoinServer server_;
};

// Nobody listens there: the port is that of the cluster's endpoint, the address is not.
inline std::string Elsewhere(Cluster& cluster) {
  const std::string address = cluster.server().address();
  return "127.0.0.77" + address.substr(address.rfind(':'));
}

// An identity as it was issued so long ago, kept in a directory.
class OldIdentity {
 public:
  OldIdentity(Cluster& cluster, v1::IdentityRole role, const std::string& name, absl::Duration ago)
      : OldIdentity(cluster, role, name, ago, cluster.server().address(), {}) {}
  OldIdentity(Cluster& cluster, v1::IdentityRole role, const std::string& name, absl::Duration ago,
              const std::string& join_address, const std::vector<std::string>& controllers) {
    const auto key = *identity::MakeKey();
    const auto old = *cluster.identity().Issue(*identity::MakeCertificateRequest(key.get()), role,
                                               name, absl::Now() - ago);
    const identity::Joined before{.peer = old.peer,
                                  .key_pem = *identity::KeyPem(key.get()),
                                  .certificate_pem = old.certificate_pem,
                                  .authorities_pem = old.authorities_pem,
                                  .controllers = controllers,
                                  .join_address = join_address};
    EXPECT_TRUE(SaveJoined(path(), before).ok());
  }
  std::string path() const { return directory_.path() + "/identity"; }
  absl::Status Renew(
      const identity::RenewalPlaces& places = {},
      const std::function<bool()>& is_stopping = [] { return false; }) const {
    return identity::RenewExpired(identity::FilesIn(path()), places, is_stopping);
  }
  identity::Identity Load() const { return *identity::LoadIdentity(identity::FilesIn(path())); }

 private:
  const Directory directory_;
};

}  // namespace remuda
