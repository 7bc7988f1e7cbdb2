#include "agent/app_api.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>
#include <variant>

namespace remuda::agent {
namespace {

AdminResponse ResponseOf(const AppReply& reply) {
  AdminResponse response{.status = reply.status, .body = reply.body};
  response.content_type = "application/json";
  if (reply.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  if (reply.status == 429 || reply.status == 503) response.headers.emplace_back("Retry-After", "2");
  if (!reply.allow.empty()) response.headers.emplace_back("Allow", reply.allow);
  return response;
}

}  // namespace

AppApi::AppApi(EventLoop& loop, Options options) : loop_(loop), options_(std::move(options)) {}

AppApi::~AppApi() {
  for (const auto& [id, waiting] : waiting_) loop_.Cancel(waiting.timer);
}

void AppApi::Serve(AdminHttp& http) {
  for (const char* path : kAppPaths) {
    http.HandleCall(path, [this](AdminRequest request, AdminHttp::Answer answer) {
      loop_.Post([this, request = std::move(request), answer = std::move(answer)] {
        Call(request, answer);
      });
    });
  }
}

void AppApi::Call(const AdminRequest& request, AdminHttp::Answer answer) {
  const auto refuse = [&](int status, const std::string& error) {
    answer(ResponseOf(AppError(status, error)));
  };
  if (!request.is_local) return refuse(403, "only apps of this host are answered");
  const std::string token = BearerToken(request.authorization);
  const std::string instance = token.empty() ? "" : options_.find_instance(token);
  if (instance.empty()) {
    return refuse(401, token.empty() ? "the header must be Authorization: Bearer TOKEN, with the "
                                       "instance's REMUDA_INSTANCE_TOKEN"
                                     : "the token is no instance's of this host");
  }
  auto parsed = ParseAppCall(request.method, request.path, request.body);
  if (const auto* wrong = std::get_if<AppReply>(&parsed)) return answer(ResponseOf(*wrong));
  auto& call = std::get<v1::AppCall>(parsed);
  if (!Admit(instance)) {
    return refuse(429, absl::StrCat("an instance may call ", kBurst,
                                    " times at once, and once a second from then on"));
  }
  const auto of_instance =
      static_cast<size_t>(std::count_if(waiting_.begin(), waiting_.end(), [&](const auto& entry) {
        return entry.second.call.instance() == instance;
      }));
  if (of_instance >= kMaxWaitingOfInstance)
    return refuse(429, absl::StrCat(of_instance, " calls of this instance wait for answers"));
  if (waiting_.size() >= kMaxWaiting)
    return refuse(503, absl::StrCat(waiting_.size(), " calls of this host wait for answers"));
  const int64_t id = ++last_call_id_;
  call.set_call_id(id);
  call.set_instance(instance);
  if (!options_.send(call))
    return refuse(503, "this host has no session with the controller; try again");
  const EventLoop::TimerId timer = loop_.After(options_.answer_timeout, [this, id] {
    Finish(id, AppError(504, absl::StrCat("the controller has not answered for ",
                                          options_.answer_timeout.count() / 1000,
                                          " s; it may do what was asked all the same")));
  });
  waiting_[id] = {.call = call, .answer = std::move(answer), .timer = timer};
}

bool AppApi::Admit(const std::string& instance) {
  const EventLoop::TimePoint now = options_.now();
  std::erase_if(rested_at_, [&](const auto& entry) { return entry.second <= now; });
  const auto it = rested_at_.try_emplace(instance, now).first;
  if (it->second + kCallInterval > now + kBurst * kCallInterval) return false;
  it->second += kCallInterval;
  return true;
}

void AppApi::OnAnswer(const v1::AppAnswer& answer) {
  const auto it = waiting_.find(answer.call_id());
  if (it == waiting_.end()) return;
  const v1::AppCall& call = it->second.call;
  Finish(answer.call_id(), ReplyTo(call, options_.group_of(call.instance()), answer));
}

void AppApi::OnDown() {
  while (!waiting_.empty()) {
    Finish(waiting_.begin()->first,
           AppError(503,
                    "the session with the controller has ended, and it may have done what was "
                    "asked; try again"));
  }
}

void AppApi::Finish(int64_t call_id, const AppReply& reply) {
  const auto it = waiting_.find(call_id);
  if (it == waiting_.end()) return;
  const Waiting waiting = std::move(it->second);
  waiting_.erase(it);
  loop_.Cancel(waiting.timer);
  waiting.answer(ResponseOf(reply));
}

}  // namespace remuda::agent
