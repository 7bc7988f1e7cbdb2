// Whatever the bytes of an archive are: unpacking ends, keeps within its limits, and writes nothing
// outside of its directory.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "common/archive.h"

namespace fs = std::filesystem;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::string root = [] {
    std::string pattern = (fs::temp_directory_path() / "remuda-archive-fuzz-XXXXXX").string();
    return std::string(mkdtemp(pattern.data()));
  }();
  static const bool registered = std::atexit([] { fs::remove_all(root); }) == 0;
  (void)registered;
  const std::string archive = root + "/a";
  const std::string out = root + "/out";
  std::ofstream(archive, std::ios::binary | std::ios::trunc)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  fs::create_directory(out);
  (void)remuda::UnpackArchive(archive, out, {.max_content_bytes = 1 << 20, .max_entries = 100});
  size_t beside = 0;
  for (const auto& entry : fs::directory_iterator(root)) {
    if (entry.path() != archive && entry.path() != out) ++beside;
  }
  if (beside != 0) abort();
  for (const auto& entry : fs::recursive_directory_iterator(out)) {
    struct stat st {};
    if (lstat(entry.path().c_str(), &st) != 0) abort();
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode)) abort();
    if (S_ISREG(st.st_mode) && (st.st_mode & (S_ISUID | S_ISGID)) != 0) abort();
    // Directories may have any mode; make them deletable.
    if (S_ISDIR(st.st_mode)) chmod(entry.path().c_str(), 0700);
  }
  fs::remove_all(out);
  return 0;
}
