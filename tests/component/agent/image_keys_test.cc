// The real remuda-agent that runs signed images alone.
#include <gmock/gmock.h>

#include <string>

#include "common/image_signature.h"
#include "tests/component/agent/agent_fixture.h"

namespace remuda::agent {
namespace {

using testing::HasSubstr;

class ImageKeysTest : public AgentTest {
 protected:
  void SetUp() override {
    AgentTest::SetUp();
    for (const char* name : {"trusted", "other"}) {
      const auto made = MakeImageKey((root_ / name).string());
      ASSERT_TRUE(made.ok()) << made.status();
    }
  }
  v1::InstanceAssignment SignedBy(const std::string& key, v1::InstanceAssignment assignment) const {
    const auto made =
        SignDigest((root_ / key).string(), assignment.launch_template().image_digest());
    EXPECT_TRUE(made.ok()) << made.status();
    auto* signature = assignment.add_image_signatures();
    signature->set_key_id(made->key_id);
    signature->set_signature(made->signature);
    return assignment;
  }
};

TEST_F(ImageKeysTest, AnImageThatNobodyTrustedVouchesForIsNeitherFetchedNorRun) {
  Begin({"--image-keys", (root_ / "trusted.pub").string()});
  auto of_another_image = SignedBy("trusted", Serve("i-c"));
  of_another_image.mutable_launch_template()->set_image_digest(
      AddImage(controller_, {{"serve.sh", kServe}, {"more", "x"}}));
  controller_.Assign({Serve("i-a"), SignedBy("other", Serve("i-b")), of_another_image});
  for (const char* id : {"i-a", "i-b", "i-c"}) {
    ASSERT_TRUE(controller_.WaitState(id, v1::PROCESS_STATE_FAILED)) << id;
    EXPECT_THAT(controller_.Status(id).message(), HasSubstr("no trusted signature: ")) << id;
  }
  EXPECT_TRUE(controller_.fetch_offsets.empty());
  controller_.Change({SignedBy("trusted", Serve("i-d"))}, {});
  EXPECT_TRUE(Running("i-d")) << controller_.Status("i-d").ShortDebugString();
}

TEST_F(ImageKeysTest, AVersionWithoutASignatureIsNotChangedTo) {
  Begin({"--image-keys", (root_ / "trusted.pub").string()});
  const auto first = SignedBy("trusted", Serve("i-a"));
  controller_.Assign({first});
  ASSERT_TRUE(Running("i-a"));
  auto next =
      Runs("i-a", AddImage(controller_, {{"serve.sh", kServe}, {"v", "2"}}), {"./serve.sh"});
  next.set_generation(1);
  controller_.Change({next}, {});
  ASSERT_TRUE(controller_.Wait([&] {
    return controller_.status["i-a"].message().find("generation 0 runs on") != std::string::npos;
  }));
  EXPECT_THAT(controller_.Status("i-a").message(), HasSubstr("no trusted signature"));
}

TEST_F(ImageKeysTest, WhatIsNoFileOfKeysIsRefusedAtTheStart) {
  const std::string command = std::string(REMUDA_BIN_DIR "/remuda-agent --data-dir ") +
                              data_.string() + " --image-keys " + (root_ / "trusted").string() +
                              " 2>&1";
  FILE* out = popen(command.c_str(), "r");
  ASSERT_NE(out, nullptr);
  char text[1024] = "";
  const size_t size = fread(text, 1, sizeof text - 1, out);
  const int status = pclose(out);
  EXPECT_EQ(WEXITSTATUS(status), 2);
  EXPECT_THAT(std::string(text, size), HasSubstr("must hold public keys"));
}

}  // namespace
}  // namespace remuda::agent
