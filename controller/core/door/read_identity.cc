// Reads of users, tokens to join with and revocations.
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "controller/core/door/filter.h"
#include "controller/core/door/paging.h"
#include "controller/core/door/read.h"
#include "controller/core/door/rows.h"

namespace remuda::core {
namespace {

// Digits that sort as time does, then the key.
std::string NewestKey(const google::protobuf::Timestamp& time, const std::string& key) {
  char digits[40];
  std::snprintf(digits, sizeof digits, "%012lld.%09d/",
                static_cast<long long>(std::max<int64_t>(time.seconds(), 0)), time.nanos());
  return digits + key;
}

// The newest first.
template <class Response, class T, class Request>
absl::StatusOr<Response> ListNewest(const Snapshot& from, const Request& request,
                                    google::protobuf::RepeatedPtrField<T>* (Response::*rows)()) {
  auto page = Page::From(Traits<T>::kCollection, request.page_size(), request.page_token());
  if (!page.ok()) return page.status();
  std::map<std::string, const T*> by_time;
  for (const auto& [key, row] : from.state.All<T>())
    by_time.emplace(NewestKey(row->create_time(), key), row.value.get());
  Response response;
  for (auto it = by_time.rbegin(); it != by_time.rend(); ++it) {
    if (!page->after().empty() && it->first >= page->after()) continue;
    if (!page->Take(it->first)) break;
    *(response.*rows)()->Add() = *it->second;
  }
  response.set_next_page_token(page->NextToken());
  return response;
}

v1::User ShowUser(const v1::User& row) {
  v1::User out = row;
  out.set_etag(EtagOf(row));
  return out;
}

}  // namespace

absl::StatusOr<v1::User> Read(const Snapshot& from, const v1::GetUserRequest& request) {
  const auto row = FindRow<v1::User>(Draft(from.state), "name", request.name());
  if (!row.ok()) return row.status();
  return ShowUser(*row->value);
}

absl::StatusOr<v1::ListUsersResponse> Read(const Snapshot& from,
                                           const v1::ListUsersRequest& request) {
  const auto filter = Filter::For<v1::User>({{"labels"}, {"role"}}, request.filter());
  if (!filter.ok()) return filter.status();
  auto page = Page::From(absl::StrCat("users ", request.filter()), request.page_size(),
                         request.page_token());
  if (!page.ok()) return page.status();
  v1::ListUsersResponse response;
  const Table<v1::User>& table = from.state.All<v1::User>();
  for (auto it = table.upper_bound(page->after()); it != table.end(); ++it) {
    v1::User user = ShowUser(*it->second);
    if (!filter->Matches(user)) continue;
    if (!page->Take(it->first)) break;
    *response.add_users() = std::move(user);
  }
  response.set_next_page_token(page->NextToken());
  return response;
}

absl::StatusOr<v1::ListJoinTokensResponse> Read(const Snapshot& from,
                                                const v1::ListJoinTokensRequest& request) {
  auto response = ListNewest(from, request, &v1::ListJoinTokensResponse::mutable_join_tokens);
  if (!response.ok()) return response;
  for (v1::JoinToken& token : *response->mutable_join_tokens()) token.clear_token_hash();
  return response;
}

absl::StatusOr<v1::ListRevocationsResponse> Read(const Snapshot& from,
                                                 const v1::ListRevocationsRequest& request) {
  return ListNewest(from, request, &v1::ListRevocationsResponse::mutable_revocations);
}

}  // namespace remuda::core
