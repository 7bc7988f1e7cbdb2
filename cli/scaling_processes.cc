#include "cli/scaling_processes.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_replace.h>

#include "common/message_yaml.h"
#include "common/words.h"

namespace remuda::cli {
namespace {

std::string WordOf(int process) {
  return absl::StrReplaceAll(
      absl::AsciiStrToLower(ShortEnumName(v1::ScalingProcess_descriptor(), process)), {{"_", "-"}});
}

}  // namespace

const std::vector<std::string>& ProcessWords() {
  static const std::vector<std::string> kWords = [] {
    std::vector<std::string> words;
    for (int process = 1; process < v1::ScalingProcess_ARRAYSIZE; ++process)
      words.push_back(WordOf(process));
    return words;
  }();
  return kWords;
}

absl::StatusOr<v1::ScalingProcess> ParseProcess(const std::string& word) {
  for (int process = 1; process < v1::ScalingProcess_ARRAYSIZE; ++process) {
    if (Folded(word) == Folded(WordOf(process))) return static_cast<v1::ScalingProcess>(process);
  }
  const std::string nearest = NearestWord(absl::AsciiStrToLower(word), ProcessWords());
  return absl::InvalidArgumentError(
      absl::StrCat("\"", word, "\" is no process",
                   nearest.empty() ? "" : absl::StrCat(" (did you mean ", nearest, "?)"),
                   "; there are ", absl::StrJoin(ProcessWords(), ", ")));
}

}  // namespace remuda::cli
