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

}  // namespace remuda
