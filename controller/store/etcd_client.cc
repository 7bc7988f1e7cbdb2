#include "controller/store/etcd_client.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <condition_variable>
#include <fstream>
#include <sstream>
#include <thread>

#include "common/status.h"

namespace remuda {
namespace {

using std::chrono::milliseconds;

// Silence on a connection after which etcd is asked for a sign of life; it allows no less than 5 s.
constexpr int kKeepaliveTimeMs = 10'000;
constexpr int kKeepaliveTimeoutMs = 5'000;
// A connection is waited for so long before a member is asked. gRPC moves a handshake on only while
// somebody waits in it, and fails calls at once where it has failed to connect: calls alone might
// never see a member again that was away.
constexpr milliseconds kConnectPatience{250};
// Between two rounds over all members.
constexpr milliseconds kFirstPause{10};
constexpr milliseconds kLongestPause{200};
constexpr size_t kMaxFileBytes = 1 << 20;

absl::StatusOr<std::string> ReadFile(const std::string& flag, const std::string& path) {
  if (path.empty()) return std::string();
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  if (!in || out.str().empty() || out.str().size() > kMaxFileBytes) {
    return FailedPrecondition("STORE_FILE", absl::StrCat(flag, ": ", path,
                                                         ": cannot be read, is empty, or has more "
                                                         "than ",
                                                         kMaxFileBytes, " bytes"));
  }
  return out.str();
}

absl::Status FileFault(const std::string& flag, const std::string& path, const std::string& what) {
  return FailedPrecondition("STORE_FILE", absl::StrCat(flag, ": ", path, ": ", what));
}

struct FreeTls {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

std::unique_ptr<X509, FreeTls> ParseCertificate(const std::string& pem) {
  const std::unique_ptr<BIO, FreeTls> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::unique_ptr<X509, FreeTls> out(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  return out;
}

bool HasCertificate(const std::string& pem) { return ParseCertificate(pem) != nullptr; }

bool IsPair(const std::string& certificate, const std::string& key) {
  const auto leaf = ParseCertificate(certificate);
  const std::unique_ptr<BIO, FreeTls> bio(
      BIO_new_mem_buf(key.data(), static_cast<int>(key.size())));
  // Nobody is asked for a password.
  const auto no_password = [](char*, int, int, void*) { return -1; };
  const std::unique_ptr<EVP_PKEY, FreeTls> parsed(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
  const bool is_pair =
      leaf != nullptr && parsed != nullptr && X509_check_private_key(leaf.get(), parsed.get()) == 1;
  ERR_clear_error();
  return is_pair;
}

grpc::ChannelArguments Arguments() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveTimeMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Two stores of one process do not share what one of them has found unreachable.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(EtcdClient::kMaxReceiveBytes);
  return arguments;
}

bool IsLoginError(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAUTHENTICATED ||
         (status.error_code() == grpc::StatusCode::INVALID_ARGUMENT &&
          (absl::StrContains(status.error_message(), "user name is empty") ||
           absl::StrContains(status.error_message(), "revision in header is old")));
}

}  // namespace

bool EtcdClient::IsOfMember(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kDataLoss:
      return true;
    default:
      return false;
  }
}

namespace {

milliseconds Left(EtcdClient::Clock::time_point end) {
  return std::chrono::duration_cast<milliseconds>(end - EtcdClient::Clock::now());
}

// gRPC's deadlines are of the system clock, which may be put; it is read at the call's begin alone.
void SetTimeout(grpc::ClientContext& context, milliseconds timeout) {
  context.set_deadline(std::chrono::system_clock::now() + timeout);
}

}  // namespace

absl::StatusOr<EtcdClient::TlsFiles> EtcdClient::ReadTlsFiles(const EtcdAddress& address) {
  TlsFiles out;
  if (address.ca.empty()) return out;
  const struct {
    const char* flag;
    const std::string& path;
    std::string& text;
  } files[] = {{"-ca", address.ca, out.ca},
               {"-cert", address.certificate, out.certificate},
               {"-key", address.key, out.key}};
  for (const auto& file : files) {
    auto text = ReadFile(address.flag + file.flag, file.path);
    if (!text.ok()) return text.status();
    file.text = *std::move(text);
  }
  if (!HasCertificate(out.ca))
    return FileFault(address.flag + "-ca", address.ca, "has no certificate in PEM");
  if (out.certificate.empty()) return out;
  if (!HasCertificate(out.certificate))
    return FileFault(address.flag + "-cert", address.certificate, "has no certificate in PEM");
  if (!IsPair(out.certificate, out.key)) {
    return FileFault(address.flag + "-key", address.key,
                     absl::StrCat("is not the private key, in PEM and without a password, of ",
                                  address.certificate));
  }
  return out;
}

EtcdClient::MembersPtr EtcdClient::Connect(const EtcdAddress& address, const TlsFiles& files) {
  const auto credentials = address.ca.empty()
                               ? grpc::InsecureChannelCredentials()
                               : grpc::SslCredentials({files.ca, files.key, files.certificate});
  Members out;
  for (const std::string& endpoint : address.endpoints)
    out.push_back({endpoint, grpc::CreateCustomChannel(endpoint, credentials, Arguments())});
  return std::make_shared<const Members>(std::move(out));
}

absl::StatusOr<std::string> EtcdClient::ReadPassword() const {
  auto text = ReadFile(address_.flag + "-password-file", address_.password_file);
  if (!text.ok()) return text;
  return text->substr(0, text->find_first_of("\r\n"));
}

absl::StatusOr<std::unique_ptr<EtcdClient>> EtcdClient::Make(const EtcdAddress& address) {
  std::unique_ptr<EtcdClient> client(new EtcdClient(address));
  auto files = ReadTlsFiles(address);
  if (!files.ok()) return files.status();
  if (const auto password = client->ReadPassword(); !password.ok()) return password.status();
  client->members_ = Connect(address, *files);
  client->files_ = *files;
  client->seen_ = *std::move(files);
  client->next_look_ = Clock::now() + kFileLookPeriod;
  return client;
}

EtcdClient::MembersPtr EtcdClient::members() {
  {
    const std::lock_guard lock(mutex_);
    if (address_.ca.empty() || Clock::now() < next_look_) return members_;
    next_look_ = Clock::now() + kFileLookPeriod;
  }
  auto files = ReadTlsFiles(address_);
  const std::lock_guard lock(mutex_);
  // What is not right just now is being replaced, most likely.
  const std::string fault(files.status().message());
  if (!fault.empty() && fault != file_fault_)
    spdlog::warn("{}; etcd is reached with what was there before", fault);
  file_fault_ = fault;
  if (!files.ok()) return members_;
  if (*files == seen_ && *files != files_) {
    members_ = Connect(address_, *files);
    files_ = *files;
    spdlog::info("{}: the files for TLS have changed: new connections to etcd use them",
                 address_.flag);
  }
  seen_ = *std::move(files);
  return members_;
}

std::string EtcdClient::token() const {
  const std::lock_guard lock(mutex_);
  return token_;
}

void EtcdClient::Leave(size_t member) {
  current_.compare_exchange_strong(member, (member + 1) % address_.endpoints.size());
}

absl::Status EtcdClient::ErrorOf(const Member& member, const char* what,
                                 const grpc::Status& status) {
  const std::string& message = status.error_message();
  if (absl::StrContains(message, "database space exceeded")) {
    return LimitExceeded("etcd", absl::StrCat("etcd ", member.endpoint, ": cannot ", what,
                                              ": etcd is full (its --quota-backend-bytes); make "
                                              "room or raise it, then: etcdctl alarm disarm"));
  }
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      absl::StrCat("etcd ", member.endpoint, ": cannot ", what, ": ", message));
}

grpc::Status EtcdClient::Login(const Member& member, Duration timeout) {
  etcdserverpb::AuthenticateRequest request;
  request.set_name(address_.user);
  const auto password = ReadPassword();
  if (!password.ok())
    return {grpc::StatusCode::FAILED_PRECONDITION, std::string(password.status().message())};
  request.set_password(*password);
  etcdserverpb::AuthenticateResponse response;
  grpc::ClientContext context;
  SetTimeout(context, timeout);
  const grpc::Status status =
      etcdserverpb::Auth::NewStub(member.channel)->Authenticate(&context, request, &response);
  // A user is named, and etcd asks for none.
  const bool is_open = absl::StrContains(status.error_message(), "authentication is not enabled");
  if (!status.ok() && !is_open) return status;
  const std::lock_guard lock(mutex_);
  token_ = response.token();
  return grpc::Status::OK;
}

absl::Status EtcdClient::Once(const char* what, Duration timeout, const Invoke& invoke) {
  const Clock::time_point end = Clock::now() + timeout;
  const size_t at = current_.load();
  const MembersPtr members = this->members();  // lives as long as the call
  const Member& member = (*members)[at];
  grpc::Status status;
  if (member.channel->GetState(true) != GRPC_CHANNEL_READY) {
    member.channel->WaitForConnected(std::chrono::system_clock::now() +
                                     std::min(kConnectPatience, timeout / 2));
  }
  for (int attempt = 0; attempt < 2; ++attempt) {
    std::string token = this->token();
    if (!address_.user.empty() && (token.empty() || attempt > 0)) {
      status = Login(member, std::max(Left(end), Duration(1)));
      if (!status.ok()) {
        if (IsOfMember(static_cast<absl::StatusCode>(status.error_code()))) Leave(at);
        return ErrorOf(member, "log in", status);
      }
      token = this->token();
    }
    grpc::ClientContext context;
    SetTimeout(context, std::max(Left(end), Duration(1)));
    if (!token.empty()) context.AddMetadata("token", token);
    status = invoke(member, context);
    if (status.ok()) return absl::OkStatus();
    // Refused before anything was done: the token has expired, or etcd was started anew.
    if (address_.user.empty() || !IsLoginError(status)) break;
  }
  const absl::Status error = ErrorOf(member, what, status);
  if (IsOfMember(error.code())) Leave(at);
  return error;
}

absl::Status EtcdClient::Repeat(const char* what, Clock::time_point end, const Invoke& invoke) {
  milliseconds pause = kFirstPause;
  absl::Status why;  // what a try has said before the time was over
  for (size_t tries = 1;; ++tries) {
    const Duration timeout = std::min(kTryTimeout, std::max(Left(end), Duration(1)));
    const absl::Status status = Once(what, timeout, invoke);
    if (status.ok() || !IsOfMember(status.code())) return status;
    if (why.ok() || !absl::IsDeadlineExceeded(status)) why = status;
    if (Clock::now() >= end) return Unavailable(std::string(why.message()));
    if (tries % address_.endpoints.size() == 0) {
      std::this_thread::sleep_for(std::min(pause, std::max(Left(end), Duration(0))));
      pause = std::min(2 * pause, kLongestPause);
    }
  }
}

absl::Status EtcdClient::Range(const etcdserverpb::RangeRequest& request,
                               etcdserverpb::RangeResponse& response, Clock::time_point end) {
  return Repeat("read", end, [&](const Member& member, grpc::ClientContext& context) {
    response.Clear();
    return etcdserverpb::KV::NewStub(member.channel)->Range(&context, request, &response);
  });
}

absl::Status EtcdClient::Grant(const etcdserverpb::LeaseGrantRequest& request,
                               etcdserverpb::LeaseGrantResponse& response, Clock::time_point end) {
  return Repeat("get a lease", end, [&](const Member& member, grpc::ClientContext& context) {
    response.Clear();
    return etcdserverpb::Lease::NewStub(member.channel)->LeaseGrant(&context, request, &response);
  });
}

absl::Status EtcdClient::Revoke(int64_t lease, Clock::time_point end) {
  etcdserverpb::LeaseRevokeRequest request;
  request.set_id(lease);
  const absl::Status status =
      Repeat("give a lease back", end, [&](const Member& member, grpc::ClientContext& context) {
        etcdserverpb::LeaseRevokeResponse response;
        return etcdserverpb::Lease::NewStub(member.channel)
            ->LeaseRevoke(&context, request, &response);
      });
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::Status EtcdClient::Compact(int64_t revision, Clock::time_point end) {
  etcdserverpb::CompactionRequest request;
  request.set_revision(revision);
  return Repeat("compact", end, [&](const Member& member, grpc::ClientContext& context) {
    etcdserverpb::CompactionResponse response;
    return etcdserverpb::KV::NewStub(member.channel)->Compact(&context, request, &response);
  });
}

absl::Status EtcdClient::KeepAlive(int64_t lease, etcdserverpb::LeaseKeepAliveResponse& response,
                                   Duration timeout) {
  return Once("keep the lease", timeout, [&](const Member& member, grpc::ClientContext& context) {
    // A stream of one request: it need not outlive a member, and its deadline is the request's.
    const auto stub = etcdserverpb::Lease::NewStub(member.channel);
    const auto stream = stub->LeaseKeepAlive(&context);
    etcdserverpb::LeaseKeepAliveRequest request;
    request.set_id(lease);
    response.Clear();
    const bool has_answer = stream->Write(request) && stream->Read(&response);
    stream->WritesDone();
    if (has_answer) {
      context.TryCancel();
      stream->Finish();
      return grpc::Status::OK;
    }
    const grpc::Status status = stream->Finish();
    return status.ok() ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "no answer") : status;
  });
}

absl::Status EtcdClient::Txn(const etcdserverpb::TxnRequest& request,
                             etcdserverpb::TxnResponse& response, Duration timeout) {
  return Once("write", timeout, [&](const Member& member, grpc::ClientContext& context) {
    response.Clear();
    return etcdserverpb::KV::NewStub(member.channel)->Txn(&context, request, &response);
  });
}

bool EtcdClient::MayBeDone(const absl::Status& status) {
  switch (status.code()) {
    // What etcd finds wrong with the request itself, before it looks at anything.
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnimplemented:
      return false;
    // All else, "etcd is full" too: it may say so of a transaction that it has just done.
    default:
      return true;
  }
}

bool EtcdClient::IsFull(const absl::Status& status) {
  return absl::IsResourceExhausted(status) &&
         absl::StrContains(std::string(status.message()), "etcd is full");
}

absl::Status EtcdClient::Watch(
    const etcdserverpb::WatchCreateRequest& request, Duration silence,
    const std::function<void(grpc::ClientContext*)>& open,
    const std::function<absl::Status(const etcdserverpb::WatchResponse&)>& on_response) {
  absl::Status outcome;
  const Invoke invoke = [&](const Member& member, grpc::ClientContext& context) {
    // The call has no end: each answer puts it off.
    context.set_deadline(std::chrono::system_clock::time_point::max());
    // A member that no leader is known to ends it, and does not tell old news as new.
    context.AddMetadata("hasleader", "true");
    std::mutex mutex;
    std::condition_variable changed;
    Clock::time_point last = Clock::now();
    bool is_over = false;
    std::thread watchdog([&] {
      std::unique_lock lock(mutex);
      while (!is_over && Clock::now() < last + silence) changed.wait_until(lock, last + silence);
      if (!is_over) context.TryCancel();
    });
    open(&context);
    const auto stub = etcdserverpb::Watch::NewStub(member.channel);
    const auto stream = stub->Watch(&context);
    etcdserverpb::WatchRequest first;
    *first.mutable_create_request() = request;
    etcdserverpb::WatchResponse response;
    bool may_go_on = stream->Write(first);
    while (may_go_on && stream->Read(&response)) {
      outcome = on_response(response);
      may_go_on = outcome.ok() && !response.canceled();
      const std::lock_guard lock(mutex);
      last = Clock::now();
    }
    context.TryCancel();
    grpc::Status status = stream->Finish();
    {
      const std::lock_guard lock(mutex);
      is_over = true;
    }
    changed.notify_all();
    watchdog.join();
    open(nullptr);
    return status.ok() ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "the watch ended") : status;
  };
  const absl::Status status = Once("watch", silence, invoke);
  return outcome.ok() ? status : outcome;
}

}  // namespace remuda
