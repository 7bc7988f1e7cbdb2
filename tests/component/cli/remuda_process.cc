#include "tests/component/cli/remuda_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace remuda::testing_cli {

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void WriteAll(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::string MakeTempDir() {
  std::string name = (std::filesystem::temp_directory_path() / "remuda-cli-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) std::abort();
  return name;
}

RemudaProcess::RemudaProcess(const std::vector<std::string>& arguments,
                             const std::map<std::string, std::string>& environment)
    : directory_(MakeTempDir()) {
  std::vector<std::string> words = {std::string(REMUDA_BIN_DIR) + "/remuda"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::map<std::string, std::string> variables = {{"PATH", "/usr/bin:/bin"},
                                                  {"HOME", directory_},
                                                  {"LANG", "C.UTF-8"},
                                                  {"REMUDA_INSECURE", "1"}};
  for (const auto& [name, value] : environment) variables[name] = value;
  std::vector<std::string> assignments;
  for (const auto& [name, value] : variables) assignments.push_back(name + "=" + value);
  std::vector<char*> argv, envp;
  for (std::string& word : words) argv.push_back(word.data());
  for (std::string& assignment : assignments) envp.push_back(assignment.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, (directory_ + "/out").c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, (directory_ + "/err").c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int error = posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    pid_ = -1;
    ADD_FAILURE() << words[0] << ": cannot start, error " << error;
  }
}

RemudaProcess::~RemudaProcess() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void RemudaProcess::Signal(int signal) const {
  if (pid_ > 0) kill(pid_, signal);
}

Finished RemudaProcess::Wait() {
  int status = 0;
  if (pid_ <= 0) return {};
  const bool ended =
      WaitUntil([&] { return waitpid(pid_, &status, WNOHANG) == pid_; }, std::chrono::seconds(60));
  EXPECT_TRUE(ended) << "still running; stdout:\n" << out() << "\nstderr:\n" << err();
  if (!ended) return {};
  pid_ = -1;
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, out(), err()};
}

std::string RemudaProcess::out() const { return ReadAll(directory_ + "/out"); }
std::string RemudaProcess::err() const { return ReadAll(directory_ + "/err"); }

Finished RunRemuda(const std::vector<std::string>& arguments,
                   const std::map<std::string, std::string>& environment) {
  return RemudaProcess(arguments, environment).Wait();
}

}  // namespace remuda::testing_cli
