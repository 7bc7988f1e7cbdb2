// What the sanitizers are told, in every program of a build with them: also in one that is started
// with an environment of its own.
//
// Debian's gRPC is not built for the thread sanitizer, which therefore does not see the order that
// gRPC keeps between what we do before an operation starts and what its callback does: every such
// pair looks like a race. Left out are reports with gRPC in one of the two stacks: its headers' own
// code, and our callbacks as called by its library. So a race within a callback is not found here;
// callbacks lock, or post to a loop, and do little else. What they share with others by a mutex or
// a loop is seen on the other side.

extern "C" {
const char* __tsan_default_options();
const char* __tsan_default_suppressions();
const char* __ubsan_default_options();

const char* __tsan_default_options() { return "ignore_noninstrumented_modules=1"; }
const char* __tsan_default_suppressions() { return "race:^grpc::\nrace:libgrpc\n"; }
const char* __ubsan_default_options() { return "print_stacktrace=1"; }
}
