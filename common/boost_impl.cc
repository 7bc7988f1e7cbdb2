// The compiled part of Boost.Asio and Boost.Beast, once for the whole tree (the headers are
// declared SEPARATE_COMPILATION).
#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
