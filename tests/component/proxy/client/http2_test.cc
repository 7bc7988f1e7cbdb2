// HTTP/2 as clients that behave see it.
#include <gmock/gmock.h>
#include <signal.h>

#include <atomic>
#include <mutex>

#include "tests/component/proxy/testing/http2_fixture.h"

namespace remuda::proxy::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class Http2Test : public Http2Fixture {};

TEST_F(Http2Test, MakesAnHttp11RequestOfTheFields) {
  Start(Echo);
  auto client = Client();
  EXPECT_EQ(client->settings[NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS], 128u);
  const auto got = client->Await(client->SendRequest("GET", "/a%7Eb?q=1", true,
                                                     {{"host", "shop.test"},
                                                      {"cookie", "a=1"},
                                                      {"te", "trailers"},
                                                      {"cookie", "b=2"},
                                                      {"x-y", "z"}}));
  EXPECT_EQ(got.status, 200);
  EXPECT_THAT(got.body, StartsWith("GET /a~b?q=1 HTTP/1.1\r\nHost: shop.test\r\n"));
  EXPECT_THAT(got.body, HasSubstr("cookie: a=1; b=2\r\n"));
  EXPECT_THAT(got.body, HasSubstr("x-y: z\r\n"));
  EXPECT_THAT(got.body, HasSubstr("X-Forwarded-For: 127.0.0.1\r\n"));
  EXPECT_THAT(got.body, HasSubstr("X-Forwarded-Proto: https\r\n"));
  EXPECT_THAT(got.body, Not(HasSubstr("te: ")));
  EXPECT_EQ(got.Field("content-length"), std::to_string(got.body.size()));
  EXPECT_NE(got.Field("date"), "") << "the target gave none";
  EXPECT_TRUE(
      WaitUntil([&] { return proxy_->AccessLog().find(" HTTP/2.0\" ") != std::string::npos; }));
  EXPECT_THAT(proxy_->AccessLog(), StartsWith("h2 "));
}

TEST_F(Http2Test, GivesResponsesLowerCaseNamesAndNoHopByHopFields) {
  Start([](const std::string&, RawSocket& connection) {
    return Answer(
        connection, "ok",
        "X-Upper: A\r\nDate: Mon\r\nKeep-Alive: 5\r\nConnection: X-Gone\r\nX-Gone: 1\r\n");
  });
  auto client = Client();
  const auto got = client->Get();
  EXPECT_THAT(got.fields, ElementsAre(std::pair(":status", "200"), std::pair("x-upper", "A"),
                                      std::pair("date", "Mon"), std::pair("content-length", "2")));
  EXPECT_EQ(got.body, "ok");
}

