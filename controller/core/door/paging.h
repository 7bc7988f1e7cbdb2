// Pages of a list (AIP-158): page tokens that only the list that gave them takes, and a stable
// order. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

namespace remuda::core {

// A page of a list: at most `size` rows that come after the row with the key `after` (empty: from
// the beginning).
class Page {
 public:
  // `list` names the list and its filter: a token of another is refused. INVALID_ARGUMENT names
  // page_size or page_token.
  static absl::StatusOr<Page> From(std::string_view list, int page_size,
                                   const std::string& page_token);

  const std::string& after() const { return after_; }

  // Whether there is room for the row; if not, the next page begins after the last one taken, and
  // the list is done. Call it for each row in order.
  bool Take(std::string_view key);

  // For the answer; empty on the last page.
  std::string NextToken() const;

 private:
  Page(std::string_view list, int size, std::string after)
      : list_(list), size_(size), after_(std::move(after)) {}

  std::string list_;
  int size_;
  std::string after_;
  int taken_ = 0;
  std::string last_;
  bool more_ = false;
};

}  // namespace remuda::core
