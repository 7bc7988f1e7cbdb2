// Streams of HTTP/1.1 requests for the differential test: mostly well formed, with oddities of the
// kind that parsers disagree about, and now and then a broken byte. The same seed gives the same
// streams.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace remuda::proxy::testing {

class RequestGenerator {
 public:
  explicit RequestGenerator(uint64_t seed) : random_(seed) {}

  // One to four pipelined requests, perhaps cut short.
  std::string NextStream();

 private:
  std::string Request();
  std::string Target();
  std::string FramingFields(std::string& body);
  std::string Chunks();
  std::string Length(size_t size);
  std::string OtherFields();
  void Break(std::string& stream);

  // True once in `n` times.
  bool OneIn(uint64_t n) { return random_() % n == 0; }
  size_t Below(size_t n) { return static_cast<size_t>(random_() % n); }
  const std::string& Pick(const std::vector<std::string>& from) { return from[Below(from.size())]; }
  std::string LineEnd();

  std::mt19937_64 random_;
};

}  // namespace remuda::proxy::testing
