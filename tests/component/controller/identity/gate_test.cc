// The gate before gRPC, with real certificates: who gets in, who does not, and what a crowd of
// strangers costs.
#include "controller/identity/gate.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "common/grpc_channel.h"
#include "common/identity/authority.h"
#include "common/identity/channel_credentials.h"
#include "common/identity/identity_files.h"
#include "common/identity/key.h"
#include "controller/api/acceptor.h"
#include "controller/limits.h"
#include "remuda/controller/v1/peer.pb.h"
#include "remuda/v1/cluster.grpc.pb.h"
#include "tests/wait.h"

namespace remuda {
namespace {

using identity::Authority;
using identity::SpiffeId;
using testing::HasSubstr;

constexpr char kCluster[] = "c1";

// Answers GetCluster with who has asked, as `version`.
class EchoService final : public v1::ClusterService::CallbackService {
 public:
  explicit EchoService(const Callers& callers) : callers_(callers) {}
  grpc::ServerUnaryReactor* GetCluster(grpc::CallbackServerContext* context,
                                       const v1::GetClusterRequest*, v1::Cluster* answer) override {
    const CallerPtr caller = callers_.Find(context->peer());
    answer->set_version(caller == nullptr ? "nobody" : caller->actor());
    answer->set_store_error(callers_.AddressOf(context->peer()));
    auto* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

 private:
  const Callers& callers_;
};

class GateTest : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/remuda-gate-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    root_ = path;
    authority_.emplace(*Authority::Make(kCluster, absl::Now()));
    gate_.emplace(
        Gate::Options{
            .cluster = kCluster,
            .admit =
                [this](const Caller& caller) {
                  const std::lock_guard lock(mutex_);
                  return denied_ == caller.peer.id.name ? absl::PermissionDeniedError("is revoked")
                                                        : absl::OkStatus();
                },
            .on_connection =
                [this](int fd, const CallerPtr&) {
                  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters one;
                  one.fd = fd;
                  connections_->HandleNewConnection(&one);
                },
            .takes_relayed = true,
            .on_join =
                [this](int fd, const std::string& address) {
                  const std::lock_guard lock(mutex_);
                  joining_.emplace_back(fd, address);
                },
            .on_refused =
                [this](const std::string&, const std::string& why) {
                  const std::lock_guard lock(mutex_);
                  refusals_.push_back(why);
                }},
        callers_);
    ShowCertificate(*authority_);
    grpc::ServerBuilder builder;
    AllowKeepalive(builder);
    connections_ = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
        grpc::InsecureServerCredentials());
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    Endpoint endpoint;
    ASSERT_EQ(ParseEndpoint("127.0.0.1:0", endpoint), "");
    auto acceptor = Acceptor::Listen(endpoint);
    ASSERT_TRUE(acceptor.ok()) << acceptor.status();
    acceptor_ = *std::move(acceptor);
    acceptor_->Start({.max_descriptors = 4000, .each = Gate::kDescriptorsEach}, metrics_,
                     [this](int fd) { gate_->Add(fd); });
  }

  void TearDown() override {
    acceptor_->Stop();
    gate_->Stop();
    server_->Shutdown(std::chrono::system_clock::now());
    std::filesystem::remove_all(root_);
  }

  void ShowCertificate(const Authority& authority) {
    ShowCertificate(authority,
                    {.id = ControllerId(kCluster), .addresses = {"127.0.0.1"}, .now = absl::Now()});
  }
  static SpiffeId ControllerId(const std::string& cluster) {
    return {.cluster = cluster, .role = v1::IDENTITY_ROLE_CONTROLLER, .name = "c"};
  }
  void ShowCertificate(const Authority& authority, const identity::IssueRequest& request) {
    const auto key = identity::MakeKey();
    const auto pem = authority.Issue(key->get(), request);
    ASSERT_TRUE(pem.ok()) << pem.status();
    ASSERT_TRUE(
        gate_->SetIdentity(*pem, *identity::KeyPem(key->get()), authority_->bundle_pem()).ok());
  }

