// The thread that follows Services against an API that is there, is slow, forgets, breaks off, and
// says what is no answer.
#include "controller/kubernetes/kubernetes_thread.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "controller/engine/clock.h"
#include "tests/component/controller/kubernetes/testing/fake_api.h"
#include "tests/unit/proxy/tls/test_certificates.h"
#include "tests/wait.h"

namespace remuda {
namespace {

using proxy::testing::MakeCertificate;
using proxy::testing::TestCertificate;
using ::testing::HasSubstr;

class KubernetesThreadTest : public ::testing::Test {
 protected:
  KubernetesThreadTest() {
    char path[] = "/tmp/remuda-kubernetes-XXXXXX";
    folder_ = mkdtemp(path);
    loop_.Start([] { return absl::InfiniteFuture(); });
    pace_.follow.min_backoff = absl::Milliseconds(5);
    pace_.follow.max_backoff = absl::Milliseconds(50);
  }
  ~KubernetesThreadTest() override {
    if (thread_ != nullptr) thread_->Stop();
    loop_.Stop();
    std::filesystem::remove_all(folder_);
  }

  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path + ".new") << text;
    std::filesystem::rename(path + ".new", path);
    return path;
  }
  ApiAddress Api() const {
    return {.is_tls = false, .host = "127.0.0.1", .port = api_.port(), .path = ""};
  }
  void Begin() { Begin(Api()); }
  void Begin(const ApiAddress& api) {
    thread_ = std::make_unique<KubernetesThread>(loop_, api, pace_);
    v1::KubernetesTargets whose;
    whose.set_namespace_("shop");
    whose.set_service("web");
    whose.set_port("http");
    thread_->Follow(1, whose, [this](EndpointReport report) {
      const std::lock_guard lock(mutex_);
      if (report.endpoints.has_value()) {
        std::string text;
        for (const auto& one : *report.endpoints)
          text += (text.empty() ? "" : " ") + one.address + ":" + std::to_string(one.port);
        told_.push_back(text);
      }
      errors_.push_back(report.error);
      heard_ += report.is_heard ? 1 : 0;
    });
  }
  // What was told last; "?" before anything was.
  std::string Endpoints() {
    const std::lock_guard lock(mutex_);
    return told_.empty() ? "?" : told_.back();
  }
  std::vector<std::string> Told() {
    const std::lock_guard lock(mutex_);
    return told_;
  }
  std::string Error() {
    const std::lock_guard lock(mutex_);
    return errors_.empty() ? "?" : errors_.back();
  }
  bool WasTold(const std::string& error) {
    const std::lock_guard lock(mutex_);
    return std::any_of(errors_.begin(), errors_.end(), [&](const std::string& one) {
      return one.find(error) != std::string::npos;
    });
  }
  int Heard() {
    const std::lock_guard lock(mutex_);
    return heard_;
  }
  void ExpectEndpoints(const std::string& wanted) {
    EXPECT_TRUE(WaitUntil([&] { return Endpoints() == wanted && Error().empty(); }))
        << "want " << wanted << ", got " << Endpoints() << ", " << Error();
  }
  void WaitForWatch() {
    EXPECT_TRUE(WaitUntil([&] { return api_.watches() > 0; }));
  }
  size_t Lists() const {
    size_t count = 0;
    for (const auto& request : api_.requests()) count += request.is_watch() ? 0 : 1;
    return count;
  }

  // What the API's answers look at, also while a test ends.
  std::atomic<bool> is_wrong_ = true;
  std::atomic<size_t> count_ = 0;
  FakeApi api_;
  std::string folder_;
  kubernetes::ReaderPace pace_;
  MonotonicClock clock_;
  Metrics metrics_;
  Loop loop_{clock_, metrics_};
  std::mutex mutex_;  // guards what follows
  std::vector<std::string> told_;
  std::vector<std::string> errors_;
  int heard_ = 0;
  std::unique_ptr<KubernetesThread> thread_;
};

TEST_F(KubernetesThreadTest, FollowsWhatChanges) {
  api_.Put("a", FakeApi::Fields(80, {"10.0.0.1", "10.0.0.2!"}));
  Begin();
  ExpectEndpoints("10.0.0.1:80");
  WaitForWatch();
  api_.Put("a", FakeApi::Fields(80, {"10.0.0.1", "10.0.0.2"}));
  ExpectEndpoints("10.0.0.1:80 10.0.0.2:80");
  api_.Put("b", FakeApi::Fields(81, {"10.0.0.3", "10.0.0.4~"}));
  ExpectEndpoints("10.0.0.1:80 10.0.0.2:80 10.0.0.3:81");
  api_.Remove("a");
  ExpectEndpoints("10.0.0.3:81");
  EXPECT_EQ(Lists(), 1U);
}

