#include "agent/log_streams.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <vector>

namespace remuda::agent {
namespace {

namespace fs = std::filesystem;

class LogStreamsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "remuda-logs-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(root_); }

  v1::LogRequest Request(bool follow) {
    v1::LogRequest request;
    request.set_stream_id(1);
    request.set_instance("i-a");
    request.set_tail_lines(1000);
    request.set_follow(follow);
    return request;
  }
  // The app prints as fast as its log is read: more whenever a chunk is sent.
  LogStreams::Options Options(LogWriter& app) {
    return {.directory_of = [this](const std::string&) { return root_.string(); },
            .is_alive = [](const std::string&) { return true; },
            .send =
                [this, &app](const v1::LogChunk& chunk) {
                  sent_ += chunk.data();
                  ended_ = chunk.end();
                  if (++chunks_ < kMost) app.Append("more\n");
                },
            .has_room = [this] { return chunks_ < kMost; }};
  }

  static constexpr int kMost = 50;
  fs::path root_;
  EventLoop loop_;
  std::string sent_;
  int chunks_ = 0;
  bool ended_ = false;
};

TEST_F(LogStreamsTest, OneThatDoesNotFollowEndsWhereTheLogWasWhenItWasAskedFor) {
  LogWriter app(root_, {.segment_bytes = 1 << 20});
  app.Append("one\ntwo\n");
  LogStreams streams(loop_, Options(app));
  streams.Open(Request(/*follow=*/false));
  EXPECT_TRUE(ended_);
  EXPECT_EQ(sent_, "one\ntwo\n");
}

TEST_F(LogStreamsTest, OneThatFollowsGoesOn) {
  LogWriter app(root_, {.segment_bytes = 1 << 20});
  app.Append("one\n");
  LogStreams streams(loop_, Options(app));
  streams.Open(Request(/*follow=*/true));
  EXPECT_FALSE(ended_);
  EXPECT_EQ(chunks_, kMost);
  EXPECT_EQ(sent_.rfind("one\nmore\nmore\n", 0), 0u);
}

}  // namespace
}  // namespace remuda::agent
