#include "agent/seccomp_filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace remuda::agent {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
constexpr uint32_t kX32 = 0x40000000;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "no filter of system calls for this processor"
#endif

// Refused whatever they are called with.
constexpr long kRefused[] = {
    // mounts and roots
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_open_tree,
    SYS_move_mount,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_mount_setattr,
    SYS_quotactl,
    SYS_swapon,
    SYS_swapoff,
    SYS_acct,
    SYS_open_by_handle_at,
    SYS_fanotify_init,
    // other processes
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_pidfd_getfd,
    SYS_kcmp,
    SYS_setns,
    // the kernel
    SYS_bpf,
    SYS_perf_event_open,
    SYS_kexec_load,
    SYS_kexec_file_load,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_reboot,
    SYS_syslog,
    SYS_userfaultfd,
    SYS_vhangup,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_clock_adjtime,
    SYS_adjtimex,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_lookup_dcookie,
    SYS_nfsservctl,
    // would go round the rules for sockets
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    // keys, which belong to users, not to apps
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
#if defined(__x86_64__)
    SYS_iopl,
    SYS_ioperm,
    SYS_modify_ldt,
    SYS_uselib,
    SYS__sysctl,
    SYS_create_module,
    SYS_ustat,
    SYS_sysfs,
#endif
};

constexpr uint32_t kNewNamespaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                                    CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP;
constexpr uint32_t kSocketType = 0xf;  // the rest are flags

// A program of conditional jumps to labels, which are resolved at its end.
class Program {
 public:
  enum Label {
    kAllow,
    kRefuse,
    kNoSuchCall,
    kNumbers,
    kSockets,
    kNetlink,
    kInternet,
    kFlags,
    kPersonality,
    kIoctl,
    kLabels
  };

  void Load(size_t offset) { Add(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); }
  void Mask(uint32_t bits) { Add(BPF_ALU | BPF_AND | BPF_K, bits); }
  void IfEqual(uint32_t value, Label label) { If(BPF_JEQ, value, label); }
  void IfAnyBit(uint32_t bits, Label label) { If(BPF_JSET, bits, label); }
  void Go(Label label) {
    jumps_.push_back({code_.size(), label});
    Add(BPF_JMP | BPF_JA, 0);
  }
  void Here(Label label) { at_[label] = code_.size(); }
  void Answer(uint32_t what) { Add(BPF_RET | BPF_K, what); }

  std::vector<sock_filter> Resolve() {
    for (const Jump& jump : jumps_)
      code_[jump.from].k = static_cast<uint32_t>(at_[jump.to] - jump.from - 1);
    return std::move(code_);
  }

 private:
  struct Jump {
    size_t from;
    Label to;
  };

  void Add(int operation, uint32_t value, uint8_t if_true = 0, uint8_t if_false = 0) {
    code_.push_back({static_cast<uint16_t>(operation), if_true, if_false, value});
  }
  void If(int comparison, uint32_t value, Label label) {
    Add(BPF_JMP | BPF_K | comparison, value, 0, 1);
    Go(label);
  }

  std::vector<sock_filter> code_;
  std::vector<Jump> jumps_;
  size_t at_[kLabels] = {};
};

// The lower half, which is what the kernel takes of an int; both processors are little-endian.
constexpr size_t Argument(size_t index) { return offsetof(seccomp_data, args) + index * 8; }

constexpr uint32_t Number(long call) { return static_cast<uint32_t>(call); }

std::vector<sock_filter> MakeProgram(FilterOf whom) {
  Program program;
  // Numbers of another architecture's calls mean other calls.
  program.Load(offsetof(seccomp_data, arch));
  program.IfEqual(kArchitecture, Program::kNumbers);
  program.Go(Program::kRefuse);

  program.Here(Program::kNumbers);
  program.Load(offsetof(seccomp_data, nr));
#if defined(__x86_64__)
  program.IfAnyBit(kX32, Program::kRefuse);
#endif
  const bool is_app = whom == FilterOf::kApps;
  const auto of_sockets = is_app ? Program::kSockets : Program::kRefuse;
  program.IfEqual(Number(SYS_socket), of_sockets);
  program.IfEqual(Number(SYS_socketpair), of_sockets);
  program.IfEqual(Number(SYS_clone), is_app ? Program::kFlags : Program::kRefuse);
#if defined(__x86_64__)
  for (const long call : {SYS_fork, SYS_vfork}) {
    if (!is_app) program.IfEqual(Number(call), Program::kRefuse);
  }
#endif
  program.IfEqual(Number(SYS_unshare), Program::kFlags);
  // Its flags are behind a pointer, where no filter can look: the C library takes clone instead.
  program.IfEqual(Number(SYS_clone3), Program::kNoSuchCall);
  program.IfEqual(Number(SYS_personality), Program::kPersonality);
  program.IfEqual(Number(SYS_ioctl), Program::kIoctl);
  for (const long call : kRefused) program.IfEqual(Number(call), Program::kRefuse);
  program.Go(Program::kAllow);

  // Local ones; TCP and UDP; and of netlink what lists the host's addresses.
  program.Here(Program::kSockets);
  program.Load(Argument(0));
  program.IfEqual(AF_UNIX, Program::kAllow);
  program.IfEqual(AF_INET, Program::kInternet);
  program.IfEqual(AF_INET6, Program::kInternet);
  program.IfEqual(AF_NETLINK, Program::kNetlink);
  program.Go(Program::kRefuse);
  program.Here(Program::kInternet);
  program.Load(Argument(1));
  program.Mask(kSocketType);
  program.IfEqual(SOCK_STREAM, Program::kAllow);
  program.IfEqual(SOCK_DGRAM, Program::kAllow);
  program.Go(Program::kRefuse);
  program.Here(Program::kNetlink);
  program.Load(Argument(2));
  program.IfEqual(NETLINK_ROUTE, Program::kAllow);
  program.Go(Program::kRefuse);

  // No namespaces: in one of users an app would have every capability again.
  program.Here(Program::kFlags);
  program.Load(Argument(0));
  program.IfAnyBit(kNewNamespaces, Program::kRefuse);
  program.Go(Program::kAllow);

  // Only the usual one, and the question which it is.
  program.Here(Program::kPersonality);
  program.Load(Argument(0));
  program.IfEqual(0, Program::kAllow);
  program.IfEqual(0xffffffff, Program::kAllow);
  program.Go(Program::kRefuse);

  // Nothing is put into a terminal's input.
  program.Here(Program::kIoctl);
  program.Load(Argument(1));
  program.IfEqual(TIOCSTI, Program::kRefuse);
  program.IfEqual(TIOCLINUX, Program::kRefuse);
  program.Go(Program::kAllow);

  program.Here(Program::kAllow);
  program.Answer(SECCOMP_RET_ALLOW);
  program.Here(Program::kRefuse);
  program.Answer(SECCOMP_RET_ERRNO | EPERM);
  program.Here(Program::kNoSuchCall);
  program.Answer(SECCOMP_RET_ERRNO | ENOSYS);
  return program.Resolve();
}

}  // namespace

int FilterSystemCalls(FilterOf whom) {
  std::vector<sock_filter> code = MakeProgram(whom);
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 ? 0 : errno;
}

}  // namespace remuda::agent
