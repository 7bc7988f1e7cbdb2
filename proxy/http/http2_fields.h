// Makes the HTTP/1.1 head of a request out of the fields that HTTP/2 brought (RFC 9113 section 8).
// Every field is judged here by HTTP/2's rules and by HTTP/1's grammar, so that the text cannot be
// read in another way than the fields were meant; what the fields mean (framing, target, Host) is
// then judged from the text by the same functions as any other request. No I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/http/reason.h"

namespace remuda::proxy::http {

class Http2Fields {
 public:
  // What is known of the body when all fields have come.
  enum class Body : uint8_t {
    kNone,   // the stream has ended
    kWhole,  // all of it is there: its length is known
    kOpen,   // more may come
  };

  void Reset();

  // The next field, in order. After the first one that is refused the rest is only counted.
  void Add(std::string_view name, std::string_view value);

  // All fields have come. kNone: text() is the head; declared_length() and is_chunked() say how the
  // body must follow it. Else why the request is refused. `length`: of a whole body.
  Reason Finish(Body body, uint64_t length = 0);

  std::string_view text() const { return text_; }
  // The text has been read: its memory is given up. What was declared stays.
  void DropText();
  // Without a declared length a body that is still open follows in chunks.
  bool is_chunked() const { return is_chunked_; }
  bool has_declared_length() const { return has_declared_length_; }
  uint64_t declared_length() const { return declared_length_; }
  // The size of all fields that came, refused ones too (RFC 9113 section 10.5.1: octets and 32 for
  // each field).
  size_t list_bytes() const { return list_bytes_; }

 private:
  void Refuse(Reason reason) {
    if (reason_ == Reason::kNone) reason_ = reason;
  }
  void AddPseudo(std::string_view name, std::string_view value);
  void AddRegular(std::string_view name, std::string_view value);
  void AddHost(std::string_view value);
  bool BeginText();
  void Append(std::string_view name, std::string_view value);
  void NameBothHosts();
  void DropParts();

  std::string text_;
  std::string method_, path_, authority_, cookie_;
  std::string other_host_;  // Host, where it is not :authority
  uint64_t declared_length_ = 0;
  size_t list_bytes_ = 0;
  Reason reason_ = Reason::kNone;
  bool has_scheme_ = false;
  bool has_path_ = false;
  bool has_authority_ = false;
  bool has_host_ = false;
  bool is_begun_ = false;  // the request line is written: no pseudo field may follow
  bool is_chunked_ = false;
  bool has_declared_length_ = false;
};

// Judges the fields behind a body (RFC 9113 section 8.1): one that is malformed, or that chunked
// trailers may not have (chunk_decoder.h), makes the request malformed.
class Http2Trailers {
 public:
  void Reset() { *this = Http2Trailers(); }
  void Add(std::string_view name, std::string_view value);
  // kNone: they are right.
  Reason reason() const { return reason_; }
  // As HTTP/1.1 says them, a line each.
  std::string_view text() const { return text_; }

 private:
  std::string text_;
  size_t fields_ = 0;
  size_t bytes_ = 0;
  Reason reason_ = Reason::kNone;
};

}  // namespace remuda::proxy::http
