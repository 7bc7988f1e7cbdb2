// What Get and List methods share: how a row is answered, what a list can be filtered by, its
// pages. Used by the reads of resources alone. Pure.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controller/core/door/filter.h"
#include "controller/core/door/paging.h"
#include "controller/core/door/read_rows.h"
#include "controller/core/door/rows.h"
#include "controller/core/door/shown.h"
#include "controller/core/door/snapshot.h"

namespace remuda::core {

struct ReadGates {
  explicit ReadGates(const Snapshot& from) : draft(from.state), gates(draft, from.seen, from.now) {}
  const Draft draft;
  const Gates gates;
};

// Rows as they are answered.
template <class T>
T ShowRow(const Snapshot& from, const std::string& /*id*/, const T& row) {
  T out = Shown(Draft(from.state), from.seen, from.now, row);
  out.set_etag(EtagOf(row));
  return out;
}
inline v1::AutoScalingGroup ShowRow(const Snapshot& from, const std::string& /*id*/,
                                    const v1::AutoScalingGroup& row) {
  const GatesNow gates = [&from]() -> const Gates& {
    if (from.gates == nullptr) from.gates = std::make_shared<ReadGates>(from);
    return from.gates->gates;
  };
  v1::AutoScalingGroup out = Describe(Draft(from.state), from.seen, gates, row);
  out.set_etag(EtagOf(row));
  return out;
}
inline v1::Instance ShowRow(const Snapshot& from, const std::string& id, const v1::Instance& row) {
  return ShowInstance(from, id, row);
}
inline v1::Host ShowRow(const Snapshot& from, const std::string& id, const v1::Host& row) {
  return ShowHost(from, id, row);
}
inline v1::Proxy ShowRow(const Snapshot& from, const std::string& id, const v1::Proxy& row) {
  return ShowProxy(from, id, row);
}

template <class T>
absl::StatusOr<T> Get(const Snapshot& from, const std::string& name) {
  const auto row = FindRow<T>(Draft(from.state), "name", name);
  if (!row.ok()) return row.status();
  return ShowRow(from, row->id, *row->value);
}

// What a list of T can be filtered by.
template <class T>
std::vector<FilterField> FilterFieldsOf() {
  return {};
}
template <>
inline std::vector<FilterField> FilterFieldsOf<v1::TargetGroup>() {
  return {{"labels"}, {"protocol"}, {"algorithm"}};
}
template <>
inline std::vector<FilterField> FilterFieldsOf<v1::Target>() {
  return {{"state"}, {"reason"}, {"instance"},         {"address"}, {"port"},
          {"zone"},  {"weight"}, {"template_version"}, {"source"}};
}
template <>
inline std::vector<FilterField> FilterFieldsOf<v1::LoadBalancer>() {
  return {{"labels"}, {"deletion_protection"}};
}
template <>
inline std::vector<FilterField> FilterFieldsOf<v1::Certificate>() {
  return {{"labels"}, {"dns_names"}};
}
template <>
inline std::vector<FilterField> FilterFieldsOf<v1::SecurityGroup>() {
  return {{"labels"}};
}
template <>
inline std::vector<FilterField> FilterFieldsOf<v1::Image>() {
  return {{"labels"}, {"digest"}, {"source_instance"}};
}
template <>
inline std::vector<FilterField> FilterFieldsOf<v1::LaunchTemplate>() {
  return {{"labels"}};
}
template <>
inline std::vector<FilterField> FilterFieldsOf<v1::LaunchTemplateVersion>() {
  return {{"labels"}, {"image"}, {"image_digest"}};
}
template <>
inline std::vector<FilterField> FilterFieldsOf<v1::AutoScalingGroup>() {
  return {{"labels"}, {"deleting"}, {"deletion_protection"}};
}
template <>
inline std::vector<FilterField> FilterFieldsOf<v1::Instance>() {
  return {{"state"}, {"zone"}, {"host"}, {"unhealthy"}, {"deployment"}};
}
template <>
inline std::vector<FilterField> FilterFieldsOf<v1::Deployment>() {
  return {{"state"}, {"paused"}, {"rollback_of"}};
}
template <>
inline std::vector<FilterField> FilterFieldsOf<v1::Host>() {
  return {{"labels"}, {"state"}, {"schedule"}, {"zone"}};
}
template <>
inline std::vector<FilterField> FilterFieldsOf<v1::Proxy>() {
  return {{"labels"}, {"connected"}, {"live"}, {"zone"}};
}
template <>
inline std::vector<FilterField> FilterFieldsOf<v1::Activity>() {
  return {{"status"}, {"actor"}, {"resource"}, {"instance"}, {"deployment"}};
}

template <class Request>
std::string FilterOf(const Request& request) {
  if constexpr (requires { request.filter(); }) return request.filter();
  return {};
}

// One page of a list: the rows that the request's filter takes.
template <class T>
class ListPage {
 public:
  // `list` names the list, for its page tokens.
  template <class Request>
  static absl::StatusOr<ListPage> From(std::string_view list, const Request& request) {
    const std::string text = FilterOf(request);
    absl::StatusOr<Filter> filter = Filter::For<T>(FilterFieldsOf<T>(), text);
    if (!filter.ok()) return filter.status();
    auto page =
        Page::From(text.empty() ? std::string(list) : absl::StrCat(std::string(list), " ", text),
                   request.page_size(), request.page_token());
    if (!page.ok()) return page.status();
    return ListPage(*std::move(filter), *std::move(page));
  }

  const std::string& after() const { return page_.after(); }
  std::string NextToken() const { return page_.NextToken(); }

  // Adds the row if the filter takes it; false if the page is full. `row` makes it.
  template <class MakeRow>
  bool Add(std::string_view key, google::protobuf::RepeatedPtrField<T>* rows, MakeRow row) {
    if (filter_.empty()) {
      if (!page_.Take(key)) return false;
      *rows->Add() = row();
      return true;
    }
    T shown = row();
    if (!filter_.Matches(shown)) return true;
    if (!page_.Take(key)) return false;
    *rows->Add() = std::move(shown);
    return true;
  }

 private:
  ListPage(Filter filter, Page page) : filter_(std::move(filter)), page_(std::move(page)) {}

  Filter filter_;
  Page page_;
};

// Rows of T in key order.
template <class Response, class T, class Request>
absl::StatusOr<Response> List(const Snapshot& from, const Request& request,
                              google::protobuf::RepeatedPtrField<T>* (Response::*rows)()) {
  auto page = ListPage<T>::From(Traits<T>::kCollection, request);
  if (!page.ok()) return page.status();
  Response response;
  const Table<T>& table = from.state.All<T>();
  for (auto it = table.upper_bound(page->after()); it != table.end(); ++it) {
    if (!page->Add(it->first, (response.*rows)(),
                   [&] { return ShowRow(from, it->first, *it->second); })) {
      break;
    }
  }
  response.set_next_page_token(page->NextToken());
  return response;
}

}  // namespace remuda::core
