// Keys, secrets and names of runs: bytes that nobody can guess.
//
// Plain C++. Any thread.
#pragma once

#include <cstddef>
#include <string>

namespace remuda {

std::string RandomBytes(size_t count);
// As hexadecimal digits, for names that nothing else may have.
std::string RandomHex(size_t digits = 16);

}  // namespace remuda
