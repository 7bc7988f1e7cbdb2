// A parser of another make, to compare ours with: node's llhttp, in a child that answers a line a
// stream.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/component/proxy/testing/stream_reader.h"

namespace remuda::proxy::testing {

class OtherParser {
 public:
  enum class Messages : uint8_t { kRequests, kResponses };

  // Starts the child; a call of Read says if that failed.
  explicit OtherParser(Messages messages);
  ~OtherParser();  // ends it
  OtherParser(const OtherParser&) = delete;
  OtherParser& operator=(const OtherParser&) = delete;

  // The fields of each stream's line, as llhttp_frames.js says; fewer lines if the child died.
  std::vector<std::vector<std::string>> Read(const std::vector<std::string>& streams);

 private:
  pid_t pid_ = -1;
  FILE* in_ = nullptr;
  FILE* out_ = nullptr;
};

// A message as one of the child's fields has it.
std::string ToText(const Frame& frame);

// For failures: line ends and what is not printable escaped.
std::string Escaped(const std::string& bytes);

}  // namespace remuda::proxy::testing
