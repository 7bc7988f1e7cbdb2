// ReceiverSessions: what sessions of agents and of proxies have in common: hello first, one session
// a name, updates by a Follower, ACK and NACK, confirmed commits.
//
// A name belongs to the process that has its session for as long as that lives. Another process
// that asks for it waits: for the end of the first one's session, which keepalive brings about if
// the process is dead, or for its Pong, by which the second one is refused. A first one that is
// leaving hands the name over, and stays as a departing one: while it does, nothing of the name is
// confirmed.
//
// Owns: which stream belongs to whom and how far each has followed. Does not own: the views, nor
// what the reports mean. Thread: the loop thread.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "controller/engine/engine.h"
#include "controller/engine/loop.h"
#include "controller/sessions/follower.h"
#include "controller/sessions/stream.h"
#include "controller/views/receiver_views.h"
#include "google/protobuf/map.h"
#include "google/protobuf/message.h"
#include "remuda/v1/cluster.pb.h"

namespace remuda {

// What calls and streams are told that end with the controller (UNAVAILABLE).
inline constexpr char kStopping[] = "the controller is stopping";

// Who this controller is.
struct Identity {
  std::string cluster_id;
  int64_t epoch = 0;
  std::string secret = {};  // Leadership.secret
};

// What both kinds of Hello say.
struct HelloFields {
  std::string_view name_field;  // "host" or "proxy"
  const std::string& name;
  const std::string& cluster_id;
  const std::string& address;
  const std::string& zone;
  const google::protobuf::Map<std::string, std::string>& labels;
  // Null: none.
  const v1::Revision* held;
  // Of the content of `held`; empty: not known.
  const std::string& held_digest;
  const std::string& incarnation;  // of the process; empty: an older one
  // What one process holds at a time: who has it outlives all others that had. Empty: not known.
  std::string lock = {};
};

class ReceiverSessions : public StreamHandler {
 public:
  // All outlive it.
  ReceiverSessions(Identity identity, Engine& engine, ReceiverViews& views, Loop& loop,
                   Metrics& metrics)
      : identity_(std::move(identity)),
        engine_(engine),
        loop_(loop),
        metrics_(metrics),
        views_(views) {}
  ReceiverSessions(const ReceiverSessions&) = delete;
  ReceiverSessions& operator=(const ReceiverSessions&) = delete;

  // Confirms commits that views in force cover now, and sends to whoever lacks something: to those
  // of `touched`, whose views may have changed (null: all), and to those who have answered since
  // the last call. Call after the views were refreshed.
  void Flush(const std::set<std::string>* touched);
  // Ends every session with UNAVAILABLE; no new one begins.
  void CloseAll();
  size_t size() const { return by_name_.size(); }
  // Where the cluster's controllers are (`HOST:PORT`, the leader's first): all are told if that has
  // changed, and whoever comes later with its welcome. Empty: nothing is said.
  void SetControllers(const std::vector<std::string>& addresses);

  void OnOpened(const StreamPtr& stream) final;
  void OnMessage(const StreamPtr& stream, std::string_view bytes) final;
  void OnDrained(const StreamPtr& stream) final;
  void OnClosed(const StreamPtr& stream) final;

 protected:
  struct Session {
    StreamPtr stream;
    std::string name;  // empty until hello
    Follower follower;
    absl::Time sent_at;
    int64_t held = 0;  // sequence of this epoch that it said it holds; 0: none
    // What it said it holds, of any epoch, and its digest; until the first update. Empty: not
    // known.
    v1::Revision first_held;
    std::string first_digest;
    // What it has in force may be taken as confirmed. False until it has said what hangs on that.
    bool may_confirm = true;
    int64_t reports = 0;  // StatsReports that came; of proxies
    std::string incarnation;
    std::string lock;
    // The Ping that it has not answered yet; 0: none. One for all who wait.
    int64_t asked = 0;
    // It has given its name up and drains: it may still send to what it knows. Nothing is heard of
    // it but its end.
    bool is_departing = false;
    // While another process has the session of its name: that name, the Ping that asks that one,
    // and the hello, to be handled again.
    std::string wanted_name;
    int64_t ping_id = 0;
    std::string hello;
  };
  enum class Began { kYes, kWaits };

