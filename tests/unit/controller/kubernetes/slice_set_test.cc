// Which addresses of EndpointSlices take requests.
#include "controller/kubernetes/slice_set.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include "controller/kubernetes/limits.h"

namespace remuda::kubernetes {
namespace {

using ::testing::HasSubstr;

// A slice of JSON with ' for ".
v1::EndpointSlice Slice(const std::string& name, const std::string& rest) {
  std::string json = "{'metadata':{'name':'" + name + "'}," + rest + "}";
  std::replace(json.begin(), json.end(), '\'', '"');
  v1::EndpointSlice slice;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(json, &slice).ok()) << json;
  return slice;
}

constexpr char kHttp[] = "'ports':[{'name':'http','port':8080,'protocol':'TCP'}]";

std::string Text(const Endpoints& endpoints) {
  std::string out;
  for (const auto& one : endpoints.ready) {
    out += (out.empty() ? "" : " ") + one.address + ":" + std::to_string(one.port) +
           (one.zone.empty() ? "" : "@" + one.zone);
  }
  return out;
}

// Of one slice with these endpoints, IPv4.
std::string Ready(const std::string& endpoints) {
  SliceSet set;
  set.Put(Slice("a",
                std::string("'addressType':'IPv4',") + kHttp + ",'endpoints':[" + endpoints + "]"));
  return Text(set.EndpointsOf("http"));
}

TEST(SliceSetTest, ReadyAndNotTerminatingTakesRequests) {
  EXPECT_EQ(Ready("{'addresses':['10.0.0.1'],'conditions':{'ready':true},'zone':'a'}"),
            "10.0.0.1:8080@a");
  EXPECT_EQ(Ready("{'addresses':['10.0.0.1']}"), "10.0.0.1:8080");
  // No zone that nobody could register by hand.
  EXPECT_EQ(Ready("{'addresses':['10.0.0.1'],'zone':'a\\u001b[2J'}"), "10.0.0.1:8080");
  EXPECT_EQ(Ready("{'addresses':['10.0.0.1'],'zone':'" + std::string(64, 'a') + "'}"),
            "10.0.0.1:8080");
  EXPECT_EQ(Ready("{'addresses':['10.0.0.1'],'conditions':{'ready':null}}"), "10.0.0.1:8080");
  EXPECT_EQ(Ready("{'addresses':['10.0.0.1'],'conditions':{'ready':false}}"), "");
  EXPECT_EQ(Ready("{'addresses':['10.0.0.1'],'conditions':{'ready':false,'serving':true,"
                  "'terminating':true}}"),
            "");
  EXPECT_EQ(Ready("{'addresses':['10.0.0.1'],'conditions':{'ready':true,'terminating':true}}"), "");
  EXPECT_EQ(Ready("{'addresses':[]}"), "");
  // Only the first address of an endpoint has a meaning.
  EXPECT_EQ(Ready("{'addresses':['10.0.0.1','10.0.0.2']}"), "10.0.0.1:8080");
}

TEST(SliceSetTest, TwiceIsOnceAndReadyAnywhereIsReady) {
  SliceSet set;
  set.Put(Slice("a", std::string("'addressType':'IPv4',") + kHttp +
                         ",'endpoints':[{'addresses':['10.0.0.1'],'conditions':{'ready':false}}]"));
  set.Put(Slice("b", std::string("'addressType':'IPv4',") + kHttp +
                         ",'endpoints':[{'addresses':['10.0.0.1']},{'addresses':['10.0.0.2']}]"));
  set.Put(Slice("c", std::string("'addressType':'IPv6',") + kHttp +
                         ",'endpoints':[{'addresses':['FD00::1']},{'addresses':['fd00:0::1']}]"));
  EXPECT_EQ(Text(set.EndpointsOf("http")), "10.0.0.1:8080 10.0.0.2:8080 fd00::1:8080");
  set.Remove("b");
  EXPECT_EQ(Text(set.EndpointsOf("http")), "fd00::1:8080");
}

TEST(SliceSetTest, PortByNameByNumberOrTheOnlyOne) {
  const std::string one = "'addressType':'IPv4','endpoints':[{'addresses':['10.0.0.1']}],";
  struct Case {
    const char* ports;
    const char* wanted;
    const char* ready;
    const char* trouble;
  };
  const Case cases[] = {
      {"{'name':'http','port':80},{'name':'admin','port':81}", "admin", "10.0.0.1:81", ""},
      {"{'name':'http','port':80},{'name':'admin','port':81}", "9000", "10.0.0.1:9000", ""},
      {"", "9000", "10.0.0.1:9000", ""},
      {"{'port':80}", "", "10.0.0.1:80", ""},
      {"{'name':'dns','port':53,'protocol':'UDP'},{'port':80,'protocol':'TCP'}", "", "10.0.0.1:80",
       ""},
      {"{'name':'http','port':80},{'name':'admin','port':81}", "", "",
       "it has not one port of TCP (\"http\", \"admin\")"},
      {"{'name':'http','port':80}", "web", "", "it has no port \"web\" (\"http\")"},
      {"{'name':'dns','port':53,'protocol':'UDP'}", "dns", "",
       "port \"dns\" is of \"UDP\", not of TCP"},
      {"", "", "", "it has not one port of TCP (none of TCP)"},
      {"{'name':'http','port':0}", "http", "", "port \"http\": 0 is not within 1-65535"},
  };
  for (const Case& c : cases) {
    SliceSet set;
    set.Put(Slice("a", one + "'ports':[" + c.ports + "]"));
    const Endpoints got = set.EndpointsOf(c.wanted);
    EXPECT_EQ(Text(got), c.ready) << c.ports << " " << c.wanted;
    if (c.trouble[0] == '\0') {
      EXPECT_EQ(got.trouble, "") << c.ports << " " << c.wanted;
    } else {
      EXPECT_THAT(got.trouble, HasSubstr(c.trouble)) << c.ports << " " << c.wanted;
    }
  }
}

TEST(SliceSetTest, NamesAndNoAddressesAreToldAndLeftOut) {
  SliceSet set;
  set.Put(Slice("a", std::string("'addressType':'FQDN',") + kHttp +
                         ",'endpoints':[{'addresses':['shop.example']}]"));
  set.Put(Slice("b", std::string("'addressType':'IPv4',") + kHttp +
                         ",'endpoints':[{'addresses':['10.0.0.1']}]"));
  EXPECT_EQ(Text(set.EndpointsOf("http")), "10.0.0.1:8080");
  EXPECT_THAT(set.EndpointsOf("http").trouble,
              HasSubstr("EndpointSlice \"a\": addressType FQDN: names are not followed"));
  set.Remove("a");
  set.Put(Slice("c", std::string("'addressType':'IPv4',") + kHttp +
                         ",'endpoints':[{'addresses':['10.0.0.1/8']}]"));
  EXPECT_EQ(Text(set.EndpointsOf("http")), "10.0.0.1:8080");
  EXPECT_THAT(set.EndpointsOf("http").trouble,
              HasSubstr("\"10.0.0.1/8\" is not an IPv4 or IPv6 address"));
}

TEST(SliceSetTest, MoreSlicesThanItsBoundAreTold) {
  SliceSet set;
  for (size_t i = 0; i < limits::kMaxSlices + 1; ++i)
    set.Put(Slice("s" + std::to_string(i), "'addressType':'IPv4'"));
  EXPECT_EQ(set.size(), limits::kMaxSlices);
  EXPECT_THAT(set.EndpointsOf("").trouble, HasSubstr("kMaxSlices"));
}

}  // namespace
}  // namespace remuda::kubernetes
