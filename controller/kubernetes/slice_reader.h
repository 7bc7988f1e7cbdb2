// SliceReader: follows one Service: makes the calls that SliceFollow asks for, cuts what comes into
// lines, and tells how the Service stands.
//
// Owns: the call under way, the wait before the next. Does not own: what is to be asked and what it
// means (SliceFollow). Thread: the context's.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/kubernetes/api_call.h"
#include "controller/kubernetes/endpoint_watcher.h"
#include "controller/kubernetes/reader_pace.h"
#include "controller/kubernetes/slice_follow.h"

namespace remuda::kubernetes {

class SliceReader final : private ApiListener {
 public:
  using Tell = std::function<void(EndpointReport)>;
  // Context and API outlive it.
  SliceReader(boost::asio::io_context& context, const ApiAddress& api, Service service,
              ReaderPace pace, uint32_t seed, Tell tell);
  SliceReader(const SliceReader&) = delete;
  SliceReader& operator=(const SliceReader&) = delete;
  ~SliceReader() override;  // drops what is under way; nothing more is told

  // Once.
  void Start() { Go(); }

 private:
  void Go();
  void Ask();
  void Report(bool is_heard);
  void OnHead() override;
  bool OnBytes(std::string_view bytes) override;
  void OnEnd(const std::string& trouble) override;
  void OnRefused(const Refusal& refusal) override;

  boost::asio::io_context& context_;
  const ApiAddress& api_;
  const Service service_;
  const ReaderPace pace_;
  const Tell tell_;
  SliceFollow follow_;
  boost::asio::steady_timer timer_;
  // A wait that is over may be called when this one is gone already.
  const std::shared_ptr<char> alive_ = std::make_shared<char>();
  Step step_;
  std::shared_ptr<ApiCall> call_;
  std::string text_;  // of a list: all of it; of a watch: a line that is not whole yet
  std::optional<std::vector<core::FollowedEndpoint>> told_;
};

}  // namespace remuda::kubernetes
