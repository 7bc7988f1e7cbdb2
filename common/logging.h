// Program logs: readable lines on a terminal, one JSON object a line otherwise; both on stderr.
//
// Owns: the format. Does not own: access logs and the logs of instances. Thread: InitLogging once,
// at the start of main; spdlog's own functions (spdlog::info and so on) from any thread afterwards.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace remuda {

enum class LogWriter : uint8_t {
  kCaller,      // each line is written before the call returns
  kBackground,  // by a thread of its own: nobody waits for a reader (BackgroundSink)
};

// Sets spdlog's default logger up. `level` is one of trace, debug, info, warn, error, off.
// Returns an empty string, or what is wrong with `level`, with the values that are allowed.
std::string InitLogging(std::string_view program, std::string_view level = "info",
                        LogWriter writer = LogWriter::kCaller);

// Of kBackground: lines that did not fit because nobody reads them. Any thread.
uint64_t LostLogLines();

// `text` as the inside of a JSON string: quotes, backslashes, control characters and broken UTF-8
// escaped.
std::string JsonEscape(std::string_view text);

}  // namespace remuda
