// Where Kubernetes' API is, of flags and of a pod's environment.
#include "controller/kubernetes/api_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace remuda {
namespace {

using ::testing::HasSubstr;

ReadVariable Pod(std::map<std::string, std::string> variables = {}) {
  return [variables = std::move(variables)](const char* name) {
    const auto it = variables.find(name);
    return it == variables.end() ? std::string() : it->second;
  };
}

TEST(ApiAddressTest, OfAPod) {
  ApiAddress api;
  EXPECT_EQ(
      FindApi({},
              Pod({{"KUBERNETES_SERVICE_HOST", "fd00::1"}, {"KUBERNETES_SERVICE_PORT", "6443"}}),
              api),
      "");
  EXPECT_EQ(api.authority(), "[fd00::1]:6443");
  EXPECT_TRUE(api.is_tls);
  EXPECT_EQ(api.token_file, "/var/run/secrets/kubernetes.io/serviceaccount/token");
  EXPECT_EQ(api.ca_file, "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt");
  EXPECT_EQ(api.missing, "");
}

TEST(ApiAddressTest, NoneIsSaidWhenItIsWanted) {
  ApiAddress api;
  EXPECT_EQ(FindApi({}, Pod(), api), "");
  EXPECT_THAT(api.missing, HasSubstr("--kubernetes-api was not given"));
}

TEST(ApiAddressTest, Flags) {
  ApiAddress api;
  EXPECT_EQ(
      FindApi({.api = "https://k8s.example/base/", .token_file = "t", .ca_file = "c"}, Pod(), api),
      "");
  EXPECT_EQ(api.authority(), "k8s.example:443");
  EXPECT_EQ(api.path, "/base");
  EXPECT_EQ(api.token_file, "t");
  EXPECT_EQ(FindApi({.api = "http://127.0.0.1:8001", .token_file = "", .ca_file = ""}, Pod(), api),
            "");
  EXPECT_FALSE(api.is_tls);
  EXPECT_EQ(api.token_file, "");
  EXPECT_EQ(FindApi({.api = "http://[::1]:8001", .token_file = "", .ca_file = ""}, Pod(), api), "");
  EXPECT_EQ(api.host, "::1");
}

TEST(ApiAddressTest, WrongOnesAreNamed) {
  struct Case {
    KubernetesFlags flags;
    const char* told;
  };
  const Case cases[] = {
      {{.api = "k8s.example"}, "--kubernetes-api: \"k8s.example\" must be https://"},
      {{.api = "https://"}, "must be https://HOST[:PORT]"},
      {{.api = "https://a:0"}, "must be https://HOST[:PORT]"},
      {{.api = "https://a:65536"}, "must be https://HOST[:PORT]"},
      {{.api = "https://u@a"}, "must be https://HOST[:PORT]"},
      {{.api = "https://[::1"}, "must be https://HOST[:PORT]"},
      {{.api = "https://a/b?c"}, "with ? or #"},
      {{.api = "http://10.0.0.1:8001"}, "there is no TLS: whoever is on the way reads the token"},
      {{.api = "http://127.0.0.1", .ca_file = "c"}, "--kubernetes-ca-file: there is no TLS"},
      {{.token_file = "t"}, "--kubernetes-token-file: there is no Kubernetes"},
      {{.ca_file = "c"}, "--kubernetes-ca-file: there is no Kubernetes"},
  };
  for (const Case& c : cases) {
    ApiAddress api;
    EXPECT_THAT(FindApi(c.flags, Pod(), api), HasSubstr(c.told));
  }
  ApiAddress api;
  EXPECT_THAT(
      FindApi({}, Pod({{"KUBERNETES_SERVICE_HOST", "a"}, {"KUBERNETES_SERVICE_PORT", "x"}}), api),
      HasSubstr("KUBERNETES_SERVICE_PORT: \"x\" is not within 1-65535"));
}

}  // namespace
}  // namespace remuda
