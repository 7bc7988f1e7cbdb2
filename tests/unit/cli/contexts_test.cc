// Contexts: how the settings file holds them, and what they mean for a command.
#include "cli/contexts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "cli/settings.h"

namespace remuda::cli {
namespace {

using ::testing::HasSubstr;

constexpr char kTwo[] = R"(controller: old:1
timeout: 5s
current-context: ann@a
contexts:
- {name: ann@a, cluster: a, user: ann@a}
- {name: ops, cluster: b, user: ops}
clusters:
- {name: a, controller: "a.example:7400", join: "a.example:7443", pin: "sha256:aa"}
- {name: b, controller: "b.example:7500"}
users:
- {name: ann@a, identity-dir: /home/ann/a}
- {name: ops, identity-dir: /home/ann/b}
)";

class ContextsTest : public testing::Test {
 protected:
  ContextsTest() {
    std::string name = (std::filesystem::temp_directory_path() / "remuda-contexts-XXXXXX").string();
    directory_ = mkdtemp(name.data());
  }
  ~ContextsTest() override { std::filesystem::remove_all(directory_); }

  std::string path() const { return directory_ + "/config.yaml"; }
  absl::StatusOr<Settings> Resolve(const SettingFlags& flags,
                                   std::map<std::string, std::string> environment = {}) {
    environment["REMUDA_CLI_CONFIG"] = path();
    return ResolveSettings(flags, [environment](const char* name) {
      const auto it = environment.find(name);
      return it == environment.end() ? "" : it->second;
    });
  }
  static SettingFlags InContext(const std::string& name) {
    SettingFlags flags;
    flags.context = name;
    return flags;
  }
  void Write(const std::string& text) const { std::ofstream(path()) << text; }

  std::string directory_;
};

TEST_F(ContextsTest, WhatIsWrittenIsRead) {
  auto contexts = *ParseContexts(kTwo, "config.yaml");
  contexts.Put("odd", {.name = "odd", .controller = "[::1]:7400"},
               {.name = "odd", .identity_dir = "/a \"b\"\\c\n: - {"});
  ASSERT_TRUE(SaveContexts(path(), contexts).ok());
  struct stat info {};
  ASSERT_EQ(stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  const auto read = LoadContexts(path());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(PrintContexts(*read), PrintContexts(contexts));
  EXPECT_EQ(read->current, "ann@a");
  EXPECT_EQ(read->FindUser("odd")->identity_dir, "/a \"b\"\\c\n: - {");
  EXPECT_EQ(read->FindCluster("a")->pin, "sha256:aa");
  EXPECT_THAT(read->settings, testing::ElementsAre(testing::Pair("controller", "old:1"),
                                                   testing::Pair("timeout", "5s")));
}

TEST_F(ContextsTest, TheCurrentOneIsMeantUnlessAnotherIsNamed) {
  Write(kTwo);
  const auto current = Resolve({});
  ASSERT_TRUE(current.ok()) << current.status();
  EXPECT_EQ(current->controller, "a.example:7400");
  EXPECT_EQ(current->identity_dir, "/home/ann/a");
  EXPECT_EQ(current->timeout, std::chrono::seconds(5));
  EXPECT_EQ(Resolve({}, {{"REMUDA_CONTEXT", "ops"}})->controller, "b.example:7500");
  EXPECT_EQ(Resolve(InContext("ops"))->identity_dir, "/home/ann/b");
  SettingFlags both = InContext("ops");
  both.controller = "c:1";
  EXPECT_EQ(Resolve(both)->controller, "c:1");
  EXPECT_EQ(Resolve({}, {{"REMUDA_CONTROLLER", "d:1"}})->controller, "d:1");
}

TEST_F(ContextsTest, AFileWithoutContextsGoesOnWorking) {
  Write("controller: old:1\ntimeout: 5s\n");
  const auto settings = Resolve({});
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(settings->controller, "old:1");
  EXPECT_EQ(settings->context, "");
}

TEST_F(ContextsTest, OneThatIsNotThereIsNamedWithThoseThatAre) {
  Write(kTwo);
  EXPECT_THAT(std::string(Resolve(InContext("opps")).status().message()),
              HasSubstr("--context: there is no context \"opps\"; there are ann@a ops"));
}

TEST_F(ContextsTest, WhatIsWrongIsSaidWithItsPlace) {
  const auto error = [](const std::string& text) {
    return std::string(ParseContexts(text, "f").status().message());
  };
  EXPECT_THAT(error("contexts: 3\n"), HasSubstr("f:1:11: expected a list"));
  EXPECT_THAT(error("contexts:\n- {name: a, color: red}\n"), HasSubstr("color: is not known"));
  EXPECT_THAT(error("users:\n- {name: a}\n- {name: a}\n"), HasSubstr("a: is there twice"));
  EXPECT_THAT(error("users:\n- {name: ../a}\n"), HasSubstr("letters, digits"));
  EXPECT_THAT(error("contexts:\n- ann\n"), HasSubstr("expected a map"));
}

TEST_F(ContextsTest, WhatGoesTakesWhatNobodyElseHas) {
  auto contexts = *ParseContexts(kTwo, "f");
  contexts.contexts.push_back({.name = "third", .cluster = "a", .user = "ops"});
  EXPECT_TRUE(contexts.Remove("ann@a"));
  EXPECT_EQ(contexts.current, "");
  EXPECT_NE(contexts.FindCluster("a"), nullptr);
  EXPECT_EQ(contexts.FindUser("ann@a"), nullptr);
  EXPECT_FALSE(contexts.Remove("ann@a"));
  EXPECT_TRUE(contexts.Rename("third", "last"));
  EXPECT_FALSE(contexts.Rename("last", "ops"));
  EXPECT_FALSE(contexts.Rename("third", "new"));
}

}  // namespace
}  // namespace remuda::cli
