// A request allocates nothing once the proxy has warmed up: counted in the real program.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/http2_client.h"
#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/tls_client.h"

namespace remuda::proxy::testing {
namespace {

constexpr int kWarmUpRequests = 500;
constexpr int kCountedRequests = 2000;
// What goes on beside the requests (health checks, timers) allocates now and then.
constexpr uint64_t kMaxOtherAllocations = kCountedRequests / 10;

// The file that allocation_counter.cc counts in.
class CountFile {
 public:
  CountFile() {
    const int fd = mkstemp(path_.data());
    if (ftruncate(fd, sizeof(uint64_t)) != 0) std::abort();
    count_ = static_cast<std::atomic<uint64_t>*>(
        mmap(nullptr, sizeof(uint64_t), PROT_READ, MAP_SHARED, fd, 0));
    close(fd);
    setenv("REMUDA_ALLOCATION_COUNT", path_.c_str(), 1);
    setenv("LD_PRELOAD", REMUDA_ALLOCATION_COUNTER, 1);
  }
  ~CountFile() {
    unsetenv("LD_PRELOAD");
    unsetenv("REMUDA_ALLOCATION_COUNT");
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  uint64_t count() const { return count_->load(); }

 private:
  std::string path_ =
      (std::filesystem::temp_directory_path() / "remuda-allocations-XXXXXX").string();
  std::atomic<uint64_t>* count_ = nullptr;
};

struct Case {
  std::string name;
  std::string request;
};

class RequestAllocationTest : public ::testing::TestWithParam<Case> {};

TEST_P(RequestAllocationTest, ARequestAllocatesNothing) {
#ifdef REMUDA_SANITIZED
  GTEST_SKIP() << "the sanitizer's allocator is in the way";
#endif
  CountFile allocations;
  ScriptedTarget target([](const std::string& head, RawSocket& connection) {
    const size_t at = head.find("Content-Length: ");
    if (at != std::string::npos)
      connection.ReadBytes(static_cast<size_t>(std::atoi(head.c_str() + at + 16)));
    return connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Some: thing\r\n\r\nhello");
  });
  ServingProxy proxy(ConfigFor({target.port()}));
  ASSERT_GT(allocations.count(), 0U);  // it does count
  RawSocket client = RawSocket::Connect(proxy.Port());
  const auto ask = [&](int times) {
    for (int i = 0; i < times; ++i) {
      client.Send(GetParam().request);
      if (BodyOf(client.ReadMessage()) != "hello") return false;
    }
    return true;
  };
  ASSERT_TRUE(ask(kWarmUpRequests));
  const uint64_t before = allocations.count();
  ASSERT_TRUE(ask(kCountedRequests));
  EXPECT_LT(allocations.count() - before, kMaxOtherAllocations);
}

// The libraries' own memory is kept for the next record or stream.
TEST(AllocationTest, ARequestOverTlsAllocatesNothing) {
#ifdef REMUDA_SANITIZED
  GTEST_SKIP() << "the sanitizer's allocator is in the way";
#endif
  static const TestCertificate certificate = MakeCertificate({.names = {"shop.test"}});
  for (const bool is_http2 : {false, true}) {
    CountFile allocations;
    ScriptedTarget target(ScriptedTarget::Answers("hello"));
    ServingProxy proxy(TlsConfigFor({target.port()}, {{"web", certificate}}));
    RawSocket socket = ConnectTls(proxy.Port(), {.alpn = is_http2 ? "\x02h2" : ""});
    ASSERT_TRUE(socket.is_open());
    std::unique_ptr<Http2Client> client;
    if (is_http2) {
      client = std::make_unique<Http2Client>(std::move(socket));
      ASSERT_TRUE(client->Start());
    }
    const auto ask = [&](int times) {
      for (int i = 0; i < times; ++i) {
        if (!is_http2) socket.Send("GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
        if ((is_http2 ? client->Get().body : BodyOf(socket.ReadMessage())) != "hello") return false;
      }
      return true;
    };
    ASSERT_TRUE(ask(kWarmUpRequests));
    const uint64_t before = allocations.count();
    ASSERT_TRUE(ask(kCountedRequests));
    EXPECT_LT(allocations.count() - before, kMaxOtherAllocations) << is_http2;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Requests, RequestAllocationTest,
    ::testing::Values(
        Case{"Get", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
        Case{"GetOfABrowser",
             "GET /a/b/c?d=e HTTP/1.1\r\nHost: shop.example.com\r\nConnection: keep-alive\r\n"
             "User-Agent: Mozilla/5.0\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate\r\n"
             "Cookie: session=0123456789abcdef; theme=dark\r\nX-Forwarded-For: 10.1.2.3\r\n\r\n"},
        Case{"Post",
             "POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
             "Content-Type: text/plain\r\n\r\nabc"}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace remuda::proxy::testing
