// A body on its way from one end to the other, in either direction: takes off the coding that it
// came in, puts on the one that it leaves in, or lets it pass through the kernel (splice) where
// neither needs a look at it.
//
// Owns: what is staged to be sent (not the bytes), the kernel's pipe while it is used. The bytes
// lie in blocks of its user's. Thread: its worker's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/http/chunk_decoder.h"
#include "proxy/http/framing.h"
#include "proxy/http/head_writer.h"
#include "proxy/io/stream_end.h"

namespace remuda::proxy {

class BodyPipe {
 public:
  enum class Progress : uint8_t {
    kFlowing,
    kStaged,   // all of it is staged, or has left
    kStopped,  // no more of it is passed on
  };
  struct Decoded {
    size_t consumed = 0;
    size_t produced = 0;
  };

  // As if new.
  void Reset();
  // `length`: for kLength. `to` may be kUntilClose where the sink tells the end by itself.
  void Begin(http::BodyKind from, http::BodyKind to, uint64_t length,
             http::ChunkTolerance tolerance = {});
  // Once more from the beginning, for another sink.
  void BeginAgain();

  // Takes the coding off `data`, in place. Fewer bytes are consumed than there are if the body ends
  // before. Afterwards fault() says whether they were good.
  Decoded Decode(char* data, size_t size);
  http::Reason fault() const {
    return from_ == http::BodyKind::kChunked ? decoder_.reason() : http::Reason::kNone;
  }
  // What came until the end of the connection was all (kUntilClose).
  void EndSource() { is_source_done_ = true; }

  // Stages decoded bytes in the coding of the sink, behind what is staged. Few bytes are copied
  // into `tail`, behind a head that leaves with them.
  void Stage(Buffer& tail, const char* data, size_t size);
  void Stop() { progress_ = Progress::kStopped; }

  Gather& staged() { return staged_; }
  const Gather& staged() const { return staged_; }
  Progress progress() const { return progress_; }
  bool is_staged() const { return progress_ == Progress::kStaged; }
  bool is_stopped() const { return progress_ == Progress::kStopped; }
  // All of it has come.
  bool is_source_done() const { return is_source_done_; }
  // Some of it has been taken in and has not left.
  bool is_sink_behind() const {
    return !staged_.empty() || (pipe_ != nullptr && pipe_->size() > 0);
  }
  http::BodyKind source_kind() const { return from_; }
  http::BodyKind sink_kind() const { return to_; }
  // What came behind it and goes on, a line each ended by CRLF; once is_source_done().
  std::string_view trailers() const {
    return trailers_.empty()
               ? std::string_view()
               : std::string_view(trailers_).substr(kBeforeTrailers.size(),
                                                    trailers_.size() - kBeforeTrailers.size() - 2);
  }
  // Whether nothing will come: known when it began.
  bool is_empty() const { return is_empty_; }

  // Whether what is left goes through a pipe; takes one then. All that came must have left.
  bool TakesPipe(const StreamEnd& source, const StreamEnd& sink, SplicePipePool& pipes);
  enum class Moved : uint8_t { kBlocked, kMoved, kSourceEnded, kSinkBroken };
  struct Spliced {
    Moved moved = Moved::kBlocked;
    uint64_t received = 0;
    uint64_t sent = 0;
  };
  // What the pipe takes at once, and as much of it as the sink takes.
  Spliced Splice(StreamEnd& source, StreamEnd& sink, SplicePipePool& pipes);
  void GivePipe(SplicePipePool& pipes) {
    if (pipe_ != nullptr) pipes.Give(std::move(pipe_));
  }

 private:
  // The end of a body in chunks, behind the bytes of the chunk before.
  static constexpr std::string_view kBeforeTrailers = "\r\n0\r\n";
  static constexpr std::string_view kEnd = "\r\n0\r\n\r\n";

  http::BodyKind from_ = http::BodyKind::kNone;
  http::BodyKind to_ = http::BodyKind::kNone;
  Progress progress_ = Progress::kFlowing;
  bool is_source_done_ = true;
  bool is_empty_ = true;
  uint64_t left_ = 0;  // of a kLength
  Gather staged_;
  std::unique_ptr<SplicePipe> pipe_;
  char chunk_head_[http::kMaxChunkHeadBytes];
  http::ChunkDecoder decoder_;
  // Once all has come: as they stand in a body in chunks, with what stands before and behind them.
  std::string trailers_;
};

}  // namespace remuda::proxy
