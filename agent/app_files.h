// The files of one instance: made from an image beside those that it has, and put in their place
// when nothing runs there.
//
//   app.partial   being copied
//   app.next      complete; the file `next` names what it was made from
//   app.into      app.next from when it begins to take the place of app/: what the app wrote itself
//                 is being moved into it. Whoever finds it there finishes the work.
//   app           the files that run; the file `image` names what they were made from
//
// What is no file of the image that app/ was made from (what the app wrote: its data, caches)
// stays, unless the new image has something at the same path.
//
// Blocks. One thread for each instance at a time: a file worker's, or the loop's before it decides
// anything.
#pragma once

#include <absl/status/status.h>

#include <functional>
#include <optional>
#include <string>

#include "agent/app_users.h"
#include "agent/instance_dir.h"

namespace remuda::agent {

// What files are made from: the image, and the user whose they are (AppUsers::KeyOf).
std::string FilesKey(const std::string& digest, const std::string& user);
std::string DigestOf(const std::string& files_key);

// What app/ was made from; empty: it is not there or not whole, or nobody knows.
std::string FilesIn(const InstanceDir& dir);
// The same of what InstallFiles would put in its place.
std::string NextFilesIn(const InstanceDir& dir);

// Makes app.next from the image in the directory `image`, with everything belonging to `user`. Not
// while IsHalfInstalled.
absl::Status PrepareFiles(const std::string& image, const std::string& files_key,
                          const InstanceDir& dir, const std::optional<UserIds>& user);

// Where an image is on this host; empty: it is not.
using ImagePlace = std::function<std::string(const std::string& digest)>;

// Puts app.next in the place of app/, which goes to `doomed` (a new path in the same file system).
// Unavailable: something holds the instance's lock, so an app may be using the files.
absl::Status InstallFiles(const InstanceDir& dir, const ImagePlace& images,
                          const std::string& doomed);

// Whether an InstallFiles was broken off; another one finishes it.
bool IsHalfInstalled(const InstanceDir& dir);

}  // namespace remuda::agent
