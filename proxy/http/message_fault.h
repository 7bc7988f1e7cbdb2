// What is wrong with a message that was refused: the rule that it breaks, and what breaks it, short
// enough to be kept with each exchange. No I/O, no allocation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "proxy/http/reason.h"

namespace remuda::proxy::http {

class MessageFault {
 public:
  static constexpr size_t kMaxTextBytes = 96;
  // Room for what Describe writes, and for what Escape does.
  static constexpr size_t kMaxDescriptionBytes = 32 + 2 + kMaxTextBytes;
  static constexpr size_t kMaxEscapedBytes = 32 + 2 + 4 * kMaxTextBytes;

  void Clear() {
    rule_ = Reason::kNone;
    size_ = 0;
  }
  // `text`: a field's name, or else what the peer sent in its place; as it came, cut.
  void Set(Reason rule, std::string_view text, bool is_name = true);

  bool is_set() const { return rule_ != Reason::kNone; }
  Reason rule() const { return rule_; }
  std::string_view text() const { return {text_.data(), size_}; }
  // May be told to the peer: it is a name.
  bool is_name() const { return is_name_; }

  // "RULE: text", or the rule alone; raw, or with all but printable ASCII as \xHH. `out` has that
  // room.
  std::string_view Describe(std::span<char, kMaxDescriptionBytes> out) const;
  std::string_view Escape(std::span<char, kMaxEscapedBytes> out) const;

 private:
  Reason rule_ = Reason::kNone;
  uint8_t size_ = 0;
  bool is_name_ = false;
  std::array<char, kMaxTextBytes> text_;
};

// The field or fields that a rule of framing or routing is about; empty if it is about none.
std::string_view FieldOf(Reason rule);

// Why a request was refused for what it is, rather than for where it was to go.
constexpr bool IsRequestsFault(Reason reason) {
  return reason > Reason::kNone && reason <= Reason::kTrailersTooLarge;
}

// A bound on the size of a head, not a rule of grammar.
constexpr bool IsHeadBound(Reason rule) {
  return rule >= Reason::kRequestLineTooLong && rule <= Reason::kTooManyFields;
}

}  // namespace remuda::proxy::http
