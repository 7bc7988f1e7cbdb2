// Frame: one serialized message, shared by all the streams it goes out on. Thread: immutable, any.
#pragma once

#include <google/protobuf/message_lite.h>

#include <memory>
#include <string>

namespace remuda {

using Frame = std::shared_ptr<const std::string>;

inline Frame MakeFrame(const google::protobuf::MessageLite& message) {
  return std::make_shared<const std::string>(message.SerializeAsString());
}

}  // namespace remuda
