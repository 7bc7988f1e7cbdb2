// Commands on secrets, and reads of them: see execute.h and read.h, whose contracts hold. Pure.
#pragma once

#include "controller/core/door/execute.h"
#include "controller/core/door/snapshot.h"
#include "remuda/v1/secret.pb.h"

namespace remuda::core {

absl::StatusOr<v1::Secret> Execute(Draft&, const v1::SetSecretRequest&, const Context&);
absl::StatusOr<Empty> Execute(Draft&, const v1::DeleteSecretRequest&, const Context&);

// Without values.
absl::StatusOr<v1::Secret> Read(const Snapshot&, const v1::GetSecretRequest&);
absl::StatusOr<v1::ListSecretsResponse> Read(const Snapshot&, const v1::ListSecretsRequest&);

}  // namespace remuda::core
