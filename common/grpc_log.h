// What gRPC itself logs, among what the program logs: its own lines are of another form, and come
// many times a second while something that is dialled cannot be had.
//
// Owns: nothing. Thread: after InitLogging, before anything of gRPC is used.
#pragma once

namespace remuda {

// From then on gRPC's lines are the program's, at level debug: a call that fails says why by its
// status. A broken assertion, before gRPC ends the program, is critical.
void TakeLogOfGrpc();

}  // namespace remuda
