#include "common/settings_file.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>

namespace remuda {
namespace {

std::string Trim(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r\"");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r\"") - begin + 1);
}

}  // namespace

SettingsFile::~SettingsFile() {
  for (const std::string& variable : variables_) unsetenv(variable.c_str());
}

std::string SettingsFile::Take(const std::string& path,
                               const std::function<std::string(const std::string&)>& variable_of) {
  std::ifstream in(path);
  std::string line;
  // The first read says whether there is anything to read: a directory opens well.
  if (!in || (!std::getline(in, line) && !in.eof())) {
    return path + ": cannot be read: " + std::strerror(errno);
  }
  std::set<std::string> names;
  int number = 1;
  do {
    const std::string text = Trim(line.substr(0, line.find('#')));
    if (text.empty()) continue;
    const std::string where = path + ":" + std::to_string(number) + ": ";
    const size_t equals = text.find('=');
    if (equals == std::string::npos) return where + "\"" + text + "\" is not NAME = VALUE";
    const std::string name = Trim(text.substr(0, equals));
    const std::string variable = variable_of(name);
    if (variable.empty()) return where + "there is no setting \"" + name + "\"";
    if (!names.insert(name).second) return where + "\"" + name + "\" is set twice";
    if (std::getenv(variable.c_str()) != nullptr) continue;
    setenv(variable.c_str(), Trim(text.substr(equals + 1)).c_str(), /*overwrite=*/0);
    variables_.push_back(variable);
  } while (++number, std::getline(in, line));
  return "";
}

std::string FindSettingsFile(int argc, char** argv, const std::string& flag, const char* variable) {
  const std::string with_value = flag + "=";
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument.starts_with(with_value)) return argument.substr(with_value.size());
    if (argument == flag && i + 1 < argc) return argv[i + 1];
  }
  const char* named = std::getenv(variable);
  return named == nullptr ? "" : named;
}

}  // namespace remuda
