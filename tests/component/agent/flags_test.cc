// The flags of the real remuda-agent that it refuses, and its pages.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "tests/component/agent/agent_fixture.h"

namespace remuda::agent {
namespace {

class AgentFlagsTest : public AgentTest {
 protected:
  // Runs the agent with just these flags until it ends; its exit code and what it said.
  std::pair<int, std::string> Run(const std::string& flags) {
    const std::string command = std::string(REMUDA_BIN_DIR "/remuda-agent --insecure --data-dir ") +
                                data_.string() + " " + flags + " 2>&1";
    std::string said;
    FILE* out = popen(command.c_str(), "r");
    char buffer[4096];
    while (const size_t n = fread(buffer, 1, sizeof buffer, out)) said.append(buffer, n);
    const int status = pclose(out);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, said};
  }

  // The first line of the answer, and whatever follows.
  static std::string Get(const std::string& address, const std::string& path) {
    const size_t colon = address.rfind(':');
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(colon + 1))));
    inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
    const Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) return "no connection";
    const std::string request = "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL);
    std::string answer;
    char buffer[4096];
    for (ssize_t n; (n = recv(fd.get(), buffer, sizeof buffer, 0)) > 0;)
      answer.append(buffer, static_cast<size_t>(n));
    return answer;
  }
};

TEST_F(AgentFlagsTest, AnAddressIsNeededWhereTheControllerIsElsewhere) {
  const auto [code, said] = Run("--name h1 --controller 192.0.2.1:7400");
  EXPECT_EQ(code, 2);
  EXPECT_NE(said.find("--address: must be given, since the controller 192.0.2.1:7400"),
            std::string::npos)
      << said;
  EXPECT_FALSE(fs::exists(data_)) << "nothing was begun";
}

TEST_F(AgentFlagsTest, EachAddressOfAControllerIsChecked) {
  const auto [code, said] = Run("--name h1 --controller 127.0.0.1:7400,nowhere");
  EXPECT_EQ(code, 2);
  EXPECT_NE(said.find("--controller: \"nowhere\" is not HOST:PORT"), std::string::npos) << said;
  const auto [other_code, other] = Run("--name h1 --controller 127.0.0.1:7400,192.0.2.1:7400");
  EXPECT_EQ(other_code, 2);
  EXPECT_NE(other.find("since the controller 192.0.2.1:7400"), std::string::npos) << other;
}

TEST_F(AgentFlagsTest, AdminPagesBeyondLoopbackNeedAWord) {
  for (const char* flags : {"--admin 0.0.0.0:0", "--admin [::]:0", "--admin 7470",
                            "--admin 127.0.0.1:99999", "--zone $(printf 'z\\351')"}) {
    const auto [code, said] = Run(flags);
    EXPECT_EQ(code, 2) << flags;
    EXPECT_NE(
        said.find(std::string(flags).substr(0, 7).find("admin") != std::string::npos ? "--admin"
                                                                                     : "z\\xe9"),
        std::string::npos)
        << said;
  }
  StartAgent(controller_.address(), {"--admin", "0.0.0.0:0", "--open-admin"});
  EXPECT_TRUE(controller_.Wait([&] { return !controller_.hellos.empty(); }));
}

TEST_F(AgentFlagsTest, ItIsReadyWhileItHasASession) {
  const std::string ready_file = (root_ / "ready").string();
  StartAgent(controller_.address(), {"--admin", "127.0.0.1:0", "--ready-file", ready_file});
  ASSERT_TRUE(WaitUntil([&] { return fs::exists(ready_file); }));
  std::smatch address;
  const std::string ready = *ReadWholeFile(ready_file);
  ASSERT_TRUE(std::regex_search(ready, address, std::regex("\"http\":\"([^\"]+)\""))) << ready;
  const auto answers = [&](const std::string& status) {
    return WaitUntil(
        [&] { return Get(address[1], "/readyz").rfind("HTTP/1.1 " + status, 0) == 0; });
  };
  EXPECT_TRUE(answers("200"));
  controller_.StopServing();
  EXPECT_TRUE(answers("503"));
  EXPECT_EQ(Get(address[1], "/healthz").rfind("HTTP/1.1 200", 0), 0u);
  controller_.Serve();
  EXPECT_TRUE(answers("200"));
}

}  // namespace
}  // namespace remuda::agent
