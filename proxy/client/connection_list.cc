#include "proxy/client/connection_list.h"

#include "proxy/client/connection.h"

namespace remuda::proxy {

void ConnectionList::PushBack(Connection& connection) {
  Remove(connection);
  connection.list_ = this;
  connection.list_previous_ = last_;
  connection.list_next_ = nullptr;
  (last_ == nullptr ? first_ : last_->list_next_) = &connection;
  last_ = &connection;
}

void ConnectionList::Remove(Connection& connection) {
  ConnectionList* const list = connection.list_;
  if (list == nullptr) return;
  Connection* const before = connection.list_previous_;
  Connection* const behind = connection.list_next_;
  (before == nullptr ? list->first_ : before->list_next_) = behind;
  (behind == nullptr ? list->last_ : behind->list_previous_) = before;
  connection.list_ = nullptr;
}

}  // namespace remuda::proxy
