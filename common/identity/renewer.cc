#include "common/identity/renewer.h"

#include <absl/time/clock.h>
#include <grpcpp/client_context.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <random>

#include "common/grpc_status.h"
#include "common/identity/key.h"
#include "remuda/v1/identity.grpc.pb.h"

namespace remuda::identity {
namespace {

// How long the thread sleeps at most: the system's clock may be set meanwhile.
constexpr absl::Duration kLongestSleep = absl::Minutes(1);

double Jitter() {
  static thread_local std::minstd_rand random(std::random_device{}());
  return std::uniform_real_distribution<double>(0, 1)(random);
}

}  // namespace

Renewer::Renewer(Options options) : options_(std::move(options)) {
  thread_ = std::thread([this] { Run(); });
}

Renewer::~Renewer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_one();
  thread_.join();
}

absl::Time Renewer::expire_time() const {
  const std::lock_guard lock(mutex_);
  return expire_time_;
}

std::string Renewer::last_error() const {
  const std::lock_guard lock(mutex_);
  return last_error_;
}

int64_t Renewer::renewals() const {
  const std::lock_guard lock(mutex_);
  return renewals_;
}

bool Renewer::WaitUntil(absl::Time when) {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const absl::Duration left = std::min(when - absl::Now(), kLongestSleep);
    if (left <= absl::ZeroDuration()) return true;
    stopped_.wait_for(lock, absl::ToChronoNanoseconds(left));
  }
  return false;
}

bool Renewer::is_stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

absl::Status Renewer::Renew(const Identity& held) {
  if (held.peer.expire_time <= absl::Now() && options_.renew_expired)
    return options_.renew_expired(options_.files, [this] { return is_stopping(); });
  return RenewIdentity(options_.channel(), options_.files, held);
}

void Renewer::Run() {
  const double jitter = Jitter();
  absl::Duration retry = kFirstRetry;
  absl::Time next = absl::InfinitePast();
  while (true) {
    // Read each time: somebody else may have put a new one there (a person who joined anew).
    auto held = LoadIdentity(options_.files);
    absl::Status status = held.status();
    if (held.ok()) {
      {
        const std::lock_guard lock(mutex_);
        expire_time_ = held->peer.expire_time;
      }
      next = std::max(next, RenewalTime(held->peer, jitter));
      if (absl::Now() < next) {
        if (!WaitUntil(std::min(next, absl::Now() + kLongestSleep))) return;
        continue;
      }
      status = Renew(*held);
    }
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      last_error_ = status.ok() ? "" : std::string(status.message());
      if (status.ok()) ++renewals_;
    }
    if (status.ok()) {
      retry = kFirstRetry;
      next = absl::InfinitePast();
      continue;
    }
    spdlog::warn("the certificate is not renewed yet: {}", std::string(status.message()));
    next = absl::Now() + retry * (0.5 + Jitter() / 2);
    retry = std::min(retry * 2, kLastRetry);
    if (!WaitUntil(next)) return;
    next = absl::InfinitePast();
  }
}

absl::Status RenewIdentity(const std::shared_ptr<grpc::Channel>& channel,
                           const IdentityFiles& files, const Identity& held) {
  auto key = MakeKey();
  if (!key.ok()) return key.status();
  auto request_pem = MakeCertificateRequest(key->get());
  if (!request_pem.ok()) return request_pem.status();
  auto key_pem = KeyPem(key->get());
  if (!key_pem.ok()) return key_pem.status();
  const auto stub = v1::IdentityService::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       absl::ToChronoMilliseconds(Renewer::kCallTimeout));
  v1::RenewCertificateRequest request;
  request.set_certificate_request_pem(*request_pem);
  v1::RenewCertificateResponse answer;
  const grpc::Status called = stub->RenewCertificate(&context, request, &answer);
  if (!called.ok()) return FromGrpcStatus(called);
  const auto peer = ReadPeer(answer.certificate_pem());
  if (!peer.ok()) return peer.status();
  if (!(peer->id == held.peer.id))
    return absl::InternalError("the controller answered with a certificate of " + Text(peer->id));
  absl::Status saved =
      SaveIdentity(files, *key_pem, answer.certificate_pem(), answer.authorities_pem());
  if (saved.ok()) {
    spdlog::info("certificate {} of {} is good until {}", peer->serial, Text(peer->id),
                 absl::FormatTime(peer->expire_time, absl::UTCTimeZone()));
  }
  return saved;
}

}  // namespace remuda::identity
