// Streams and contexts of proxy/tls, without a proxy.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include <cstring>

#include "proxy/tls/client_context.h"
#include "proxy/tls/client_fields.h"
#include "proxy/tls/compiler.h"
#include "proxy/tls/server_context.h"
#include "proxy/tls/ticket_keys.h"
#include "proxy/tls/tls_stream.h"
#include "remuda/v1/certificate.pb.h"
#include "tests/unit/proxy/tls/parsed_certificates.h"

namespace remuda::proxy::tls {
namespace {

using proxy::testing::MakeCertificate;
using proxy::testing::Named;
using proxy::testing::Parse;
using proxy::testing::TestCertificate;
using proxy::testing::TestKey;
using ::testing::HasSubstr;
using ::testing::Not;

// Two streams over a socket pair, driven in turn.
class Pair {
 public:
  Pair(const ServerContext& server, const ClientContext& client, const std::string& name,
       SSL_SESSION* session = nullptr) {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds_) != 0) ADD_FAILURE();
    server_ =
        std::make_unique<TlsStream>(server.NewConnection(), fds_[0], TlsStream::Side::kServer);
    client_ = std::make_unique<TlsStream>(client.NewConnection(name, "127.0.0.1", session), fds_[1],
                                          TlsStream::Side::kClient);
  }
  ~Pair() {
    for (const int fd : fds_) {
      if (fd >= 0) close(fd);
    }
  }
  bool Shake() {
    int server = -EAGAIN;
    int client = -EAGAIN;
    for (int i = 0; i < 10 && (server == -EAGAIN || client == -EAGAIN); ++i) {
      if (client == -EAGAIN) client = client_->Handshake();
      if (server == -EAGAIN) server = server_->Handshake();
    }
    char byte;
    if (client == 0) client_->Receive(&byte, 1);  // tickets, or an alert
    return server == 0 && client == 0;
  }
  TlsStream& server() { return *server_; }
  TlsStream& client() { return *client_; }
  void CloseServer() {
    server_.reset();
    close(std::exchange(fds_[0], -1));
  }
  int server_fd() const { return fds_[0]; }
  int client_fd() const { return fds_[1]; }

 private:
  int fds_[2] = {-1, -1};
  std::unique_ptr<TlsStream> server_, client_;
};

std::shared_ptr<const ServerContext> Server(ServerOptions options) {
  if (options.certificates.empty()) options.certificates = {Named("web", {"web.test"})};
  if (options.tickets == nullptr) options.tickets = std::make_shared<const TicketKeys>();
  auto made = ServerContext::Make(std::move(options));
  if (auto* error = std::get_if<std::string>(&made)) ADD_FAILURE() << *error;
  return std::get<0>(std::move(made));
}

std::shared_ptr<const ClientContext> Client(const ClientOptions& options = {}) {
  auto made = ClientContext::Make(options);
  if (auto* error = std::get_if<std::string>(&made)) ADD_FAILURE() << *error;
  return std::get<0>(std::move(made));
}

