// The real remuda-agent and images as an attacker makes them: each is refused by name, and nothing
// of it is on the host, or anywhere else.
#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "tests/component/agent/agent_fixture.h"

namespace remuda::agent {
namespace {

using testing::HasSubstr;

struct Item {
  std::string name;
  mode_t mode = S_IFREG | 0755;
  std::string content = {};
  std::string symlink = {};
  std::string hardlink = {};
  int64_t zeros_bytes = 0;  // after the content
};

class BadImagesTest : public AgentTest {
 protected:
  // Nothing of it is checked.
  std::string AddItems(const std::vector<Item>& items, int filter = ARCHIVE_FILTER_NONE) {
    const std::string path = (root_ / ("bad-" + std::to_string(++archives_))).string();
    archive* a = archive_write_new();
    archive_write_set_format_pax_restricted(a);
    archive_write_set_options(a, "hdrcharset=BINARY");
    archive_write_add_filter(a, filter);
    archive_write_open_filename(a, path.c_str());
    for (const Item& item : items) {
      archive_entry* e = archive_entry_new();
      archive_entry_set_pathname(e, item.name.c_str());
      archive_entry_set_mode(e, item.mode);
      // The library fills up with zeros what is not written.
      archive_entry_set_size(e, static_cast<la_int64_t>(item.content.size()) + item.zeros_bytes);
      if (!item.symlink.empty()) archive_entry_set_symlink(e, item.symlink.c_str());
      if (!item.hardlink.empty()) archive_entry_set_hardlink(e, item.hardlink.c_str());
      EXPECT_GE(archive_write_header(a, e), ARCHIVE_WARN) << archive_error_string(a);
      archive_write_data(a, item.content.data(), item.content.size());
      archive_entry_free(e);
    }
    archive_write_close(a);
    archive_write_free(a);
    return AddArchive(controller_, *ReadWholeFile(path));
  }

 private:
  int archives_ = 0;
};

TEST_F(BadImagesTest, EachIsRefusedByNameAndLeavesNothing) {
  const std::string outside = (root_ / "escaped").string();
  const Item serve{.name = "serve.sh", .content = kServe};
  const auto link = [](const std::string& name, const std::string& target) {
    return Item{.name = name, .mode = S_IFLNK | 0777, .symlink = target};
  };
  struct Case {
    std::vector<Item> items;
    std::string why;
  };
  const std::vector<Case> cases = {
      {{serve, {.name = "../../../escaped", .content = "x"}}, "entry \"../../../escaped\": "},
      {{serve, {.name = outside, .content = "x"}}, "must be relative"},
      {{serve, link("out", root_.string()), {.name = "out/escaped", .content = "x"}}, "leads out"},
      {{serve, link("out", "../../../../..")}, "leads out"},
      {{serve, {.name = "d", .mode = S_IFDIR | 0755}, link("l", "d"), {.name = "l/x"}},
       "below an entry that is no directory"},
      {{serve, {.name = "hard", .hardlink = "/etc/passwd"}}, "which is no earlier file"},
      {{serve, {.name = "null", .mode = S_IFCHR | 0666}}, "only files, directories and links"},
      {{serve, {.name = "disk", .mode = S_IFBLK | 0666}}, "only files, directories and links"},
      {{serve, {.name = "fifo", .mode = S_IFIFO | 0666}}, "only files, directories and links"},
      {{serve, {.name = "root", .mode = S_IFREG | 04755, .content = "x"}}, "set-user-id"},
      {{serve, {.name = "group", .mode = S_IFREG | 02755, .content = "x"}}, "set-group-id"},
      {{serve, serve}, "the name comes twice"},
      {{serve, {.name = "bad\xff\xfe/../name", .content = "x"}}, "bad\\xff\\xfe"},
  };
  Begin();
  std::vector<v1::InstanceAssignment> all;
  for (size_t i = 0; i < cases.size(); ++i)
    all.push_back(Runs("i-" + std::to_string(i), AddItems(cases[i].items), {"./serve.sh"}));
  const std::string bomb =
      AddItems({serve, {.name = "zeros", .zeros_bytes = int64_t{300} << 20}}, ARCHIVE_FILTER_ZSTD);
  all.push_back(Runs("i-bomb", bomb, {"./serve.sh"}));
  all.push_back(Runs("i-garbage", AddArchive(controller_, "no archive at all"), {"./serve.sh"}));
  controller_.Assign(all);
  for (size_t i = 0; i < cases.size(); ++i) {
    const std::string id = "i-" + std::to_string(i);
    ASSERT_TRUE(controller_.WaitState(id, v1::PROCESS_STATE_FAILED)) << cases[i].why;
    EXPECT_THAT(controller_.Status(id).message(), HasSubstr(cases[i].why));
  }
  ASSERT_TRUE(controller_.WaitState("i-bomb", v1::PROCESS_STATE_FAILED));
  EXPECT_THAT(controller_.Status("i-bomb").message(), HasSubstr("times the archive's size"));
  ASSERT_TRUE(controller_.WaitState("i-garbage", v1::PROCESS_STATE_FAILED));
  EXPECT_THAT(controller_.Status("i-garbage").message(), HasSubstr("not a readable tar"));

  EXPECT_FALSE(fs::exists(outside));
  for (const auto& entry : fs::recursive_directory_iterator(data_))
    EXPECT_THAT(entry.path().filename().string(), testing::Not(HasSubstr("escaped")));
  for (const auto& entry : fs::directory_iterator(data_ / "images"))
    EXPECT_EQ(entry.path().filename(), "boot");
  controller_.Change({Serve("i-good")}, {});
  EXPECT_TRUE(Running("i-good")) << "the host is well";
}

TEST_F(BadImagesTest, NamesAreBytesAndModesAreNoMoreThanFilesHave) {
  const std::string odd = "caf\xe9 \xc3\xa9", sticky = "sticky";
  const std::string digest = AddItems({{.name = "serve.sh", .content = kServe},
                                       {.name = odd, .mode = S_IFREG | 0644, .content = "x"},
                                       {.name = sticky, .mode = S_IFDIR | 01777}});
  Begin();
  controller_.Assign({Runs("i-a", digest, {"./serve.sh"})});
  ASSERT_TRUE(Running("i-a")) << controller_.Status("i-a").ShortDebugString();
  const fs::path app = data_ / "instances/i-a/app";
  EXPECT_TRUE(fs::exists(app / odd));
  EXPECT_EQ(fs::status(app / sticky).permissions(), fs::perms(0777));
}

}  // namespace
}  // namespace remuda::agent
