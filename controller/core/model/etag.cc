#include "controller/core/model/etag.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <cstdint>
#include <cstdio>

namespace remuda::core {
namespace {

// FNV-1a, 64 bits: equal content must give an equal etag on every run, which absl::Hash does not
// promise.
uint64_t Fnv1a(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : bytes) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  return hash;
}

}  // namespace

std::string HashText(std::string_view bytes) {
  char hex[17];
  std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(Fnv1a(bytes)));
  return hex;
}

std::string Fingerprint(google::protobuf::Message& scratch) {
  const auto* field = scratch.GetDescriptor()->FindFieldByName("etag");
  if (field != nullptr) scratch.GetReflection()->ClearField(&scratch, field);
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream out(&stream);
    out.SetSerializationDeterministic(true);  // maps in the order of their keys
    scratch.SerializeToCodedStream(&out);
  }
  return HashText(bytes);
}

}  // namespace remuda::core
