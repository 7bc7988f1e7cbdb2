#include "common/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/ids.h"
#include "common/sha256.h"
#include "tests/few_files.h"

namespace remuda {
namespace {

namespace fs = std::filesystem;

class TempDir {
 public:
  TempDir() {
    std::string pattern = (fs::temp_directory_path() / "remuda-archive-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TempDir() { fs::remove_all(path_); }
  fs::path operator/(const std::string& name) const { return path_ / name; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

void Write(const fs::path& path, const std::string& content) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << content;
}

std::string Read(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Item {
  std::string name;
  mode_t mode = S_IFREG | 0644;
  std::string content = {};
  std::string symlink = {};
  std::string hardlink = {};
  int64_t claimed_size = -1;
};

// An archive as an attacker would make it: nothing is checked.
void MakeArchive(const fs::path& path, const std::vector<Item>& items,
                 int filter = ARCHIVE_FILTER_NONE) {
  archive* a = archive_write_new();
  archive_write_set_format_pax_restricted(a);
  archive_write_add_filter(a, filter);
  ASSERT_EQ(archive_write_open_filename(a, path.c_str()), ARCHIVE_OK);
  for (const Item& item : items) {
    archive_entry* e = archive_entry_new();
    archive_entry_set_pathname(e, item.name.c_str());
    archive_entry_set_mode(e, item.mode);
    archive_entry_set_size(e, item.claimed_size >= 0
                                  ? item.claimed_size
                                  : static_cast<la_int64_t>(item.content.size()));
    if (!item.symlink.empty()) archive_entry_set_symlink(e, item.symlink.c_str());
    if (!item.hardlink.empty()) archive_entry_set_hardlink(e, item.hardlink.c_str());
    ASSERT_EQ(archive_write_header(a, e), ARCHIVE_OK) << archive_error_string(a);
    archive_write_data(a, item.content.data(), item.content.size());
    archive_entry_free(e);
  }
  archive_write_close(a);
  archive_write_free(a);
}

std::vector<std::string> NamesIn(const fs::path& path) {
  std::vector<std::string> names;
  archive* a = archive_read_new();
  archive_read_support_format_tar(a);
  archive_read_support_filter_zstd(a);
  archive_read_open_filename(a, path.c_str(), 10'240);
  archive_entry* e = nullptr;
  while (archive_read_next_header(a, &e) == ARCHIVE_OK)
    names.emplace_back(archive_entry_pathname(e));
  archive_read_free(a);
  return names;
}

TEST(Archive, PackThenUnpackGivesTheSameTree) {
  TempDir temp;
  Write(temp / "app/app.js", "console.log(1)\n");
  Write(temp / "app/lib/deep/x.txt", std::string(300'000, 'x'));
  Write(temp / "app/run.sh", "#!/bin/sh\n");
  fs::permissions(temp / "app/run.sh", fs::perms(0755));
  fs::create_directory(temp / "app/empty");
  fs::create_symlink("lib/deep", temp / "app/link");
  fs::create_symlink("../../run.sh", temp / "app/lib/deep/up");

  const auto packed = PackDirectory(temp / "app", temp / "a.tar.zst");
  ASSERT_TRUE(packed.ok()) << packed.status();
  EXPECT_EQ(packed->content_bytes, 300'000u + 15 + 10);
  EXPECT_EQ(packed->entries, 8u);
  EXPECT_EQ(packed->archive_bytes, fs::file_size(temp / "a.tar.zst"));
  EXPECT_EQ(packed->sha256, *Sha256OfFile(temp / "a.tar.zst"));

  fs::create_directory(temp / "out");
  const auto unpacked = UnpackArchive(temp / "a.tar.zst", temp / "out");
  ASSERT_TRUE(unpacked.ok()) << unpacked.status();
  EXPECT_EQ(unpacked->content_bytes, packed->content_bytes);
  const auto looked = CheckArchive(temp / "a.tar.zst", {}, nullptr);
  ASSERT_TRUE(looked.ok()) << looked.status();
  EXPECT_EQ(looked->content_bytes, unpacked->content_bytes);
  EXPECT_EQ(looked->entries, unpacked->entries);
  EXPECT_EQ(Read(temp / "out/app.js"), "console.log(1)\n");
  EXPECT_EQ(Read(temp / "out/link/x.txt").size(), 300'000u);
  EXPECT_EQ(fs::status(temp / "out/run.sh").permissions(), fs::perms(0755));
  EXPECT_TRUE(fs::is_directory(temp / "out/empty"));
  EXPECT_EQ(fs::read_symlink(temp / "out/lib/deep/up"), "../../run.sh");
}

TEST(Archive, NamesBeyondAsciiArePackedInAnyLocale) {
  // This program runs in the "C" locale, as all of ours do.
  TempDir temp;
  Write(temp / "app/\xc3\xbc.txt", "u");
  Write(temp / "app/caf\xe9", "latin 1");
  Write(temp / "app/plain", "p");
  fs::create_symlink("\xc3\xbc.txt", temp / "app/link");
  const auto packed = PackDirectory(temp / "app", temp / "a.tar.zst");
  ASSERT_TRUE(packed.ok()) << packed.status();
  EXPECT_EQ(packed->entries, 4u);
  fs::create_directory(temp / "out");
  const auto unpacked = UnpackArchive(temp / "a.tar.zst", temp / "out");
  ASSERT_TRUE(unpacked.ok()) << unpacked.status();
  EXPECT_EQ(Read(temp / "out/\xc3\xbc.txt"), "u");
  EXPECT_EQ(Read(temp / "out/caf\xe9"), "latin 1");
  EXPECT_EQ(Read(temp / "out/link"), "u");
}

TEST(Archive, ARefusalIsTextWhateverTheNameIs) {
  TempDir temp;
  const std::string target = "/" + std::string(5000, 'x');
  MakeArchive(temp / "a", {{.name = "link", .mode = S_IFLNK | 0777, .symlink = target}});
  fs::create_directory(temp / "out");
  const std::string refused(UnpackArchive(temp / "a", temp / "out").status().message());
  EXPECT_LT(refused.size(), 1000u) << "as long as the archive's author likes";
  EXPECT_NE(refused.find("(cut)"), std::string::npos);
}

TEST(Archive, PackingIsDeterministic) {
  TempDir temp;
  for (const char* side : {"one", "two"}) {
    Write(temp / side / "b", "2");
    Write(temp / side / "a/c", "3");
  }
  fs::last_write_time(temp / "two/b", fs::file_time_type::clock::now() - std::chrono::hours(5));
  const auto one = PackDirectory(temp / "one", temp / "1");
  const auto two = PackDirectory(temp / "two", temp / "2");
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_EQ(one->sha256, two->sha256);
  Write(temp / "two/b", "X");
  EXPECT_NE(one->sha256, PackDirectory(temp / "two", temp / "3")->sha256);
}

TEST(Archive, PackRefusesByName) {
  struct Case {
    std::string what, expect;
    std::function<void(const fs::path&)> make;
    PackOptions options = {};
  };
  const std::vector<Case> cases = {
      {"a link out", "\"bad\"",
       [](const fs::path& d) { fs::create_symlink("/etc/passwd", d / "bad"); }},
      {"a link up", "\"bad\"", [](const fs::path& d) { fs::create_symlink("../x", d / "bad"); }},
      {"a fifo", "\"bad\"", [](const fs::path& d) { mkfifo((d / "bad").c_str(), 0600); }},
      {"setuid", "\"bad\"",
       [](const fs::path& d) {
         Write(d / "bad", "x");
         chmod((d / "bad").c_str(), 04755);
       }},
      {"too large",
       "over 4 bytes",
       [](const fs::path& d) { Write(d / "bad", "12345"); },
       {.limits = {.max_content_bytes = 4}}},
      {"too many",
       "more than 1 entries",
       [](const fs::path& d) {
         Write(d / "a", "");
         Write(d / "bad", "");
       },
       {.limits = {.max_entries = 1}}},
      {"names too long",
       "names of all entries are over 10 bytes",
       [](const fs::path& d) {
         Write(d / "five5", "");
         Write(d / "six666", "");
       },
       {.limits = {.max_names_bytes = 10}}},
      {"too deep",
       "\"a/b/bad\": it lies in more than 1 directories",
       [](const fs::path& d) { Write(d / "a/b/bad", ""); },
       {.limits = {.max_depth = 1}}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    TempDir temp;
    fs::create_directory(temp / "d");
    c.make(temp / "d");
    const auto packed = PackDirectory(temp / "d", temp / "out", c.options);
    ASSERT_FALSE(packed.ok());
    EXPECT_NE(packed.status().message().find(c.expect), absl::string_view::npos) << packed.status();
    EXPECT_FALSE(fs::exists(temp / "out"));
  }
  TempDir temp;
  fs::create_directory(temp / "d");
  mkfifo((temp / "d/fifo").c_str(), 0600);
  EXPECT_TRUE(PackDirectory(temp / "d", temp / "out", {.skip_sockets_and_fifos = true}).ok());
}

// An app whose directory is made an image runs meanwhile: what it puts in the place of a directory
// that was just looked at must not lead the packer, which may be root, out of it.
TEST(Archive, PacksNothingFromBehindALinkThatTakesTheDirectorysPlace) {
  TempDir temp;
  Write(temp / "host/secret", "of the host");
  Write(temp / "app/d/file", "of the app");
  fs::create_symlink(temp / "host", temp / "link");
  const std::string d = temp / "app/d", e = temp / "link";
  std::atomic<bool> over = false;
  std::thread app([&] {
    while (!over) renameat2(AT_FDCWD, d.c_str(), AT_FDCWD, e.c_str(), RENAME_EXCHANGE);
  });
  std::set<std::string> packed;
  for (int i = 0; i < 400; ++i) {
    // Refused where the link is met as one; but for that it may have any outcome.
    if (!PackDirectory(temp / "app", temp / "a").ok()) continue;
    for (const std::string& name : NamesIn(temp / "a")) packed.insert(name);
    fs::remove(temp / "a");
  }
  over = true;
  app.join();
  EXPECT_EQ(packed.count("d/secret"), 0u);
  EXPECT_EQ(packed.count("d/file"), 1u);
}

TEST(Archive, ReadsTarGzipAndZstd) {
  for (const int filter : {ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_ZSTD}) {
    SCOPED_TRACE(filter);
    TempDir temp;
    MakeArchive(temp / "a", {{.name = "./x", .content = "hello"}}, filter);
    fs::create_directory(temp / "out");
    const auto unpacked = UnpackArchive(temp / "a", temp / "out");
    ASSERT_TRUE(unpacked.ok()) << unpacked.status();
    EXPECT_EQ(Read(temp / "out/x"), "hello");
  }
}

TEST(Archive, UnpackRefusesByNameAndWritesNothingOutside) {
  struct Case {
    std::string what;
    std::vector<Item> items;
    std::string expect;
    ArchiveLimits limits = {};
  };
  const Item kDir{.name = "d", .mode = S_IFDIR | 0755};
  const auto link = [](std::string name, std::string target) {
    return Item{.name = std::move(name), .mode = S_IFLNK | 0777, .symlink = std::move(target)};
  };
  const std::vector<Case> cases = {
      {"dotdot", {{.name = "../escaped", .content = "x"}}, "\"../escaped\""},
      {"dotdot inside", {kDir, {.name = "d/../../escaped", .content = "x"}}, "\"d/../../escaped\""},
      {"absolute", {{.name = "/tmp/remuda-escaped", .content = "x"}}, "must be relative"},
      {"absolute link", {link("l", "/etc")}, "leads out"},
      {"link up", {link("l", "../escaped")}, "leads out"},
      {"link up from deep", {kDir, link("d/l", "../../escaped")}, "leads out"},
      {"dotdot behind a link", {kDir, link("d/l", ".."), link("m", "d/l/../..")}, "\"m\""},
      {"through a link", {kDir, link("l", "d"), {.name = "l/x", .content = "x"}}, "\"l/x\""},
      {"hard link out", {{.name = "h", .hardlink = "../../etc/passwd"}}, "no earlier file"},
      {"hard link to nothing", {{.name = "h", .hardlink = "nothing"}}, "no earlier file"},
      {"hard link to a link",
       {kDir, link("l", "d"), {.name = "h", .hardlink = "l"}},
       "no earlier file"},
      {"device", {{.name = "dev", .mode = S_IFCHR | 0666}}, "only files"},
      {"block device", {{.name = "dev", .mode = S_IFBLK | 0666}}, "only files"},
      {"fifo", {{.name = "pipe", .mode = S_IFIFO | 0666}}, "only files"},
      {"setuid", {{.name = "su", .mode = S_IFREG | 04755, .content = "x"}}, "set-user-id"},
      {"setgid", {{.name = "sg", .mode = S_IFREG | 02755, .content = "x"}}, "set-user-id"},
      {"twice", {{.name = "x", .content = "1"}, {.name = "./x", .content = "2"}}, "twice"},
      {"link then file", {link("x", "y"), {.name = "x", .content = "2"}}, "twice"},
      {"too many",
       {{.name = "a"}, {.name = "b"}, {.name = "c"}},
       "\"c\": more than 2",
       {.max_entries = 2}},
      {"names too long",
       {{.name = "five5"}, {.name = "six666"}},
       "\"six666\": the names of all entries are over 10",
       {.max_names_bytes = 10}},
      {"bomb",
       {{.name = "zeros", .content = std::string(1 << 20, '\0')}},
       "\"zeros\": the content is over",
       {.max_content_bytes = 1000}},
      {"bomb in parts",
       {{.name = "a", .content = std::string(600, '\0')},
        {.name = "b", .content = std::string(600, '\0')}},
       "\"b\": the content is over",
       {.max_content_bytes = 1000}},
  };
  for (const Case& c : cases) {
    for (const int filter : {ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_ZSTD}) {
      SCOPED_TRACE(c.what);
      TempDir temp;
      MakeArchive(temp / "a", c.items, filter);
      fs::create_directories(temp / "in/out");
      const auto unpacked = UnpackArchive(temp / "a", temp / "in/out", c.limits);
      ASSERT_FALSE(unpacked.ok());
      EXPECT_EQ(unpacked.status().code(), absl::StatusCode::kInvalidArgument) << unpacked.status();
      EXPECT_NE(unpacked.status().message().find(c.expect), absl::string_view::npos)
          << unpacked.status();
      EXPECT_FALSE(fs::exists(temp / "in/escaped"));
      EXPECT_FALSE(fs::exists(temp / "escaped"));
      EXPECT_FALSE(fs::exists("/tmp/remuda-escaped"));
      // Who only looks refuses the same.
      const absl::Status looked = CheckArchive(temp / "a", c.limits, nullptr).status();
      EXPECT_EQ(looked.code(), absl::StatusCode::kInvalidArgument) << looked;
      EXPECT_NE(looked.message().find(c.expect), absl::string_view::npos) << looked;
    }
  }
}

TEST(Archive, WhatIsMuchLargerThanItsArchiveOrTooDeepIsRefused) {
  TempDir temp;
  const ArchiveLimits limits{
      .max_name_bytes = 300, .max_depth = 10, .max_ratio = 100, .small_content_bytes = 1 << 20};
  const std::string zeros(2 << 20, '\0');
  struct Case {
    const char* what;
    std::vector<Item> items;
    const char* why;  // nullptr: it is taken
  };
  std::string deep;
  for (int i = 0; i < 11; ++i) deep += "d/";
  const Case cases[] = {
      {"small, whatever its ratio", {{.name = "a", .content = zeros.substr(0, 1 << 20)}}, nullptr},
      {"one file", {{.name = "a", .content = zeros}}, "100 times the archive's size"},
      {"many files",
       {{.name = "a", .content = zeros.substr(0, 1 << 20)}, {.name = "b", .content = zeros}},
       "\"b\": the content is over 100 times"},
      {"deep", {{.name = deep + "a"}}, "more than 10 directories"},
      {"long", {{.name = std::string(301, 'a')}}, "the name is over 300 bytes"},
  };
  for (const Case& c : cases) {
    MakeArchive(temp / "a.tar.zst", c.items, ARCHIVE_FILTER_ZSTD);
    const auto looked = CheckArchive(temp / "a.tar.zst", limits, nullptr);
    if (c.why == nullptr) {
      EXPECT_TRUE(looked.ok()) << c.what << looked.status();
      continue;
    }
    EXPECT_TRUE(absl::IsInvalidArgument(looked.status())) << c.what << looked.status();
    EXPECT_NE(looked.status().message().find(c.why), absl::string_view::npos) << looked.status();
  }
}

TEST(Archive, GarbageTruncatedAndNonEmptyAreRefused) {
  TempDir temp;
  fs::create_directory(temp / "out");
  Write(temp / "garbage",
        "this is no archive at all, but it is long enough to look at" + std::string(2000, '?'));
  EXPECT_EQ(UnpackArchive(temp / "garbage", temp / "out").status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(UnpackArchive(temp / "missing", temp / "out").ok());

  std::string noise(200'000, 0);
  for (size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<char>(i * 2654435761u >> 13);
  MakeArchive(temp / "whole", {{.name = "x", .content = noise}}, ARCHIVE_FILTER_ZSTD);
  fs::copy_file(temp / "whole", temp / "cut");
  fs::resize_file(temp / "cut", fs::file_size(temp / "cut") / 2);
  EXPECT_FALSE(UnpackArchive(temp / "cut", temp / "out").ok());

  EXPECT_EQ(CheckArchive(temp / "garbage", {}, nullptr).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(CheckArchive(temp / "cut", {}, nullptr).ok());
  EXPECT_TRUE(CheckArchive(temp / "whole", {}, [] { return false; }).ok());
  EXPECT_EQ(CheckArchive(temp / "whole", {}, [] { return true; }).status().code(),
            absl::StatusCode::kCancelled);
  Write(temp / "junk", std::string(3, '\0'));
  EXPECT_FALSE(CheckArchive(temp / "junk", {}, nullptr).ok());

  EXPECT_EQ(UnpackArchive(temp / "whole", temp.path()).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

// A host that is short of something says nothing about the archive.
TEST(Archive, AShortageOfThisHostIsNoRefusal) {
  TempDir temp;
  MakeArchive(temp / "a", {{"d", S_IFDIR | 0755}, {"d/f", S_IFREG | 0644, "content"}});
  fs::create_directories(temp / "out");
  ASSERT_TRUE(CheckArchive(temp / "a", {}, nullptr).ok());
  {
    const FewFiles none(0);
    EXPECT_EQ(CheckArchive(temp / "a", {}, nullptr).status().code(),
              absl::StatusCode::kUnavailable);
    EXPECT_EQ(UnpackArchive(temp / "a", temp / "out").status().code(),
              absl::StatusCode::kResourceExhausted);
  }
  {
    const FewFiles one(1);  // it can be read, and nothing be written
    EXPECT_TRUE(CheckArchive(temp / "a", {}, nullptr).ok());
    EXPECT_EQ(UnpackArchive(temp / "a", temp / "out").status().code(),
              absl::StatusCode::kUnavailable);
  }
  EXPECT_TRUE(UnpackArchive(temp / "a", temp / "out").ok());
}

TEST(Sha256, KnownAnswers) {
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_TRUE(IsSha256Hex(Sha256Hex("")));
  EXPECT_FALSE(IsSha256Hex("abc"));
  EXPECT_FALSE(IsSha256Hex(std::string(63, 'a') + "/"));
  EXPECT_FALSE(IsSha256Hex(std::string(64, 'A')));
}

}  // namespace
}  // namespace remuda