TEST_F(KubernetesThreadTest, AServiceThatIsNotThereIsSaid) {
  Begin();
  EXPECT_TRUE(WaitUntil([&] { return WasTold("is there a Service shop/web?"); })) << Error();
  EXPECT_EQ(Endpoints(), "");
  WaitForWatch();
  api_.Put("a", FakeApi::Fields(80, {"10.0.0.1"}));
  ExpectEndpoints("10.0.0.1:80");
}

TEST_F(KubernetesThreadTest, BookmarksAreHeardAndResumedFrom) {
  api_.Put("a", FakeApi::Fields(80, {"10.0.0.1"}));
  Begin();
  WaitForWatch();
  ExpectEndpoints("10.0.0.1:80");
  const int before = Heard();
  api_.Bookmark();
  EXPECT_TRUE(WaitUntil([&] { return Heard() > before; }));
  // What was before the bookmark is not asked for again.
  const size_t requests = api_.requests().size();
  api_.CloseWatches();
  EXPECT_TRUE(WaitUntil([&] { return api_.requests().size() > requests; }));
  EXPECT_EQ(api_.requests().back().parameter("resourceVersion"), "102");
  EXPECT_EQ(Lists(), 1U);
}

TEST_F(KubernetesThreadTest, PagesAndAListThatIsGoneBetweenThem) {
  for (int i = 1; i <= 5; ++i) {
    api_.Put("s" + std::to_string(i), FakeApi::Fields(80, {"10.0.0." + std::to_string(i)}));
  }
  api_.set_page_size(2);
  api_.set_answer([this](const ApiRequestSeen& seen) -> std::optional<FakeApi::Instead> {
    if (!seen.parameter("continue").empty() && count_.fetch_add(1) < 2) api_.Compact();
    return std::nullopt;
  });
  Begin();
  ExpectEndpoints("10.0.0.1:80 10.0.0.2:80 10.0.0.3:80 10.0.0.4:80 10.0.0.5:80");
  EXPECT_EQ(Told().size(), 1U);
  EXPECT_EQ(Lists(), 7U);  // twice one page and a refusal, then three pages
}

TEST_F(KubernetesThreadTest, GoneInTheWatchListsAnewAndDropsNothing) {
  api_.Put("a", FakeApi::Fields(80, {"10.0.0.1"}));
  Begin();
  ExpectEndpoints("10.0.0.1:80");
  WaitForWatch();
  // Missed while away, and not kept: as an event of the watch.
  api_.set_answer([](const ApiRequestSeen&) { return FakeApi::Refusal(503, ""); });
  api_.CloseWatches();
  EXPECT_TRUE(WaitUntil([&] { return WasTold("Kubernetes answered 503"); }));
  api_.Put("a", FakeApi::Fields(80, {"10.0.0.1", "10.0.0.2"}));
  api_.Compact();
  api_.set_answer(nullptr);
  ExpectEndpoints("10.0.0.1:80 10.0.0.2:80");
  WaitForWatch();
  // As an HTTP status.
  api_.set_answer([this](const ApiRequestSeen& seen) -> std::optional<FakeApi::Instead> {
    if (seen.is_watch() && is_wrong_.exchange(false)) return FakeApi::Refusal(410, "{'code':410}");
    return std::nullopt;
  });
  api_.CloseWatches();
  WaitForWatch();
  EXPECT_TRUE(WaitUntil([&] { return !is_wrong_; }));
  api_.Put("a", FakeApi::Fields(80, {"10.0.0.3"}));
  ExpectEndpoints("10.0.0.3:80");
  // Never was an empty group told in between.
  EXPECT_EQ(Told(),
            (std::vector<std::string>{"10.0.0.1:80", "10.0.0.1:80 10.0.0.2:80", "10.0.0.3:80"}));
}