TEST_F(Http2Test, SendsBodiesWithAndWithoutADeclaredLength) {
  Start(Echo);
  auto client = Client();
  // All at once: the length is known.
  uint32_t stream = client->SendRequest("POST", "/", false);
  ASSERT_TRUE(client->SendBody(stream, "hello", true));
  EXPECT_THAT(client->Await(stream).body, HasSubstr("body:5o"));
  stream = client->SendRequest("POST", "/", false, {{"content-length", "5"}});
  ASSERT_TRUE(client->SendBody(stream, "he", false));
  ASSERT_TRUE(client->SendBody(stream, "llo", true));
  const auto declared = client->Await(stream);
  EXPECT_THAT(declared.body, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_THAT(declared.body, HasSubstr("body:5o"));
  stream = client->SendRequest("POST", "/", true);
  EXPECT_THAT(client->Await(stream).body, HasSubstr("Content-Length: 0\r\n"));
}

TEST_F(Http2Test, StreamsAreCopiedToAMirror) {
  std::mutex mutex;
  std::vector<std::string> copies;  // guarded by mutex
  ScriptedTarget mirror([&](const std::string& head, RawSocket& connection) {
    const std::string body = ReadBody(head, connection);
    {
      std::lock_guard lock(mutex);
      copies.push_back(head + body);
    }
    return Answer(connection, "copied");
  });
  target_ = std::make_unique<ScriptedTarget>(Echo);
  const TestCertificate certificate = MakeCertificate({.names = {"shop.test"}});
  std::string config = TlsConfigFor({target_->port()}, {{"web", certificate}});
  const std::string targets = "\ntargets:\n";
  config.insert(config.find(targets) + targets.size(),
                "  - { targetGroup: blue, address: 127.0.0.1, port: " +
                    std::to_string(mirror.port()) + ", subset: v2 }\n");
  proxy_ = std::make_unique<ServingProxy>(
      "trafficSplits: [{ targetGroup: blue, subsets: [{ subset: \"\", weight: 1 }], mirror: { "
      "mirror: "
      "{ percent: 100 }, subset: v2 } }]\n" +
      config);
  auto client = Client();
  const uint32_t stream = client->SendRequest("POST", "/form", false, {{"content-length", "5"}});
  ASSERT_TRUE(client->SendBody(stream, "he", false));
  ASSERT_TRUE(client->SendBody(stream, "llo", true));
  EXPECT_THAT(client->Await(stream).body, HasSubstr("body:5o"));
  ASSERT_TRUE(WaitUntil([&] { return proxy_->Metric("mirrored_request_count_total") == 1; }));
  std::lock_guard lock(mutex);
  ASSERT_EQ(copies.size(), 1u);
  EXPECT_THAT(copies[0], StartsWith("POST /form HTTP/1.1\r\n"));
  EXPECT_THAT(copies[0], HasSubstr("X-Forwarded-Proto: https\r\n"));
  EXPECT_THAT(copies[0], HasSubstr("X-Remuda-Mirrored: 1\r\n"));
  EXPECT_EQ(BodyOf(copies[0]), "hello");
}

TEST_F(Http2Test, StreamsLargeBodiesUpAndDown) {
  const std::string down(5'000'000, 'd');
  Start([&](const std::string& head, RawSocket& connection) {
    const std::string body = ReadBody(head, connection);
    return Answer(connection, down, "X-Got: " + std::to_string(body.size()) + "\r\n");
  });
  auto client = Client();
  for (const HeaderList& fields : {HeaderList{}, HeaderList{{"content-length", "3000000"}}}) {
    const uint32_t stream = client->SendRequest("POST", "/", false, fields);
    ASSERT_TRUE(client->SendBody(stream, std::string(3'000'000, 'u'), true));
    const auto got = client->Await(stream);
    EXPECT_EQ(got.Field("x-got"), "3000000");
    EXPECT_EQ(got.body, down);
  }
}

TEST_F(Http2Test, ASlowTargetHoldsTheClientBackAndOthersGoOn) {
  std::atomic<bool> may_read{false};
  Start([&](const std::string& head, RawSocket& connection) {
    if (head.find("POST") == 0 && !WaitUntil([&] { return may_read.load(); })) return false;
    return Echo(head, connection);
  });
  auto client = Client();
  const size_t size = 20'000'000;
  const uint32_t stream =
      client->SendRequest("POST", "/", false, {{"content-length", std::to_string(size)}});
  // Until the window closes; what the sockets on the way to the target hold is not endless.
  std::string body(size, 'u');
  size_t sent = 0;
  while (sent < size && client->stream_window(stream) > 0) {
    const size_t part = std::min<size_t>({size - sent, 16384, client->stream_window(stream)});
    ASSERT_TRUE(client->SendBody(stream, std::string_view(body).substr(sent, part), false));
    sent += part;
    if (client->stream_window(stream) == 0) client->Get();  // takes WINDOW_UPDATEs on its way
  }
  EXPECT_LT(sent, size);
  EXPECT_EQ(client->Get().status, 200);
  may_read = true;
  ASSERT_TRUE(client->SendBody(stream, std::string_view(body).substr(sent), true));
  EXPECT_THAT(client->Await(stream).body, HasSubstr("body:" + std::to_string(size)));
}

TEST_F(Http2Test, ASlowReaderOfOneStreamDoesNotHoldUpAnother) {
  const std::string large(4'000'000, 'z');
  Start([&](const std::string& head, RawSocket& connection) {
    return Answer(connection, head.find("/large") != std::string::npos ? large : "small");
  });
  Http2Client client(ConnectH2());
  // Windows: a lot for the connection, little for a stream.
  ASSERT_TRUE(client.Start({{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1000}}));
  client.SendFrame(NGHTTP2_WINDOW_UPDATE, 0, 0, std::string("\x01\0\0\0", 4));
  client.opens_windows = false;
  const uint32_t slow = client.SendRequest("GET", "/large", true);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(client.Get("/small").body, "small");
  while (client.response(slow).body.size() < 1000) ASSERT_NE(client.ReadFrame().type, 0xff);
  // The proxy does not take it all in: what waits for the client is bounded.
  const double before = proxy_->Metric("processed_bytes_total{direction=\"sent\"}");
  EXPECT_LT(before, 500'000);
  client.opens_windows = true;
  client.SendFrame(NGHTTP2_WINDOW_UPDATE, 0, slow, std::string("\x01\0\0\0", 4));
  EXPECT_EQ(client.Await(slow).body, large);
}

TEST_F(Http2Test, ServesManyStreamsAtOnce) {
  std::atomic<int> waiting{0};
  Start([&](const std::string& head, RawSocket& connection) {
    ++waiting;  // all are under way before one is answered
    if (!WaitUntil([&] { return waiting.load() >= 100; })) return false;
    return Answer(connection, head.substr(0, head.find("\r\n")));
  });
  auto client = Client();
  std::vector<uint32_t> streams;
  for (int i = 0; i < 100; ++i)
    streams.push_back(client->SendRequest("GET", "/" + std::to_string(i), true));
  for (size_t i = 0; i < streams.size(); ++i) {
    const auto got = client->Await(streams[i]);
    EXPECT_EQ(got.body, "GET /" + std::to_string(i) + " HTTP/1.1");
  }
  EXPECT_EQ(proxy_->Metric("active_connection_count"), 1);
}

TEST_F(Http2Test, HeadAndAnswersWithoutABodyEndWithTheirHead) {
  Start([](const std::string& head, RawSocket& connection) {
    const bool is_head = head.rfind("HEAD", 0) == 0;
    return connection.Send(is_head ? "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
                                   : "HTTP/1.1 204 No Content\r\n\r\n");
  });
  auto client = Client();
  const auto head = client->Await(client->SendRequest("HEAD", "/", true));
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.Field("content-length"), "10");
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(client->Get().status, 204);
  EXPECT_EQ(target_->connections(), 1);
}

TEST_F(Http2Test, ResponsesWithoutALengthEndWhereTheTargetEndsThem) {
  Start([](const std::string& head, RawSocket& connection) {
    if (head.find("/chunked") == std::string::npos) {
      connection.Send("HTTP/1.1 200 OK\r\n\r\nuntil close");
      return false;
    }
    return connection.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n") &&
           connection.Send("2\r\nde\r\n0\r\nX-Checksum: 7\r\nX-Empty:\r\nDate: no\r\n\r\n");
  });
  auto client = Client();
  const auto chunked = client->Get("/chunked");
  EXPECT_EQ(chunked.body, "abcde");
  EXPECT_EQ(chunked.Field("transfer-encoding"), "");
  EXPECT_EQ(chunked.trailers, (HeaderList{{"x-checksum", "7"}, {"x-empty", ""}}));
  EXPECT_TRUE(chunked.has_ended);
  EXPECT_EQ(client->Get().body, "until close");
}

TEST_F(Http2Test, AResponseThatIsCutShortIsReset) {
  Start([](const std::string&, RawSocket& connection) {
    connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
    return false;
  });
  auto client = Client();
  const auto got = client->Get();
  EXPECT_EQ(got.status, 200);
  EXPECT_FALSE(got.has_ended);
  EXPECT_EQ(got.reset_code, NGHTTP2_INTERNAL_ERROR);
  EXPECT_EQ(client->Get().status, 200);  // the connection goes on
}

TEST_F(Http2Test, PassesInterimResponsesOn) {
  Start([](const std::string& head, RawSocket& connection) {
    connection.Send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
    connection.Send("HTTP/1.1 100 Continue\r\n\r\n");
    return Echo(head, connection);
  });
  auto client = Client();
  const uint32_t stream = client->SendRequest("POST", "/", false, {{"expect", "100-continue"}});
  while (client->response(stream).interim.size() < 2) ASSERT_NE(client->ReadFrame().type, 0xff);
  EXPECT_THAT(client->response(stream).interim, ElementsAre(103, 100));
  ASSERT_TRUE(client->SendBody(stream, "late", true));
  EXPECT_THAT(client->Await(stream).body, HasSubstr("body:4e"));
}

TEST_F(Http2Test, AnEarlyAnswerStopsTheUploadAndTheConnectionGoesOn) {
  Start(
      [](const std::string& head, RawSocket& connection) {
        if (head.find("POST") != 0) return Answer(connection, "ok");
        connection.Send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno!");
        return false;
      },
      "", "    idleTimeout: 1s\n");  // so long the client may be silent
  auto client = Client();
  const uint32_t stream = client->SendRequest("POST", "/", false);
  client->SendBody(stream, "begin", false);
  const auto got = client->Await(stream);
  EXPECT_EQ(got.status, 413);
  EXPECT_EQ(got.body, "no!");
  EXPECT_TRUE(got.has_ended);
  while (client->response(stream).reset_code < 0) ASSERT_NE(client->ReadFrame().type, 0xff);
  EXPECT_EQ(client->response(stream).reset_code, NGHTTP2_NO_ERROR);
  // What was on its way is ignored.
  client->SendFrame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, stream, "more");
  EXPECT_EQ(client->Get().status, 200);
}