  struct Issued {
    SpiffeId id = {.cluster = kCluster, .role = v1::IDENTITY_ROLE_AGENT, .name = "h1"};
    absl::Time now = absl::Now();
    absl::Duration lifetime = absl::Hours(24);
  };
  // A channel whose end shows such a certificate of `authority`, and trusts the cluster's.
  std::shared_ptr<grpc::Channel> Channel(const Authority& authority, const Issued& issued,
                                         const std::string& cluster = kCluster) {
    const std::string directory = root_ + "/" + std::to_string(++directories_);
    const auto key = identity::MakeKey();
    const auto files = identity::FilesIn(directory);
    EXPECT_TRUE(identity::SaveIdentity(files, *identity::KeyPem(key->get()),
                                       *authority.Issue(key->get(), {.id = issued.id,
                                                                     .now = issued.now,
                                                                     .lifetime = issued.lifetime}),
                                       authority_->bundle_pem())
                    .ok());
    return grpc::CreateCustomChannel(acceptor_->address(),
                                     identity::ChannelCredentials(files, cluster),
                                     ClientChannelArguments());
  }

  grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel, v1::Cluster* answer = nullptr) {
    v1::Cluster unused;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    return v1::ClusterService::NewStub(channel)->GetCluster(&context, {},
                                                            answer == nullptr ? &unused : answer);
  }

  bool WasRefused(const std::string& why) {
    return WaitUntil([&] {
      const std::lock_guard lock(mutex_);
      for (const std::string& one : refusals_)
        if (one.find(why) != std::string::npos) return true;
      return false;
    });
  }

  std::string CertificateOf(const Issued& issued, tls::KeyPtr* key_out = nullptr) const {
    auto key = identity::MakeKey();
    auto pem = authority_->Issue(key->get(),
                                 {.id = issued.id, .now = issued.now, .lifetime = issued.lifetime});
    if (key_out != nullptr) *key_out = *std::move(key);
    return *pem;
  }
  static std::string Framed(const std::string& bytes) {
    std::string frame(3, '\0');
    frame[2] = static_cast<char>(bytes.size() >> 8 & 0xff);
    frame.push_back(static_cast<char>(bytes.size() & 0xff));
    return frame + bytes;
  }
  // A connection by which one of `issued` passes another on.
  struct Relayed {
    Relayed(const GateTest& test, const Issued& issued)
        : context(SSL_CTX_new(TLS_client_method())) {
      tls::KeyPtr key;
      const std::string pem = test.CertificateOf(issued, &key);
      const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
          BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
      const tls::X509Ptr certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
      SSL_CTX_use_certificate(context.get(), certificate.get());
      SSL_CTX_use_PrivateKey(context.get(), key.get());
      ssl.reset(SSL_new(context.get()));
      const std::string protocol =
          std::string(1, static_cast<char>(kRelayProtocol.size())) + std::string(kRelayProtocol);
      SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const unsigned char*>(protocol.data()),
                          static_cast<unsigned int>(protocol.size()));
      fd = test.Connect();
      SSL_set_fd(ssl.get(), fd);
      EXPECT_EQ(SSL_connect(ssl.get()), 1);
    }
    Relayed(const Relayed&) = delete;
    Relayed& operator=(const Relayed&) = delete;
    ~Relayed() {
      ssl.reset();
      close(fd);
    }
    void Send(const std::string& bytes) const {
      EXPECT_EQ(SSL_write(ssl.get(), bytes.data(), static_cast<int>(bytes.size())),
                static_cast<int>(bytes.size()));
    }
    tls::SslContextPtr context;
    tls::SslPtr ssl;
    int fd = -1;
  };

  int Connect() const {
    const std::string& address = acceptor_->address();
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
      close(fd);
      return -1;
    }
    return fd;
  }

  std::string root_;
  int directories_ = 0;
  std::optional<Authority> authority_;
  Metrics metrics_;
  Callers callers_{true};
  EchoService service_{callers_};
  std::mutex mutex_;
  std::string denied_;
  std::vector<std::string> refusals_;
  std::vector<std::pair<int, std::string>> joining_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> connections_;
  std::optional<Gate> gate_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Acceptor> acceptor_;
};