TEST_F(KubernetesThreadTest, WatchesThatBreakOffAreResumed) {
  api_.Put("a", FakeApi::Fields(80, {"10.0.0.1"}));
  Begin();
  ExpectEndpoints("10.0.0.1:80");
  for (const std::string half : {"{\"type\":\"MODI", "{", "\n\n"}) {
    WaitForWatch();
    const size_t requests = api_.requests().size();
    api_.SendToWatches(half, true);
    EXPECT_TRUE(WaitUntil([&] { return api_.requests().size() > requests; }));
  }
  WaitForWatch();
  api_.Put("a", FakeApi::Fields(80, {"10.0.0.2"}));
  ExpectEndpoints("10.0.0.2:80");
  EXPECT_EQ(Lists(), 1U);
}

TEST_F(KubernetesThreadTest, GarbageAndTooLongLinesAreListedAnew) {
  api_.Put("a", FakeApi::Fields(80, {"10.0.0.1"}));
  Begin();
  ExpectEndpoints("10.0.0.1:80");
  WaitForWatch();
  api_.SendToWatches("{\"type\":\"ADDED\",\"object\":[]}\n");
  EXPECT_TRUE(WaitUntil([&] { return WasTold("is no event") && Lists() == 2; }));
  ExpectEndpoints("10.0.0.1:80");
  EXPECT_TRUE(WaitUntil([&] { return api_.requests().back().is_watch(); }));
  api_.SendToWatches(std::string(kubernetes::limits::kMaxEventBytes + 1, 'x'));
  EXPECT_TRUE(WaitUntil([&] { return WasTold("kMaxEventBytes") && Lists() >= 3; })) << Error();
  ExpectEndpoints("10.0.0.1:80");
}

TEST_F(KubernetesThreadTest, AnEventInManyPiecesIsOne) {
  api_.Put("a", FakeApi::Fields(80, {"10.0.0.1"}));
  Begin();
  WaitForWatch();
  const std::string line =
      "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"b\",\"resourceVersion\":\"900\"},"
      "\"addressType\":\"IPv6\",\"ports\":[{\"name\":\"http\",\"port\":80}],"
      "\"endpoints\":[{\"addresses\":[\"fd00::1\"]}]}}\n";
  for (const char c : line) api_.SendToWatches(std::string(1, c));
  ExpectEndpoints("10.0.0.1:80 fd00::1:80");
}

TEST_F(KubernetesThreadTest, SilenceIsBounded) {
  pace_.silence = absl::Milliseconds(50);
  api_.Put("a", FakeApi::Fields(80, {"10.0.0.1"}));
  Begin();
  EXPECT_TRUE(WaitUntil([&] { return WasTold("it said nothing for 50ms"); })) << Error();
  EXPECT_TRUE(WaitUntil([&] {
    size_t watches = 0;
    for (const auto& request : api_.requests()) watches += request.is_watch() ? 1 : 0;
    return watches >= 3;
  }));
  EXPECT_EQ(Told(), std::vector<std::string>{"10.0.0.1:80"});
}

TEST_F(KubernetesThreadTest, AnswersThatDoNotComeAreBounded) {
  pace_.answer_timeout = absl::Milliseconds(50);
  api_.set_answer([this](const ApiRequestSeen&) -> std::optional<FakeApi::Instead> {
    if (!is_wrong_) return std::nullopt;
    return FakeApi::Instead{.bytes = "HTTP/1.1 200 OK\r\n", .hold = true};
  });
  api_.Put("a", FakeApi::Fields(80, {"10.0.0.1"}));
  Begin();
  EXPECT_TRUE(WaitUntil([&] { return WasTold("it does not answer within 50ms"); })) << Error();
  is_wrong_ = false;
  // Told without a wait for the watch: on a loaded machine 50 ms may be over before it answers.
  EXPECT_TRUE(WaitUntil([&] { return Endpoints() == "10.0.0.1:80"; }));
}

TEST_F(KubernetesThreadTest, AWatchMakesNoRoomForWhatItsLengthSays) {
  api_.set_answer([this](const ApiRequestSeen& seen) -> std::optional<FakeApi::Instead> {
    if (!seen.is_watch() || !is_wrong_) return std::nullopt;
    return FakeApi::Instead{.bytes =
                                "HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000000\r\n\r\n{"};
  });
  api_.Put("a", FakeApi::Fields(80, {"10.0.0.1"}));
  Begin();
  EXPECT_TRUE(WaitUntil([&] { return WasTold("kMaxWatchBytes"); })) << Error();
  is_wrong_ = false;
  WaitForWatch();
  api_.Put("a", FakeApi::Fields(80, {"10.0.0.2"}));
  ExpectEndpoints("10.0.0.2:80");
}

