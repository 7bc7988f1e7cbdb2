// What apps ask of the agent over HTTP on loopback (docs/agent.md): passed on to the controller by
// the session, answered when its answer comes.
//
// Loop thread, but for the handlers that Serve registers, which only post to it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "agent/core/app_call.h"
#include "agent/event_loop.h"
#include "common/admin_http.h"
#include "remuda/agent/v1/agent.pb.h"

namespace remuda::agent {

class AppApi {
 public:
  struct Options {
    // The instance whose token it is; empty: nobody's.
    std::function<std::string(const std::string& token)> find_instance;
    // Id of the instance's group.
    std::function<std::string(const std::string& instance)> group_of;
    // False: there is no session.
    std::function<bool(v1::AppCall)> send;
    std::chrono::milliseconds answer_timeout{10'000};
    std::function<EventLoop::TimePoint()> now = EventLoop::Now;
  };
  // Calls that wait for the controller: more are refused.
  static constexpr size_t kMaxWaiting = 256;
  static constexpr size_t kMaxWaitingOfInstance = 8;
  // An instance may call so many times at once, and one more each second: each call is work for the
  // controller of the whole cluster.
  static constexpr int kBurst = 10;
  static constexpr std::chrono::seconds kCallInterval{1};

  AppApi(EventLoop& loop, Options options);
  ~AppApi();

  // Registers the paths. `http` must end before this does.
  void Serve(AdminHttp& http);

  void Call(const AdminRequest& request, AdminHttp::Answer answer);
  // From the controller. One that nobody waits for is dropped.
  void OnAnswer(const v1::AppAnswer& answer);
  // The session has ended: nobody will answer what waits.
  void OnDown();

 private:
  struct Waiting {
    v1::AppCall call;
    AdminHttp::Answer answer;
    EventLoop::TimerId timer = 0;
  };
  // Whether the instance may call now; the call counts.
  bool Admit(const std::string& instance);
  // Ends the wait for a call.
  void Finish(int64_t call_id, const AppReply& reply);

  EventLoop& loop_;
  const Options options_;
  std::map<int64_t, Waiting> waiting_;
  // When each instance that has called lately will have its whole burst again.
  std::map<std::string, EventLoop::TimePoint> rested_at_;
  int64_t last_call_id_ = 0;
};

}  // namespace remuda::agent
