// Targets that misbehave in every way at once, beside a good one behind the same worker: its
// clients notice nothing, and the bad ones are bounded in time, bytes and connections.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/load.h"
#include "tests/component/proxy/testing/proxy_process.h"

namespace remuda::proxy::testing {
namespace {

constexpr int kRounds = 5;

// One way to misbehave, and what clients must see of it.
struct Manner {
  const char* name;
  // Says its piece; then the connection is closed, if it has not been before.
  void (*act)(RawSocket& connection);
  int status;  // of the answer
  const char* reason;
};

void SendAll(RawSocket& connection, const std::string& bytes) { connection.Send(bytes); }

const Manner kManners[] = {
    {"Silent", [](RawSocket& c) { c.ReadToEnd(); }, 504, "TargetResponseTimeout"},
    {"Closes", [](RawSocket&) {}, 502, "TargetClosed"},
    {"Resets", [](RawSocket& c) { c.Reset(); }, 502, "TargetClosed"},
    {"ResetsWithinTheHead",
     [](RawSocket& c) {
       SendAll(c, "HTTP/1.1 200 OK\r\nContent-");
       c.Reset();
     },
     502, "TargetClosed"},
    {"ResetsWithinTheBody",
     [](RawSocket& c) {
       SendAll(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
       c.Reset();
     },
     200, "TargetClosed"},
    {"StopsWithinTheBody",
     [](RawSocket& c) {
       SendAll(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
       c.ReadToEnd();
     },
     200, "TargetResponseTimeout"},
    {"Garbage", [](RawSocket& c) { SendAll(c, std::string(5000, '\x80') + "\r\n\r\n"); }, 502,
     "TargetBadResponse"},
    {"GarbageWithoutALine", [](RawSocket& c) { SendAll(c, std::string(100'000, 'g')); }, 502,
     "TargetHeadTooLarge"},
    {"EndlessHead",
     [](RawSocket& c) {
       SendAll(c, "HTTP/1.1 200 OK\r\n");
       while (c.Send("X: " + std::string(1000, 'h') + "\r\n")) {
       }
     },
     502, "TargetHeadTooLarge"},
    {"EndlessInterims",
     [](RawSocket& c) {
       while (c.Send("HTTP/1.1 102 Processing\r\n\r\n")) {
       }
     },
     502, "TargetBadResponse"},
    {"TwoAnswers",
     [](RawSocket& c) {
       SendAll(c,
               "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: "
               "6\r\n\r\nforged");
     },
     200, ""},
    {"BadChunks",
     [](RawSocket& c) {
       SendAll(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nzz\r\n");
     },
     502, "TargetBadResponse"},
    {"HugeChunk",
     [](RawSocket& c) {
       SendAll(c,
               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\na\r\n");
     },
     502, "TargetBadResponse"},
    {"SwitchesUnasked",
     [](RawSocket& c) {
       SendAll(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
     },
     502, "TargetUnaskedUpgrade"},
    {"AnswersWithoutReading",
     [](RawSocket& c) {
       SendAll(c, "HTTP/1.1 403 No\r\nConnection: close\r\nContent-Length: 1\r\n\r\na");
     },
     403, ""},
    {"EndlessBody",
     [](RawSocket& c) {
       SendAll(c, "HTTP/1.1 200 OK\r\n\r\n");
       while (c.Send(std::string(10'000, 'e'))) {
       }
     },
     200, ""},
};

std::string Config(uint16_t good, uint16_t bad) {
  const auto target = [](const std::string& group, uint16_t port) {
    return "  - { targetGroup: " + group + ", address: 127.0.0.1, port: " + std::to_string(port) +
           " }\n";
  };
  const std::string check =
      " healthCheck: { path: /health, interval: 100ms, timeout: 2s, healthyThreshold: 2, "
      "unhealthyThreshold: 2 } }\n";
  return "loadBalancers:\n"
         "  - name: shop\n"
         "    idleTimeout: 1s\n"
         "    listeners:\n"
         "      - port: 0\n"
         "        address: 127.0.0.1\n"
         "        rules:\n"
         "          - priority: 1\n"
         "            conditions: [{ pathPattern: { values: [\"/bad/*\"] } }]\n"
         "            action: { forward: { targetGroups: [{ targetGroup: bad }] } }\n"
         "        defaultAction: { forward: { targetGroups: [{ targetGroup: good }] } }\n"
         "targetGroups:\n"
         "  - { name: good," +
         check + "  - { name: bad," + check + "targets:\n" + target("good", good) +
         target("bad", bad);
}

TEST(BadTargetsTest, OthersAreServedThroughout) {
  ScriptedTarget good(ScriptedTarget::Answers("good"));
  ScriptedTarget bad([](const std::string& head, RawSocket& connection) {
    for (const Manner& manner : kManners) {
      if (head.rfind(std::string("POST /bad/") + manner.name + " ", 0) == 0) manner.act(connection);
    }
    return false;
  });
  ServingProxy proxy(Config(good.port(), bad.port()));
  Load load(proxy.Port(), 1);
  ASSERT_TRUE(load.WaitForMore(10));
  // All of them at once, several times over.
  std::vector<std::pair<const Manner*, RawSocket>> clients;
  for (int round = 0; round < kRounds; ++round) {
    for (const Manner& manner : kManners) {
      clients.emplace_back(&manner, RawSocket::Connect(proxy.Port()));
      clients.back().second.Send(std::string("POST /bad/") + manner.name +
                                 " HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: "
                                 "10\r\n\r\n0123456789");
    }
  }
  for (auto& [manner, client] : clients) {
    SCOPED_TRACE(manner->name);
    std::string head = client.ReadUntil("\r\n\r\n");
    while (StatusOf(head) == 102) head = client.ReadUntil("\r\n\r\n");
    EXPECT_EQ(StatusOf(head), manner->status) << head;
    if (manner->status >= 500) {
      EXPECT_NE(head.find(std::string("X-Remuda-Reason: ") + manner->reason + "\r\n"),
                std::string::npos)
          << head;
    }
    if (std::string(manner->name) == "EndlessBody") {
      client.ReadBytes(1'000'000);
      client.Close();
    } else {
      EXPECT_EQ(client.ReadToEnd().find("forged"), std::string::npos);
    }
    EXPECT_TRUE(load.WaitForMore(1));
  }
  for (const Manner& manner : kManners) {
    if (manner.status >= 500 || manner.reason[0] == '\0') continue;
    const std::string metric = std::string("answer_reason_total{reason=\"") + manner.reason + "\"}";
    EXPECT_TRUE(WaitUntil([&] { return proxy.Metric(metric) >= kRounds; })) << manner.name;
  }
  load.Stop();
  EXPECT_EQ(load.bad(), 0);
  // None of theirs is kept: one connection a request.
  EXPECT_EQ(bad.connections(), bad.requests());
  EXPECT_EQ(bad.requests(), static_cast<int>(kRounds * std::size(kManners)));
  EXPECT_TRUE(WaitUntil([&] { return proxy.Metric("active_connection_count") == 0; }));
}

// A target that sends a byte now and then is not silent: it is the client's choice how long to
// wait, and others do not.
TEST(BadTargetsTest, SlowBytesArriveAsTheyCome) {
  std::atomic<int> sent{0};
  ScriptedTarget bad([&](const std::string&, RawSocket& connection) {
    const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
    for (const char c : answer) {
      connection.Send({&c, 1});
      ++sent;
    }
    return true;
  });
  ServingProxy proxy(ConfigFor({bad.port()}));
  RawSocket client = RawSocket::Connect(proxy.Port());
  for (int i = 0; i < 20; ++i) {
    client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(BodyOf(client.ReadMessage()), "abc");
  }
  EXPECT_LE(bad.connections(), 2);  // they take turns
}

}  // namespace
}  // namespace remuda::proxy::testing
