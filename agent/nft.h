// Runs nft(8), the command of nftables.
#pragma once

#include <chrono>
#include <string>

namespace remuda::agent {

// How long one run may take.
inline constexpr std::chrono::seconds kNftPatience{5};

// Where it is: in PATH, or where Debian puts it. Empty: nowhere.
std::string FindNft();

// Gives `text` to `program` as one transaction, or has it checked alone. Blocks for kNftPatience at
// most. Empty: done; else why not, for a person. Any thread; its process is none of those that
// SIGCHLD tells of or waitpid(-1) finds.
std::string RunNft(const std::string& program, const std::string& text, bool only_check = false);

}  // namespace remuda::agent
