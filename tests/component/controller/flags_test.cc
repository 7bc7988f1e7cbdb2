// The flags of the real controller, and what else may set them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "tests/component/controller/testing/controller_process.h"

namespace remuda {
namespace {

using testing::HasSubstr;

TEST(ControllerFlagsTest, WrongOnesAreRefusedWithAReason) {
  const struct {
    std::vector<std::string> flags;
    const char* says;
  } cases[] = {
      {{"--data-dir", "/tmp/x", "--insecure", "--listen", "0.0.0.0:0"},
       "is not a loopback address"},
      {{"--data-dir", "/tmp/x", "--http", "[::]:0"}, "--open-admin"},
      {{"--data-dir", "/tmp/x", "--listen", "somewhere"}, "ADDRESS:PORT"},
      {{"--data-dir", "/tmp/x", "--listen", "127.0.0.1:99999"}, "ADDRESS:PORT"},
      {{"--data-dir", "/tmp/x", "--host-lost-after", "ten"}, "--host-lost-after"},
      {{"--data-dir", "/tmp/x", "--image-limit", "much"}, "--image-limit"},
      {{"--data-dir", "/tmp/x", "--metric-period", "500ms"}, "is not within 1s-60s"},
      {{"--data-dir", "/tmp/x", "--metric-period", "61s"}, "is not within 1s-60s"},
      {{"--data-dir", "/tmp/x", "--analysis-command", "check"}, "is not an absolute path"},
      {{"--data-dir", "/tmp/x", "--failpoint", "commit-between=kill"}, "deployment-step-published"},
      {{"--data-dir", "/tmp/x", "--failpoint", "commit-after=faint"}, "delay:MS"},
      {{"--data-dir", "/tmp/x", "--image-copies", "0"}, "0 is not within 1-64"},
      {{"--data-dir", "/tmp/x", "--image-copies", "65"}, "65 is not within 1-64"},
      {{"--data-dir", "/tmp/x", "--image-copies", "2"}, "2: must be 1 with an SQLite store"},
      {{"--data-dir", "/tmp/x", "--store", "etcd://127.0.0.1:1", "--blobs", "/tmp/y",
        "--image-copies", "3"},
       "3: must be 1 with --blobs"},
      {{"--listen", "127.0.0.1:0"}, "--data-dir"},
      {{"--no-such-flag"}, "--no-such-flag"},
  };
  for (const auto& c : cases) {
    std::string output;
    EXPECT_EQ(ControllerProcess::RunToEnd(c.flags, &output), 2) << c.says << ": " << output;
    EXPECT_THAT(output, HasSubstr(c.says));
  }
}

TEST(ControllerFlagsTest, TheEnvironmentBeatsTheFileAndAFlagBoth) {
  char file[] = "/tmp/remuda-config-XXXXXX";
  const int fd = mkstemp(file);
  const std::string text = "# a comment\nlisten = 0.0.0.1:1\nlog-level = nonsense\n";
  ASSERT_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  close(fd);
  std::string output;
  setenv("REMUDA_INSECURE", "1", 1);  // so that the address is refused, and named
  EXPECT_EQ(ControllerProcess::RunToEnd({"--data-dir", "/tmp/x", "--config", file}, &output), 2);
  EXPECT_THAT(output, HasSubstr("0.0.0.1:1")) << "the file's";
  setenv("REMUDA_LISTEN", "0.0.0.2:2", 1);
  EXPECT_EQ(ControllerProcess::RunToEnd({"--data-dir", "/tmp/x", "--config", file}, &output), 2);
  EXPECT_THAT(output, HasSubstr("0.0.0.2:2")) << "the environment's";
  EXPECT_EQ(ControllerProcess::RunToEnd(
                {"--data-dir", "/tmp/x", "--config", file, "--listen", "0.0.0.3:3"}, &output),
            2);
  EXPECT_THAT(output, HasSubstr("0.0.0.3:3")) << "the flag's";
  unsetenv("REMUDA_LISTEN");
  unsetenv("REMUDA_INSECURE");
  unlink(file);
}

}  // namespace
}  // namespace remuda
