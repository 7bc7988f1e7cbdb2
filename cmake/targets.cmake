# The few shapes that targets of this project have.
#
#   remuda_library(NAME <name> [PCH core|grpc|asio] SRCS ... [DEPS ...])
#   remuda_program(NAME <name> OUTPUT <file name> [PCH ...] SRCS ... [DEPS ...])
#   remuda_test(NAME <name> LABEL unit|sim|component|e2e [PCH ...] [TIMEOUT seconds] SRCS ... [DEPS ...])
#   remuda_fuzz(NAME <name> CORPUS <dir> SRCS ... [DEPS ...])
#
# A precompiled header is built once for each kind and shared:
#   core  protobuf, Abseil, the standard library     (decisions, models)
#   grpc  core and gRPC                              (controller shell, agent, cli)
#   asio  Boost.Asio, Beast, the standard library    (proxy shell)

function(remuda_pch_host kind)
  file(WRITE ${CMAKE_BINARY_DIR}/pch/${kind}.cc.in "namespace remuda { extern const int kPch_${kind}; const int kPch_${kind} = 1; }\n")
  configure_file(${CMAKE_BINARY_DIR}/pch/${kind}.cc.in ${CMAKE_BINARY_DIR}/pch/${kind}.cc COPYONLY)
  add_library(remuda_pch_${kind} STATIC ${CMAKE_BINARY_DIR}/pch/${kind}.cc)
  target_link_libraries(remuda_pch_${kind} PUBLIC ${ARGN})
  target_precompile_headers(remuda_pch_${kind} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/pch_${kind}.h)
endfunction()

remuda_pch_host(core protobuf::libprotobuf absl::status absl::statusor absl::strings absl::btree absl::flat_hash_map)
remuda_pch_host(grpc protobuf::libprotobuf gRPC::grpc++ absl::status absl::statusor absl::strings)
remuda_pch_host(asio remuda_boost)

function(remuda_common_setup target pch)
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR})
  target_compile_options(${target} PRIVATE ${REMUDA_WARNINGS})
  if(pch)
    target_link_libraries(${target} PRIVATE remuda_pch_${pch})
    target_precompile_headers(${target} REUSE_FROM remuda_pch_${pch})
  endif()
endfunction()

function(remuda_library)
  cmake_parse_arguments(A "" "NAME;PCH" "SRCS;DEPS" ${ARGN})
  add_library(${A_NAME} STATIC ${A_SRCS})
  target_link_libraries(${A_NAME} PUBLIC ${A_DEPS})
  remuda_common_setup(${A_NAME} "${A_PCH}")
endfunction()

# `programs` is what a user needs, without the tests: what deploy/quickstart builds.
add_custom_target(programs)

function(remuda_program)
  cmake_parse_arguments(A "" "NAME;OUTPUT;PCH" "SRCS;DEPS" ${ARGN})
  add_executable(${A_NAME} ${A_SRCS})
  set_target_properties(${A_NAME} PROPERTIES OUTPUT_NAME ${A_OUTPUT})
  target_link_libraries(${A_NAME} PRIVATE ${A_DEPS})
  remuda_common_setup(${A_NAME} "${A_PCH}")
  add_dependencies(programs ${A_NAME})
endfunction()

# gRPC from the package is not instrumented.
set(REMUDA_SANITIZER_OPTIONS
    "TSAN_OPTIONS=ignore_noninstrumented_modules=1 suppressions=${CMAKE_SOURCE_DIR}/tests/tsan.supp"
    "UBSAN_OPTIONS=print_stacktrace=1")

function(remuda_test)
  cmake_parse_arguments(A "" "NAME;LABEL;PCH;TIMEOUT" "SRCS;DEPS" ${ARGN})
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 120)
  endif()
  add_executable(${A_NAME} ${A_SRCS})
  target_link_libraries(${A_NAME} PRIVATE ${A_DEPS} GTest::gtest GTest::gmock GTest::gtest_main)
  target_compile_definitions(${A_NAME} PRIVATE REMUDA_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                             REMUDA_BIN_DIR="${CMAKE_BINARY_DIR}/bin")
  remuda_common_setup(${A_NAME} "${A_PCH}")
  add_test(NAME ${A_NAME} COMMAND ${A_NAME})
  set_tests_properties(${A_NAME} PROPERTIES LABELS ${A_LABEL} TIMEOUT ${A_TIMEOUT}
                       ENVIRONMENT "${REMUDA_SANITIZER_OPTIONS}")
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
