#include "agent/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace remuda::agent {
namespace {

// Above every capability that there is or will be for long; the kernel says where they end.
constexpr int kMostCapabilities = 64;

constexpr unsigned long kSecureBits =
    SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
    SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

}  // namespace

int ForbidCapabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capget, &header, data) != 0) return errno;
  if ((data[0].effective & (1u << CAP_SETPCAP)) == 0) return 0;
  for (int capability = 0; capability < kMostCapabilities; ++capability) {
    const int is_bounded = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
    if (is_bounded < 0) break;
    if (is_bounded > 0 && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) return errno;
  }
  return prctl(PR_SET_SECUREBITS, kSecureBits, 0, 0, 0) == 0 ? 0 : errno;
}

int BecomeUser(uid_t uid, gid_t gid, const std::vector<gid_t>& groups) {
  if (setgroups(groups.size(), groups.data()) != 0) return errno;
  if (setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0) return errno;
  return 0;
}

int GiveUpPrivileges(bool keeps_files) {
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) return errno;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capget, &header, data) != 0) return errno;
  const uint32_t kept = keeps_files ? data[0].permitted & (1u << CAP_DAC_OVERRIDE) : 0;
  const __user_cap_data_struct left[_LINUX_CAPABILITY_U32S_3] = {{kept, kept, 0}, {0, 0, 0}};
  if (syscall(SYS_capset, &header, left) != 0) return errno;
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : errno;
}

}  // namespace remuda::agent
