// OpenSSL's objects as values that end by themselves, and its error queue as text.
//
// Rule for the whole folder: whoever sees a call fail empties the thread's error queue (TakeErrors
// or ERR_clear_error), so that it is empty before every call and none has to clear it first.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>

namespace remuda::tls {

template <auto kFree>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};

inline void FreeChain(STACK_OF(X509) * chain) { sk_X509_pop_free(chain, X509_free); }

using SslPtr = std::unique_ptr<SSL, Freer<SSL_free>>;
using SslContextPtr = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;
using SslSessionPtr = std::unique_ptr<SSL_SESSION, Freer<SSL_SESSION_free>>;
using X509Ptr = std::unique_ptr<X509, Freer<X509_free>>;
using ChainPtr = std::unique_ptr<STACK_OF(X509), Freer<FreeChain>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using BioPtr = std::unique_ptr<BIO, Freer<BIO_free>>;

// Empties this thread's error queue. What it said first (the cause), or "unknown error".
std::string TakeErrors();

// A BIO that reads `text`, which must outlive it.
// `pem` without the byte order marks that some editors write (UTF-8), also where files were put
// together: OpenSSL would pass over the block behind one.
std::string WithoutByteOrderMarks(std::string_view pem);

BioPtr ReadOnly(std::string_view text);

// The PEM certificates in `pem`, in order. On failure false, with what is wrong in `error`; there
// is at least one on success and at most `max`.
bool ReadCertificates(std::string_view pem, size_t max, ChainPtr& out, std::string& error);

}  // namespace remuda::tls
