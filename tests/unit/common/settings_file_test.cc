#include "common/settings_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <optional>

namespace remuda {
namespace {

using testing::HasSubstr;

class SettingsFileTest : public testing::Test {
 protected:
  SettingsFileTest() {
    char path[] = "/tmp/remuda-settings-XXXXXX";
    close(mkstemp(path));
    path_ = path;
  }
  ~SettingsFileTest() override {
    unlink(path_.c_str());
    for (const char* name : {"T_ZONE", "T_LABEL", "T_NAME"}) unsetenv(name);
  }

  std::string Take(const std::string& text) {
    std::ofstream(path_, std::ios::trunc) << text;
    return file_->Take(path_, [](const std::string& name) -> std::string {
      return name == "zone"    ? "T_ZONE"
             : name == "label" ? "T_LABEL"
             : name == "name"  ? "T_NAME"
                               : "";
    });
  }
  static std::string Variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "(none)" : value;
  }

  std::optional<SettingsFile> file_{std::in_place};
  std::string path_;
};

TEST_F(SettingsFileTest, LinesBecomeVariables) {
  EXPECT_EQ(Take("# a comment\n\n zone = a # and another\nlabel=disk=ssd,rack=7\nname = \"h1\""),
            "");
  EXPECT_EQ(Variable("T_ZONE"), "a");
  EXPECT_EQ(Variable("T_LABEL"), "disk=ssd,rack=7");
  EXPECT_EQ(Variable("T_NAME"), "h1") << "the last line needs no end";
}

TEST_F(SettingsFileTest, TheEnvironmentBeatsIt) {
  setenv("T_ZONE", "b", 1);
  EXPECT_EQ(Take("zone = a\n"), "");
  EXPECT_EQ(Variable("T_ZONE"), "b");
}

TEST_F(SettingsFileTest, TheEnvironmentIsAsBeforeOnceItIsRead) {
  setenv("T_ZONE", "b", 1);
  EXPECT_EQ(Take("zone = a\nname = h1\n"), "");
  EXPECT_EQ(Variable("T_NAME"), "h1");
  file_.reset();
  EXPECT_EQ(Variable("T_NAME"), "(none)") << "a process that is started later reads the file anew";
  EXPECT_EQ(Variable("T_ZONE"), "b");
}

TEST_F(SettingsFileTest, WhatIsWrongIsNamedWithItsLine) {
  EXPECT_THAT(Take("zone = a\n\nzoen = b\n"),
              HasSubstr(path_ + ":3: there is no setting \"zoen\""));
  EXPECT_THAT(Take("zone\n"), HasSubstr(path_ + ":1: \"zone\" is not NAME = VALUE"));
  const auto nothing = [](const std::string&) { return std::string(); };
  EXPECT_THAT(file_->Take("/nonexistent/file", nothing), HasSubstr("No such file"));
  EXPECT_THAT(file_->Take("/tmp", nothing), HasSubstr("Is a directory"));
  EXPECT_THAT(Take("zone = a\nzone = b\n"), HasSubstr(path_ + ":2: \"zone\" is set twice"));
  EXPECT_EQ(Take(""), "") << "an empty file is one without settings";
}

TEST_F(SettingsFileTest, IsFoundByFlagThenByVariable) {
  const auto find = [](std::vector<std::string> arguments) {
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    return FindSettingsFile(static_cast<int>(argv.size()), argv.data(), "--config", "T_NAME");
  };
  EXPECT_EQ(find({"program", "--zone", "a"}), "");
  setenv("T_NAME", "/from/variable", 1);
  EXPECT_EQ(find({"program", "--zone", "a"}), "/from/variable");
  EXPECT_EQ(find({"program", "--config", "/from/flag"}), "/from/flag");
  EXPECT_EQ(find({"program", "--config=/from/flag"}), "/from/flag");
  EXPECT_EQ(find({"program", "--config"}), "/from/variable");
}

}  // namespace
}  // namespace remuda
