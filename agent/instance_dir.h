// Where things of one instance lie in the agent's data directory, and the keys of the records
// there. docs/agent.md draws the whole layout. Plain C++: the shim uses it.
#pragma once

#include <string>

namespace remuda::agent {

struct InstanceDir {
  std::string path;

  std::string App() const { return path + "/app"; }      // the app's files and working directory
  std::string Image() const { return path + "/image"; }  // what app/ was made from: a FilesKey
  // The next generation's files, complete, while the app of app/ may still run; what they were made
  // from; and, as Into, on their way to be app/ (see app_files.h).
  std::string Next() const { return path + "/app.next"; }
  std::string NextImage() const { return path + "/next"; }
  std::string Into() const { return path + "/app.into"; }
  std::string Lock() const { return path + "/lock"; }        // held (flock) while a shim lives
  std::string Run() const { return path + "/run"; }          // record: what to run
  std::string Running() const { return path + "/running"; }  // record: who runs it
  std::string Stop() const { return path + "/stop"; }        // record: how to stop
  std::string Exit() const { return path + "/exit"; }        // record: how it ended
  std::string Room() const { return path + "/room"; }        // of the disk, for the record above
  std::string Token() const { return path + "/token"; }      // the app's secret (InstanceTokens)
  std::string User() const { return path + "/user"; }        // the uid that is its own (AppUsers)
  std::string Tmp() const { return path + "/tmp"; }          // what the app has as /tmp
  std::string Logs() const { return path + "/logs"; }
};

namespace key {
// run
inline constexpr char kArg[] = "arg";  // program, then its arguments
inline constexpr char kEnv[] = "env";  // NAME=VALUE, the whole environment
inline constexpr char kUid[] = "uid";  // with gid and groups; absent: the shim's own
inline constexpr char kGid[] = "gid";
inline constexpr char kGroup[] = "group";
inline constexpr char kCgroup[] = "cgroup";   // directories whose cgroup.procs the app joins
inline constexpr char kOwnUid[] = "own_uid";  // 1: the uid is of this instance alone
inline constexpr char kNoCapabilities[] = "no_capabilities";  // 1: nor may any program have them
inline constexpr char kSeccomp[] = "seccomp";                 // 1: the filter of system calls
inline constexpr char kLandlock[] = "landlock";               // 1: with the three below
inline constexpr char kTmp[] = "tmp";            // its own /tmp, or at least TMPDIR; absent: none
inline constexpr char kReadable[] = "readable";  // directories beside the system's
inline constexpr char kWritable[] = "writable";  // directories beside its own two
inline constexpr char kPrivateView[] = "private_view";  // 1: its own mount namespace, with
inline constexpr char kHidden[] = "hidden";             // directories that are not seen in it
inline constexpr char kOpenFiles[] = "open_files";      // of each process; absent: the shim's own
inline constexpr char kFileBytes[] = "file_bytes";      // of each file; absent: no limit
inline constexpr char kSite[] = "site";  // 1: no program; files are served (static_site.h), from
inline constexpr char kSiteRoot[] = "site_root";
inline constexpr char kSiteIndex[] = "site_index";
inline constexpr char kSiteNotFound[] = "site_not_found";
inline constexpr char kSiteCacheControl[] = "site_cache_control";
inline constexpr char kSiteVersion[] = "site_version";  // what its files are of
inline constexpr char kRunId[] = "run_id";           // also in the environment, as kRunIdVariable
inline constexpr char kPort[] = "port";              // what PORT says; the shim does not use it
inline constexpr char kRestarts[] = "restarts";      // by the agent itself, before this run
inline constexpr char kGeneration[] = "generation";  // of the assignment; absent: 0
inline constexpr char kLogMark[] =
    "log_mark";  // a line for the log, before the app's; absent: none
inline constexpr char kStopSignal[] = "stop_signal";
inline constexpr char kGraceMs[] = "grace_ms";
inline constexpr char kLogSegmentBytes[] = "log_segment_bytes";
inline constexpr char kLogSegments[] = "log_segments";
// stop, beside the two above
inline constexpr char kToPrepare[] = "to_prepare";  // 1: only to be run later again
// running
inline constexpr char kBootId[] = "boot_id";
inline constexpr char kLock[] = "lock";  // FileId of the lock that the shim holds
inline constexpr char kShimPid[] = "shim_pid";
inline constexpr char kShimStart[] = "shim_start";
inline constexpr char kAppPid[] = "app_pid";
inline constexpr char kAppStart[] = "app_start";
inline constexpr char kStartedMs[] = "started_ms";  // Unix time
// exit
inline constexpr char kCode[] = "code";      // -1: ended by a signal, or never started
inline constexpr char kSignal[] = "signal";  // 0: none
inline constexpr char kEndedMs[] = "ended_ms";
inline constexpr char kRequested[] = "requested";  // 1: a stop was asked for before it ended
inline constexpr char kError[] = "error";          // it was never started: why
inline constexpr char kCpuUs[] = "cpu_us";         // of the whole tree
inline constexpr char kMaxResidentKb[] = "max_resident_kb";
inline constexpr char kKilled[] = "killed";  // processes of the tree that had to be killed
}  // namespace key

// Random for each run, so that what is left of a tree whose shim was killed can be told from
// everything else.
inline constexpr char kRunIdVariable[] = "REMUDA_RUN";

// Descriptors that a shim inherits: a pipe it writes a byte to when the app's program runs, and its
// directory's lock.
inline constexpr int kShimReadyFd = 3;
inline constexpr int kShimLockFd = 4;

}  // namespace remuda::agent
