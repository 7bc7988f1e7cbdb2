// For builds with the thread sanitizer: protobuf's own header gives map fields two members more
// there, which the packaged library, built without it, does not know. Reflection then takes one
// member for another.
#pragma once

#include <memory>  // the standard library's settings stay those of the sanitizer

#pragma push_macro("__SANITIZE_THREAD__")
#undef __SANITIZE_THREAD__
#include_next <google/protobuf/map_field.h>
#pragma pop_macro("__SANITIZE_THREAD__")
