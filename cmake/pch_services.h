// Messages and gRPC: what shells are made of.
#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "cmake/pch_messages.h"
