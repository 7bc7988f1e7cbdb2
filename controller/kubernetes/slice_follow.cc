#include "controller/kubernetes/slice_follow.h"

#include <absl/strings/str_cat.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <utility>

#include "controller/core/door/validate.h"

namespace remuda::kubernetes {
namespace {

constexpr int kGone = 410;
constexpr int kBadRequest = 400;
constexpr int kUnauthorized = 401;
constexpr int kForbidden = 403;
constexpr int kTooMany = 429;
constexpr int kServerError = 500;
// Once a list or a watch was too old it is listed at once; more of them in a row wait.
constexpr int kAnewAtOnce = 1;
// Beyond it twice as long is longer than any backoff.
constexpr int kMaxDoublings = 16;

template <class Message>
bool FromJson(std::string_view text, Message& out) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  return google::protobuf::util::JsonStringToMessage(
             google::protobuf::StringPiece(text.data(), text.size()), &out, options)
      .ok();
}

// Whole in a query (RFC 3986 section 2.3).
std::string Encoded(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '-' || c == '.' || c == '_' || c == '~') {
      out += c;
    } else {
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

// What others worded, as an error can show it.
std::string Shown(std::string_view text) {
  return core::Quoted(text.substr(0, limits::kMaxErrorBytes));
}

// "403 Forbidden: endpointslices is forbidden: User ..." of an answer's body.
std::string TextOf(const Refusal& refusal) {
  if (refusal.status == 0) return refusal.why;
  v1::Status status;
  const bool has_words = FromJson(refusal.why, status) && !status.message().empty();
  const char* hint = refusal.status == kUnauthorized ? " (is the token right?)"
                     : refusal.status == kForbidden
                         ? " (may it list and watch endpointslices of discovery.k8s.io?)"
                         : "";
  return absl::StrCat("Kubernetes answered ", refusal.status, hint,
                      has_words ? ": " + Shown(status.message()) : "");
}

}  // namespace

SliceFollow::SliceFollow(Service service, Pace pace, uint32_t seed)
    : service_(std::move(service)), pace_(pace), random_(seed) {}

Step SliceFollow::Next() {
  Step step{.is_watch = next_page_.empty() && !resource_version_.empty(),
            .target = absl::StrCat("/apis/discovery.k8s.io/v1/namespaces/", service_.name_space,
                                   "/endpointslices?labelSelector=",
                                   Encoded("kubernetes.io/service-name=" + service_.name)),
            .wait = std::exchange(wait_, absl::ZeroDuration()),
            .longest = absl::ZeroDuration()};
  if (!step.is_watch) {
    if (next_page_.empty()) {
      pages_ = {};
      page_ = 0;
    }
    absl::StrAppend(&step.target, "&limit=", limits::kSlicesAPage);
    if (!next_page_.empty()) absl::StrAppend(&step.target, "&continue=", Encoded(next_page_));
    return step;
  }
  // Watches that begin together do not end together.
  const int64_t seconds = std::max<int64_t>(absl::ToInt64Seconds(pace_.watch_time), 1);
  std::uniform_int_distribution<int64_t> jitter(0, seconds / 2);
  const int64_t asked = seconds + jitter(random_);
  absl::StrAppend(&step.target,
                  "&watch=1&allowWatchBookmarks=true&resourceVersion=", Encoded(resource_version_),
                  "&timeoutSeconds=", asked);
  step.longest = std::min(absl::Seconds(asked), pace_.watch_time * 1.5) + pace_.watch_grace;
  said_something_ = false;
  return step;
}

void SliceFollow::OnPage(std::string_view json) {
  v1::EndpointSliceList list;
  if (!FromJson(json, list) || list.metadata().resource_version().empty()) {
    ListAnew();
    return Fail("what Kubernetes answered is no list of EndpointSlices");
  }
  for (v1::EndpointSlice& slice : *list.mutable_items()) {
    if (slice.metadata().name().empty()) {
      ListAnew();
      return Fail("what Kubernetes answered is a list with an EndpointSlice without name");
    }
    pages_.Put(std::move(slice));
  }
  if (++page_ >= limits::kMaxPages && !list.metadata().next_page().empty()) {
    ListAnew();
    return Fail(absl::StrCat("the list of its EndpointSlices has more than ", limits::kMaxPages,
                             " pages (kMaxPages)"));
  }
  next_page_ = list.metadata().next_page();
  if (!next_page_.empty()) return;
  slices_ = std::exchange(pages_, {});
  resource_version_ = list.metadata().resource_version();
  has_list_ = true;
  failures_ = 0;
  error_.clear();
}

void SliceFollow::OnRefused(const Refusal& refusal) {
  if (refusal.status == kGone) {
    // The rest of the list, or what the watch missed, is not kept any more.
    ListAnew();
    if (anew_ <= kAnewAtOnce) return;
    return Fail(TextOf(refusal));
  }
  // A watch that is not understood will not be, wherever it goes on.
  if (refusal.status >= kBadRequest && refusal.status < kServerError &&
      refusal.status != kUnauthorized && refusal.status != kForbidden &&
      refusal.status != kTooMany) {
    ListAnew();
  }
  Fail(TextOf(refusal), std::min(refusal.after, limits::kMaxRetryAfter));
}

void SliceFollow::OnWatchBegun() { error_.clear(); }

bool SliceFollow::OnLine(std::string_view json) {
  v1::WatchEvent event;
  if (!FromJson(json, event)) {
    // Its type alone may be readable: a Status has other fields.
    v1::WatchError error;
    if (FromJson(json, error) && error.object().code() != 0) return OnError(json);
    ListAnew();
    Fail("what Kubernetes said is no event: " + Shown(json));
    return false;
  }
  if (event.type() == "ERROR") return OnError(json);
  return OnObject(event.type(), std::move(*event.mutable_object()));
}

bool SliceFollow::OnObject(const std::string& type, v1::EndpointSlice slice) {
  const std::string version = slice.metadata().resource_version();
  const std::string name = slice.metadata().name();
  const bool is_slice = type == "ADDED" || type == "MODIFIED" || type == "DELETED";
  if (!is_slice && type != "BOOKMARK") return true;  // of a newer API
  if (version.empty() || (is_slice && name.empty())) {
    ListAnew();
    Fail("what Kubernetes said is an event without name or resourceVersion");
    return false;
  }
  if (type == "DELETED") slices_.Remove(name);
  if (type == "ADDED" || type == "MODIFIED") slices_.Put(std::move(slice));
  resource_version_ = version;
  said_something_ = true;
  failures_ = anew_ = 0;
  return true;
}

bool SliceFollow::OnError(std::string_view json) {
  v1::WatchError error;
  FromJson(json, error);
  const v1::Status& status = error.object();
  if (status.code() == kGone || status.reason() == "Expired" || status.reason() == "Gone") {
    ListAnew();
    if (anew_ > kAnewAtOnce) Fail("Kubernetes: " + Shown(status.message()));
    return false;
  }
  Fail(absl::StrCat("Kubernetes ended the watch: ", status.code(), ": ", Shown(status.message())));
  return false;
}

void SliceFollow::OnTooLong() {
  // The same line would come again: a list has what it says.
  ListAnew();
  Fail(absl::StrCat("Kubernetes said an event of more than ", limits::kMaxEventBytes,
                    " bytes (kMaxEventBytes)"));
}

void SliceFollow::OnWatchEnded(const std::string& why) {
  if (!why.empty()) return Fail(why);
  // One that ends with nothing said may do so at once, again and again.
  if (!said_something_) wait_ = pace_.min_backoff;
}

void SliceFollow::ListAnew() {
  ++anew_;
  ForgetPlace();
}

void SliceFollow::ForgetPlace() {
  next_page_.clear();
  resource_version_.clear();
}

void SliceFollow::Fail(std::string why, absl::Duration at_least) {
  error_ = std::move(why);
  // A list that comes each time, and a watch that cannot be understood: that is one failure after
  // the other too.
  const int doublings = std::min(std::max(failures_, anew_ - kAnewAtOnce), kMaxDoublings);
  absl::Duration backoff = pace_.min_backoff * (1 << doublings);
  backoff = std::min(backoff, pace_.max_backoff);
  std::uniform_real_distribution<double> jitter(0.5, 1.0);
  wait_ = std::max(backoff * jitter(random_), at_least);
  if (++failures_ > limits::kMaxResumes) ForgetPlace();
}

}  // namespace remuda::kubernetes
