#include "controller/add_store_flags.h"

namespace remuda {

CLI::Option* AddStoreFlags(CLI::App& app, const std::string& flag, const std::string& help,
                           StoreFlags& out) {
  out.flag = flag;
  const auto file = [&](const std::string& suffix, std::string& value, const std::string& of) {
    app.add_option(flag + suffix, value, of)->type_name("FILE");
  };
  file("-ca", out.ca, "Authorities that sign etcd's certificate: TLS");
  file("-cert", out.certificate, "The certificate that is shown to etcd");
  file("-key", out.key, "Its private key");
  app.add_option(flag + "-user", out.user, "User of etcd")->type_name("NAME");
  file("-password-file", out.password_file, "File whose first line is the password");
  app.add_flag(flag + "-insecure", out.insecure, "Reach etcd on other machines without TLS");
  return app.add_option(flag, out.store, help)->type_name("STORE");
}

}  // namespace remuda
