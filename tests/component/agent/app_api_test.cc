// The real remuda-agent, asked by apps on its loopback port.
#include <sys/stat.h>

#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/component/agent/agent_fixture.h"
#include "tests/local_client.h"

namespace remuda::agent {
namespace {

class AppApiTest : public AgentTest {
 protected:
  // Prints what it was given, and runs.
  static constexpr char kSays[] =
      "echo URL=$REMUDA_AGENT_URL; echo TOKEN=$REMUDA_INSTANCE_TOKEN; exec sleep 1000";

  void StartServing() {
    const fs::path ready = root_ / "ready";
    fs::remove(ready);
    StartAgent(controller_.address(), {"--admin", "127.0.0.1:0", "--ready-file", ready.string()});
    ASSERT_TRUE(WaitUntil([&] { return fs::exists(ready); }));
    const std::string text = ReadWholeFile(ready.string()).value_or("");
    const size_t at = text.find("127.0.0.1:");
    ASSERT_NE(at, std::string::npos) << text;
    address_ = text.substr(at, text.find('"', at) - at);
  }
  void Connected() {
    StartServing();
    ASSERT_TRUE(controller_.Wait([&] { return !controller_.hellos.empty(); }));
  }
  std::string Token(const std::string& id) const {
    return ReadWholeFile((data_ / "instances" / id / "token").string()).value_or("(none)");
  }
  // The whole response.
  std::string Ask(const std::string& method, const std::string& path, const std::string& token,
                  const std::string& body = "") const {
    return LocalClient(address_).Talk(
        method + " " + path + " HTTP/1.1\r\nHost: x\r\n" + "Authorization: Bearer " + token +
        "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  static std::string StatusIn(const std::string& response) { return response.substr(9, 3); }

  std::string address_;  // of the agent's HTTP server
};

TEST_F(AppApiTest, AnAppAsksAndTheControllerAnswers) {
  controller_.answer_app_call = [](const v1::AppCall& call) {
    v1::AppAnswer answer;
    if (call.describe()) answer.set_state("IN_SERVICE");
    answer.set_is_protected(true);
    if (call.complete().hook() == "other") {
      answer.set_code(9);
      answer.set_message("instances/i-a does not wait for hook \"other\"");
    }
    return answer;
  };
  Connected();
  controller_.Assign({Shell("i-a", kSays), Shell("i-b", kSays)});
  ASSERT_TRUE(Running("i-a") && Running("i-b"));
  EXPECT_TRUE(WaitUntil([&] {
    return Log("i-a") == "URL=http://" + address_ + "\nTOKEN=" + Token("i-a") + "\n";
  })) << Log("i-a");
  struct stat st {};
  ASSERT_EQ(stat((data_ / "instances/i-a/token").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);

  const std::string described = Ask("GET", "/v1/instance", Token("i-a"));
  EXPECT_EQ(StatusIn(described), "200") << described;
  EXPECT_NE(described.find("{\"instance\":\"i-a\",\"group\":\"blue\",\"state\":\"IN_SERVICE\","
                           "\"hooks\":[],\"protected\":true}\n"),
            std::string::npos)
      << described;
  EXPECT_EQ(StatusIn(Ask("PUT", "/v1/instance/protection", Token("i-b"), "{\"protected\":true}")),
            "204");
  EXPECT_EQ(StatusIn(Ask("POST", "/v1/instance/lifecycle/heartbeat", Token("i-b"))), "204");
  const std::string refused = Ask("POST", "/v1/instance/lifecycle/complete", Token("i-b"),
                                  "{\"hook\":\"other\",\"result\":\"CONTINUE\"}");
  EXPECT_EQ(StatusIn(refused), "409");
  EXPECT_NE(refused.find("does not wait for hook \\\"other\\\""), std::string::npos) << refused;
  ASSERT_TRUE(controller_.Wait([&] { return controller_.app_calls.size() == 4; }));
  EXPECT_EQ(controller_.app_calls[0].instance(), "i-a");
  EXPECT_EQ(controller_.app_calls[1].instance(), "i-b");
  EXPECT_TRUE(controller_.app_calls[1].set_protection());
  EXPECT_TRUE(controller_.app_calls[2].has_heartbeat());
  EXPECT_EQ(controller_.app_calls[3].complete().hook(), "other");

  EXPECT_EQ(StatusIn(Ask("GET", "/v1/instance", "guess")), "401");
  EXPECT_EQ(StatusIn(Ask("PUT", "/v1/instance/protection", Token("i-a"), "{}")), "400");
  EXPECT_EQ(StatusIn(Ask("GET", "/v1/instances", Token("i-a"))), "404");
  EXPECT_EQ(StatusIn(Ask("GET", "/healthz", "")), "200");
  EXPECT_EQ(controller_.app_calls.size(), 4u);

  // Of one that is no more.
  const std::string token = Token("i-a");
  controller_.Change({Stops(Shell("i-a", kSays))}, {});
  ASSERT_TRUE(Exited("i-a"));
  controller_.Change({}, {"i-a"});
  ASSERT_TRUE(controller_.Wait([&] { return controller_.removed.count("i-a") > 0; }));
  EXPECT_EQ(StatusIn(Ask("GET", "/v1/instance", token)), "401");
}

TEST_F(AppApiTest, TheSecretAndThePortOutliveTheAgent) {
  controller_.answer_app_call = [](const v1::AppCall&) { return v1::AppAnswer(); };
  Connected();
  controller_.Assign({Shell("i-a", kSays)});
  ASSERT_TRUE(Running("i-a"));
  const std::string before = Token("i-a");
  const std::string address = address_;
  KillAgent();
  ASSERT_NO_FATAL_FAILURE(StartServing());
  EXPECT_EQ(address_, address) << "the app knows no other";
  ASSERT_TRUE(controller_.Wait([&] { return controller_.hellos.size() == 2; }));
  // The agent has yet to hear that it is welcome.
  EXPECT_TRUE(WaitUntil([&] { return StatusIn(Ask("GET", "/v1/instance", before)) == "200"; }));
  // One that the agent starts again has the same secret.
  controller_.StopServing();
  kill(static_cast<pid_t>(controller_.Status("i-a").pid()), SIGKILL);
  EXPECT_TRUE(WaitUntil([&] {
    const auto run = Record::ReadFrom((data_ / "instances/i-a/run").string());
    const auto env = run->All(key::kEnv);
    return run->Number(key::kRestarts) == 1 &&
           std::count(env.begin(), env.end(), "REMUDA_INSTANCE_TOKEN=" + before) == 1;
  }));
  // A port that somebody else took is given up.
  KillAgent();
  const Fd taken(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int on = 1;
  setsockopt(taken.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // A shim that was just being started may still have what the agent had.
  ASSERT_TRUE(WaitUntil(
      [&] { return bind(taken.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) == 0; }));
  ASSERT_EQ(listen(taken.get(), 1), 0);
  ASSERT_NO_FATAL_FAILURE(StartServing());
  EXPECT_NE(address_, address);
}

TEST_F(AppApiTest, WithoutAControllerItIsSaid) {
  Connected();
  controller_.Assign({Shell("i-a", kSays)});
  ASSERT_TRUE(Running("i-a"));
  std::string broken_off;
  std::thread asks([&] { broken_off = Ask("GET", "/v1/instance", Token("i-a")); });
  EXPECT_TRUE(controller_.Wait([&] { return !controller_.app_calls.empty(); }));
  controller_.StopServing();
  asks.join();
  EXPECT_EQ(StatusIn(broken_off), "503");
  EXPECT_NE(broken_off.find("has ended"), std::string::npos) << broken_off;
  const std::string refused = Ask("GET", "/v1/instance", Token("i-a"));
  EXPECT_EQ(StatusIn(refused), "503");
  EXPECT_NE(refused.find("\r\nRetry-After: 2\r\n"), std::string::npos) << refused;
  EXPECT_NE(refused.find("no session with the controller"), std::string::npos);
}

TEST_F(AppApiTest, WithoutAnHttpPortAppsAreToldOfNone) {
  Begin();
  controller_.Assign({Shell("i-a", kSays)});
  ASSERT_TRUE(Running("i-a"));
  EXPECT_TRUE(WaitUntil([&] { return Log("i-a") == "URL=\nTOKEN=\n"; })) << Log("i-a");
  EXPECT_FALSE(fs::exists(data_ / "instances/i-a/token"));
}

}  // namespace
}  // namespace remuda::agent
