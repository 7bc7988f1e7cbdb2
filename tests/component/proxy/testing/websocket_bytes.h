// WebSocket's bytes for tests: handshakes, frames, and a target that echoes whatever comes behind
// its 101.
#pragma once

#include <string>

#include "tests/component/proxy/testing/scripted_target.h"

namespace remuda::proxy::testing {

inline std::string UpgradeRequest(const std::string& fields = "Upgrade: websocket\r\n") {
  return "GET /chat HTTP/1.1\r\nHost: shop.test\r\nConnection: keep-alive, Upgrade\r\n" + fields +
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
}

inline const std::string kSwitching =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

// A final frame of less than 64 KiB, masked with a key of zeros if it is a client's.
inline std::string Frame(int opcode, const std::string& payload, bool is_masked) {
  std::string out(1, static_cast<char>(0x80 | opcode));
  const int mask_bit = is_masked ? 0x80 : 0;
  if (payload.size() < 126) {
    out += static_cast<char>(mask_bit | static_cast<int>(payload.size()));
  } else {
    out += static_cast<char>(mask_bit | 126);
    out += static_cast<char>(payload.size() >> 8);
    out += static_cast<char>(payload.size() & 0xff);
  }
  if (is_masked) out += std::string(4, '\0');
  return out + payload;
}

// What the proxy sends when a side goes away.
inline const std::string kGoingAway = "\x88\x02\x03\xe9";

// Whether `bytes` is that frame, masked.
inline bool IsMaskedGoingAway(const std::string& bytes) {
  return bytes.size() == 8 && bytes[0] == '\x88' && bytes[1] == '\x82' &&
         (bytes[6] ^ bytes[2]) == '\x03' && (bytes[7] ^ bytes[3]) == '\xe9';
}

// Upgrades, then sends back what comes.
inline bool UpgradeAndEcho(const std::string& /*head*/, RawSocket& connection) {
  connection.Send(kSwitching);
  return EchoAll(connection);
}

// Upgrades, then takes the frame that says that the proxy goes away, into `frame`, and answers it.
inline ScriptedTarget::Script UpgradeAndPart(std::string& frame) {
  return [&frame](const std::string&, RawSocket& connection) {
    connection.Send(kSwitching);
    frame = connection.ReadBytes(8);
    connection.Send(Frame(8, "\x03\xe9", false));
    return false;
  };
}

}  // namespace remuda::proxy::testing
