// The smallest archive that an image may be.
#pragma once

#include <cstdio>
#include <cstring>
#include <string>

namespace remuda {

// A tar (POSIX ustar) with one file, `app`.
inline std::string TarOf(const std::string& content) {
  constexpr size_t kBlock = 512;
  std::string header(kBlock, '\0');
  const auto put = [&header](size_t at, const char* text) {
    header.replace(at, std::strlen(text), text);
  };
  char size[12];
  std::snprintf(size, sizeof size, "%011zo", content.size());
  put(0, "app");
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, size);
  put(136, "00000000000");
  put(148, "        ");  // the checksum counts itself as spaces
  put(156, "0");
  put(257, "ustar");
  put(263, "00");
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  char text[8];
  std::snprintf(text, sizeof text, "%06o", sum);
  header.replace(148, 7, text, 7);
  std::string out = header + content;
  out.resize((out.size() + kBlock - 1) / kBlock * kBlock);
  out.append(2 * kBlock, '\0');
  return out;
}

}  // namespace remuda
