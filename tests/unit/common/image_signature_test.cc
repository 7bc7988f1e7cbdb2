#include "common/image_signature.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace remuda {
namespace {

namespace fs = std::filesystem;

class ImageSignatureTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "remuda-keys-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(root_); }
  std::string Make(const std::string& name) const {
    const std::string path = root_ / name;
    EXPECT_TRUE(MakeImageKey(path).ok());
    return path;
  }
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(root_ / name, std::ios::binary) << text;
    return root_ / name;
  }
  static std::string Read(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  fs::path root_;
  const std::string digest_ = "sha256:" + std::string(64, 'a');
};

TEST_F(ImageSignatureTest, OneTrustedAndRightIsEnough) {
  const std::string a = Make("a"), b = Make("b"), c = Make("c");
  const auto keys = ImageKeys::Load(Write("both", Read(a + ".pub") + Read(b + ".pub")));
  ASSERT_TRUE(keys.ok()) << keys.status();
  const auto of_b = SignDigest(b, digest_), of_c = SignDigest(c, digest_);
  ASSERT_TRUE(of_b.ok() && of_c.ok());
  EXPECT_EQ(of_b->key_id.size(), std::string("ed25519:").size() + 16);
  EXPECT_TRUE(keys->Check(digest_, {*of_b}).ok());
  EXPECT_TRUE(keys->Check(digest_, {*of_c, *of_b}).ok());
  struct Case {
    std::vector<SignedDigest> signatures;
    const char* why;
  };
  SignedDigest wrong = *of_b, cut = *of_b, stolen_name = *of_c;
  wrong.signature[5] = static_cast<char>(wrong.signature[5] ^ 1);
  cut.signature.resize(63);
  stolen_name.key_id = of_b->key_id;
  for (const Case& one :
       {Case{{}, "it has none"}, Case{{*of_c}, "is not trusted"}, Case{{wrong}, "is wrong"},
        Case{{cut}, "is wrong"}, Case{{stolen_name}, "is wrong"}}) {
    const absl::Status status = keys->Check(digest_, one.signatures);
    EXPECT_TRUE(absl::IsFailedPrecondition(status));
    EXPECT_NE(status.message().find(one.why), absl::string_view::npos) << status;
    EXPECT_NE(status.message().find(digest_), absl::string_view::npos) << status;
  }
  EXPECT_FALSE(keys->Check("sha256:" + std::string(64, 'b'), {*of_b}).ok()) << "of another image";
}

TEST_F(ImageSignatureTest, KeysOfOpensslAreTaken) {
  const std::string key = root_ / "o";
  const std::string command = "openssl genpkey -algorithm ed25519 -out " + key +
                              " && openssl pkey -in " + key + " -pubout -out " + key + ".pub";
  ASSERT_EQ(std::system(command.c_str()), 0);
  const auto keys = ImageKeys::Load(key + ".pub");
  const auto signature = SignDigest(key, digest_);
  ASSERT_TRUE(keys.ok() && signature.ok());
  EXPECT_TRUE(keys->Check(digest_, {*signature}).ok());
}

TEST_F(ImageSignatureTest, WhatIsNoKeyIsRefused) {
  const std::string a = Make("a");
  struct stat st {};
  ASSERT_EQ(stat(a.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  EXPECT_EQ(MakeImageKey(a).status().code(), absl::StatusCode::kAlreadyExists);
  ASSERT_EQ(std::system(("openssl genpkey -algorithm RSA -out " + std::string(root_ / "r") +
                         " 2>/dev/null && openssl pkey -in " + std::string(root_ / "r") +
                         " -pubout -out " + std::string(root_ / "r.pub"))
                            .c_str()),
            0);
  for (const std::string& path :
       {a, std::string(root_ / "none"), std::string(root_ / "r.pub"), Write("empty", ""),
        Write("cut", Read(a + ".pub") + Read(a + ".pub").substr(0, 60)),
        Write("text", "no key at all\n")}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ImageKeys::Load(path).status())) << path;
  }
  for (const std::string& path :
       {a + ".pub", std::string(root_ / "r"), std::string(root_ / "none")})
    EXPECT_TRUE(absl::IsInvalidArgument(SignDigest(path, digest_).status())) << path;
}

}  // namespace
}  // namespace remuda
