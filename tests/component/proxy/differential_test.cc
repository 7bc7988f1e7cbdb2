// Our framing against a parser of another make: node's llhttp. Whatever we accept, it must frame
// the same way (the same requests, in the same places, with the same bodies) or refuse; and what we
// would send on it must take as we meant it.
//
// REMUDA_DIFFERENTIAL_SECONDS: how long (3). REMUDA_DIFFERENTIAL_SEED: to repeat a run.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>

#include "tests/component/proxy/differential_generator.h"
#include "tests/component/proxy/stream_reader.h"

namespace remuda::proxy::testing {
namespace {

constexpr int kStreamsARound = 500;

// As a line of llhttp_frames.js has it.
std::string ToText(const Frame& frame) {
  uint32_t hash = 0x811c9dc5;
  for (const char c : frame.body) hash = (hash ^ static_cast<uint8_t>(c)) * 0x01000193U;
  std::string hex;
  for (const char c : frame.target) {
    hex += "0123456789abcdef"[static_cast<uint8_t>(c) >> 4];
    hex += "0123456789abcdef"[static_cast<uint8_t>(c) & 15];
  }
  return frame.method + "," + hex + "," + std::to_string(frame.body.size()) + "," +
         std::to_string(hash);
}

// The other parser: a child that answers a line a stream.
class OtherParser {
 public:
  OtherParser() {
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) return;
    pid_ = fork();
    if (pid_ == 0) {
      dup2(to[0], STDIN_FILENO);
      dup2(from[1], STDOUT_FILENO);
      execlp("node", "node", REMUDA_SOURCE_DIR "/tests/component/proxy/llhttp_frames.js", nullptr);
      _exit(127);
    }
    close(to[0]);
    close(from[1]);
    in_ = fdopen(to[1], "w");
    out_ = fdopen(from[0], "r");
  }
  ~OtherParser() {
    if (in_ != nullptr) fclose(in_);
    if (out_ != nullptr) fclose(out_);
    if (pid_ > 0) kill(pid_, SIGKILL), waitpid(pid_, nullptr, 0);
  }

  // The fields of each stream's line; fewer lines if the child died.
  std::vector<std::vector<std::string>> Read(const std::vector<std::string>& streams) {
    std::thread writer([&] {
      for (const std::string& stream : streams) {
        const uint32_t size = static_cast<uint32_t>(stream.size());
        fwrite(&size, sizeof size, 1, in_);
        fwrite(stream.data(), 1, stream.size(), in_);
      }
      fflush(in_);
    });
    std::vector<std::vector<std::string>> lines;
    char* line = nullptr;
    size_t capacity = 0;
    ssize_t size = 0;
    while (lines.size() < streams.size() && (size = getline(&line, &capacity, out_)) > 0) {
      std::vector<std::string> fields(1);
      for (const char c : std::string(line, static_cast<size_t>(size) - 1)) {
        if (c == '|') {
          fields.emplace_back();
        } else {
          fields.back() += c;
        }
      }
      lines.push_back(std::move(fields));
    }
    std::free(line);
    writer.join();
    return lines;
  }

 private:
  pid_t pid_ = -1;
  FILE* in_ = nullptr;
  FILE* out_ = nullptr;
};

std::string Escaped(const std::string& bytes) {
  std::string out;
  for (const char c : bytes) {
    char hex[8];
    if (c == '\r') {
      out += "\\r";
    } else if (c == '\n') {
      out += "\\n\n";
    } else if (c >= 0x20 && c < 0x7f) {
      out += c;
    } else {
      std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<uint8_t>(c));
      out += hex;
    }
  }
  return out;
}

// Why llhttp may refuse what we take, so that it is no disagreement about framing. In every stream:
// methods that it does not know, and what is no URL to it.
bool IsStricter(const std::string& end) {
  return end.rfind("HPE_INVALID_METHOD ", 0) == 0 || end.rfind("HPE_INVALID_URL ", 0) == 0;
}

