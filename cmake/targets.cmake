# The few shapes that targets of this project have.
#
#   remuda_library(NAME <name> [PCH core|messages|services|commands] SRCS ... [DEPS ...])
#   remuda_program(NAME <name> OUTPUT <file name> [PCH ...] SRCS ... [DEPS ...])
#   remuda_test(NAME <name> LABEL unit|sim|component|e2e [PCH ...] [TIMEOUT seconds] SRCS ... [DEPS ...])
#   remuda_fuzz(NAME <name> CORPUS <dir> SRCS ... [DEPS ...])
#
# A precompiled header is built once for each kind and shared; each holds what the one before it does:
#   core      protobuf, Abseil, the standard library   (common, generated messages)
#   messages  and every generated message              (decisions, models)
#   services  and gRPC                                 (shells, generated services)
#   commands  and the API's services, CLI11            (commands of the cli: CLI11 alone costs 4 s a file)
#
# With REMUDA_UNITY (what the release preset has) the sources of a library are compiled a few at a time, each batch as one
# file: half of the CPU of a build from nothing, and dearer after a change. Headers are read once for a batch, so it tells
# nothing of a missing #include: the other builds do. A name of an unnamed namespace belongs to one source of its library.

function(remuda_pch_host kind)
  file(WRITE ${CMAKE_BINARY_DIR}/pch/${kind}.cc.in "namespace remuda { extern const int kPch_${kind}; const int kPch_${kind} = 1; }\n")
  configure_file(${CMAKE_BINARY_DIR}/pch/${kind}.cc.in ${CMAKE_BINARY_DIR}/pch/${kind}.cc COPYONLY)
  add_library(remuda_pch_${kind} STATIC ${CMAKE_BINARY_DIR}/pch/${kind}.cc)
  target_include_directories(remuda_pch_${kind} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(remuda_pch_${kind} PUBLIC ${ARGN})
  target_precompile_headers(remuda_pch_${kind} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/pch_${kind}.h)
endfunction()

remuda_pch_host(core protobuf::libprotobuf absl::status absl::statusor absl::strings absl::btree absl::flat_hash_map)
remuda_pch_host(messages remuda_proto absl::status absl::statusor absl::strings absl::btree absl::flat_hash_map)
remuda_pch_host(services remuda_proto gRPC::grpc++ absl::status absl::statusor absl::strings absl::btree absl::flat_hash_map)
if(NOT REMUDA_UNITY)  # there are few batches of commands, and CLI11 is dear in a precompiled header too
  remuda_pch_host(commands remuda_proto_grpc absl::status absl::statusor absl::strings absl::btree absl::flat_hash_map CLI11::CLI11)
endif()

function(remuda_unity target batch)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${REMUDA_UNITY} UNITY_BUILD_BATCH_SIZE ${batch})
endfunction()

function(remuda_common_setup target pch)
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR})
  target_compile_options(${target} PRIVATE ${REMUDA_WARNINGS})
  if(pch AND TARGET remuda_pch_${pch})
    target_link_libraries(${target} PRIVATE remuda_pch_${pch})
    target_precompile_headers(${target} REUSE_FROM remuda_pch_${pch})
  endif()
endfunction()

function(remuda_library)
  cmake_parse_arguments(A "" "NAME;PCH" "SRCS;DEPS" ${ARGN})
  add_library(${A_NAME} STATIC ${A_SRCS})
  remuda_unity(${A_NAME} 8)
  target_link_libraries(${A_NAME} PUBLIC ${A_DEPS})
  remuda_common_setup(${A_NAME} "${A_PCH}")
endfunction()

function(remuda_sanitizer_options target)
  if(REMUDA_SANITIZE)
    target_sources(${target} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/sanitizer_options.cc)
    set_source_files_properties(${CMAKE_SOURCE_DIR}/cmake/sanitizer_options.cc PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
  endif()
endfunction()

# `programs` is what a user needs, without the tests: what deploy/quickstart builds.
add_custom_target(programs)

function(remuda_program)
  cmake_parse_arguments(A "" "NAME;OUTPUT;PCH" "SRCS;DEPS" ${ARGN})
  add_executable(${A_NAME} ${A_SRCS})
  remuda_sanitizer_options(${A_NAME})
  set_target_properties(${A_NAME} PROPERTIES OUTPUT_NAME ${A_OUTPUT})
  target_link_libraries(${A_NAME} PRIVATE ${A_DEPS})
  remuda_common_setup(${A_NAME} "${A_PCH}")
  add_dependencies(programs ${A_NAME})
endfunction()

function(remuda_test)
  cmake_parse_arguments(A "" "NAME;LABEL;PCH;TIMEOUT" "SRCS;DEPS" ${ARGN})
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 120)
  endif()
  add_executable(${A_NAME} ${A_SRCS})
  remuda_sanitizer_options(${A_NAME})
  target_link_libraries(${A_NAME} PRIVATE ${A_DEPS} GTest::gtest GTest::gmock GTest::gtest_main)
  target_compile_definitions(${A_NAME} PRIVATE REMUDA_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                             REMUDA_BIN_DIR="${CMAKE_BINARY_DIR}/bin")
  remuda_common_setup(${A_NAME} "${A_PCH}")
  add_test(NAME ${A_NAME} COMMAND ${A_NAME})
  set_tests_properties(${A_NAME} PROPERTIES LABELS ${A_LABEL} TIMEOUT ${A_TIMEOUT})
endfunction()

# A fuzz target is one LLVMFuzzerTestOneInput. Under the fuzz preset it is a libFuzzer program; in every
# other build the same function replays the committed corpus as a test.
function(remuda_fuzz)
  cmake_parse_arguments(A "" "NAME;CORPUS" "SRCS;DEPS" ${ARGN})
  add_executable(${A_NAME} ${A_SRCS})
  target_link_libraries(${A_NAME} PRIVATE ${A_DEPS})
  remuda_common_setup(${A_NAME} "")
  if(REMUDA_FUZZ)
    target_link_options(${A_NAME} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${A_NAME} PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz/replay_main.cc)
    add_test(NAME ${A_NAME} COMMAND ${A_NAME} ${A_CORPUS})
    set_tests_properties(${A_NAME} PROPERTIES LABELS fuzz TIMEOUT 120)
  endif()
endfunction()