TEST_F(Http2Test, AResetEndsTheTargetsWork) {
  std::atomic<int> ended{0};
  Start([&](const std::string& head, RawSocket& connection) {
    if (head.find("/wait") == std::string::npos) return Answer(connection, "ok");
    ended += connection.WaitClosed() ? 1 : 0;
    return false;
  });
  auto client = Client();
  const int before = target_->requests();
  const uint32_t stream = client->SendRequest("GET", "/wait", true);
  ASSERT_TRUE(WaitUntil([&] { return target_->requests() == before + 1; }));
  client->Reset(stream, NGHTTP2_CANCEL);
  EXPECT_TRUE(WaitUntil([&] { return ended == 1; }));
  EXPECT_TRUE(WaitNothingInFlight());
  EXPECT_EQ(client->Get().status, 200);
  EXPECT_TRUE(WaitUntil([&] { return proxy_->AccessLog().find(" 460 ") != std::string::npos; }));
}

TEST_F(Http2Test, AClientThatLeavesEndsAllItsStreams) {
  std::atomic<int> ended{0};
  Start([&](const std::string&, RawSocket& connection) {
    ended += connection.WaitClosed() ? 1 : 0;
    return false;
  });
  auto client = Client();
  const int before = target_->requests();
  for (int i = 0; i < 5; ++i) client->SendRequest("GET", "/", true);
  ASSERT_TRUE(WaitUntil([&] { return target_->requests() == before + 5; }));
  client->socket().Close();
  EXPECT_TRUE(WaitUntil([&] { return ended == 5; }));
  EXPECT_TRUE(WaitNothingInFlight());
  EXPECT_TRUE(WaitUntil([&] { return proxy_->Metric("active_connection_count") == 0; }));
}

