#include "controller/core/door/paging.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include "common/status.h"
#include "controller/core/model/etag.h"
#include "controller/core/model/limits.h"

namespace remuda::core {
namespace {

constexpr size_t kHashDigits = 16;

// Ties a token to its list. No secret: a made-up token can only name another place in the same
// list.
std::string Seal(std::string_view list, std::string_view key) {
  std::string text(list);
  text += '\0';
  text += key;
  return HashText(text);
}

}  // namespace

absl::StatusOr<Page> Page::From(std::string_view list, int page_size,
                                const std::string& page_token) {
  if (page_size < 0 || page_size > limits::kMaxPageSize) {
    return InvalidField("page_size",
                        absl::StrCat(page_size, " is not within 0-", limits::kMaxPageSize));
  }
  const int size = page_size == 0 ? limits::kDefaultPageSize : page_size;
  if (page_token.empty()) return Page(list, size, "");
  const absl::Status wrong = InvalidField(
      "page_token", "is not a next_page_token that this list, with the same filter, has given");
  if (page_token.size() > limits::kPageTokenBytes || page_token.size() <= kHashDigits) return wrong;
  std::string key;
  if (!absl::WebSafeBase64Unescape(page_token.substr(kHashDigits), &key)) return wrong;
  if (page_token.substr(0, kHashDigits) != Seal(list, key)) return wrong;
  return Page(list, size, std::move(key));
}

bool Page::Take(std::string_view key) {
  if (taken_ == size_) {
    more_ = true;
    return false;
  }
  ++taken_;
  last_ = key;
  return true;
}

std::string Page::NextToken() const {
  return more_ ? Seal(list_, last_) + absl::WebSafeBase64Escape(last_) : std::string();
}

}  // namespace remuda::core