TEST(TlsStream, CarriesBytesOfAnySizeBothWays) {
  Pair pair(*Server({}), *Client(), "web.test");
  ASSERT_TRUE(pair.Shake());
  EXPECT_EQ(pair.server().tls_info()->certificate, "web");
  EXPECT_EQ(pair.server().tls_info()->server_name, "web.test");
  EXPECT_EQ(pair.server().tls_info()->protocol, "TLSv1.3");
  EXPECT_EQ(pair.server().tls_info()->cipher, "TLS_AES_128_GCM_SHA256");
  EXPECT_EQ(pair.server().tls_info()->alpn, "http/1.1");
  std::string text(3 << 20, '\0');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31 + (i >> 12));
  for (const bool to_client : {true, false}) {
    TlsStream& from = to_client ? pair.server() : pair.client();
    TlsStream& to = to_client ? pair.client() : pair.server();
    std::string got;
    size_t sent = 0;
    std::string block(20000, '\0');
    bool was_full = false;
    while (got.size() < text.size()) {
      // Pieces of odd sizes, as a head, a chunk and its end.
      const size_t left = text.size() - sent;
      const size_t parts[3] = {std::min<size_t>(left, 300),
                               std::min<size_t>(left, 16700) - std::min<size_t>(left, 300),
                               left > 16702 ? 2u : 0u};
      iovec pieces[3];
      size_t at = sent;
      for (int i = 0; i < 3; ++i) {
        pieces[i] = {text.data() + at, parts[i]};
        at += parts[i];
      }
      const ssize_t n = left > 0 ? from.Send(pieces, 3) : -EAGAIN;
      if (n > 0) sent += static_cast<size_t>(n);
      if (n == -EAGAIN || left == 0) {
        was_full = was_full || n == -EAGAIN;
        const Received received = to.Receive(block.data(), block.size());
        ASSERT_GT(received.bytes, 0);
        got.append(block.data(), static_cast<size_t>(received.bytes));
      } else {
        ASSERT_GT(n, 0);
      }
    }
    EXPECT_TRUE(was_full) << "the test must fill the socket";
    EXPECT_EQ(got == text, true);
  }
}

TEST(TlsStream, TellsACleanEndFromACut) {
  const auto server = Server({});
  char byte;
  {
    Pair pair(*server, *Client(), "web.test");
    ASSERT_TRUE(pair.Shake());
    pair.server().CloseNotify();
    EXPECT_EQ(pair.client().Receive(&byte, 1).bytes, 0);
  }
  {
    Pair pair(*server, *Client(), "web.test");
    ASSERT_TRUE(pair.Shake());
    shutdown(pair.server_fd(), SHUT_WR);
    EXPECT_EQ(pair.client().Receive(&byte, 1).bytes, -ECONNRESET);
    EXPECT_LT(pair.client().Receive(&byte, 1).bytes, 0) << "and it stays so";
  }
}

TEST(TlsStream, SaysGoodbyeLaterWhereTheSocketIsFull) {
  Pair pair(*Server({}), *Client(), "web.test");
  ASSERT_TRUE(pair.Shake());
  const std::string text(1000, 'x');
  const iovec piece{const_cast<char*>(text.data()), text.size()};
  size_t sent = 0;
  // Bare bytes fill what room is left, so that no record waits half sent.
  while (pair.server().Send(&piece, 1) > 0 && sent < 20) ++sent;
  ASSERT_EQ(sent, 20u);
  std::string junk(1 << 16, 'j');
  size_t junk_bytes = 0;
  for (size_t size = junk.size(); size > 0; size /= 2) {
    ssize_t n;
    while ((n = send(pair.server_fd(), junk.data(), size, MSG_DONTWAIT)) > 0)
      junk_bytes += static_cast<size_t>(n);
  }
  EXPECT_EQ(pair.server().CloseNotify(), -EAGAIN);
  EXPECT_EQ(pair.server().CloseNotify(), -EAGAIN);
  // The peer takes all of it, the records unread.
  size_t drained = 0;
  ssize_t n;
  while ((n = recv(pair.client_fd(), junk.data(), junk.size(), MSG_DONTWAIT)) > 0)
    drained += static_cast<size_t>(n);
  EXPECT_GT(drained, junk_bytes);
  EXPECT_EQ(pair.server().CloseNotify(), 0);
  EXPECT_EQ(recv(pair.client_fd(), junk.data(), junk.size(), MSG_DONTWAIT), 5 + 2 + 1 + 16)
      << "one alert of TLS 1.3";
  EXPECT_EQ(pair.server().CloseNotify(), 0);
  EXPECT_EQ(recv(pair.client_fd(), junk.data(), junk.size(), MSG_DONTWAIT), -1) << "said once";
}

