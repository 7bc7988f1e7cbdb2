# Compiler, linker and cache settings that hold for every target.

find_program(REMUDA_CCACHE ccache)
if(REMUDA_CCACHE)
  # Sloppiness lets precompiled headers hit; base_dir and no hash_dir let worktrees share the cache.
  set(launcher ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=8G ${REMUDA_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-fpch-preprocess)
  endif()
endif()

find_program(REMUDA_MOLD mold)
if(REMUDA_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

set(REMUDA_WARNINGS -Wall -Wextra -Wshadow -Wconversion -Wnon-virtual-dtor)
if(REMUDA_WERROR)
  list(APPEND REMUDA_WARNINGS -Werror)
endif()

if(REMUDA_SANITIZE)
  add_compile_options(-fsanitize=${REMUDA_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${REMUDA_SANITIZE})
  if(REMUDA_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
  add_compile_definitions(REMUDA_SANITIZED)
  if(REMUDA_SANITIZE MATCHES "thread")
    include_directories(BEFORE SYSTEM ${CMAKE_SOURCE_DIR}/cmake/tsan)
  endif()
endif()
if(REMUDA_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