TEST_F(Http2Test, DrainingSaysGoawayAndStreamsFinish) {
  std::atomic<bool> may_answer{false};
  Start([&](const std::string&, RawSocket& connection) {
    if (!WaitUntil([&] { return may_answer.load(); })) return false;
    return Answer(connection, "finished");
  });
  auto client = Client();
  const int before = target_->requests();
  const uint32_t first = client->SendRequest("GET", "/", true);
  ASSERT_TRUE(WaitUntil([&] { return target_->requests() == before + 1; }));
  proxy_->Signal(SIGTERM);
  // The notice: nothing is refused yet, and its PING is answered by ReadFrame.
  while (client->goaways == 0) ASSERT_NE(client->ReadFrame().type, 0xff);
  EXPECT_EQ(client->goaway_last_stream, 0x7fffffffu);
  ASSERT_TRUE(client->AwaitFinalGoaway());
  EXPECT_EQ(client->goaway_code, NGHTTP2_NO_ERROR);
  EXPECT_EQ(client->goaway_last_stream, first);
  client->SendRequest("GET", "/late", true);  // is not served
  may_answer = true;
  EXPECT_EQ(client->Await(first).body, "finished");
  EXPECT_EQ(client->AwaitEnd(), NGHTTP2_NO_ERROR);
  EXPECT_EQ(target_->requests(), before + 1);
  EXPECT_EQ(proxy_->WaitExit(), 0);
}

