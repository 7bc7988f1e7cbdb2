// Reads of secrets, which tell no value.
#include "controller/core/door/read_list.h"
#include "controller/core/door/secret_calls.h"
#include "controller/core/door/secret_kind.h"

namespace remuda::core {

template <>
std::vector<FilterField> FilterFieldsOf<v1::Secret>() {
  return {{"labels"}};
}

absl::StatusOr<v1::Secret> Read(const Snapshot& from, const v1::GetSecretRequest& request) {
  return Get<v1::Secret>(from, request.name());
}

absl::StatusOr<v1::ListSecretsResponse> Read(const Snapshot& from,
                                             const v1::ListSecretsRequest& request) {
  return List(from, request, &v1::ListSecretsResponse::mutable_secrets);
}

}  // namespace remuda::core
