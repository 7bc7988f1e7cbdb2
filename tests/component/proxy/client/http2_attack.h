// What a hostile or broken client of HTTP/2 sends on one connection: frames of all kinds, most of
// them right, some wrong in their length, stream, order or content; then perhaps broken bytes. The
// same seed gives the same bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/component/proxy/testing/http2_client.h"

namespace remuda::proxy::testing {

class Http2Attack {
 public:
  explicit Http2Attack(uint64_t seed) : random_(seed) {}

  // The bytes of a new connection, from the preface on, in the pieces in which they are sent.
  // Together they are no more than fits into sockets that nobody reads.
  std::vector<std::string> NextConnection();
  // Below `n`, for what else the client does by chance.
  size_t Below(size_t n) { return static_cast<size_t>(random_() % n); }

 private:
  bool OneIn(size_t n) { return Below(n) == 0; }
  // As OneIn, for what most likely ends the connection: that would hide what comes behind it.
  bool OddOneIn(size_t n) { return OneIn(n * calm_); }
  std::string Bytes(size_t count);
  // 0, even, used, new or far off.
  uint32_t AnyStream();
  HeaderList AnyFields(bool& has_body);

  void Frame(uint8_t type, uint8_t flags, uint32_t stream, const std::string& payload);
  void Headers(uint32_t stream, const std::string& block, bool ends);
  void Request();
  void Body(uint32_t stream);
  void BodyBeyondWindows();
  void HeaderGarbage();
  void ResetStorm();
  void WindowUpdate();
  void Settings();
  void SmallFrame();
  void RandomFrame();
  void WrongLength();
  void Break();

  std::mt19937_64 random_;
  // Without a connection: for its header compression and its stream ids.
  std::unique_ptr<Http2Client> encoder_;
  uint32_t last_stream_ = 1;
  size_t calm_ = 1;  // of this connection
  std::string bytes_;
};

}  // namespace remuda::proxy::testing