TEST_F(GateTest, ACallIsKnownByItsCertificate) {
  const auto one = Channel(*authority_, {});
  const auto two =
      Channel(*authority_,
              {.id = {.cluster = kCluster, .role = v1::IDENTITY_ROLE_PERSON, .name = "alice"}});
  for (int i = 0; i < 3; ++i) {
    v1::Cluster answer;
    ASSERT_TRUE(Call(one, &answer).ok());
    EXPECT_EQ(answer.version(), "agent/h1");
    EXPECT_THAT(answer.store_error(), testing::StartsWith("127.0.0.1:"));
    ASSERT_TRUE(Call(two, &answer).ok());
    EXPECT_EQ(answer.version(), "person/alice");
  }
  EXPECT_EQ(gate_->counts().connections, 2);
}

TEST_F(GateTest, WrongCertificatesGetNoFurtherThanTheHandshake) {
  const auto other = Authority::Make(kCluster, absl::Now());
  const absl::Time now = absl::Now();
  const struct {
    std::shared_ptr<grpc::Channel> channel;
    std::string why;
  } cases[] = {
      {Channel(*other, {}), "certificate"},  // self-signed in its chain, or not to be verified
      {Channel(*authority_, {.now = now - absl::Hours(48)}), "expired"},
      {Channel(*authority_, {.now = now + absl::Hours(2)}), "not yet valid"},
      {Channel(*authority_,
               {.id = {.cluster = "c2", .role = v1::IDENTITY_ROLE_AGENT, .name = "h1"}}),
       "is of another cluster"},
  };
  for (const auto& c : cases) {
    EXPECT_FALSE(Call(c.channel).ok()) << c.why;
    EXPECT_TRUE(WasRefused(c.why)) << c.why;
  }
  EXPECT_EQ(gate_->counts().admitted, 0);
}

TEST_F(GateTest, AStandbySaysForWhomAConnectionIs) {
  const Issued alice{
      .id = {.cluster = kCluster, .role = v1::IDENTITY_ROLE_PERSON, .name = "alice"}};
  controller::v1::RelayedCaller named;
  named.set_certificate_pem(CertificateOf(alice));
  named.set_address("192.0.2.7:1000");
  const Issued standby{.id = ControllerId(kCluster)};
  {
    const Relayed connection(*this, standby);
    connection.Send(Framed(named.SerializeAsString()));
    EXPECT_TRUE(WaitUntil([&] { return gate_->counts().connections == 1; }));
    // It is hers: shut out with her.
    gate_->CloseIf([](const Caller& caller) {
      return caller.actor() == "person/alice" && caller.address == "192.0.2.7:1000";
    });
    EXPECT_TRUE(WaitUntil([&] { return gate_->counts().connections == 0; }));
  }
  {
    const Relayed connection(*this, standby);
    connection.Send(Framed(named.SerializeAsString()));
    EXPECT_TRUE(WaitUntil([&] { return gate_->counts().connections == 1; }));
    // And with the standby, whose word it hangs on.
    gate_->CloseIf([&](const Caller& caller) { return caller.peer.id == standby.id; });
    EXPECT_TRUE(WaitUntil([&] { return gate_->counts().connections == 0; }));
    const std::lock_guard lock(mutex_);
    denied_ = standby.id.name;
  }
  {
    const Relayed denied(*this, standby);
    EXPECT_TRUE(WasRefused("is revoked"));
    const std::lock_guard lock(mutex_);
    refusals_.clear();
    denied_ = "alice";
  }
  const Relayed denied(*this, standby);
  denied.Send(Framed(named.SerializeAsString()));
  EXPECT_TRUE(WasRefused("is revoked"));

  // Nobody else may say so, and not everything.
  const Relayed person(*this, alice);
  EXPECT_TRUE(WasRefused("person/alice may not pass connections of others on"));
  const Relayed empty(*this, standby);
  empty.Send(Framed(""));
  EXPECT_TRUE(WasRefused("without a caller"));
  const Relayed large(*this, standby);
  large.Send("\xff\xff\xff\xff");
  const Relayed garbage(*this, standby);
  garbage.Send(Framed("\xff\xff"));
  EXPECT_TRUE(WasRefused("its caller cannot be read"));
  named.set_certificate_pem(CertificateOf(standby));
  const Relayed controller(*this, standby);
  controller.Send(Framed(named.SerializeAsString()));
  EXPECT_TRUE(WasRefused("is passed on, which is not to be"));
  named.set_certificate_pem(CertificateOf({.id = alice.id, .now = absl::Now() - absl::Hours(48)}));
  const Relayed expired(*this, standby);
  expired.Send(Framed(named.SerializeAsString()));
  EXPECT_TRUE(WaitUntil([&] { return gate_->counts().refused == 8; })) << gate_->counts().refused;
}

