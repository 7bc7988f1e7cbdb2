// The flags by which a command names a store (store/store_options.h).
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "controller/store/store_options.h"

namespace remuda {

// `flag` names the store, as --store, and begins the names of the others. `out` outlives the parse.
CLI::Option* AddStoreFlags(CLI::App& app, const std::string& flag, const std::string& help,
                           StoreFlags& out);

}  // namespace remuda
