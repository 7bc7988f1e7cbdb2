// A question that is under way on the probes' thread: an HTTP request, or a program that runs.
//
// Each lives in the handlers of its own operations, and ends by calling `done` once: with what
// came, or with why nothing did.
#pragma once

#include <boost/asio.hpp>
#include <chrono>
#include <functional>
#include <memory>

#include "controller/core/analysis/answer.h"

namespace remuda {

using QuestionTimer =
    boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                      boost::asio::wait_traits<std::chrono::steady_clock>,
                                      boost::asio::io_context::executor_type>;

class Question {
 public:
  using Done = std::function<void(core::ProbeOutcome)>;
  virtual ~Question() = default;
  // Once.
  virtual void Start() = 0;
  // What is under way ends at once; `done` is still called.
  virtual void Abort() = 0;
};

// `body` empty: a GET, else a POST of JSON.
std::shared_ptr<Question> MakeHttpQuestion(boost::asio::io_context& context,
                                           const core::Probe& probe, std::string body,
                                           Question::Done done);

std::shared_ptr<Question> MakeCommandQuestion(boost::asio::io_context& context,
                                              const core::Probe& probe, std::string body,
                                              Question::Done done);

}  // namespace remuda
