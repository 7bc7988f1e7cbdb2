// The compiled part of Boost.Asio's TLS, apart from the rest: few programs have it.
#include <boost/asio/ssl/impl/src.hpp>
