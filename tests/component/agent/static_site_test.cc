// The real remuda-agent serving a static site as an instance.
#include <gmock/gmock.h>
#include <poll.h>

#include <fstream>
#include <string>
#include <vector>

#include "tests/component/agent/agent_fixture.h"

namespace remuda::agent {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class StaticSiteTest : public AgentTest {
 protected:
  void SetUp() override {
    AgentTest::SetUp();
    const fs::path dir = root_ / "site";
    fs::create_directories(dir / "public/docs");
    fs::create_directories(dir / "public/.git");
    const auto write = [&](const char* path, const std::string& text) {
      std::ofstream(dir / path, std::ios::binary) << text;
    };
    write("public/index.html", "<h1>Hello</h1>\n");
    write("public/docs/index.html", "docs\n");
    write("public/404.html", "nothing there\n");
    write("public/digits.txt", "0123456789");
    write("public/.git/config", "secret\n");
    write("private.txt", "private\n");
    large_ = std::string(size_t{8} << 20, 'x');
    write("public/large.bin", large_);
    fs::create_symlink("../private.txt", dir / "public/out.txt");
    fs::create_symlink("digits.txt", dir / "public/in.txt");
    const std::string archive = (root_ / "site.tar.zst").string();
    const auto packed = PackDirectory(dir, archive);
    ASSERT_TRUE(packed.ok()) << packed.status();
    digest_ = AddArchive(controller_, *ReadWholeFile(archive));
  }
  v1::InstanceAssignment Site(const std::string& id) {
    auto assignment = Runs(id, digest_, {});
    auto* site = assignment.mutable_launch_template()->mutable_static_site();
    site->set_root("public");
    site->set_not_found("404.html");
    return assignment;
  }
  void Launch() {
    Begin();
    controller_.Assign({Site("i-a")});
    ASSERT_TRUE(Running("i-a")) << controller_.Status("i-a").ShortDebugString();
    port_ = controller_.Status("i-a").port();
  }
  Fd Connect() const {
    Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port_));
    inet_pton(AF_INET, "127.0.1.9", &address.sin_addr);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  static void Say(const Fd& fd, const std::string& text) {
    EXPECT_EQ(send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  static std::string ReadAll(const Fd& fd) {
    std::string all(size_t{64} * 1024, 0);
    size_t size = 0;
    for (ssize_t n; (n = read(fd.get(), all.data() + size, all.size() - size)) > 0;) {
      size += static_cast<size_t>(n);
      if (size == all.size()) all.resize(all.size() * 2);
    }
    all.resize(size);
    return all;
  }
  std::string Ask(const std::string& request_line, const std::string& headers = "") const {
    const Fd fd = Connect();
    Say(fd, request_line + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + "\r\n");
    return ReadAll(fd);
  }
  static std::string HeaderIn(const std::string& answer, const std::string& name) {
    const size_t at = answer.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "";
    const size_t begin = at + 4 + name.size();
    return answer.substr(begin, answer.find("\r\n", begin) - begin);
  }
  static std::string BodyOf(const std::string& answer) {
    return answer.substr(std::min(answer.find("\r\n\r\n") + 4, answer.size()));
  }

  std::string large_;
  int port_ = 0;
};

TEST_F(StaticSiteTest, ServesItsFilesAndNoOthers) {
  Launch();
  const std::string page = Ask("GET /");
  EXPECT_THAT(page, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_EQ(BodyOf(page), "<h1>Hello</h1>\n");
  EXPECT_EQ(HeaderIn(page, "Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(HeaderIn(page, "Cache-Control"), "no-cache");
  EXPECT_EQ(BodyOf(Ask("GET /docs/")), "docs\n");
  EXPECT_EQ(HeaderIn(Ask("GET /docs?x=1"), "Location"), "/docs/?x=1");
  EXPECT_EQ(HeaderIn(Ask("GET //docs"), "Location"), "/docs/");
  EXPECT_EQ(BodyOf(Ask("GET /in.txt")), "0123456789") << "a link that stays within";
  for (const char* path : {"/out.txt", "/.git/config", "/none", "/digits.txt/", "/digits.txt/x",
                           "/private.txt", "/%2e%67it/config"}) {
    const std::string answer = Ask(std::string("GET ") + path);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 404 Not Found\r\n")) << path;
    EXPECT_EQ(BodyOf(answer), "nothing there\n") << path;
  }
  EXPECT_THAT(Ask("GET /../private.txt"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Ask("GET /a%00"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Ask("POST /"), StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(Ask("GET /" + std::string(9000, 'a')), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(Ask("GET / HTTP/9\r\nx"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(StaticSiteTest, HeadsTagsAndRanges) {
  Launch();
  const std::string whole = Ask("GET /digits.txt");
  const std::string tag = HeaderIn(whole, "ETag");
  EXPECT_EQ(tag.size(), 34u);
  const std::string head = Ask("HEAD /digits.txt");
  EXPECT_EQ(HeaderIn(head, "Content-Length"), "10");
  EXPECT_EQ(BodyOf(head), "");
  const std::string unchanged = Ask("GET /digits.txt", "If-None-Match: " + tag + "\r\n");
  EXPECT_THAT(unchanged, StartsWith("HTTP/1.1 304 Not Modified\r\n"));
  EXPECT_EQ(HeaderIn(unchanged, "ETag"), tag);
  EXPECT_EQ(BodyOf(unchanged), "");
  const std::string part = Ask("GET /digits.txt", "Range: bytes=2-4\r\n");
  EXPECT_THAT(part, StartsWith("HTTP/1.1 206 "));
  EXPECT_EQ(HeaderIn(part, "Content-Range"), "bytes 2-4/10");
  EXPECT_EQ(BodyOf(part), "234");
  EXPECT_EQ(BodyOf(Ask("GET /digits.txt", "Range: bytes=-2\r\nIf-Range: " + tag + "\r\n")), "89");
  EXPECT_EQ(BodyOf(Ask("GET /digits.txt", "Range: bytes=-2\r\nIf-Range: \"x\"\r\n")), "0123456789");
  const std::string beyond = Ask("GET /digits.txt", "Range: bytes=10-\r\n");
  EXPECT_THAT(beyond, StartsWith("HTTP/1.1 416 "));
  EXPECT_EQ(HeaderIn(beyond, "Content-Range"), "bytes */10");
  EXPECT_EQ(BodyOf(Ask("GET /large.bin")).size(), large_.size());
  // Two on one connection, the second sent before the first is answered.
  const Fd fd = Connect();
  Say(fd,
      "GET /digits.txt HTTP/1.1\r\nHost: x\r\n\r\n"
      "GET /docs/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(ReadAll(fd),
              testing::AllOf(HasSubstr("0123456789HTTP/1.1 200 OK"), testing::EndsWith("docs\n")));
}

TEST_F(StaticSiteTest, IsContainedAndEndsItsRequestsWhenItIsStopped) {
  Launch();
  if (geteuid() == 0) {
    const auto run = Record::ReadFrom((data_ / "instances/i-a/run").string());
    const auto running = Record::ReadFrom((data_ / "instances/i-a/running").string());
    const std::string status = *ReadWholeFile("/proc/" + running->Text(key::kAppPid) + "/status");
    EXPECT_THAT(status, HasSubstr("Uid:\t" + run->Text(key::kUid) + "\t"));
    EXPECT_THAT(status, HasSubstr("CapBnd:\t0000000000000000\n"));
    EXPECT_THAT(status, HasSubstr("Seccomp:\t2\n"));
  }
  const Fd idle = Connect();
  const Fd busy = Connect();
  Say(busy, "GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n");
  // Its answer has begun, and more of it is to come than a socket holds.
  char byte = 0;
  ASSERT_EQ(recv(busy.get(), &byte, 1, MSG_PEEK), 1);
  controller_.Change({Stops(Site("i-a"))}, {});
  EXPECT_EQ(ReadAll(idle), "") << "closed at once";
  EXPECT_EQ(BodyOf(ReadAll(busy)).size(), large_.size());
  ASSERT_TRUE(Exited("i-a"));
  EXPECT_EQ(controller_.Status("i-a").exit().code(), 0);
}

TEST_F(StaticSiteTest, WhatCannotBeServedSaysWhy) {
  Begin();
  auto site = Site("i-a");
  site.mutable_launch_template()->mutable_static_site()->set_root("none");
  controller_.Assign({site});
  ASSERT_TRUE(controller_.WaitState("i-a", v1::PROCESS_STATE_FAILED));
  EXPECT_THAT(controller_.Status("i-a").message(), HasSubstr("static site"));
  auto both = Site("i-b");
  both.mutable_launch_template()->add_command("./serve.sh");
  controller_.Change({both}, {});
  ASSERT_TRUE(controller_.Wait([&] { return !controller_.nacks.empty(); }));
  EXPECT_THAT(controller_.nacks.back().reason(), HasSubstr("must be empty with static_site"));
}

}  // namespace
}  // namespace remuda::agent