// The end comes with the last bytes: there is no other event to find it by.
TEST(TlsStream, FindsTheEndBehindHalfARecord) {
  const std::string half("\x17\x03\x03\x00\x20half", 9);
  Pair pair(*Server({}), *Client(), "web.test");
  ASSERT_TRUE(pair.Shake());
  char block[64];
  ASSERT_EQ(send(pair.client_fd(), half.data(), half.size(), 0), 9);
  EXPECT_EQ(pair.server().Receive(block, sizeof block).bytes, -EAGAIN);
  ASSERT_EQ(send(pair.client_fd(), "more", 4, 0), 4);
  shutdown(pair.client_fd(), SHUT_WR);
  EXPECT_EQ(pair.server().Receive(block, sizeof block).bytes, -ECONNRESET);

  Pair greeted(*Server({}), *Client(), "web.test");
  ASSERT_EQ(send(greeted.client_fd(), "\x16\x03\x01\x02\x00\x01", 6, 0), 6);
  shutdown(greeted.client_fd(), SHUT_WR);
  EXPECT_EQ(greeted.server().Handshake(), -ECONNRESET);
}

// An early answer, and gone: what cannot be sent any more does not take the answer away.
TEST(TlsStream, ReadsWhatCameBeforeThePeerWasGone) {
  Pair pair(*Server({}), *Client(), "web.test");
  ASSERT_TRUE(pair.Shake());
  const iovec piece{const_cast<char*>("answer"), 6};
  ASSERT_EQ(pair.server().Send(&piece, 1), 6);
  ASSERT_EQ(pair.server().CloseNotify(), 0);
  pair.CloseServer();
  EXPECT_EQ(pair.client().Send(&piece, 1), -EPIPE);
  EXPECT_EQ(pair.client().Send(&piece, 1), -EPIPE);
  char block[64];
  EXPECT_EQ(pair.client().Receive(block, sizeof block).bytes, 6);
  EXPECT_EQ(pair.client().Receive(block, sizeof block).bytes, 0);
}

TEST(TlsStream, KnowsThatTheSocketIsEmpty) {
  Pair pair(*Server({}), *Client(), "web.test");
  ASSERT_TRUE(pair.Shake());
  char block[64];
  const iovec piece{const_cast<char*>("hello"), 5};
  ASSERT_EQ(pair.client().Send(&piece, 1), 5);
  ASSERT_EQ(pair.client().Send(&piece, 1), 5);
  Received got = pair.server().Receive(block, 7);  // one record and a part of the next
  EXPECT_EQ(got.bytes, 7);
  EXPECT_FALSE(got.is_drained);
  EXPECT_TRUE(pair.server().has_pending());
  got = pair.server().Receive(block, sizeof block);
  EXPECT_EQ(got.bytes, 3);
  EXPECT_EQ(pair.server().Receive(block, sizeof block).bytes, -EAGAIN);
  ASSERT_EQ(pair.client().Send(&piece, 1), 5);
  got = pair.server().Receive(block, sizeof block);
  EXPECT_EQ(got.bytes, 5);
  EXPECT_TRUE(got.is_drained);
  EXPECT_FALSE(pair.server().has_pending());
}

TEST(TlsStream, SaysWhyAHandshakeFailed) {
  const auto server = Server({});
  const struct {
    std::string bytes;
    bool ends;
    HandshakeFailure want;
  } cases[] = {
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", false, HandshakeFailure::kPlainHttp},
      {"SSH-2.0-OpenSSH_9.2\r\n", false, HandshakeFailure::kMalformed},
      {std::string("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", 10), false,
       HandshakeFailure::kMalformed},
      {std::string("\x16\x03\x01\xff\xff\x01", 6), false, HandshakeFailure::kMalformed},
      {"", true, HandshakeFailure::kClosed},
      {std::string("\x16\x03\x01\x02\x00\x01", 6), true, HandshakeFailure::kClosed},
  };
  for (const auto& c : cases) {
    Pair pair(*server, *Client(), "web.test");
    ASSERT_EQ(send(pair.client_fd(), c.bytes.data(), c.bytes.size(), 0),
              static_cast<ssize_t>(c.bytes.size()));
    if (c.ends) shutdown(pair.client_fd(), SHUT_WR);
    int result = pair.server().Handshake();
    if (result == -EAGAIN) result = pair.server().Handshake();  // the end has its own event
    EXPECT_NE(result, -EAGAIN);
    EXPECT_LT(result, 0);
    EXPECT_EQ(NameOf(pair.server().failure()), NameOf(c.want)) << c.bytes;
    EXPECT_EQ(ERR_peek_error(), 0u);
  }
}