  // Handles one message. An error ends the session with it. Before the hello, session.name is
  // empty.
  virtual absl::Status Handle(Session& session, std::string_view bytes) = 0;
  // The session of `name` has ended.
  virtual void Lost(const std::string& name) = 0;
  virtual v1::ReceiverStatus& StatusOf(const std::string& name) = 0;
  // What it has in force covers commits up to this one now, and covered those up to `before`.
  virtual void Confirm(const std::string& name, int64_t before, int64_t commit) = 0;
  virtual std::atomic<int64_t>& session_count() = 0;
  virtual Frame PingFrame(int64_t ping_id) const = 0;
  // That the controllers are where controllers() says.
  virtual Frame ControllersFrame() const = 0;
  // What a second process of `first`'s name is told; shows people that it was refused. `why`: what
  // else there is to say, or empty.
  virtual absl::Status RefuseSecond(const Session& second, const Session& first,
                                    const std::string& why) = 0;

  bool is_closing() const { return closing_; }
  // As SetControllers said last.
  const v1::ControllerAddresses& controllers() const { return controllers_; }

  // For Handle. Reads a message; a text that is no UTF-8 is mended and logged, so that it costs its
  // sender no session. INVALID_ARGUMENT: it is none of `out`'s type.
  absl::Status Read(const Session& session, std::string_view bytes, google::protobuf::Message& out);
  // For Handle. Checks a hello and makes `session` the one of its name: an earlier one of the same
  // process, or of one that is surely dead, ends with ABORTED. kWaits: nothing more is to be done
  // now; the hello comes again if the name becomes free.
  absl::StatusOr<Began> Begin(Session& session, const HelloFields& hello);
  // For Handle. PERMISSION_DENIED: the certificate behind the stream is of another name.
  static absl::Status CheckIsOwn(const Session& session, std::string_view name_field,
                                 const std::string& name);
  // For Handle. The process is there: those that ask for its name are refused.
  void OnPong(Session& session, int64_t ping_id);
  // For Handle. The process drains: if another one asks for its name, that one gets it now. Nothing
  // is confirmed for the name while this session is there, which is ended after `patience`.
  void GiveNameUp(Session& session, absl::Duration patience);
  // Shows people that somebody was refused under a name, in `refused` and by an activity.
  void NoteRefused(core::Refused& refused, const std::string& resource, const std::string& who,
                   const std::string& peer, const std::string& why);
  void OnAck(Session& session, const v1::Revision& revision);
  void OnNack(Session& session, const v1::Revision& revision, const std::string& resource,
              const std::string& reason);
  // Null: no session.
  Session* Find(std::string_view name);
  // The session may lack something that it did not before.
  void FlushLater(const Session& session) { unflushed_.insert(session.name); }
  // Sends a message beside the updates; too many that wait end the session.
  void Send(Session& session, Frame frame);
  // To every session that has said hello.
  void SendToAll(const Frame& frame);

  const Identity identity_;
  Engine& engine_;
  Loop& loop_;
  Metrics& metrics_;

 private:
  absl::Status Check(const Session& session, const HelloFields& hello) const;
  void FlushOne(Session& session);
  void End(Session& session, const absl::Status& status);
  void Forget(const Session& session);
  absl::Status Wait(Session& session, Session& first, const std::string& name);
  void StopWaiting(Session& session);
  void HandleAgain(const StreamPtr& stream);
  void Refuse(Session& second, const std::string& why);

  ReceiverViews& views_;
  std::map<const Stream*, std::unique_ptr<Session>> sessions_;
  std::map<std::string, Session*, std::less<>> by_name_;
  std::multimap<std::string, Session*, std::less<>> waiting_;  // by wanted_name
  std::multiset<std::string, std::less<>> departing_;          // names that departing ones had
  std::set<std::string> unflushed_;                            // by name
  v1::ControllerAddresses controllers_;
  int64_t last_ping_id_ = 0;
  bool closing_ = false;
};

}  // namespace remuda
