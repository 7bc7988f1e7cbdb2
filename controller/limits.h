// Every bound of the controller, by name. The names appear in the errors of what meets them.
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>

namespace remuda::limits {

// A request that the API takes; agents' and proxies' reports too. As large as a manifest may be.
inline constexpr int kMaxRequestBytes = 8 << 20;
// gRPC's own bound, which tells only two numbers: above ours, so that what is a little too large is
// refused in our words.
inline constexpr int kMaxReceiveBytes = 2 * kMaxRequestBytes;
// Memory for what comes in and is not handled yet, over all connections. gRPC gathers a message
// before it looks at its size, whatever that says; above this it ends streams.
inline constexpr size_t kReceiveMemoryBytes = size_t{256} << 20;
// A connection must have said something by then (HTTP/2's preface), or it is closed.
inline constexpr int kHandshakeTimeoutMs = 5000;
// A TLS handshake must be over by then.
inline constexpr absl::Duration kTlsHandshakeTimeout = absl::Seconds(5);
// TLS handshakes under way, of all and from one address (of IPv6: one /64 network), for each of the
// gate's threads; the oldest are ended for newer ones.
inline constexpr size_t kMaxHandshakes = 256;
inline constexpr size_t kMaxHandshakesPerAddress = 64;
// Connections of one identity: a host that was taken over keeps nobody else out. More are refused.
inline constexpr size_t kMaxConnectionsPerIdentity = 256;
// A connection without a call is closed after; clients dial anew by themselves.
inline constexpr int kIdleConnectionMs = 300'000;
// Freed memory beyond this is given back to the system, looked at so often.
inline constexpr size_t kFreeMemoryKeptBytes = size_t{64} << 20;
inline constexpr absl::Duration kTrimInterval = absl::Seconds(10);

// Descriptors that the controller uses at most, if the system allows so many: connections (one that
// came through the gate has three), and besides them what follows. Enough for 10,000 hosts, 1,000
// proxies and people.
inline constexpr size_t kMaxDescriptors = 49'152;
// Kept from connections for the store, images, admin pages and gRPC's own; at most half of what
// there is.
inline constexpr size_t kReservedDescriptors = 512;
// Out of descriptors, accepting is tried again after; meanwhile connections wait in the kernel.
inline constexpr absl::Duration kAcceptPause = absl::Milliseconds(100);
// Connections that wait to be accepted (listen(2)).
inline constexpr int kAcceptBacklog = 1024;

// The controller calls its own port so often, and waits so long for the answer: /readyz.
inline constexpr absl::Duration kSelfCallInterval = absl::Seconds(2);
inline constexpr absl::Duration kSelfCallTimeout = absl::Seconds(2);

// Streams that one connection may have open.
inline constexpr int kMaxStreamsPerConnection = 100;
// Commands and reads that wait for the loop. More are answered RESOURCE_EXHAUSTED.
inline constexpr size_t kMaxQueuedRequests = 4096;
// Commands that one commit carries.
inline constexpr size_t kMaxBatchCommands = 512;
// A commit that failed is not tried again by reconciliation for so long; a person's command tries
// at once.
inline constexpr absl::Duration kCommitRetryDelay = absl::Seconds(1);

// Rows that reconciliation edits before it leaves the other groups to the next turn, so that no
// turn keeps reports and calls waiting for long.
inline constexpr size_t kMaxReconcileEdits = 500;
// Up to so many where turns are short all the same: fewer commits for the same work.
inline constexpr size_t kMostReconcileEdits = 2000;
inline constexpr absl::Duration kShortTurn = absl::Milliseconds(5);
inline constexpr absl::Duration kLongTurn = absl::Milliseconds(12);
// Instances of the groups that one turn looks at, and hosts that it looks at; one group at least.
inline constexpr size_t kMaxInstancesLookedAt = 2000;
inline constexpr size_t kMaxHostsLookedAt = 500;

// What is due by time alone is looked at no more often than this.
inline constexpr absl::Duration kMinReconcileInterval = absl::Milliseconds(10);

// Sessions of agents, and as many of proxies.
inline constexpr size_t kMaxSessions = 20'000;
// A new stream must say hello within.
inline constexpr absl::Duration kHelloTimeout = absl::Seconds(10);
// Hello.machine_id, .boot_id, .incarnation and .lock, each.
inline constexpr size_t kMaxMachineIdBytes = 64;
// A second process of one name waits so long for the end of the first one's session, or for its
// answer; longer than keepalive needs to find it dead. Then the first one lives.
inline constexpr absl::Duration kNameWait = absl::Seconds(10);
// Processes that wait so for one name, and the bytes of the hello that is kept of each (an agent's
// holds what it says of its instances). More are refused at once.
inline constexpr size_t kMaxWaitingForName = 8;
inline constexpr size_t kMaxWaitingHelloBytes = 1 << 20;
// One that is refused for its name dials on; an activity tells of it, of the same one so often, and
// of any no more often than this.
inline constexpr absl::Duration kRefusalToldAgain = absl::Hours(1);
inline constexpr absl::Duration kMinRefusalInterval = absl::Minutes(1);
// Messages that wait for one receiver beside its next update, which is always one.
inline constexpr size_t kMaxQueuedMessages = 256;
// Changes that a view remembers; a receiver that is further behind gets the whole view.
inline constexpr size_t kMaxViewLog = 16'384;
// Revisions whose covered commit a view remembers.
inline constexpr size_t kMaxViewRevisions = 4096;

// Watchers of one controller.
inline constexpr size_t kMaxWatchers = 1000;
// Changed resources that wait for one slow watcher of activities.
inline constexpr size_t kMaxWatchBacklog = 10'000;
// Bytes of log that wait for one slow reader.
inline constexpr size_t kMaxLogBacklogBytes = 4 << 20;
// Log readers of one host.
inline constexpr size_t kMaxLogReadersPerHost = 64;

// A chunk of an image, either way.
inline constexpr size_t kMaxImageChunkBytes = 1 << 20;
inline constexpr size_t kFetchChunkBytes = 256 << 10;
// Uploads at once.
inline constexpr size_t kMaxUploads = 16;
// Downloads at once.
inline constexpr size_t kMaxDownloads = 256;
// An image's bytes, unless --image-limit says otherwise.
inline constexpr int64_t kDefaultImageLimitBytes = int64_t{2} << 30;
// An agent makes and pushes an image within, if the caller sets no shorter deadline.
inline constexpr absl::Duration kSnapshotTimeout = absl::Minutes(10);

// Questions of analyses (webhooks, Prometheus, commands) that are asked at once; others wait.
inline constexpr size_t kMaxProbes = 32;
// The head of an answer to one.
inline constexpr uint32_t kMaxProbeHeadBytes = 16 << 10;

// Keepalive: a half-open connection is found after time + timeout, under 10 s.
inline constexpr int kKeepaliveTimeMs = 4000;
inline constexpr int kKeepaliveTimeoutMs = 4000;
// Clients may ping as often as this without being told off (too_many_pings).
inline constexpr int kMinPingIntervalMs = 1000;

}  // namespace remuda::limits