TEST(ServerContext, ResumesWithTicketsAlsoAfterAConfigChange) {
  const auto keys_of = [](char c) {
    const auto keys = std::make_shared<TicketKeys>();
    EXPECT_EQ(
        keys->Replace({std::string(TicketKeys::kKeyBytes, c)}, std::chrono::system_clock::now()),
        "");
    return keys;
  };
  const auto tickets = keys_of('a');
  const auto client = Client();
  SslSessionPtr session;
  {
    Pair pair(*Server({.scope = "shop", .tickets = tickets}), *client, "web.test");
    ASSERT_TRUE(pair.Shake());
    EXPECT_FALSE(pair.server().tls_info()->is_resumed);
    session = pair.client().TakeSession();
    ASSERT_NE(session, nullptr);
  }
  bool gets_new_ticket = false;
  const auto resumes = [&](ServerOptions options) {
    Pair pair(*Server(std::move(options)), *client, "web.test", session.get());
    EXPECT_TRUE(pair.Shake());
    gets_new_ticket = pair.client().TakeSession() != nullptr;
    return pair.server().tls_info() != nullptr && pair.server().tls_info()->is_resumed;
  };
  const auto again = keys_of('a');
  const auto other = keys_of('b');
  EXPECT_TRUE(resumes({.scope = "shop", .tickets = again}));
  EXPECT_TRUE(gets_new_ticket) << "one ticket is for one connection";
  EXPECT_FALSE(resumes({.scope = "shop", .tickets = other}));
  EXPECT_FALSE(resumes({.scope = "mail", .tickets = again})) << "of another load balancer";
  EXPECT_FALSE(resumes(
      {.client_certificates = ClientCertificates::kPassthrough, .scope = "shop", .tickets = again}))
      << "of one that asks for certificates";
}

TEST(ServerContext, ShowsTheCertificateOfTheKindThatTheClientCanCheck) {
  const auto server = Server(
      {.certificates = {Named("rsa", {"a.test"}, TestKey::kRsa2048), Named("ecdsa", {"a.test"}),
                        Named("other-rsa", {"b.test"}, TestKey::kRsa2048),
                        Named("other-ecdsa", {"b.test"})}});
  const struct {
    const char* name;
    const char* algorithms;
    const char* want;
  } cases[] = {
      {"a.test", "ECDSA+SHA256", "ecdsa"},       {"a.test", "RSA-PSS+SHA256", "rsa"},
      {"b.test", "ECDSA+SHA256", "other-ecdsa"}, {"b.test", "RSA-PSS+SHA256", "other-rsa"},
      {"c.test", "RSA-PSS+SHA256", "rsa"},
  };
  for (const auto& c : cases) {
    Pair pair(*server, *Client(), c.name);
    SSL_set1_sigalgs_list(pair.client().ssl(), c.algorithms);
    ASSERT_TRUE(pair.Shake());
    EXPECT_EQ(pair.server().tls_info()->certificate, c.want) << c.name << " " << c.algorithms;
  }
}

