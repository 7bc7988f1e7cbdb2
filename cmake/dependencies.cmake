# Everything comes from Debian 12's packages; deploy/install-deps lists them.
find_package(Threads REQUIRED)
find_package(Protobuf 3.21 REQUIRED)
find_package(absl REQUIRED)
find_package(gRPC 1.51 CONFIG REQUIRED)  # finds RE2 too: re2::re2
find_package(OpenSSL 3 REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(LibArchive REQUIRED)
find_package(GTest REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(nghttp2 REQUIRED IMPORTED_TARGET libnghttp2>=1.52)

# Debian ships 1.74 as the default and 1.81 beside it: only 1.81's headers are used, and no compiled part.
find_path(REMUDA_BOOST_INCLUDE boost/version.hpp REQUIRED)
file(STRINGS ${REMUDA_BOOST_INCLUDE}/boost/version.hpp boost_version
     REGEX "#define BOOST_VERSION 10[0-9]+")
if(NOT boost_version MATCHES "108100")
  message(FATAL_ERROR "Boost 1.81 is needed (package libboost1.81-dev); found ${boost_version}")
endif()
add_library(remuda_boost INTERFACE)
target_include_directories(remuda_boost SYSTEM INTERFACE ${REMUDA_BOOST_INCLUDE})
target_compile_definitions(remuda_boost INTERFACE BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_SEPARATE_COMPILATION
                           BOOST_BEAST_SEPARATE_COMPILATION)
target_link_libraries(remuda_boost INTERFACE Threads::Threads)
