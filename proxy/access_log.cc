#include "proxy/access_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <system_error>

#include "proxy/http/reason.h"
#include "proxy/session.h"

namespace remuda::proxy {
namespace {

void AppendEscaped(std::string_view text, std::string& out) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
}

void AppendQuoted(std::string_view text, std::string& out) {
  out += '"';
  if (text.empty()) out += '-';
  AppendEscaped(text, out);
  out += "\" ";
}

void AppendTime(std::chrono::system_clock::time_point time, std::string& out) {
  const auto us =
      std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
  const time_t seconds = us / 1000000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];
  const int size =
      std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ ", parts.tm_year + 1900,
                    parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                    static_cast<int>(us % 1000000));
  out.append(text, static_cast<size_t>(size));
}

// Seconds with milliseconds, or -1 for a time that did not happen.
void AppendSpan(SteadyTime from, SteadyTime to, std::string& out) {
  if (from == SteadyTime() || to == SteadyTime()) {
    out += "-1 ";
    return;
  }
  char text[32];
  const int size =
      std::snprintf(text, sizeof text, "%.3f ", std::chrono::duration<double>(to - from).count());
  out.append(text, static_cast<size_t>(size));
}

std::string_view ActionOf(const Exchange& x) {
  if (x.rule == nullptr) return "";
  switch (x.rule->action.index()) {
    case 0:
      return "forward";
    case 1:
      return "fixed-response";
    default:
      return "redirect";
  }
}

std::string_view ClassName(http::Classification classification) {
  switch (classification) {
    case http::Classification::kAmbiguous:
      return "Ambiguous";
    case http::Classification::kSevere:
      return "Severe";
    default:
      return "Acceptable";
  }
}

std::string_view ValueOf(const Exchange& x, http::FieldId id) {
  const http::Field* field = x.head_size > 0 ? x.request.fields.Find(id) : nullptr;
  return field == nullptr ? std::string_view() : field->value;
}

}  // namespace

void AppendAccessLine(const Exchange& x, const AccessContext& context, std::string& out) {
  const auto number = [&](auto value) {
    out += std::to_string(value);
    out += ' ';
  };
  const SteadyTime now = std::chrono::steady_clock::now();
  out += "http ";
  AppendTime(std::chrono::system_clock::now(), out);
  out += context.load_balancer;
  out += ' ';
  out.append(context.peer.text, context.peer.text_size);
  out += ':';
  number(context.peer.port);
  const std::string target = x.last_target == nullptr ? "-" : x.last_target->endpoint();
  out += target;
  out += ' ';
  AppendSpan(x.first_byte, x.sent_to_target, out);
  AppendSpan(x.sent_to_target, x.response_begin, out);
  AppendSpan(x.response_begin, x.response_begin == SteadyTime() ? SteadyTime() : now, out);
  const int status = x.status != 0 ? x.status : http::StatusOf(x.reason);
  number(status);
  const std::string target_status = x.target_status == 0 ? "-" : std::to_string(x.target_status);
  out += target_status;
  out += ' ';
  number(x.received_bytes);
  number(x.sent_bytes);
  out += '"';
  if (x.head_size > 0) {
    AppendEscaped(x.request.method_name, out);
    out += " http://";
    AppendEscaped(x.request.host, out);
    AppendEscaped(x.request.path, out);
    if (x.request.has_query) {
      out += '?';
      AppendEscaped(x.request.query, out);
    }
    out += x.request.minor_version == 1 ? " HTTP/1.1" : " HTTP/1.0";
  } else {
    out += "- - -";
  }
  out += "\" ";
  AppendQuoted(ValueOf(x, http::FieldId::kUserAgent), out);
  out += "- - ";  // cipher, TLS protocol
  if (x.group != nullptr) {
    out += "targetGroups/";
    out += x.group->id();
    out += ' ';
  } else {
    out += "- ";
  }
  AppendQuoted(x.trace_id[0] == '\0' ? std::string_view()
                                     : std::string_view("Root=" + std::string(x.trace_id)),
               out);
  out += "\"-\" \"-\" ";  // SNI, certificate
  number(x.rule == nullptr ? -1 : x.rule->priority);
  AppendTime(x.wall_begin, out);
  AppendQuoted(ActionOf(x), out);
  out += "\"-\" ";  // redirect URL
  AppendQuoted(http::NameOf(x.reason), out);
  AppendQuoted(x.last_target == nullptr ? std::string_view() : std::string_view(target), out);
  AppendQuoted(x.target_status == 0 ? std::string_view() : std::string_view(target_status), out);
  const http::Classification classification = http::ClassificationOf(x.reason);
  AppendQuoted(ClassName(classification), out);
  AppendQuoted(classification == http::Classification::kAcceptable ? std::string_view()
                                                                   : http::NameOf(x.reason),
               out);
  out += "-\n";  // connection trace id
}

AccessLog::AccessLog(const std::string& path) {
  fd_ = path == "-" ? dup(STDOUT_FILENO)
                    : open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "access log " + path);
  thread_ = std::thread([this] { Run(); });
}

AccessLog::~AccessLog() {
  {
    std::lock_guard lock(mutex_);
    is_stopped_ = true;
  }
  wake_.notify_one();
  thread_.join();
  close(fd_);
}

void AccessLog::Write(const Exchange& exchange, const AccessContext& context) {
  thread_local std::string line;
  line.clear();
  AppendAccessLine(exchange, context, line);
  bool was_empty;
  {
    std::lock_guard lock(mutex_);
    if (queue_.size() + line.size() > kMaxQueuedBytes) {
      lost_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    was_empty = queue_.empty();
    queue_ += line;
  }
  if (was_empty) wake_.notify_one();
}

void AccessLog::Run() {
  std::string batch;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return !queue_.empty() || is_stopped_; });
      if (queue_.empty()) return;
      batch.swap(queue_);
    }
    size_t written = 0;
    while (written < batch.size()) {
      const ssize_t n = write(fd_, batch.data() + written, batch.size() - written);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        for (size_t i = written; i < batch.size(); ++i) {
          if (batch[i] == '\n') lost_.fetch_add(1, std::memory_order_relaxed);
        }
        break;
      }
      written += static_cast<size_t>(n);
    }
    batch.clear();
  }
}

}  // namespace remuda::proxy
