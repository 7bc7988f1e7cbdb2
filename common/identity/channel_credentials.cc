#include "common/identity/channel_credentials.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <string_view>

#include "common/identity/spiffe_id.h"

namespace remuda::identity {
namespace {

namespace tls_api = grpc::experimental;

// gRPC has checked the chain; here is whose the certificate is.
class ControllerVerifier final : public tls_api::ExternalCertificateVerifier {
 public:
  explicit ControllerVerifier(std::string cluster) : cluster_(std::move(cluster)) {}

  bool Verify(tls_api::TlsCustomVerificationCheckRequest* request,
              std::function<void(grpc::Status)> /*callback*/, grpc::Status* status) override {
    *status = Judge(*request);
    return true;
  }
  void Cancel(tls_api::TlsCustomVerificationCheckRequest* /*request*/) override {}

 private:
  grpc::Status Judge(const tls_api::TlsCustomVerificationCheckRequest& request) const {
    const auto refuse = [](const std::string& why) {
      return grpc::Status(grpc::StatusCode::UNAUTHENTICATED, why);
    };
    const auto uris = request.uri_names();
    if (uris.size() != 1) return refuse("the controller's certificate must have one URI");
    const auto id = ParseSpiffeId(std::string_view(uris[0].data(), uris[0].size()));
    if (!id.ok()) return refuse(std::string(id.status().message()));
    if (id->role != v1::IDENTITY_ROLE_CONTROLLER) return refuse(Text(*id) + " is no controller");
    if (id->cluster != cluster_)
      return refuse(Text(*id) + " is of another cluster than " + cluster_);
    return grpc::Status::OK;
  }

  const std::string cluster_;
};

}  // namespace

std::shared_ptr<grpc::ChannelCredentials> ChannelCredentials(const IdentityFiles& files,
                                                             const std::string& cluster) {
  tls_api::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(std::make_shared<tls_api::FileWatcherCertificateProvider>(
      files.identity, files.identity, files.authorities, kReloadSeconds));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_verify_server_certs(true);
  options.set_check_call_host(false);
  options.set_certificate_verifier(
      tls_api::ExternalCertificateVerifier::Create<ControllerVerifier>(cluster));
  return tls_api::TlsCredentials(options);
}

}  // namespace remuda::identity
