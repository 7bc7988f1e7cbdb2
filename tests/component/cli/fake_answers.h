// How the services of a fake controller answer.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "tests/component/cli/fake_controller.h"

namespace remuda::testing_cli {

// Notes the request; the failure that the test has set, if any.
template <typename Request>
grpc::Status Note(FakeState& state, const std::string& method, const Request& request) {
  const std::lock_guard lock(state.mutex);
  state.requests[method].push_back(request.ShortDebugString());
  state.changed.notify_all();
  return ToGrpcStatus(state.failure);
}

// One page of `all`, the token being where the next begins.
template <typename Item, typename Request, typename Response, typename Add>
void Page(const std::vector<Item>& all, size_t page_size, const Request& request,
          Response* response, Add add) {
  size_t begin = request.page_token().empty() ? 0 : std::stoul(request.page_token());
  const size_t end = std::min(
      all.size(), begin + std::min<size_t>(page_size, static_cast<size_t>(request.page_size())));
  for (; begin < end; ++begin) *add() = all[begin];
  if (end < all.size()) response->set_next_page_token(std::to_string(end));
}

}  // namespace remuda::testing_cli
