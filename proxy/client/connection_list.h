// Connections of one worker in an order: those that idle, those that wait for their turn. A
// connection is in one such list at most, and leaves it by itself when it ends.
//
// Thread: its worker's. Nothing is allocated.
#pragma once

namespace remuda::proxy {

class Connection;

class ConnectionList {
 public:
  Connection* front() const { return first_; }
  bool empty() const { return first_ == nullptr; }
  // Behind all others; out of the list that it was in.
  void PushBack(Connection& connection);
  // No effect if it is in none.
  static void Remove(Connection& connection);

 private:
  Connection* first_ = nullptr;
  Connection* last_ = nullptr;
};

}  // namespace remuda::proxy
