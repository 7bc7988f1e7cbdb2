// How a Service's slices are followed: what is asked after what came.
#include "controller/kubernetes/slice_follow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace remuda::kubernetes {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Json(std::string text) {
  std::replace(text.begin(), text.end(), '\'', '"');
  return text;
}

std::string SliceJson(const std::string& name, const std::string& version,
                      const std::string& address) {
  return "{'metadata':{'name':'" + name + "','resourceVersion':'" + version +
         "','labels':{'x':'y'}},'addressType':'IPv4','ports':[{'name':'http','port':80}],"
         "'endpoints':[{'addresses':['" +
         address + "'],'nodeName':'n1'}]}";
}

std::string Page(const std::string& version, const std::string& items,
                 const std::string& next = "") {
  return Json("{'kind':'EndpointSliceList','metadata':{'resourceVersion':'" + version +
              "','continue':'" + next + "'},'items':[" + items + "]}");
}

std::string Event(const std::string& type, const std::string& object) {
  return Json("{'type':'" + type + "','object':" + object + "}");
}

class SliceFollowTest : public ::testing::Test {
 protected:
  void ListOne() {
    follow_.Next();
    follow_.OnPage(Page("10", SliceJson("a", "9", "10.0.0.1")));
  }
  void WatchAfterOne() {
    ListOne();
    follow_.Next();
    follow_.OnWatchBegun();
  }
  std::string Addresses() const {
    std::string out;
    for (const auto& one : follow_.endpoints().ready) out += one.address + " ";
    return out;
  }

  SliceFollow follow_{{.name_space = "shop", .name = "web", .port = "http"}, {}, 1};
};

TEST_F(SliceFollowTest, ListsThenWatchesFromThere) {
  const Step list = follow_.Next();
  EXPECT_FALSE(list.is_watch);
  EXPECT_EQ(list.wait, absl::ZeroDuration());
  EXPECT_EQ(list.target,
            "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices?labelSelector="
            "kubernetes.io%2Fservice-name%3Dweb&limit=100");
  EXPECT_FALSE(follow_.has_list());
  follow_.OnPage(Page("10", SliceJson("a", "9", "10.0.0.1")));
  EXPECT_TRUE(follow_.has_list());
  const Step watch = follow_.Next();
  EXPECT_TRUE(watch.is_watch);
  EXPECT_EQ(watch.wait, absl::ZeroDuration());
  EXPECT_THAT(watch.target,
              HasSubstr("&watch=1&allowWatchBookmarks=true&resourceVersion=10&timeoutSeconds="));
  EXPECT_EQ(Addresses(), "10.0.0.1 ");
}

TEST_F(SliceFollowTest, PagesAreOneList) {
  follow_.Next();
  follow_.OnPage(Page("10", SliceJson("a", "9", "10.0.0.1"), "more/1"));
  EXPECT_FALSE(follow_.has_list());
  EXPECT_THAT(follow_.Next().target, HasSubstr("&limit=100&continue=more%2F1"));
  follow_.OnPage(Page("10", SliceJson("b", "9", "10.0.0.2")));
  EXPECT_EQ(Addresses(), "10.0.0.1 10.0.0.2 ");
}

TEST_F(SliceFollowTest, AListWithoutAnEndIsGivenUpAfterItsBound) {
  ListOne();
  follow_.Next();
  follow_.OnRefused({.status = 410, .why = "", .after = {}});
  Step step = follow_.Next();
  int pages = 0;
  while (step.wait == absl::ZeroDuration() && pages < 1'000) {
    ++pages;
    follow_.OnPage(Page("20", SliceJson("b", "19", "10.0.0.2"), "more"));
    step = follow_.Next();
  }
  EXPECT_EQ(pages, limits::kMaxPages);
  EXPECT_THAT(follow_.error(), HasSubstr("kMaxPages"));
  EXPECT_THAT(step.target, Not(HasSubstr("continue")));
  EXPECT_EQ(Addresses(), "10.0.0.1 ");
  follow_.OnPage(Page("20", SliceJson("b", "19", "10.0.0.2"), "more"));
  follow_.Next();
  follow_.OnPage(Page("20", ""));
  EXPECT_EQ(follow_.error(), "");
  EXPECT_EQ(Addresses(), "10.0.0.2 ");
}

TEST_F(SliceFollowTest, AWatchIsEndedWhenTheApiShouldHave) {
  ListOne();
  const Step step = follow_.Next();
  EXPECT_GE(step.longest, limits::kWatchTime + limits::kWatchGrace);
  EXPECT_LE(step.longest, limits::kWatchTime * 1.5 + limits::kWatchGrace);
}