// Only in what a client sends, as we do not pass it on: chunk extensions that are not of the
// grammar, a tab behind a length or a coding, and Proxy-Connection, which it takes for Connection.
bool IsStricterWithClients(const std::string& end) {
  return IsStricter(end) || end.find("chunk extensions") != std::string::npos ||
         end == "HPE_INVALID_CONTENT_LENGTH Invalid character in Content-Length" ||
         end == "HPE_INVALID_TRANSFER_ENCODING Request has invalid `Transfer-Encoding`" ||
         end.rfind("HPE_CLOSED_CONNECTION ", 0) == 0;
}

// Empty if `theirs` frames as `ours` does.
std::string Disagreement(const std::vector<Frame>& ours, bool wants_more,
                         const std::vector<std::string>& theirs,
                         bool (*is_stricter)(const std::string&)) {
  const std::string& end = theirs.back();
  const size_t count = theirs.size() - 1;
  for (size_t i = 0; i < ours.size(); ++i) {
    if (i == count) {
      // "upgrade": to it the connection speaks something else from there on.
      return is_stricter(end) || end == "upgrade" ? "" : "it refuses a request: " + end;
    }
    const std::string text = ToText(ours[i]);
    if (text != theirs[i])
      return "request " + std::to_string(i) + ": " + text + " and " + theirs[i];
  }
  if (wants_more && count > ours.size()) return "it sees more requests: " + theirs[ours.size()];
  return "";
}

class Differential {
 public:
  explicit Differential(uint64_t seed) : generator_(seed) {}

  // Empty: no disagreement.
  std::string Round() {
    std::vector<std::string> streams;
    std::vector<StreamView> views;
    for (int i = 0; i < kStreamsARound; ++i) {
      streams.push_back(generator_.NextStream());
      views.push_back(ReadStream(streams.back()));
      accepted += static_cast<int>(views.back().frames.size());
    }
    std::vector<std::string> all = streams;
    // What passes in the mode that lets most pass is no less clear when it is sent on.
    std::vector<StreamView> lax;
    for (const std::string& stream : streams) {
      lax.push_back(ReadStream(stream, http::DesyncMode::kMonitor));
      all.push_back(lax.back().forwarded);
    }
    const auto theirs = other_.Read(all);
    if (theirs.size() != all.size()) return "the other parser ended early";
    for (size_t i = 0; i < streams.size(); ++i) {
      std::string what =
          Disagreement(views[i].frames, views[i].wants_more, theirs[i], IsStricterWithClients);
      if (!what.empty()) return what + "\n" + Escaped(streams[i]);
      what = Disagreement(lax[i].forwarded_frames, true, theirs[streams.size() + i], IsStricter);
      if (!what.empty()) {
        return "as forwarded: " + what + "\n" + Escaped(streams[i]) + "\n---\n" +
               Escaped(lax[i].forwarded);
      }
    }
    count += kStreamsARound;
    return "";
  }

  int count = 0;
  int accepted = 0;  // requests

 private:
  RequestGenerator generator_;
  OtherParser other_;
};

uint64_t NumberFrom(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

TEST(DifferentialTest, WhatWeAcceptLlhttpFramesAlike) {
  signal(SIGPIPE, SIG_IGN);
  const uint64_t seed = NumberFrom("REMUDA_DIFFERENTIAL_SEED", std::random_device()());
  const auto end = std::chrono::steady_clock::now() +
                   std::chrono::seconds(NumberFrom("REMUDA_DIFFERENTIAL_SECONDS", 3));
  std::printf("REMUDA_DIFFERENTIAL_SEED=%llu\n", static_cast<unsigned long long>(seed));
  Differential differential(seed);
  do {
    const std::string what = differential.Round();
    ASSERT_TRUE(what.empty()) << what << "\nafter " << differential.count << " streams of seed "
                              << seed;
  } while (std::chrono::steady_clock::now() < end);
  std::printf("%d streams, %d requests accepted\n", differential.count, differential.accepted);
  // A generator that makes only garbage would test nothing.
  EXPECT_GT(differential.accepted, differential.count / 4);
}

}  // namespace
}  // namespace remuda::proxy::testing