TEST_F(GateTest, AStandbySaysWhereOneThatJoinsIsFrom) {
  controller::v1::RelayedCaller named;
  named.set_address("192.0.2.7:1000");
  named.set_joins(true);
  const Issued agent;
  const Relayed nobody(*this, agent);
  EXPECT_TRUE(WasRefused("agent/h1 may not pass connections of others on"));
  const Relayed connection(*this, {.id = ControllerId(kCluster)});
  connection.Send(Framed(named.SerializeAsString()) + "its own TLS");
  EXPECT_TRUE(WaitUntil([&] {
    const std::lock_guard lock(mutex_);
    return !joining_.empty();
  }));
  const std::lock_guard lock(mutex_);
  ASSERT_EQ(joining_.size(), 1U);
  EXPECT_EQ(joining_[0].second, "192.0.2.7:1000");
  std::string came(11, '\0');
  EXPECT_EQ(recv(joining_[0].first, came.data(), came.size(), MSG_WAITALL), 11);
  EXPECT_EQ(came, "its own TLS");
  // Its end is the other's.
  close(joining_[0].first);
  char byte = 0;
  EXPECT_EQ(SSL_read(connection.ssl.get(), &byte, 1), 0);
}

TEST_F(GateTest, WhoIsDeniedIsOutAtOnce) {
  const auto one = Channel(*authority_, {});
  const auto two = Channel(
      *authority_, {.id = {.cluster = kCluster, .role = v1::IDENTITY_ROLE_AGENT, .name = "h2"}});
  ASSERT_TRUE(Call(one).ok());
  ASSERT_TRUE(Call(two).ok());
  {
    const std::lock_guard lock(mutex_);
    denied_ = "h1";
  }
  gate_->CloseIf([](const Caller& caller) { return caller.peer.id.name == "h1"; });
  EXPECT_TRUE(WaitUntil([&] { return gate_->counts().connections == 1; }));
  // One may still have been sent on the connection that ended: the next dials, then.
  EXPECT_FALSE(Call(one).ok());
  EXPECT_FALSE(Call(one).ok());
  EXPECT_TRUE(WasRefused("is revoked"));
  EXPECT_TRUE(Call(two).ok());
}

TEST_F(GateTest, AConnectionEndsWithItsCertificateUnlessThatWasRenewed) {
  const Issued soon{.lifetime = absl::Seconds(4)};
  const auto one = Channel(*authority_, soon);
  const auto two = Channel(
      *authority_, {.id = {.cluster = kCluster, .role = v1::IDENTITY_ROLE_AGENT, .name = "h2"},
                    .lifetime = absl::Seconds(4)});
  ASSERT_TRUE(Call(one).ok());
  ASSERT_TRUE(Call(two).ok());
  gate_->Extend({.cluster = kCluster, .role = v1::IDENTITY_ROLE_AGENT, .name = "h2"},
                absl::Now() + absl::Hours(1));
  EXPECT_TRUE(WaitUntil([&] { return gate_->counts().closed_for_expiry == 1; }));
  EXPECT_TRUE(Call(two).ok());
  EXPECT_FALSE(Call(one).ok());
}

TEST_F(GateTest, ANewCertificateOfItsOwnDropsNoConnection) {
  const auto channel = Channel(*authority_, {});
  ASSERT_TRUE(Call(channel).ok());
  for (int i = 0; i < 20; ++i) {
    ShowCertificate(*authority_);
    ASSERT_TRUE(Call(channel).ok());
  }
  EXPECT_EQ(gate_->counts().admitted, 1);
  EXPECT_TRUE(Call(Channel(*authority_, {})).ok());
}

