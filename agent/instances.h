// The instances of this host, made to be as the assignment says: performs what agent/core decides.
//
// Owns the assignment (also on disk), the supervisor and the image cache. Lives on the event loop's
// thread; blocking work goes to the worker pool. It knows nothing of the controller but whether
// there is a session.
#pragma once

#include <absl/status/status.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/app_files.h"
#include "agent/app_users.h"
#include "agent/assignment_file.h"
#include "agent/cgroup.h"
#include "agent/containment.h"
#include "agent/core/assignment.h"
#include "agent/core/decide.h"
#include "agent/event_loop.h"
#include "agent/image_cache.h"
#include "agent/ingress_firewall.h"
#include "agent/instance_tokens.h"
#include "agent/kept_logs.h"
#include "agent/run_record.h"
#include "agent/secret_files.h"
#include "agent/supervisor.h"
#include "agent/task_threads.h"
#include "common/image_signature.h"
#include "remuda/agent/v1/agent.pb.h"

namespace remuda::agent {

class Instances {
 public:
  struct Options {
    std::string data_directory;
    HostFacts host;
    std::string program = "/proc/self/exe";
    uint64_t seed = 0;      // of the backoff's jitter
    std::string name = {};  // of the host: its firewall table is named after it
    std::string nft = {};   // see IngressFirewall::Options
    UserRange users = {};
    bool allow_root_apps = false;
    std::vector<std::string> readable = {};  // directories that apps may read beside the system's
    ImageKeys image_keys = {};               // not empty: images must be signed by one of them
    // Longer than from the making of a run's cgroup to its first process (Supervisor gives up a
    // start that takes 30 s).
    std::chrono::milliseconds left_cgroups_after{60'000};
    // A status changed, compared with the one told last.
    std::function<void(const v1::InstanceStatus&)> on_status = {};
    // An instance was forgotten: it is neither named nor running, and its directory is gone.
    std::function<void(const std::string&)> on_removed = {};
  };

  // Two pools, so that a transfer which hangs does not keep instances whose image is here from
  // starting. `loop`, the pools and `source` must outlive it; the pools' tasks must have ended
  // before it does.
  Instances(EventLoop& loop, TaskThreads& transfers, TaskThreads& files, ImageSource& source,
            Options options);
  ~Instances();

  // Reads the data directory: takes up the last assignment and everything that runs. Once, first.
  absl::Status Open();

  // Takes an update up, or says what is wrong with it and changes nothing. It is written to disk
  // soon after, by a file worker (see Flush): a start without a controller may know an older one.
  std::optional<Refusal> Apply(const v1::AssignmentUpdate& update, int64_t min_epoch);

  void SessionUp();
  void SessionDown();

  // Stops everything that runs, whatever the assignment says; `done` is called when nothing does
  // any more.
  void StopAll(std::function<void()> done);

  // What is being unpacked is given up, so that the pools' tasks end soon. Before the end of the
  // program.
  void CancelImages() { images_.Cancel(); }

  // Waits until what was taken up is on disk. Before the end of the program.
  void Flush();

  const Assignment& assignment() const { return assignment_; }
  std::vector<v1::InstanceStatus> Statuses() const;
  std::vector<std::string> Ids() const;
  // nullptr: no process is known.
  const InstanceRun* FindRun(const std::string& id) const { return supervisor_.Find(id); }
  InstanceDir Dir(const std::string& id) const { return supervisor_.Dir(id); }
  // Where apps reach the agent's HTTP port; before the loop runs.
  void SetAgentUrl(std::string url) { agent_url_ = std::move(url); }
  const InstanceTokens& tokens() const { return tokens_; }
  // Id of its group; empty: the assignment does not name it.
  std::string GroupOf(const std::string& id) const;
  // Whether its log may grow: it runs, or is being changed.
  bool MayPrint(const std::string& id) const;
  // Where the log of an instance is, of one that was forgotten a while ago too; empty: nowhere.
  std::string LogDirectory(const std::string& id) const;
  Supervisor& supervisor() { return supervisor_; }
  // Calls back once what was taken up last of who may reach instances is in force, or cannot be.
  void WhenFiltered(std::function<void()> done) { firewall_.WhenTried(std::move(done)); }
  std::string DescribeLimits() const { return cgroups_.Describe(); }
  // See Hello.lacks.
  std::map<std::string, std::string> Lacks();

 private:
  struct Instance {
    bool preparing = false;
    bool fetching = false;  // while preparing: the image is not here yet
    std::string files_of;   // FilesIn(its directory)
    std::string next_of;    // NextFilesIn(its directory)
    v1::DesiredState desired = v1::DESIRED_STATE_UNSPECIFIED;  // as it was assigned last
    // The highest that was assigned; failures and setbacks are of it. Above its run's: is changed.
    int generation = 0;
    bool failed = false;
    bool failure_is_final = false;
    std::string message;
    std::string ended_for;  // why this agent ended its process, until that has ended
    std::string log_tail;   // of the last run, once it has ended and nobody asked for it
    TimePoint since{};
    TimePoint failing_since{};
    TimePoint started{};
    int setbacks = 0;
    uint64_t came_bytes = 0;  // of the image, when the last transfer broke off
    EventLoop::TimerId timer = 0;
    v1::InstanceStatus told;
  };