TEST(ClientContext, ChecksTheChainAndTheName) {
  const TestCertificate authority =
      MakeCertificate({.common_name = "ca", .key_index = 7, .is_authority = true});
  const TestCertificate good = MakeCertificate({.names = {"a.test"}}, &authority);
  const TestCertificate expired =
      MakeCertificate({.names = {"a.test"}, .ends = std::chrono::hours(-1)}, &authority);
  const TestCertificate foreign = MakeCertificate({.names = {"a.test"}});
  const TestCertificate by_address = MakeCertificate({.addresses = {"127.0.0.1"}}, &authority);
  const struct {
    const TestCertificate& shown;
    const char* name;
    bool verifies;
    const char* want;  // part of the error; empty: it goes through
  } cases[] = {
      {good, "a.test", true, ""},
      {good, "b.test", true, "hostname mismatch"},
      {expired, "a.test", true, "certificate has expired"},
      {foreign, "a.test", true, "self-signed certificate"},
      {good, "", true, "IP address mismatch"},
      {by_address, "", true, ""},
      {foreign, "b.test", false, ""},
      {expired, "", false, ""},
  };
  for (const auto& c : cases) {
    const auto client =
        Client({.verifies = c.verifies, .ca_pem = c.verifies ? authority.pem : std::string()});
    Pair pair(*Server({.certificates = {Parse("a", c.shown)}}), *client, c.name);
    const bool is_through = pair.Shake();
    EXPECT_EQ(is_through, c.want[0] == '\0') << c.name << " " << c.want;
    if (!is_through) {
      EXPECT_THAT(std::string(pair.client().VerifyError()), HasSubstr(c.want));
    }
  }
}

TEST(ClientContext, IsRefusedWithTheFieldAndTheRule) {
  const auto fault = [](const ClientOptions& options) {
    const auto made = ClientContext::Make(options);
    const auto* error = std::get_if<std::string>(&made);
    return error == nullptr ? std::string() : *error;
  };
  EXPECT_THAT(fault({.verifies = true, .ca_pem = "x"}), HasSubstr("target_tls.ca_pem: holds no"));
  EXPECT_THAT(fault({.server_name = "a b"}), HasSubstr("target_tls.server_name: 'a b' is not"));
  EXPECT_THAT(fault({.ca_pem = "x"}), HasSubstr("ca_pem: is not looked at unless verify"));
}

TEST(ClientContext, AsksForTheHostWithoutItsPort) {
  const auto of_host = Client();
  EXPECT_EQ(of_host->NameFor("shop.test:8443"), "shop.test");
  EXPECT_EQ(of_host->NameFor("shop.test"), "shop.test");
  EXPECT_EQ(of_host->NameFor("10.0.0.1:80"), "");
  EXPECT_EQ(of_host->NameFor("[::1]:80"), "");
  EXPECT_EQ(of_host->NameFor(""), "");
  EXPECT_EQ(Client({.server_name = "Fixed.test"})->NameFor("shop.test"), "fixed.test");
}

// What the client has no key for comes second, whatever it sends along.
TEST(ClientFields, PassTheClientsOwnCertificateFirst) {
  const TestCertificate victim = MakeCertificate({.common_name = "victim"});
  const TestCertificate mine = MakeCertificate({.common_name = "mine", .key_index = 1});
  const auto fields = [&](const TestCertificate& shown, bool with_victim) {
    const auto server = Server({.client_certificates = ClientCertificates::kPassthrough});
    Pair pair(*server, *Client(), "web.test");
    SSL_use_certificate(pair.client().ssl(), shown.certificate.get());
    SSL_use_PrivateKey(pair.client().ssl(), shown.key.get());
    if (with_victim) SSL_add1_chain_cert(pair.client().ssl(), victim.certificate.get());
    EXPECT_TRUE(pair.Shake());
    std::string text = ClientFields(pair.server().ssl(), ClientCertificates::kPassthrough);
    return text.substr(text.find(": ") + 2, text.size() - text.find(": ") - 4);
  };
  EXPECT_EQ(fields(mine, true), fields(mine, false) + fields(victim, false));
}

TEST(ClientFields, KnowAnExpiredCertificate) {
  for (const int hours : {-1, 1}) {
    const TestCertificate mine = MakeCertificate({.ends = std::chrono::hours(hours)});
    const auto server = Server({.client_certificates = ClientCertificates::kPassthrough});
    Pair pair(*server, *Client(), "web.test");
    SSL_use_certificate(pair.client().ssl(), mine.certificate.get());
    SSL_use_PrivateKey(pair.client().ssl(), mine.key.get());
    ASSERT_TRUE(pair.Shake());
    EXPECT_EQ(HasClientExpired(pair.server().ssl()), hours < 0);
  }
}

