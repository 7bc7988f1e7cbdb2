// Keys and secrets: bytes that nobody can guess.
//
// Plain C++. Any thread.
#pragma once

#include <cstddef>
#include <string>

namespace remuda {

std::string RandomBytes(size_t count);

}  // namespace remuda