TEST_F(KubernetesThreadTest, AWatchThatHasSaidMuchIsMadeAnew) {
  api_.Put("a", FakeApi::Fields(80, {"10.0.0.1"}));
  Begin();
  ExpectEndpoints("10.0.0.1:80");
  WaitForWatch();
  api_.Bookmark();
  const size_t requests = api_.requests().size();
  const std::string lines(size_t{1} << 20, '\n');
  for (size_t sent = 0; sent <= kubernetes::limits::kMaxWatchBytes; sent += lines.size())
    api_.SendToWatches(lines);
  EXPECT_TRUE(WaitUntil([&] { return api_.requests().size() > requests; }));
  EXPECT_EQ(api_.requests().back().parameter("resourceVersion"), "102");
  EXPECT_EQ(Lists(), 1U);
  EXPECT_EQ(Error(), "");
}

TEST_F(KubernetesThreadTest, AWatchThatTheApiDoesNotEndIsEnded) {
  pace_.follow.watch_time = absl::Milliseconds(20);
  pace_.follow.watch_grace = absl::Milliseconds(20);
  ApiAddress api = Api();
  api.token_file = Write("token", "old");
  api_.Put("a", FakeApi::Fields(80, {"10.0.0.1"}));
  Begin(api);
  ExpectEndpoints("10.0.0.1:80");
  // So another token is used soon.
  Write("token", "new");
  EXPECT_TRUE(WaitUntil([&] { return api_.requests().back().authorization == "Bearer new"; }));
  EXPECT_EQ(Lists(), 1U);
  EXPECT_EQ(Error(), "");
}

TEST_F(KubernetesThreadTest, ARefusalThatDoesNotEndIsBounded) {
  pace_.answer_timeout = absl::Milliseconds(50);
  pace_.silence = absl::Hours(1);
  pace_.follow.watch_time = absl::Hours(1);
  api_.set_answer([this](const ApiRequestSeen& seen) -> std::optional<FakeApi::Instead> {
    if (!seen.is_watch() || !is_wrong_) return std::nullopt;
    return FakeApi::Instead{.bytes = "HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\n{",
                            .hold = true};
  });
  api_.Put("a", FakeApi::Fields(80, {"10.0.0.1"}));
  Begin();
  EXPECT_TRUE(WaitUntil([&] { return WasTold("Kubernetes answered 403"); })) << Error();
}