TEST(ClientFields, SayWhatTheCertificateIs) {
  const TestCertificate authority =
      MakeCertificate({.common_name = "ca", .key_index = 7, .is_authority = true});
  const TestCertificate mine = MakeCertificate({.common_name = "eve\r\nX-Evil: 1"}, &authority);
  const auto fields = [&](ClientCertificates mode) {
    const auto server =
        Server({.client_certificates = mode,
                .ca_pem = mode == ClientCertificates::kVerify ? authority.pem : ""});
    Pair pair(*server, *Client(), "web.test");
    SSL_use_certificate(pair.client().ssl(), mine.certificate.get());
    SSL_use_PrivateKey(pair.client().ssl(), mine.key.get());
    EXPECT_TRUE(pair.Shake());
    return ClientFields(pair.server().ssl(), mode);
  };
  const std::string passed = fields(ClientCertificates::kPassthrough);
  EXPECT_THAT(passed, HasSubstr("X-Amzn-Mtls-Clientcert: -----BEGIN%20CERTIFICATE-----%0A"));
  EXPECT_THAT(passed, ::testing::EndsWith("%0A-----END%20CERTIFICATE-----%0A\r\n"));
  const std::string verified = fields(ClientCertificates::kVerify);
  EXPECT_THAT(verified, HasSubstr("X-Amzn-Mtls-Clientcert-Issuer: CN=ca\r\n"));
  EXPECT_THAT(verified, HasSubstr("X-Amzn-Mtls-Clientcert-Subject: CN=eve\\0D\\0AX-Evil: 1\r\n"));
  EXPECT_THAT(verified, HasSubstr("X-Amzn-Mtls-Clientcert-Serial-Number: "));
  EXPECT_THAT(verified, ::testing::ContainsRegex(
                            "Validity: NotBefore=[0-9-]*T[0-9:]*Z;NotAfter=[0-9-]*T[0-9:]*Z\r\n"));
  EXPECT_THAT(verified, HasSubstr("X-Amzn-Mtls-Clientcert-Leaf: -----BEGIN%20CERTIFICATE"));
  EXPECT_THAT(verified, Not(HasSubstr("\r\nX-Evil")));
}

TEST(Compiler, ParsesTenThousandCertificates) {
  // Keys are shared to keep the making short, but each is parsed.
  const TestCertificate authority = MakeCertificate({.key_index = 7, .is_authority = true});
  std::vector<remuda::v1::Certificate> configs(10000);
  std::vector<const remuda::v1::Certificate*> pointers;
  for (size_t i = 0; i < configs.size(); ++i) {
    const std::string name = "n" + std::to_string(i) + ".test";
    const TestCertificate made =
        MakeCertificate({.names = {name, "*." + name},
                         .key = i % 2 == 0 ? TestKey::kRsa2048 : TestKey::kP256,
                         .key_index = static_cast<int>(i % 8)},
                        &authority);
    configs[i].set_name("c" + std::to_string(i));
    configs[i].set_certificate_pem(made.pem);
    configs[i].set_private_key_pem(made.key_pem);
    pointers.push_back(&configs[i]);
  }
  const auto begin = std::chrono::steady_clock::now();
  std::vector<TlsCompiler::Parsed> parsed = Compiler(4).ParseCertificates(pointers);
  const auto parsed_at = std::chrono::steady_clock::now();
  std::vector<std::shared_ptr<const Certificate>> certificates;
  for (auto& one : parsed) {
    ASSERT_FALSE(one.fault) << *one.fault;
    certificates.push_back(one.certificate);
  }
  const auto server = Server({.certificates = certificates});
  const auto made_at = std::chrono::steady_clock::now();
  std::printf("10000 certificates: parsed in %.2f s, listener made in %.3f s\n",
              std::chrono::duration<double>(parsed_at - begin).count(),
              std::chrono::duration<double>(made_at - parsed_at).count());
  Pair pair(*server, *Client(), "www.n7777.test");
  ASSERT_TRUE(pair.Shake());
  EXPECT_EQ(pair.server().tls_info()->certificate, "c7777");
}

}  // namespace
}  // namespace remuda::proxy::tls
