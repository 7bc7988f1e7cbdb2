#include "common/tls/openssl.h"

#include <openssl/err.h>
#include <openssl/pem.h>

namespace remuda::tls {

std::string TakeErrors() {
  const unsigned long first = ERR_get_error();
  ERR_clear_error();
  const char* const reason = first == 0 ? nullptr : ERR_reason_error_string(first);
  return reason == nullptr ? "unknown error" : reason;
}

std::string WithoutByteOrderMarks(std::string_view pem) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  std::string out(pem);
  for (size_t at = 0; (at = out.find(kMark, at)) != std::string::npos;) out.erase(at, kMark.size());
  return out;
}

BioPtr ReadOnly(std::string_view text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

bool ReadCertificates(std::string_view pem, size_t max, ChainPtr& out, std::string& error) {
  const std::string text = WithoutByteOrderMarks(pem);
  const BioPtr bio = ReadOnly(text);
  out.reset(sk_X509_new_null());
  while (X509* one = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    sk_X509_push(out.get(), one);
    if (static_cast<size_t>(sk_X509_num(out.get())) > max) {
      error = "more than " + std::to_string(max) + " certificates";
      return false;
    }
  }
  // The end of the text is told as an error too.
  const bool is_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  const std::string reason = TakeErrors();
  if (!is_end) {
    error =
        "certificate " + std::to_string(sk_X509_num(out.get()) + 1) + " cannot be read: " + reason;
    return false;
  }
  if (sk_X509_num(out.get()) == 0) {
    const bool is_utf16 = pem.substr(0, 2) == "\xff\xfe" || pem.substr(0, 2) == "\xfe\xff";
    error = is_utf16 ? "is UTF-16, not ASCII: " : "";
    error += "holds no certificate (-----BEGIN CERTIFICATE-----)";
    return false;
  }
  return true;
}

}  // namespace remuda::tls
