// Records are read back from a disk that may have been damaged: whatever the bytes, decoding ends,
// and what it takes it gives back.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "agent/record_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto record = remuda::agent::Record::Decode(bytes);
  if (record && record->Encode() != bytes) abort();
  return 0;
}
