// Streams of HTTP/1.1 messages for the differential tests: mostly well formed, with oddities of the
// kind that parsers disagree about, and now and then a broken byte. The same seed gives the same
// streams.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace remuda::proxy::testing {

// What requests and responses have in common.
class MessageGenerator {
 protected:
  explicit MessageGenerator(uint64_t seed) : random_(seed) {}

  // Fields that say how long `body` is, which they make; mostly they are right.
  std::string FramingFields(std::string& body);
  std::string OtherFields();
  std::string LineEnd();
  // A broken byte or two, or an early end: most often nothing.
  void Spoil(std::string& stream);

  // True once in `n` times.
  bool OneIn(uint64_t n) { return random_() % n == 0; }
  size_t Below(size_t n) { return static_cast<size_t>(random_() % n); }
  const std::string& Pick(const std::vector<std::string>& from) { return from[Below(from.size())]; }

 private:
  std::string Chunks();
  std::string Length(size_t size);
  void Break(std::string& stream);

  std::mt19937_64 random_;
};

class RequestGenerator : private MessageGenerator {
 public:
  explicit RequestGenerator(uint64_t seed) : MessageGenerator(seed) {}

  // One to four pipelined requests, perhaps cut short.
  std::string NextStream();

 private:
  std::string Request();
  std::string Target();
};

// What a target sends on one connection.
struct ResponseStream {
  uint8_t heads = 0;  // bit i: final response i answers a HEAD
  std::string bytes;
};

class ResponseGenerator : private MessageGenerator {
 public:
  explicit ResponseGenerator(uint64_t seed) : MessageGenerator(seed) {}

  // One to four responses, interim ones among them, perhaps cut short.
  ResponseStream NextStream();

 private:
  // Sets `is_final`.
  std::string Response(bool is_head, bool& is_final);
};

}  // namespace remuda::proxy::testing
