#include "agent/record_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "agent/process.h"

namespace remuda::agent {

std::string Record::Text(std::string_view key) const {
  for (const auto& [k, v] : fields_) {
    if (k == key) return v;
  }
  return {};
}

int64_t Record::Number(std::string_view key) const {
  return std::strtoll(Text(key).c_str(), nullptr, 10);
}

std::vector<std::string> Record::All(std::string_view key) const {
  std::vector<std::string> values;
  for (const auto& [k, v] : fields_) {
    if (k == key) values.push_back(v);
  }
  return values;
}

std::string Record::Encode() const {
  std::string out;
  for (const auto& [k, v] : fields_) {
    out += k;
    out += '=';
    out += v;
    out += '\0';
  }
  return out;
}

std::optional<Record> Record::Decode(std::string_view bytes) {
  Record record;
  while (!bytes.empty()) {
    const size_t end = bytes.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view field = bytes.substr(0, end);
    const size_t equals = field.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    record.Add(std::string(field.substr(0, equals)), std::string(field.substr(equals + 1)));
    bytes.remove_prefix(end + 1);
  }
  return record;
}

int Record::WriteTo(const std::string& path) const {
  return WriteFileAtomically(path, Encode(), false, 0600);
}

std::optional<Record> Record::ReadFrom(const std::string& path) {
  const auto bytes = ReadWholeFile(path);
  return bytes ? Decode(*bytes) : std::nullopt;
}

int WriteFileAtomically(const std::string& path, std::string_view bytes, bool sync, unsigned mode) {
  const std::string temporary = path + ".tmp";
  Fd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!fd.valid()) return errno;
  while (!bytes.empty()) {
    const ssize_t n = write(fd.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  if (sync && fsync(fd.get()) != 0) return errno;
  fd.Reset();
  if (std::rename(temporary.c_str(), path.c_str()) != 0) return errno;
  if (sync) {
    const size_t slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    const Fd dir(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!dir.valid() || fsync(dir.get()) != 0) return errno;
  }
  return 0;
}

std::optional<std::string> ReadWholeFile(const std::string& path) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return std::nullopt;
  std::string out;
  char buffer[16 * 1024];
  for (;;) {
    const ssize_t n = read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::nullopt;
    if (n == 0) return out;
    out.append(buffer, static_cast<size_t>(n));
  }
}

}  // namespace remuda::agent