TEST_F(SliceFollowTest, APageThatIsGoneBeginsTheListAgain) {
  ListOne();
  follow_.Next();
  follow_.OnRefused({.status = 410, .why = "", .after = {}});
  follow_.Next();
  follow_.OnPage(Page("20", SliceJson("b", "19", "10.0.0.2"), "more"));
  follow_.Next();
  follow_.OnRefused({.status = 410, .why = "", .after = {}});
  const Step step = follow_.Next();
  EXPECT_FALSE(step.is_watch);
  EXPECT_THAT(step.target, Not(HasSubstr("continue")));
  // The second time in a row it waits.
  EXPECT_GT(step.wait, absl::ZeroDuration());
  // What was known stays until the whole list is there.
  EXPECT_EQ(Addresses(), "10.0.0.1 ");
  follow_.OnPage(Page("21", SliceJson("c", "19", "10.0.0.3")));
  EXPECT_EQ(Addresses(), "10.0.0.3 ");
}

TEST_F(SliceFollowTest, EventsChangeWhatIsKnownAndWhereItGoesOn) {
  WatchAfterOne();
  EXPECT_TRUE(follow_.OnLine(Event("ADDED", SliceJson("b", "11", "10.0.0.2"))));
  EXPECT_TRUE(follow_.OnLine(Event("MODIFIED", SliceJson("a", "12", "10.0.0.3"))));
  EXPECT_EQ(Addresses(), "10.0.0.2 10.0.0.3 ");
  EXPECT_TRUE(follow_.OnLine(Event("DELETED", SliceJson("b", "13", "10.0.0.2"))));
  EXPECT_EQ(Addresses(), "10.0.0.3 ");
  EXPECT_TRUE(follow_.OnLine(Event("BOOKMARK", "{'metadata':{'resourceVersion':'40'}}")));
  EXPECT_TRUE(follow_.OnLine(Event("SOMETHING_NEW", "{'metadata':{}}")));
  follow_.OnWatchEnded("");
  EXPECT_EQ(follow_.error(), "");
  const Step step = follow_.Next();
  EXPECT_THAT(step.target, HasSubstr("&resourceVersion=40&"));
  EXPECT_EQ(step.wait, absl::ZeroDuration());
}

TEST_F(SliceFollowTest, AWatchThatEndsWithNothingSaidWaits) {
  WatchAfterOne();
  follow_.OnWatchEnded("");
  EXPECT_GT(follow_.Next().wait, absl::ZeroDuration());
}

TEST_F(SliceFollowTest, GoneIsListedAnewAndNothingIsDropped) {
  const std::string gone =
      "{'kind':'Status','metadata':{},'status':'Failure','message':'too old "
      "resource version','reason':'Expired','code':410}";
  WatchAfterOne();
  EXPECT_FALSE(follow_.OnLine(Event("ERROR", gone)));
  EXPECT_EQ(follow_.error(), "");
  Step step = follow_.Next();
  EXPECT_FALSE(step.is_watch);
  EXPECT_EQ(step.wait, absl::ZeroDuration());
  EXPECT_EQ(Addresses(), "10.0.0.1 ");
  follow_.OnPage(Page("50", ""));
  EXPECT_EQ(Addresses(), "");
  // As an HTTP status, and again at once.
  follow_.Next();
  follow_.OnRefused({.status = 410, .why = Json(gone), .after = {}});
  step = follow_.Next();
  EXPECT_FALSE(step.is_watch);
  EXPECT_GT(step.wait, absl::ZeroDuration());
}

TEST_F(SliceFollowTest, OtherErrorsResumeAfterAWait) {
  WatchAfterOne();
  EXPECT_FALSE(follow_.OnLine(
      Event("ERROR", "{'kind':'Status','message':'etcd is away','code':500,'details':{}}")));
  EXPECT_THAT(follow_.error(), HasSubstr("500: \"etcd is away\""));
  Step step = follow_.Next();
  EXPECT_THAT(step.target, HasSubstr("&resourceVersion=10&"));
  EXPECT_GT(step.wait, absl::ZeroDuration());
  follow_.OnWatchBegun();
  EXPECT_EQ(follow_.error(), "");
  follow_.OnWatchEnded("it closed the connection within its answer");
  EXPECT_THAT(follow_.error(), HasSubstr("closed the connection"));
  EXPECT_TRUE(follow_.Next().is_watch);
  EXPECT_EQ(Addresses(), "10.0.0.1 ");
}

