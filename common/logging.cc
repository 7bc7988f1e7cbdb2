#include "common/logging.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <memory>

#include "common/background_sink.h"
#include "common/utf8.h"

namespace remuda {
namespace {

// The message of a line as the inside of a JSON string.
class JsonMessageFlag final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const std::string escaped = JsonEscape({message.payload.data(), message.payload.size()});
    out.append(escaped.data(), escaped.data() + escaped.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<JsonMessageFlag>();
  }
};

// Of the newest logger; null if it has none.
std::atomic<const BackgroundSink*> background{nullptr};

std::shared_ptr<spdlog::sinks::sink> MakeSink(std::string_view program, bool is_terminal,
                                              LogWriter writer) {
  if (writer == LogWriter::kBackground) {
    auto sink = std::make_shared<BackgroundSink>(std::string(program), STDERR_FILENO, is_terminal);
    background.store(sink.get());
    return sink;
  }
  background.store(nullptr);
  if (is_terminal) return std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  return std::make_shared<spdlog::sinks::stderr_sink_mt>();
}

}  // namespace

uint64_t LostLogLines() {
  const BackgroundSink* const sink = background.load();
  return sink == nullptr ? 0 : sink->lost_lines();
}

std::string JsonEscape(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    const size_t length = Utf8Length(text.substr(i));
    if (length == 0) {
      out += "\\ufffd";
      ++i;
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
      ++i;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += "\\u00";
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 15];
      ++i;
    } else {
      out.append(text.substr(i, length));
      i += length;
    }
  }
  return out;
}

std::string InitLogging(std::string_view program, std::string_view level, LogWriter writer) {
  const auto parsed = spdlog::level::from_str(std::string(level));
  if (parsed == spdlog::level::off && level != "off") {
    return "log level \"" + std::string(level) +
           "\" is not one of trace, debug, info, warn, error, off";
  }
  const bool terminal = isatty(STDERR_FILENO) != 0;
  auto logger =
      std::make_shared<spdlog::logger>(std::string(program), MakeSink(program, terminal, writer));
  if (terminal) {
    logger->set_pattern("%H:%M:%S.%e %^%-5l%$ %n: %v");
  } else {
    auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc,
                                                                 spdlog::details::os::default_eol);
    formatter->add_flag<JsonMessageFlag>('*').set_pattern(
        R"({"time":"%Y-%m-%dT%H:%M:%S.%fZ","level":"%l","program":"%n","message":"%*"})");
    logger->set_formatter(std::move(formatter));
  }
  logger->set_level(parsed);
  logger->flush_on(writer == LogWriter::kCaller ? spdlog::level::info : spdlog::level::off);
  spdlog::set_default_logger(logger);
  return "";
}

}  // namespace remuda
