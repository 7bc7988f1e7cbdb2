// The real `remuda` program against a controller that answers what the test says.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/component/cli/fake_controller.h"
#include "tests/component/cli/remuda_process.h"

namespace remuda::testing_cli {

class CommandTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::map<std::string, std::string> Environment() const {
    return {{"REMUDA_CONTROLLER", controller_.address()}};
  }
  Finished Run(const std::vector<std::string>& arguments) const {
    return RunRemuda(arguments, Environment());
  }
  std::string File(const std::string& name, const std::string& text) const {
    WriteAll(root_ + "/" + name, text);
    return root_ + "/" + name;
  }
  FakeState& state() { return controller_.state(); }

  FakeController controller_;
  const std::string root_ = MakeTempDir();
};

}  // namespace remuda::testing_cli