TEST_F(SliceFollowTest, RefusalsAreToldAndTheWaitsGrow) {
  ListOne();
  const SliceFollow::Pace pace;
  struct Case {
    int status;
    const char* body;
    const char* told;
  };
  const Case cases[] = {
      {401, "{'message':'Unauthorized'}",
       "Kubernetes answered 401 (is the token right?): \"Unauthorized\""},
      {403, "{'message':'endpointslices is forbidden'}", "may it list and watch endpointslices"},
      {500, "no JSON", "Kubernetes answered 500"},
      {503, "", "Kubernetes answered 503"},
  };
  absl::Duration longest;
  for (const Case& c : cases) {
    follow_.Next();
    follow_.OnRefused({.status = c.status, .why = Json(c.body), .after = {}});
    EXPECT_THAT(follow_.error(), HasSubstr(c.told));
  }
  for (int i = 0; i < 40; ++i) {
    longest = std::max(longest, follow_.Next().wait);
    follow_.OnRefused({.status = 0, .why = "it cannot be connected to", .after = {}});
  }
  EXPECT_GT(longest, pace.max_backoff / 2);
  EXPECT_LE(longest, pace.max_backoff);
  EXPECT_EQ(Addresses(), "10.0.0.1 ");
}

TEST_F(SliceFollowTest, RetryAfterIsHeededWithinItsBound) {
  follow_.Next();
  follow_.OnRefused({.status = 429, .why = "", .after = absl::Seconds(20)});
  EXPECT_EQ(follow_.Next().wait, absl::Seconds(20));
  follow_.OnRefused({.status = 429, .why = "", .after = absl::Hours(20)});
  EXPECT_EQ(follow_.Next().wait, limits::kMaxRetryAfter);
}

TEST_F(SliceFollowTest, GarbageIsListedAnew) {
  for (const char* line :
       {"not json", "{'type':'ADDED'}", "{'type':'ADDED','object':{'metadata':{'name':'x'}}}",
        "{'type':'ADDED','object':{'metadata':{'resourceVersion':'4'}}}", "[]",
        "{'type':'MODIFIED','object':{'endpoints':7}}"}) {
    WatchAfterOne();
    EXPECT_FALSE(follow_.OnLine(Json(line))) << line;
    EXPECT_NE(follow_.error(), "") << line;
    const Step step = follow_.Next();
    EXPECT_FALSE(step.is_watch) << line;
    EXPECT_GT(step.wait, absl::ZeroDuration()) << line;
    EXPECT_EQ(Addresses(), "10.0.0.1 ") << line;
  }
  WatchAfterOne();
  follow_.OnTooLong();
  EXPECT_THAT(follow_.error(), HasSubstr("kMaxEventBytes"));
  EXPECT_FALSE(follow_.Next().is_watch);
  follow_.OnPage(
      Page("20", SliceJson("b", "19", "10.0.0.2") + "," + SliceJson("", "19", "10.0.0.3")));
  EXPECT_THAT(follow_.error(), HasSubstr("without name"));
  EXPECT_EQ(Addresses(), "10.0.0.1 ");
  for (const char* page : {"", "[]", "{}", "{'metadata':{'resourceVersion':''}}", "<html>"}) {
    follow_.OnPage(Json(page));
    EXPECT_THAT(follow_.error(), HasSubstr("no list of EndpointSlices")) << page;
    EXPECT_EQ(Addresses(), "10.0.0.1 ") << page;
    follow_.Next();
  }
}

TEST_F(SliceFollowTest, ListsThatComeDoNotHideAWatchThatIsNoneEachTime) {
  const SliceFollow::Pace pace;
  absl::Duration wait;
  for (int i = 0; i < 20; ++i) {
    WatchAfterOne();
    EXPECT_FALSE(follow_.OnLine("<html>"));
    wait = follow_.Next().wait;
  }
  EXPECT_GE(wait, pace.max_backoff / 2);
  // One that says something makes up for it.
  WatchAfterOne();
  EXPECT_TRUE(follow_.OnLine(Event("ADDED", SliceJson("b", "11", "10.0.0.2"))));
  EXPECT_FALSE(follow_.OnLine("<html>"));
  EXPECT_LE(follow_.Next().wait, pace.min_backoff);
}

TEST_F(SliceFollowTest, FailuresInARowListAnew) {
  ListOne();
  int watches = 0;
  while (follow_.Next().is_watch && watches < 100) {
    ++watches;
    follow_.OnRefused({.status = 502, .why = "", .after = {}});
  }
  EXPECT_EQ(watches, limits::kMaxResumes + 1);
}

}  // namespace
}  // namespace remuda::kubernetes
