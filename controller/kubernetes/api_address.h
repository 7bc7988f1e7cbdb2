// ApiAddress: where Kubernetes' API is and how one identifies there, of the flags --kubernetes-*
// or of what a pod finds. Pure; any thread.
#pragma once

#include <functional>
#include <string>

namespace remuda {

// The flags as they were given; empty: not.
struct KubernetesFlags {
  std::string api = {};         // https://HOST[:PORT][/PATH], or http:// on this machine
  std::string token_file = {};  // its text is the bearer token
  std::string ca_file = {};     // authorities that sign the API's certificate
};

struct ApiAddress {
  bool is_tls = true;
  std::string host = {};  // a name or an address, without brackets
  int port = 0;
  std::string path = {};        // before each request's; no slash at its end
  std::string token_file = {};  // empty: none is sent
  std::string ca_file = {};     // empty: those of the system
  std::string missing = {};     // why there is none, for a person; empty: there is one

  // As in the Host field.
  std::string authority() const;
};

// Reads an environment variable; empty: it is not set.
using ReadVariable = std::function<std::string(const char* name)>;

// Without --kubernetes-api that of the pod: KUBERNETES_SERVICE_HOST and _PORT, and the files of its
// service account. Empty, or what is wrong: the flag, the value and the rule.
std::string FindApi(const KubernetesFlags& flags, const ReadVariable& read_variable,
                    ApiAddress& out);
std::string ReadEnvironment(const char* name);

}  // namespace remuda
