// SHA-256 of bytes and files, as 64 lower-case hexadecimal digits: the name of an image's content.
#pragma once

#include <absl/status/statusor.h>

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace remuda {

// Incremental. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();

  void Update(const void* data, size_t size_bytes);
  void Update(std::string_view bytes) { Update(bytes.data(), bytes.size()); }
  // Either ends it; call once.
  using Bytes = std::array<unsigned char, 32>;
  Bytes Digest();
  std::string HexDigest();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

std::string Sha256Hex(std::string_view bytes);
// Reads the whole file. The error names the path.
absl::StatusOr<std::string> Sha256OfFile(const std::string& path);

}  // namespace remuda
