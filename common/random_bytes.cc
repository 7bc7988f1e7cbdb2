#include "common/random_bytes.h"

#include <random>

namespace remuda {

// std::random_device is the system's source of keys here (getrandom).
std::string RandomBytes(size_t count) {
  std::random_device random;
  std::string out(count, '\0');
  for (char& byte : out) byte = static_cast<char>(random());
  return out;
}

std::string RandomHex(size_t digits) {
  std::string out = RandomBytes(digits);
  for (char& digit : out) digit = "0123456789abcdef"[static_cast<unsigned char>(digit) & 15];
  return out;
}

}  // namespace remuda