TEST_F(GateTest, AClientTalksToItsOwnClustersControllerOnly) {
  EXPECT_FALSE(Call(Channel(*authority_, {}, "c2")).ok());
  const auto channel = [this] { return Channel(*authority_, {}); };
  EXPECT_TRUE(Call(channel()).ok());
  const absl::Time now = absl::Now();
  const auto other = Authority::Make(kCluster, now);
  ShowCertificate(*other);
  EXPECT_FALSE(Call(channel()).ok()) << "another authority's";
  ShowCertificate(*authority_, {.id = ControllerId(kCluster), .now = now - absl::Hours(48)});
  EXPECT_FALSE(Call(channel()).ok()) << "expired";
  ShowCertificate(*authority_, {.id = ControllerId(kCluster), .now = now + absl::Hours(2)});
  EXPECT_FALSE(Call(channel()).ok()) << "not yet valid";
  ShowCertificate(*authority_, {.id = ControllerId("c2"), .now = now});
  EXPECT_FALSE(Call(channel()).ok()) << "of another cluster";
  for (const v1::IdentityRole role :
       {v1::IDENTITY_ROLE_AGENT, v1::IDENTITY_ROLE_PROXY, v1::IDENTITY_ROLE_PERSON}) {
    ShowCertificate(*authority_,
                    {.id = {.cluster = kCluster, .role = role, .name = "c"}, .now = now});
    EXPECT_FALSE(Call(channel()).ok()) << "no controller's: " << role;
  }
  ShowCertificate(*authority_);
  EXPECT_TRUE(Call(channel()).ok());
}

