#include "cli/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "cli/command_line.h"

namespace remuda::cli {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

class SettingsTest : public testing::Test {
 protected:
  SettingsTest() {
    std::string name = (std::filesystem::temp_directory_path() / "remuda-settings-XXXXXX").string();
    directory_ = mkdtemp(name.data());
  }
  ~SettingsTest() override { std::filesystem::remove_all(directory_); }

  absl::StatusOr<Settings> Resolve(const SettingFlags& flags,
                                   std::map<std::string, std::string> environment) {
    return ResolveSettings(flags, [environment](const char* name) {
      const auto it = environment.find(name);
      return it == environment.end() ? "" : it->second;
    });
  }
  std::string File(const std::string& text) {
    std::filesystem::create_directories(directory_ + "/.config/remuda");
    const std::string path = directory_ + "/.config/remuda/config.yaml";
    std::ofstream(path) << text;
    return path;
  }

  std::string directory_;
};

TEST_F(SettingsTest, FlagBeatsEnvironmentBeatsFileBeatsDefault) {
  EXPECT_EQ(Resolve({}, {})->controller, "127.0.0.1:7400");
  const std::string path = File("controller: file:1\ntimeout: 5s\n");
  const auto from_file = Resolve({}, {{"HOME", directory_}});
  ASSERT_TRUE(from_file.ok()) << from_file.status();
  EXPECT_EQ(from_file->controller, "file:1");
  EXPECT_EQ(from_file->controller_source, path + ":1:1");
  EXPECT_EQ(from_file->timeout, milliseconds(5000));
  const std::map<std::string, std::string> environment = {{"HOME", directory_},
                                                          {"REMUDA_CONTROLLER", "env:2"}};
  EXPECT_EQ(Resolve({}, environment)->controller, "env:2");
  EXPECT_EQ(Resolve({}, environment)->timeout, milliseconds(5000));
  SettingFlags flags;
  flags.controller = "flag:3";
  flags.timeout = "1ms";
  EXPECT_EQ(Resolve(flags, environment)->controller, "flag:3");
  EXPECT_EQ(Resolve(flags, environment)->timeout, milliseconds(1));
}

TEST_F(SettingsTest, AddressesMayLeaveThePortOut) {
  SettingFlags flags;
  for (const auto& [given, taken] :
       std::map<std::string, std::string>{{"box", "box:7400"},
                                          {"[::1]", "[::1]:7400"},
                                          {"[::1]:9", "[::1]:9"},
                                          {"10.0.0.1:9", "10.0.0.1:9"}}) {
    flags.controller = given;
    EXPECT_EQ(Resolve(flags, {})->controller, taken);
  }
  for (const char* wrong : {"", ":1", "a:b", "a:0", "a:65536", "http://a:1", "::1", "a b:1"}) {
    flags.controller = wrong;
    EXPECT_THAT(Resolve(flags, {}).status().message(), HasSubstr("--controller: ")) << wrong;
  }
}

TEST_F(SettingsTest, ThereMayBeSeveralControllers) {
  SettingFlags flags;
  flags.controller = "box,10.0.0.1:9,[::1],box:7400";
  EXPECT_EQ(Resolve(flags, {})->controller, "box:7400,10.0.0.1:9,[::1]:7400");
  for (const char* wrong : {"a,", ",a", "a,,b", "a,b:0", "a b,c"}) {
    flags.controller = wrong;
    EXPECT_THAT(Resolve(flags, {}).status().message(), HasSubstr("--controller: ")) << wrong;
  }
  std::string many = "h";
  for (int i = 0; i < 64; ++i) many += ",h" + std::to_string(i);
  flags.controller = many;
  EXPECT_THAT(Resolve(flags, {}).status().message(), HasSubstr("kMaxControllers"));
}

TEST_F(SettingsTest, WhatAContextsControllersHaveSaidComesBehindWhatTheContextSays) {
  const auto contexts = [this](const std::string& controller) {
    File("current-context: lab\ncontexts:\n  - {name: lab, cluster: lab, user: lab}\n" +
         std::string("clusters:\n  - {name: lab, controller: '") + controller + "'}\n" +
         "users:\n  - {name: lab, identity-dir: " + directory_ + "}\n");
  };
  const std::map<std::string, std::string> home = {{"HOME", directory_}};
  contexts("a:1,b:1");
  EXPECT_EQ(Resolve({}, home)->controller, "a:1,b:1");
  EXPECT_EQ(Resolve({}, home)->controllers_file, directory_ + "/controllers");
  std::ofstream(directory_ + "/controllers") << "remuda-controllers 1\nc:1\nb:1\nearlier d:1\n";
  EXPECT_EQ(Resolve({}, home)->controller, "a:1,b:1,c:1,d:1");
  EXPECT_THAT(Resolve({}, home)->controller_source, HasSubstr("context lab"));
  // Somebody's own way to them.
  contexts("localhost:17400");
  EXPECT_EQ(Resolve({}, home)->controller, "localhost:17400");
  contexts("b:1");
  EXPECT_EQ(Resolve({}, home)->controller, "b:1,c:1,d:1");
  // What says otherwise says all.
  SettingFlags flags;
  flags.controller = "b:1";
  EXPECT_EQ(Resolve(flags, home)->controller, "b:1");
  EXPECT_EQ(Resolve(flags, home)->controllers_file, "");
  flags = {};
  flags.insecure = true;
  EXPECT_EQ(Resolve(flags, home)->controller, "b:1");
  flags = {};
  flags.identity_dir = "/elsewhere";
  EXPECT_EQ(Resolve(flags, home)->controller, "b:1");
  auto environment = home;
  environment["REMUDA_CONTROLLER"] = "b:1";
  EXPECT_EQ(Resolve({}, environment)->controller, "b:1");
}

TEST_F(SettingsTest, MistakesNameTheirSource) {
  EXPECT_THAT(Resolve({}, {{"REMUDA_TIMEOUT", "5"}}).status().message(),
              HasSubstr("REMUDA_TIMEOUT: \"5\" has no unit"));
  EXPECT_THAT(Resolve({}, {{"REMUDA_TIMEOUT", "0s"}}).status().message(),
              HasSubstr("is not within"));
  EXPECT_THAT(Resolve({}, {{"REMUDA_CLI_CONFIG", "/nowhere"}}).status().message(),
              HasSubstr("REMUDA_CLI_CONFIG: cannot read"));
  File("controler: a\n");
  EXPECT_THAT(Resolve({}, {{"HOME", directory_}}).status().message(),
              HasSubstr("config.yaml:1:1: controler: unknown setting"));
}

// Walks every command there is.
void CheckHelp(const CLI::App& command, const std::string& path) {
  EXPECT_THAT(command.get_footer(), HasSubstr("Example:\n  ")) << path;
  EXPECT_THAT(command.get_footer(), HasSubstr("remuda ")) << path;
  EXPECT_FALSE(command.get_description().empty()) << path;
  for (const CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; })) {
    CheckHelp(*sub, path + " " + sub->get_name());
  }
}

TEST(CommandLine, EveryCommandHasADescriptionAndAnExample) {
  std::ostringstream out, err;
  Context context(out, err);
  SettingFlags flags;
  CheckHelp(*MakeCommandLine(context, flags), "remuda");
}

}  // namespace
}  // namespace remuda::cli
