// What a process may do beyond its files, given up for good.
//
// Plain C++: the shim uses it, between fork and exec. Single-threaded processes only.
#pragma once

#include <sys/types.h>

#include <vector>

namespace remuda::agent {

// Empties the set of capabilities that any program of this process could ever have, and has user 0
// mean nothing. Before the change of user; nothing where this process has no such right. 0 or an
// errno.
int ForbidCapabilities();

// Becomes the user, with these groups and no others. 0 or an errno.
int BecomeUser(uid_t uid, gid_t gid, const std::vector<gid_t>& groups);

// Gives up the capabilities that are left, and that any program gives new ones. 0 or an errno. With
// `keeps_files`, what lets root read and write files whatever their modes stays, if it was there.
int GiveUpPrivileges(bool keeps_files = false);

}  // namespace remuda::agent