TEST_F(KubernetesThreadTest, RefusalsAreToldWithWhatToDo) {
  struct Case {
    FakeApi::Instead answer;
    const char* told;
  };
  static const std::vector<Case> cases = {
      {FakeApi::Refusal(403, "{'message':'endpointslices is forbidden'}"),
       "Kubernetes answered 403 (may it list and watch endpointslices of discovery.k8s.io?): "
       "\"endpointslices is forbidden\""},
      {FakeApi::Refusal(429, "", "Retry-After: 0\r\n"), "Kubernetes answered 429"},
      {FakeApi::Refusal(500, "<html>oh</html>"), "Kubernetes answered 500"},
      {FakeApi::Refusal(301, "", "Location: http://10.0.0.1/\r\n"), "Kubernetes answered 301"},
      {FakeApi::Refusal(200, "<html>"), "no list of EndpointSlices"},
      {{.bytes = ""}, "it closed the connection before an answer"},
      {{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"},
       "it closed the connection within its answer"},
      {{.bytes = "SSH-2.0-OpenSSH_9.2\r\n\r\n"}, "what it answered is no HTTP"},
      {{.bytes = "HTTP/1.1 200 OK\r\nX: " + std::string(1 << 17, 'x') + "\r\n\r\n"},
       "kMaxHeadBytes"},
      {{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{"}, "kMaxPageBytes"},
  };
  api_.set_answer([this](const ApiRequestSeen&) -> std::optional<FakeApi::Instead> {
    const size_t at = count_;
    if (at >= cases.size()) return std::nullopt;
    return cases[at].answer;
  });
  api_.Put("a", FakeApi::Fields(80, {"10.0.0.1"}));
  Begin();
  for (const Case& c : cases) {
    EXPECT_TRUE(WaitUntil([&] { return WasTold(c.told); }))
        << "want " << c.told << ", got " << Error();
    ++count_;
  }
  ExpectEndpoints("10.0.0.1:80");
}

TEST_F(KubernetesThreadTest, TheTokenIsReadAnew) {
  ApiAddress api = Api();
  api.token_file = Write("token", "old\n");
  api_.Put("a", FakeApi::Fields(80, {"10.0.0.1"}));
  api_.set_answer([](const ApiRequestSeen& seen) -> std::optional<FakeApi::Instead> {
    if (seen.authorization == "Bearer new") return std::nullopt;
    return FakeApi::Refusal(401, "{'message':'Unauthorized'}");
  });
  Begin(api);
  EXPECT_TRUE(WaitUntil([&] { return WasTold("401 (is the token right?): \"Unauthorized\""); }));
  EXPECT_EQ(api_.requests().front().authorization, "Bearer old");
  Write("token", "new");
  ExpectEndpoints("10.0.0.1:80");
}

TEST_F(KubernetesThreadTest, TokensThatAreNoneAreNamed) {
  ApiAddress api = Api();
  api.token_file = folder_ + "/token";
  Begin(api);
  EXPECT_TRUE(WaitUntil([&] { return WasTold("the token cannot be read: "); })) << Error();
  Write("token", "");
  EXPECT_TRUE(WaitUntil([&] { return WasTold("the token is empty"); })) << Error();
  Write("token", "a\r\nHost: b");
  EXPECT_TRUE(WaitUntil([&] { return WasTold("it has other than visible ASCII"); })) << Error();
  EXPECT_TRUE(api_.requests().empty());
}

TEST_F(KubernetesThreadTest, WithoutAnApiItSaysWhatIsMissing) {
  Begin({.missing = "there is none"});
  EXPECT_TRUE(WaitUntil([&] { return Error() == "there is none"; }));
  thread_->Forget(1);
}

TEST_F(KubernetesThreadTest, ForgottenIsAskedNoMore) {
  api_.Put("a", FakeApi::Fields(80, {"10.0.0.1"}));
  Begin();
  ExpectEndpoints("10.0.0.1:80");
  WaitForWatch();
  thread_->Forget(1);
  api_.CloseWatches();
  const size_t requests = api_.requests().size();
  thread_->Stop();
  EXPECT_EQ(api_.requests().size(), requests);
}

class KubernetesTlsTest : public KubernetesThreadTest {
 protected:
  // At the API that shows the certificate.
  void BeginAt(FakeApi& api, const std::string& ca_pem) {
    api.Put("a", FakeApi::Fields(80, {"10.0.0.1"}));
    ApiAddress address;
    address.host = "127.0.0.1";
    address.port = api.port();
    address.ca_file = Write("ca.crt", ca_pem);
    Begin(address);
  }
  const TestCertificate authority_ =
      MakeCertificate({.common_name = "authority", .key_index = 1, .is_authority = true});
};

TEST_F(KubernetesTlsTest, ACertificateOfTheAuthorityIsBelieved) {
  const TestCertificate good = MakeCertificate({.addresses = {"127.0.0.1"}}, &authority_);
  FakeApi api(FakeApi::Tls{.certificate_pem = good.pem, .key_pem = good.key_pem});
  BeginAt(api, authority_.pem);
  ExpectEndpoints("10.0.0.1:80");
}

TEST_F(KubernetesTlsTest, OthersAreNotToldTheToken) {
  const TestCertificate other = MakeCertificate({.addresses = {"127.0.0.1"}});
  FakeApi stranger(FakeApi::Tls{.certificate_pem = other.pem, .key_pem = other.key_pem});
  BeginAt(stranger, authority_.pem);
  EXPECT_TRUE(WaitUntil([&] { return WasTold("TLS failed: "); })) << Error();
  EXPECT_TRUE(stranger.requests().empty());
}

TEST_F(KubernetesTlsTest, AnotherNameIsRefused) {
  const TestCertificate wrong = MakeCertificate({.addresses = {"127.0.0.2"}}, &authority_);
  FakeApi api(FakeApi::Tls{.certificate_pem = wrong.pem, .key_pem = wrong.key_pem});
  BeginAt(api, authority_.pem);
  EXPECT_TRUE(WaitUntil([&] { return WasTold("TLS failed: "); })) << Error();
  EXPECT_TRUE(api.requests().empty());
}

TEST_F(KubernetesTlsTest, AuthoritiesThatAreNoneAreNamed) {
  FakeApi api;
  BeginAt(api, "no PEM");
  EXPECT_TRUE(WaitUntil([&] { return WasTold("it holds no authorities in PEM"); })) << Error();
  std::filesystem::remove(folder_ + "/ca.crt");
  EXPECT_TRUE(WaitUntil([&] { return WasTold("the authorities cannot be read: "); })) << Error();
}

}  // namespace
}  // namespace remuda
