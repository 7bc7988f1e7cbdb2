// The stored config.
#include "proxy/control/config_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace remuda::proxy {
namespace {

StoredConfig Sample() {
  StoredConfig config;
  config.cluster_id = "c1";
  config.epoch = 4;
  config.update.mutable_revision()->set_sequence(9);
  config.update.mutable_upserts()->add_target_groups()->set_name("blue\n\n");
  return config;
}

TEST(StoredConfig, ComesBack) {
  const auto decoded = DecodeStoredConfig(EncodeStoredConfig(Sample()));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->cluster_id, "c1");
  EXPECT_EQ(decoded->epoch, 4);
  EXPECT_EQ(decoded->update.SerializeAsString(), Sample().update.SerializeAsString());
}

TEST(StoredConfig, AnyChangedOrMissingByteIsFound) {
  const std::string bytes = EncodeStoredConfig(Sample());
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(DecodeStoredConfig(changed).ok()) << i;
    EXPECT_FALSE(DecodeStoredConfig(bytes.substr(0, i)).ok()) << i;
  }
}

TEST(ConfigStore, KeepsTheNewest) {
  std::string pattern = (std::filesystem::temp_directory_path() / "remuda-store-XXXXXX").string();
  ASSERT_NE(mkdtemp(pattern.data()), nullptr);
  const std::string directory = pattern + "/a/b";
  {
    ConfigStore store(directory);
    EXPECT_EQ(store.Load().status().code(), absl::StatusCode::kNotFound);
    for (int i = 1; i <= 50; ++i) {
      auto table = std::make_shared<RoutingTable>();
      table->revision = {1, i};
      store.Save(table, "c1", 1);
    }
  }  // writes what is pending
  ConfigStore store(directory);
  const auto loaded = store.Load();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->update.revision().sequence(), 50);
  std::ofstream(directory + "/config", std::ios::app) << "x";
  EXPECT_EQ(store.Load().status().code(), absl::StatusCode::kDataLoss);
  std::filesystem::remove_all(pattern);
}

}  // namespace
}  // namespace remuda::proxy
