// The bounds of an HTTP/2 connection. Each is told to the client where HTTP/2 has a setting for it;
// what goes beyond one costs the stream or the connection as docs/proxy.md says.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace remuda::proxy {

// As AWS's load balancer: 128 streams a connection.
inline constexpr uint32_t kHttp2MaxStreams = 128;
// Bytes of request bodies that wait for targets: of one stream, of all of a connection. What these
// grow by where they hold a far client back, kHttp2WindowGrowth times a round trip: a stream's at
// most to the third, a connection's by as much, and those of all connections of a worker by the
// fourth. A connection has no more than one of kHttp2WindowShares of what the others have left, so
// that many find some.
inline constexpr int32_t kHttp2StreamWindowBytes = 128 * 1024;
inline constexpr int32_t kHttp2ConnectionWindowBytes = 1024 * 1024;
inline constexpr int32_t kHttp2LargestStreamWindowBytes = 16 * 1024 * 1024;
inline constexpr size_t kHttp2WorkerWindowBytes = 128 * 1024 * 1024;
inline constexpr int32_t kHttp2WindowGrowth = 4;
inline constexpr size_t kHttp2WindowShares = 8;
// Bytes of an upload between two looks at its windows, while these lead to nothing.
inline constexpr uint64_t kHttp2MinProbeBytes = 64 * 1024;
inline constexpr uint64_t kHttp2MaxProbeBytes = 8 * 1024 * 1024;
// Bytes of one response that wait for the client: as many as its window takes, from the first to
// the second, and no more than the first while those of the connection hold the third together.
inline constexpr size_t kHttp2LeastResponseBufferBytes = 16 * 1024;
inline constexpr size_t kHttp2ResponseBufferBytes = 64 * 1024;
inline constexpr size_t kHttp2ConnectionResponseBytes = 1024 * 1024;
// After a response that came before the end of its request: what is still read of the request and
// thrown away, before it is told to stop. Some clients forget a response when they are told so.
inline constexpr uint64_t kHttp2DiscardBytes = 64 * 1024 * 1024;
inline constexpr std::chrono::milliseconds kHttp2DiscardTime{30'000};
inline constexpr std::chrono::milliseconds kHttp2DiscardSilence{5000};
// The same where the connection is to end, which nothing that is thrown away shall hold up.
inline constexpr std::chrono::milliseconds kHttp2ShutdownDiscardTime{2000};
// What stands before a frame's payload.
inline constexpr size_t kHttp2FrameHeadBytes = 9;
// HPACK's tables, ours and theirs.
inline constexpr uint32_t kHttp2HeaderTableBytes = 4096;
// A header block over this, once decoded, ends the connection; over http::kMaxRequestHeadBytes, it
// is answered with 431.
inline constexpr size_t kHttp2MaxHeaderBlockBytes = 256 * 1024;
// A head over the first outgrows the usual block of its exchange. A few bytes on the wire can name
// it, so the blocks of such heads are bounded: of a connection, of a worker. Beyond, the stream is
// refused.
inline constexpr size_t kHttp2SmallHeadBytes = 12 * 1024;
inline constexpr size_t kHttp2ConnectionHeadBytes = 4 * 1024 * 1024;
inline constexpr size_t kHttp2WorkerHeadBytes = 64 * 1024 * 1024;
// CONTINUATION frames of one block: 16 KiB each.
inline constexpr size_t kHttp2MaxContinuations = 8;
inline constexpr size_t kHttp2MaxSettings = 32;
// Answers to PING and SETTINGS that wait for the client to read them.
inline constexpr size_t kHttp2MaxQueuedAcks = 100;

// Streams that the client resets before their answer, or that its errors make us reset
// (CVE-2023-44487, CVE-2025-8671): at once, and a second. Answers that are sent as a whole earn
// more.
inline constexpr double kHttp2ResetBurst = 500;
inline constexpr double kHttp2ResetsASecond = 50;
inline constexpr double kHttp2ResetsAnAnswer = 1;
// Frames that ask for work and carry no payload: PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty
// DATA, RST_STREAM of what is over, unknown types. Requests, and bytes that the client is sent,
// earn more of them.
inline constexpr double kHttp2FrameBurst = 1000;
inline constexpr double kHttp2FramesASecond = 50;
inline constexpr double kHttp2FramesARequest = 4;
inline constexpr double kHttp2FramesADataFrame = 2;
inline constexpr size_t kHttp2SentBytesAFrame = 2048;

// A turn of the loop writes and reads no more than this for one connection.
inline constexpr size_t kHttp2TurnBytes = 512 * 1024;
// Between the notice that a connection ends and its end, if the client does not answer the PING in
// between: what it has sent before it knew is still served.
inline constexpr std::chrono::milliseconds kHttp2ShutdownNotice{1000};
// How often the deadlines of a connection with streams are looked at.
inline constexpr std::chrono::milliseconds kHttp2DeadlineInterval{1000};

}  // namespace remuda::proxy
