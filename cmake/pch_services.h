// Messages and gRPC: what shells are made of.
#include "cmake/pch_messages.h"

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <mutex>
#include <thread>
