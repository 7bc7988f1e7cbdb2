#include "controller/backup/tar.h"

#include <cstdio>

namespace remuda::tar {
namespace {

constexpr int64_t kEndBytes = 2 * kBlockBytes;

struct Field {
  size_t at;
  int digits;
};
constexpr Field kMode{100, 7}, kUser{108, 7}, kGroup{116, 7}, kSize{124, 11}, kTime{136, 11};
constexpr size_t kChecksum = 148, kType = 156, kMagic = 257;

void PutOctal(std::string& block, Field field, int64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "%0*llo", field.digits, static_cast<unsigned long long>(value));
  block.replace(field.at, static_cast<size_t>(field.digits), text,
                static_cast<size_t>(field.digits));
}

}  // namespace

std::string Header(const std::string& name, int64_t size_bytes, int64_t unix_seconds) {
  std::string block(static_cast<size_t>(kBlockBytes), '\0');
  block.replace(0, name.size(), name);
  PutOctal(block, kMode, 0600);
  PutOctal(block, kUser, 0);
  PutOctal(block, kGroup, 0);
  PutOctal(block, kSize, size_bytes);
  PutOctal(block, kTime, unix_seconds);
  block[kType] = '0';
  block.replace(kMagic, 8,
                std::string("ustar\0"
                            "00",
                            8));
  block.replace(kChecksum, 8, 8, ' ');
  int64_t sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  PutOctal(block, {kChecksum, 6}, sum);
  block[kChecksum + 6] = '\0';
  return block;
}

std::string Padding(int64_t size_bytes) {
  const int64_t over = size_bytes % kBlockBytes;
  return std::string(static_cast<size_t>(over == 0 ? 0 : kBlockBytes - over), '\0');
}

std::string End() { return std::string(static_cast<size_t>(kEndBytes), '\0'); }

int64_t SizeOf(int64_t size_bytes) {
  return kBlockBytes + size_bytes + static_cast<int64_t>(Padding(size_bytes).size());
}

}  // namespace remuda::tar
