// Bounds of what is read of Kubernetes' API and of how long it is waited for.
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>

namespace remuda::kubernetes::limits {

// Target groups of a cluster that follow a Service: each has one connection.
inline constexpr size_t kMaxFollowed = 500;
// Those of them whose targets are being changed at a time: each command has up to kTargetsARequest
// edits, and those that wait together become one commit.
inline constexpr size_t kMaxAsked = 8;
// EndpointSlices that one page of a list brings, and that one Service may have: 100 endpoints each,
// usually.
inline constexpr int kSlicesAPage = 100;
inline constexpr size_t kMaxSlices = 2'000;
// A page of a list. etcd bounds an object at 1.5 MiB; usual slices have 50 KiB.
inline constexpr size_t kMaxPageBytes = size_t{32} << 20;
// Pages of a list: the API may put less on one than was asked for.
inline constexpr int kMaxPages = 200;
// A line of a watch: one object.
inline constexpr size_t kMaxEventBytes = size_t{4} << 20;
// A watch in all. The next goes on where it ended.
inline constexpr size_t kMaxWatchBytes = size_t{64} << 20;
// The head of an answer, and what is read of one that refuses.
inline constexpr uint32_t kMaxHeadBytes = 16 << 10;
inline constexpr size_t kMaxRefusalBytes = size_t{16} << 10;
// What is shown of an error that others worded.
inline constexpr size_t kMaxErrorBytes = 255;
// Files: the token, the authorities.
inline constexpr size_t kMaxTokenBytes = size_t{64} << 10;
inline constexpr size_t kMaxCaBytes = size_t{1} << 20;

// Resolving, connecting and TLS.
inline constexpr absl::Duration kConnectTimeout = absl::Seconds(10);
// From a request to its whole answer, or to the head of a watch's.
inline constexpr absl::Duration kAnswerTimeout = absl::Seconds(30);
// A watch that says nothing for so long is made anew: the API sends a bookmark each minute.
inline constexpr absl::Duration kSilence = absl::Seconds(150);
// A watch is ended by the API after: anew with the token of then. Between this and half as much
// again.
inline constexpr absl::Duration kWatchTime = absl::Minutes(4);
// One that goes on so long after it is ended here.
inline constexpr absl::Duration kWatchGrace = absl::Seconds(30);
// After a failure it is tried again within, twice as long each time; with jitter.
inline constexpr absl::Duration kMinBackoff = absl::Milliseconds(500);
inline constexpr absl::Duration kMaxBackoff = absl::Seconds(30);
// What a Retry-After may ask for.
inline constexpr absl::Duration kMaxRetryAfter = absl::Minutes(2);
// Failures in a row after which a watch is not resumed: all is listed anew.
inline constexpr int kMaxResumes = 3;

}  // namespace remuda::kubernetes::limits
