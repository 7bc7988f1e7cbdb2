// GateThread: some of the gate's connections, each from its handshake to its end. Thread: its own;
// what other threads call posts to it.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "controller/identity/gate.h"

namespace remuda {

class GateThread {
 public:
  explicit GateThread(Gate& gate);  // outlives it
  ~GateThread();

  // False: it has ended, and the task is not run.
  bool Post(std::function<void()> task);
  void Add(int fd);
  // The rest but Stop: the thread itself, through Post.
  void CloseIf(const std::function<bool(const Caller&)>& is_to_end);
  void Extend(const identity::SpiffeId& id, absl::Time expire_time);
  void Drain();
  void Stop();

 private:
  struct Connection;
  // What epoll answers with: one of a connection's two sockets.
  struct End {
    Connection* connection = nullptr;
    bool is_plain = false;
  };
  using Clock = std::chrono::steady_clock;
  using Connections = std::list<std::unique_ptr<Connection>>;

  void Run();
  void RunTasks();
  void Begin(int fd);
  void OnEvent(const End& end, uint32_t events);
  void Shake(Connection& connection);
  // After the handshake: who it is.
  void Admit(Connection& connection);
  // Of a connection that a standby passes on: on behalf of whom.
  void ReadRelayed(Connection& connection);
  void AdmitRelayed(Connection& connection);
  // The way to gRPC; of one that joins, to the join endpoint: `caller` is the standby then, at the
  // joining one's address.
  void Let(Connection& connection, std::shared_ptr<Caller> caller, bool joins = false);
  void Refuse(Connection& connection, const std::string& why);
  // Moves what there is to move, both ways. False: it has ended.
  bool MoveUp(Connection& connection);
  bool MoveDown(Connection& connection);
  void Move(Connection& connection);
  void Watch(Connection& connection);
  void Close(Connection& connection);
  void EndOverdue();
  void CrowdOut(const std::string& host);

  Gate& gate_;
  int epoll_ = -1;
  int wake_ = -1;
  std::mutex mutex_;  // guards tasks_ and stopping_
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  bool ended_ = false;
  // The thread's.
  Connections shaking_;  // the oldest first
  Connections open_;
  std::unordered_map<std::string, size_t> shaking_by_host_;
  std::vector<std::unique_ptr<Connection>> dead_;  // until the events at hand are done
  std::vector<char> buffer_;
  uint64_t next_number_ = 0;
  bool is_draining_ = false;
  Clock::time_point next_look_{};
  std::thread thread_;  // last: it uses the others
};

}  // namespace remuda