  Facts FactsOf(const std::string& id) const;
  v1::InstanceStatus StatusOf(const std::string& id) const;
  // Of one whose process is of a generation before the one that is wanted: how far the change is.
  void SetChanging(const std::string& id, const Facts& facts, v1::InstanceStatus& status) const;
  // Of one that does not run and has not: what it waits for.
  void SetWaiting(const std::string& id, const Facts& facts, v1::InstanceStatus& status) const;
  // The instance that runs and has this port; empty: none.
  std::string HolderOf(int port, const std::string& except) const;
  // The process that is known of it is of a generation before the one that was taken up.
  bool IsOld(const std::string& id, const InstanceRun* run) const;
  // What runs, or has ended, was stopped to be prepared, or has to be.
  bool IsSpent(const std::string& id, const InstanceRun& run) const;
  void TakeUp(const v1::InstanceAssignment& assigned);
  void Evaluate(const std::string& id);
  void EvaluateAll();
  void Prepare(const std::string& id);
  void Fetched(const std::string& digest, const absl::StatusOr<std::string>& image,
               uint64_t came_bytes);
  void NoteProgress(Instance& instance, uint64_t came_bytes);
  void CopyFiles(const std::string& id, const std::string& digest, const std::string& image);
  // The key of the files that the assignment wants.
  std::string FilesWanted(const v1::InstanceAssignment& assigned) const;
  void Install(const std::string& id);
  void Prepared(const std::string& id, const std::string& files_key, const absl::Status& status);
  void DropNext(const std::string& id);
  ImagePlace PlaceOfImages();
  void Start(const std::string& id);
  absl::Status TryStart(const std::string& id, const v1::InstanceAssignment& assignment);
  void Stop(const std::string& id);
  void Settle(const std::string& id);
  void Forget(const std::string& id);
  void Fail(const std::string& id, const absl::Status& status, bool final);
  void GiveUp(const std::string& id);
  // The port that it shall have whatever happens; 0: any.
  int FixedPort(const std::string& id) const;
  absl::StatusOr<int> PortFor(const std::string& id);
  // What is known to keep it from running on this host at all: its template, an image that nobody
  // vouches for.
  absl::Status CheckHost(const v1::InstanceAssignment& assigned) const;
  // The ports of instances that run, of those that have filters; and `port` of one that begins.
  std::vector<FilteredPort> FilteredPorts(const v1::InstanceAssignment* begins, int port) const;
  // Before it starts: who may reach it is in force.
  absl::Status FilterPort(const v1::InstanceAssignment& assigned, int port);
  // What is known to keep the new process of an instance that is being changed from starting.
  absl::Status CheckLaunch(const std::string& id);
  // Puts what its launch template names of secrets where the app finds it.
  absl::Status GiveSecrets(const v1::InstanceAssignment& assigned, LaunchFacts& facts);
  absl::Status CheckSecrets(const v1::InstanceAssignment& assigned);
  void StopForChange(const std::string& id);
  // Of one that shall only be prepared, and has its files: fails it if its program is not in them.
  // It is better found now than when the instance is needed.
  void CheckPrepared(const std::string& id);
  void NoteEnd(const std::string& id, const InstanceRun& run);
  void PruneLogs();
  void PruneImages();
  void LookAtDisks();
  // Whether the run met its memory limit; see Cgroups::End.
  bool EndCgroups(const std::vector<std::string>& directories);
  void SweepCgroups();
  void RemoveLeftCgroups();
  void OnRunChange(const std::string& id);
  void Tell(const std::string& id);
  std::optional<std::string> LoadAssignment();
  void SaveAssignment();

  EventLoop& loop_;
  TaskThreads& transfers_;
  TaskThreads& files_;
  const Options options_;
  Assignment assignment_;
  ImageCache images_;
  Cgroups cgroups_;
  AppUsers users_;
  Containment containment_;
  std::vector<std::string> left_cgroups_;  // ended, and not yet empty
  std::set<std::string> seen_cgroups_;     // of nobody that is known here, at the last look
  PortPicker ports_;
  KeptLogs logs_;
  InstanceTokens tokens_;
  SecretFiles secret_files_;
  std::string agent_url_;
  Supervisor supervisor_;
  IngressFirewall firewall_;
  SessionFacts session_;
  std::map<std::string, Instance> instances_;
  std::map<std::string, std::vector<std::string>> fetching_;  // digest → instances that wait for it
  EventLoop::TimerId prune_timer_ = 0, cgroup_timer_ = 0, disk_timer_ = 0, left_cgroups_timer_ = 0;
  bool stopping_all_ = false;
  std::function<void()> all_stopped_;  // set while stopping_all_, until it was called
  std::shared_ptr<AssignmentFile> file_;
};

}  // namespace remuda::agent