TEST_F(Http2Test, ARequestBetweenTheNoticeAndTheEndIsServed) {
  Start(Echo);
  Http2Client client(ConnectH2());
  ASSERT_TRUE(client.Start());
  EXPECT_EQ(client.Get().status, 200);
  proxy_->Signal(SIGTERM);
  while (client.goaways == 0) ASSERT_NE(client.ReadFrame().type, 0xff);
  // The PING behind the notice is not answered yet.
  const uint32_t stream = client.SendRequest("GET", "/between", true);
  const auto got = client.Await(stream);
  EXPECT_EQ(got.status, 200);
  client.AwaitEnd();
  EXPECT_EQ(client.goaway_last_stream, stream);
  EXPECT_EQ(proxy_->WaitExit(), 0);
}

// Whoever is told that a stream was not served may ask again elsewhere: it must not be.
TEST_F(Http2Test, ARequestBehindTheAnswerToTheNoticeIsRefused) {
  Start(Echo);
  Http2Client client(ConnectH2());
  ASSERT_TRUE(client.Start());
  EXPECT_EQ(client.Get().status, 200);
  const int before = target_->requests();
  client.acknowledges = false;
  proxy_->Signal(SIGTERM);
  while (client.goaways == 0) ASSERT_NE(client.ReadFrame().type, 0xff);
  proxy_->Signal(SIGSTOP);  // so that both come with one read
  client.SendFrame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, std::string(8, '\0'));
  const uint32_t late = client.SendRequest("POST", "/late", true);
  proxy_->Signal(SIGCONT);
  client.Await(late);
  client.AwaitEnd();
  EXPECT_LT(client.goaway_last_stream, late);
  EXPECT_EQ(proxy_->WaitExit(), 0);
  EXPECT_EQ(target_->requests(), before);
}

TEST_F(Http2Test, IsOfferedOnlyWhereTheListenerSaysSo) {
  Start(Echo, "        http2: false\n");
  RawSocket client = ConnectTls(proxy_->Port(), {.alpn = std::string("\x02h2\x08http/1.1")});
  const unsigned char* chosen = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(client.tls(), &chosen, &size);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(chosen), size), "http/1.1");
  EXPECT_EQ(StatusOf(Ask(client)), 200);
}

TEST_F(Http2Test, APrefaceWithoutAgreementIsRefused) {
  Start(Echo);
  RawSocket client = ConnectTls(proxy_->Port(), {.alpn = std::string("\x08http/1.1")});
  client.Send(NGHTTP2_CLIENT_MAGIC);
  EXPECT_EQ(StatusOf(client.ReadMessage()), 464);
  // And HTTP/1.1 where HTTP/2 was agreed.
  Http2Client other(ConnectH2());
  other.socket().Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(other.AwaitEnd(), NGHTTP2_PROTOCOL_ERROR);
}

}  // namespace
}  // namespace remuda::proxy::testing
