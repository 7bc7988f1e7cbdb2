// --store and its flags: what they give, and what is wrong with them in words.
#include "controller/store/store_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace remuda {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The flag --store, and what `others` adds.
StoreFlags Flags(
    const std::string& store, const std::function<void(StoreFlags&)>& others = [](StoreFlags&) {}) {
  StoreFlags flags;
  flags.store = store;
  others(flags);
  return flags;
}

TEST(StoreOptionsTest, NothingIsSqliteInTheDataDirectory) {
  const auto options = ParseStoreOptions(Flags(""), "/data");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->kind, StoreOptions::Kind::kSqlite);
  EXPECT_EQ(options->sqlite_path, "/data/state.db");
  EXPECT_EQ(ParseStoreOptions(Flags("sqlite:/x/y.db"), "/data")->sqlite_path, "/x/y.db");
}

TEST(StoreOptionsTest, EtcdHasEndpointsAndAPrefix) {
  const auto plain = ParseStoreOptions(Flags("etcd://127.0.0.1:2379"), "/data");
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_EQ(plain->kind, StoreOptions::Kind::kEtcd);
  EXPECT_EQ(plain->etcd.prefix, "/remuda/");
  EXPECT_EQ(plain->lease, std::chrono::seconds(2));
  const auto whole = ParseStoreOptions(Flags("etcd://a:1,b.example:2,[::1]:3/clusters/one",
                                             [](StoreFlags& flags) {
                                               flags.ca = "ca";
                                               flags.user = "u";
                                               flags.password_file = "p";
                                               flags.lease_seconds = 60;
                                             }),
                                       "/data");
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_THAT(whole->etcd.endpoints, ElementsAre("a:1", "b.example:2", "[::1]:3"));
  EXPECT_EQ(whole->etcd.prefix, "/clusters/one/");
  EXPECT_EQ(whole->etcd.user, "u");
  EXPECT_EQ(whole->lease, std::chrono::seconds(60));
}

TEST(StoreOptionsTest, WhatIsWrongIsSaid) {
  const auto insecure = [](StoreFlags& flags) { flags.insecure = true; };
  const auto ca = [](StoreFlags& flags) { flags.ca = "ca"; };
  const auto half = [](StoreFlags& flags) { flags.certificate = "c"; };
  const auto no_ca = [](StoreFlags& flags) { flags.certificate = flags.key = "c"; };
  const auto user = [](StoreFlags& flags) { flags.user = "u"; };
  const auto short_lease = [](StoreFlags& flags) { flags.lease_seconds = 1; };
  const auto long_lease = [](StoreFlags& flags) { flags.lease_seconds = 61; };
  const struct {
    StoreFlags flags;
    const char* says;
  } cases[] = {
      {Flags("file.db"), "\"file.db\" is neither sqlite:PATH nor etcd://"},
      {Flags("sqlite:"), "is neither"},
      {Flags("etcd://"), "\"\" is not HOST:PORT"},
      {Flags("etcd://a"), "\"a\" is not HOST:PORT"},
      {Flags("etcd://a:0"), "a port of 1-65535"},
      {Flags("etcd://::1:2379"), "stands in brackets"},
      {Flags("etcd://a: 1", insecure), "\"a: 1\" is not HOST:PORT"},
      {Flags("etcd://a:+1", insecure), "\"a:+1\" is not HOST:PORT"},
      {Flags("etcd://u:secret@a:1", insecure),
       "--store: \"...@a:1\": the user stands in --store-user"},
      {Flags("etcd://a:1,a:1", insecure), "a:1 is there twice"},
      {Flags("etcd://127.0.0.1:1/a//b"), "is no prefix of keys"},
      {Flags("etcd://127.0.0.1:1/" + std::string(200, 'a')), "a prefix has at most 128 bytes"},
      {Flags("etcd://a:1"), "is another machine and there is no TLS"},
      {Flags("etcd://127.0.0.1:1", half), "--store-cert and --store-key"},
      {Flags("etcd://127.0.0.1:1", no_ca), "without --store-ca"},
      {Flags("etcd://127.0.0.1:1", user), "--store-password-file"},
      {Flags("etcd://127.0.0.1:1", short_lease), "--store-lease: 1 is not within 2-60 seconds"},
      {Flags("etcd://127.0.0.1:1", long_lease), "--store-lease: 61 is not within 2-60 seconds"},
      {Flags("", long_lease), "--store-lease: is of --store=etcd:// only"},
      {Flags("", ca), "--store-ca: is of --store=etcd:// only"},
  };
  for (const auto& one : cases) {
    const auto options = ParseStoreOptions(one.flags, "/data");
    EXPECT_EQ(options.status().code(), absl::StatusCode::kInvalidArgument) << one.says;
    EXPECT_THAT(std::string(options.status().message()), HasSubstr(one.says));
  }
}

}  // namespace
}  // namespace remuda
