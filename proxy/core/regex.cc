#include "proxy/core/regex.h"

#include <re2/re2.h>
#include <re2/set.h>

#include <algorithm>
#include <array>

#include "common/traffic/regex_options.h"

namespace remuda::proxy {
namespace {

// A union holds the states of many patterns.
constexpr int64_t kMaxUnionMemoryBytes = 4 * traffic::kMaxRegexMemoryBytes;
// RE2 gives a quarter of the memory to the program, at 16 bytes an instruction. A union of more
// does not fit; that is known before, and to let RE2 find it out costs more than all of its
// patterns did.
constexpr int kMaxUnionInstructions = kMaxUnionMemoryBytes / 4 / 16;

re2::StringPiece Piece(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

Fault Regex::Compile(std::string_view field, const std::string& pattern, const Options& options,
                     std::shared_ptr<const Regex>& out) {
  if (pattern.empty()) return std::string(field) + ": an empty pattern";
  if (Fault fault = CheckText(field, pattern, options.max_bytes)) return fault;
  auto program = std::make_unique<re2::RE2>(pattern, traffic::RegexOptions(options.ignore_case));
  if (!program->ok()) return std::string(field) + ": " + Quote(pattern) + ": " + program->error();
  out.reset(new Regex(std::move(program), options.ignore_case));
  return std::nullopt;
}

Regex::Regex(std::unique_ptr<re2::RE2> program, bool ignore_case)
    : program_(std::move(program)), ignore_case_(ignore_case) {}

Regex::~Regex() = default;

bool Regex::MatchesWhole(std::string_view text) const {
  return program_->Match(Piece(text), 0, text.size(), re2::RE2::ANCHOR_BOTH, nullptr, 0);
}

bool Regex::Find(std::string_view text, std::span<std::string_view> parts) const {
  std::array<re2::StringPiece, kMaxRegexGroups + 1> found;
  const size_t count = std::min(parts.size(), found.size());
  if (!program_->Match(Piece(text), 0, text.size(), re2::RE2::UNANCHORED, found.data(),
                       static_cast<int>(count))) {
    return false;
  }
  for (size_t i = 0; i < count; ++i) parts[i] = {found[i].data(), found[i].size()};
  return true;
}

int Regex::groups() const { return program_->NumberOfCapturingGroups(); }

int Regex::instructions() const { return program_->ProgramSize(); }

const std::string& Regex::pattern() const { return program_->pattern(); }

struct RegexUnion::Set {
  explicit Set(bool ignore_case)
      : patterns(traffic::RegexOptions(ignore_case, kMaxUnionMemoryBytes), re2::RE2::ANCHOR_BOTH) {}
  re2::RE2::Set patterns;
};

RegexUnion::RegexUnion(std::span<const std::shared_ptr<const Regex>> regexes) {
  int instructions = 0;
  for (const auto& regex : regexes) {
    instructions += regex->instructions();
    if (instructions > kMaxUnionInstructions) return;
  }
  set_ = std::make_unique<Set>(regexes.front()->ignore_case());
  for (const auto& regex : regexes) {
    if (set_->patterns.Add(Piece(regex->pattern()), nullptr) >= 0) continue;
    set_.reset();
    return;
  }
  if (!set_->patterns.Compile()) set_.reset();
}

RegexUnion::~RegexUnion() = default;

bool RegexUnion::MayMatch(std::string_view text) const {
  if (set_ == nullptr) return true;
  // Without a list of what matched, nothing is allocated.
  re2::RE2::Set::ErrorInfo error{};
  return set_->patterns.Match(Piece(text), nullptr, &error) ||
         error.kind != re2::RE2::Set::kNoError;
}

}  // namespace remuda::proxy