TEST_F(GateTest, OlderTlsAndOtherProtocolsAreRefused) {
  for (const bool is_old : {true, false}) {
    const tls::SslContextPtr context(SSL_CTX_new(TLS_client_method()));
    if (is_old) SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
    const tls::SslPtr ssl(SSL_new(context.get()));
    const unsigned char kHttp1[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    if (!is_old) SSL_set_alpn_protos(ssl.get(), kHttp1, sizeof kHttp1);
    const int fd = Connect();
    SSL_set_fd(ssl.get(), fd);
    EXPECT_NE(SSL_connect(ssl.get()), 1);
    tls::TakeErrors();
    close(fd);
  }
  EXPECT_EQ(gate_->counts().admitted, 0);
}

TEST_F(GateTest, ACrowdThatSaysNothingKeepsNobodyOut) {
  constexpr int kCrowd = 1500;
  std::vector<int> crowd;
  for (int i = 0; i < kCrowd; ++i) {
    crowd.push_back(Connect());
    // Some begin a handshake and go no further, some send what is none.
    if (i % 3 == 1) send(crowd.back(), "\x16\x03\x01\x02\x00\x01", 6, MSG_NOSIGNAL);
    if (i % 3 == 2) send(crowd.back(), "GET / HTTP/1.0\r\n\r\n", 18, MSG_NOSIGNAL);
  }
  const auto bound = static_cast<int64_t>(2 * limits::kMaxHandshakesPerAddress);
  EXPECT_TRUE(WaitUntil([&] { return gate_->counts().handshakes <= bound; }));
  EXPECT_TRUE(Call(Channel(*authority_, {})).ok()) << "with the crowd still there";
  EXPECT_TRUE(WaitUntil([&] { return gate_->counts().handshakes == 0; })) << "they are timed out";
  for (const int fd : crowd) close(fd);
}

// A connection past its handshake, as a certificate of `id` makes it; empty: it was refused.
struct TlsClient {
  TlsClient(const Authority& authority, const SpiffeId& id, int socket) : fd(socket) {
    const auto key = identity::MakeKey();
    const auto pem = *authority.Issue(key->get(), {.id = id, .now = absl::Now()});
    tls::ChainPtr chain;
    std::string error;
    EXPECT_TRUE(tls::ReadCertificates(pem, 10, chain, error)) << error;
    context.reset(SSL_CTX_new(TLS_client_method()));
    EXPECT_EQ(SSL_CTX_use_certificate(context.get(), sk_X509_value(chain.get(), 0)), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(context.get(), key->get()), 1);
    ssl.reset(SSL_new(context.get()));
    const unsigned char kHttp2[] = {2, 'h', '2'};
    SSL_set_alpn_protos(ssl.get(), kHttp2, sizeof kHttp2);
    SSL_set_fd(ssl.get(), fd);
    EXPECT_EQ(SSL_connect(ssl.get()), 1);
  }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;
  ~TlsClient() {
    tls::TakeErrors();
    close(fd);
  }

  const int fd;
  tls::SslContextPtr context;
  tls::SslPtr ssl;
};

TEST_F(GateTest, OneIdentityTakesNoMoreThanItsPart) {
  const SpiffeId taken_over{.cluster = kCluster, .role = v1::IDENTITY_ROLE_AGENT, .name = "h1"};
  std::vector<std::unique_ptr<TlsClient>> many;
  constexpr size_t kMost = limits::kMaxConnectionsPerIdentity;
  for (size_t i = 0; i < kMost + 3; ++i)
    many.push_back(std::make_unique<TlsClient>(*authority_, taken_over, Connect()));
  EXPECT_TRUE(WasRefused("agent/h1 has 256 connections already"));
  EXPECT_TRUE(WaitUntil([&] { return gate_->counts().refused == 3; }));
  EXPECT_EQ(gate_->counts().connections, static_cast<int64_t>(kMost));
  EXPECT_TRUE(
      Call(Channel(*authority_,
                   {.id = {.cluster = kCluster, .role = v1::IDENTITY_ROLE_AGENT, .name = "h2"}}))
          .ok());
  many.clear();
  EXPECT_TRUE(WaitUntil([&] { return gate_->counts().connections <= 1; }));
  EXPECT_TRUE(Call(Channel(*authority_, {})).ok()) << "and its places are given back";
}

// The bound of descriptors holds for all that a connection opens, not for its own alone.
TEST_F(GateTest, EachConnectionsThreeDescriptorsAreCounted) {
  acceptor_->Stop();
  Endpoint endpoint;
  ASSERT_EQ(ParseEndpoint("127.0.0.1:0", endpoint), "");
  acceptor_ = *Acceptor::Listen(endpoint);
  constexpr size_t kClients = 40;
  std::vector<int> sockets;
  for (size_t i = 0; i < kClients; ++i) sockets.push_back(Connect());
  constexpr size_t kRoom = 60;
  const size_t bound = CountDescriptors() + kRoom;
  acceptor_->Start({.max_descriptors = bound,
                    .each = Gate::kDescriptorsEach,
                    .to_come =
                        [this] {
                          return static_cast<size_t>(gate_->counts().handshakes.load()) *
                                 (Gate::kDescriptorsEach - 1);
                        }},
                   metrics_, [this](int fd) { gate_->Add(fd); });
  EXPECT_TRUE(WaitUntil([&] { return metrics_.accept_pauses > 0; }));
  std::vector<std::unique_ptr<TlsClient>> clients;
  const SpiffeId id{.cluster = kCluster, .role = v1::IDENTITY_ROLE_AGENT, .name = "h1"};
  // Those that were let in finish, all of them; the others wait in the kernel.
  constexpr size_t kServed = kRoom / Gate::kDescriptorsEach - 2;
  for (size_t i = 0; i < kServed; ++i)
    clients.push_back(std::make_unique<TlsClient>(*authority_, id, sockets[i]));
  EXPECT_TRUE(
      WaitUntil([&] { return gate_->counts().connections >= static_cast<int64_t>(kServed); }));
  EXPECT_LE(CountDescriptors(), bound);
  EXPECT_LE(gate_->counts().connections + gate_->counts().handshakes,
            static_cast<int64_t>(kRoom / Gate::kDescriptorsEach));
  for (size_t i = kServed; i < kClients; ++i) close(sockets[i]);
}

// Large answers and many calls at once pass whole.
TEST_F(GateTest, WhatPassesIsWhole) {
  const auto channel = Channel(*authority_, {});
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) good += Call(channel).ok() ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 800);
}

}  // namespace
}  // namespace remuda
