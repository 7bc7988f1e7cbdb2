// The file with a program's settings: lines of NAME = VALUE, NAME being a flag's without its
// dashes. What follows a # is a comment; quotes around a value are dropped. A setting that may be
// given several times stands on one line, its values parted by commas.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace remuda {

// While it lives, what the file says stands in the environment, where CLI11 finds it; then it is
// taken out again, so that no process that this one starts takes it for more than a file's word.
// Thread: all of it before others begin.
class SettingsFile {
 public:
  SettingsFile() = default;
  SettingsFile(const SettingsFile&) = delete;
  SettingsFile& operator=(const SettingsFile&) = delete;
  ~SettingsFile();

  // Makes an environment variable of each line whose variable is not set, so that a flag beats the
  // environment, and the environment the file. `variable_of` answers the variable of a setting's
  // name; empty: no setting of that name may stand in the file. Empty, or what is wrong with the
  // file: then what stands before the wrong line is set.
  std::string Take(const std::string& path,
                   const std::function<std::string(const std::string&)>& variable_of);

 private:
  std::vector<std::string> variables_;  // that it has made
};

// The name of the settings file, which must be known before the rest is read: the value of `flag`
// ("--config") among the arguments, else of the variable, else empty.
std::string FindSettingsFile(int argc, char** argv, const std::string& flag, const char* variable);

}  // namespace remuda
