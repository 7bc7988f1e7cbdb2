// The file with a program's settings: lines of NAME = VALUE, NAME being a flag's without its
// dashes. What follows a # is a comment; quotes around a value are dropped. A setting that may be
// given several times stands on one line, its values parted by commas.
#pragma once

#include <functional>
#include <string>

namespace remuda {

// Makes an environment variable of each line whose variable is not set, so that a flag beats the
// environment, and the environment the file. `variable_of` answers the variable of a setting's
// name; empty: no setting of that name may stand in the file. Empty, or what is wrong with the
// file: then what stands before the wrong line is set. Thread: before others begin.
std::string TakeSettingsFile(const std::string& path,
                             const std::function<std::string(const std::string&)>& variable_of);

// The name of the settings file, which must be known before the rest is read: the value of `flag`
// ("--config") among the arguments, else of the variable, else empty.
std::string FindSettingsFile(int argc, char** argv, const std::string& flag, const char* variable);

}  // namespace remuda
