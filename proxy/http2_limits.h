// The bounds of an HTTP/2 connection. Each is told to the client where HTTP/2 has a setting for it;
// what goes beyond one costs the stream or the connection as docs/proxy.md says.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace remuda::proxy {

// As AWS's load balancer: 128 streams a connection.
inline constexpr uint32_t kHttp2MaxStreams = 128;
// Bytes of request bodies that wait for targets: of one stream, of all of a connection.
inline constexpr uint32_t kHttp2StreamWindowBytes = 128 * 1024;
inline constexpr int32_t kHttp2ConnectionWindowBytes = 1024 * 1024;
// Bytes of one response that wait for the client.
inline constexpr size_t kHttp2ResponseBufferBytes = 64 * 1024;
// HPACK's tables, ours and theirs.
inline constexpr uint32_t kHttp2HeaderTableBytes = 4096;
// A header block over this, once decoded, ends the connection; over http::kMaxRequestHeadBytes, it
// is answered with 431.
inline constexpr size_t kHttp2MaxHeaderBlockBytes = 256 * 1024;
// CONTINUATION frames of one block: 16 KiB each.
inline constexpr size_t kHttp2MaxContinuations = 8;
inline constexpr size_t kHttp2MaxSettings = 32;
// Answers to PING and SETTINGS that wait for the client to read them.
inline constexpr size_t kHttp2MaxQueuedAcks = 100;

// Streams that the client resets, or that its errors make us reset (CVE-2023-44487, CVE-2025-8671):
// at once, and a second.
inline constexpr double kHttp2ResetBurst = 500;
inline constexpr double kHttp2ResetsASecond = 50;
// Frames that ask for work and carry no payload: PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty
// DATA, unknown types. Requests, and bytes that the client is sent, earn more of them.
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
