// Certificates: what of them is checked and kept, and their end. Create and update take the steps
// that all resources take (execute_resource.cc).
#include "controller/core/door/done.h"
#include "controller/core/door/prepare.h"

namespace remuda::core {
namespace {

// The load balancer that shows it; empty if none does.
std::string UserOfCertificate(const Draft& draft, std::string_view id) {
  std::string user;
  draft.ForEach<v1::LoadBalancer>([&](const std::string& lb, const v1::LoadBalancer& value) {
    for (const v1::Listener& listener : value.listeners()) {
      for (const std::string& used : listener.certificates()) {
        if (used == id && user.empty()) user = NameOf<v1::LoadBalancer>(lb);
      }
    }
  });
  return user;
}

void ReadInto(Violations& out, const FieldPath& at, const Context& context,
              v1::Certificate& value) {
  if (context.read_certificate == nullptr) {
    out.AddUnimplemented(at, "this controller cannot read certificates");
    return;
  }
  CertificateFacts facts =
      (*context.read_certificate)(value.certificate_pem(), value.private_key_pem());
  if (!facts.fault.empty()) {
    out.Add(at / facts.fault_field, std::move(facts.fault));
    return;
  }
  for (std::string& name : facts.dns_names) value.add_dns_names(std::move(name));
  *value.mutable_expire_time() = ToProto(facts.expires);
}

}  // namespace

void Prepare(Violations& out, const FieldPath& at, const References& /*references*/,
             std::string_view id, const v1::Certificate* before, const Context& context,
             v1::Certificate& value) {
  KeepIdentity(id, before, context, value);
  // Whoever reads a certificate, changes it and writes it back has no key to send.
  if (before != nullptr && value.private_key_pem().empty())
    value.set_private_key_pem(before->private_key_pem());
  CheckLabels(out, at / "labels", value.labels());
  for (const auto& [field, text] :
       {std::pair<const char*, const std::string&>{"certificate_file", value.certificate_file()},
        {"private_key_file", value.private_key_file()}}) {
    if (!text.empty())
      out.Add(at / field, "files are for the config file of a proxy; send the text itself");
  }
  const size_t wrong = out.size();
  if (value.certificate_pem().empty()) out.Add(at / "certificate_pem", "must be given");
  if (value.private_key_pem().empty()) out.Add(at / "private_key_pem", "must be given");
  CheckText(out, at / "certificate_pem", value.certificate_pem(), limits::kCertificateBytes,
            /*multiline=*/true);
  CheckText(out, at / "private_key_pem", value.private_key_pem(), limits::kPrivateKeyBytes,
            /*multiline=*/true);
  if (out.size() == wrong) ReadInto(out, at, context, value);
}

absl::StatusOr<Empty> Execute(Draft& draft, const v1::DeleteCertificateRequest& request,
                              const Context& context) {
  const auto row = FindRowToWrite<v1::Certificate>(draft, request);
  if (!row.ok()) return row.status();
  if (const std::string user = UserOfCertificate(draft, row->id); !user.empty()) {
    return FailedPrecondition("CERTIFICATE_IN_USE",
                              absl::StrCat(row->value->name(), ": ", user, " shows it"));
  }
  DeleteRow(draft, context, *row);
  return Empty();
}

}  // namespace remuda::core
