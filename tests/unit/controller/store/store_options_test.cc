// --store and its flags: what they give, and what is wrong with them in words.
#include "controller/store/store_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace remuda {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(StoreOptionsTest, NothingIsSqliteInTheDataDirectory) {
  const auto options = ParseStoreOptions({}, "/data");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->kind, StoreOptions::Kind::kSqlite);
  EXPECT_EQ(options->sqlite_path, "/data/state.db");
  EXPECT_EQ(ParseStoreOptions({.store = "sqlite:/x/y.db"}, "/data")->sqlite_path, "/x/y.db");
}

TEST(StoreOptionsTest, EtcdHasEndpointsAndAPrefix) {
  const auto plain = ParseStoreOptions({.store = "etcd://127.0.0.1:2379"}, "/data");
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_EQ(plain->kind, StoreOptions::Kind::kEtcd);
  EXPECT_EQ(plain->etcd.prefix, "/remuda/");
  const auto whole = ParseStoreOptions({.store = "etcd://a:1,b.example:2,[::1]:3/clusters/one",
                                        .ca = "ca",
                                        .certificate = "c",
                                        .key = "k",
                                        .user = "u",
                                        .password_file = "p"},
                                       "/data");
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_THAT(whole->etcd.endpoints, ElementsAre("a:1", "b.example:2", "[::1]:3"));
  EXPECT_EQ(whole->etcd.prefix, "/clusters/one/");
  EXPECT_EQ(whole->etcd.user, "u");
}

TEST(StoreOptionsTest, WhatIsWrongIsSaid) {
  const struct {
    StoreFlags flags;
    const char* says;
  } cases[] = {
      {{.store = "file.db"}, "\"file.db\" is neither sqlite:PATH nor etcd://"},
      {{.store = "sqlite:"}, "is neither"},
      {{.store = "etcd://"}, "\"\" is not HOST:PORT"},
      {{.store = "etcd://a"}, "\"a\" is not HOST:PORT"},
      {{.store = "etcd://a:0"}, "a port of 1-65535"},
      {{.store = "etcd://::1:2379"}, "stands in brackets"},
      {{.store = "etcd://u:p@a:1", .insecure = true}, "is not HOST:PORT"},
      {{.store = "etcd://a:1,a:1", .insecure = true}, "a:1 is there twice"},
      {{.store = "etcd://127.0.0.1:1/a//b"}, "is no prefix of keys"},
      {{.store = "etcd://a:1"}, "is another machine and there is no TLS"},
      {{.store = "etcd://a:1", .ca = "ca", .certificate = "c"}, "--store-cert and --store-key"},
      {{.store = "etcd://127.0.0.1:1", .certificate = "c", .key = "k"}, "without --store-ca"},
      {{.store = "etcd://127.0.0.1:1", .user = "u"}, "--store-password-file"},
      {{.ca = "ca"}, "--store-ca: is of --store=etcd:// only"},
  };
  for (const auto& one : cases) {
    const auto options = ParseStoreOptions(one.flags, "/data");
    EXPECT_EQ(options.status().code(), absl::StatusCode::kInvalidArgument) << one.says;
    EXPECT_THAT(std::string(options.status().message()), HasSubstr(one.says));
  }
}

}  // namespace
}  // namespace remuda
