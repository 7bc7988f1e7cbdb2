// The names of common/tls, which this folder builds on.
#pragma once

#include "common/tls/authorities.h"
#include "common/tls/certificate.h"
#include "common/tls/openssl.h"

namespace remuda::proxy::tls {
using namespace remuda::tls;
}  // namespace remuda::proxy::tls
