#include "controller/kubernetes/slice_reader.h"

#include <absl/strings/str_cat.h>

#include <utility>

namespace remuda::kubernetes {

SliceReader::SliceReader(boost::asio::io_context& context, const ApiAddress& api, Service service,
                         ReaderPace pace, uint32_t seed, Tell tell)
    : context_(context),
      api_(api),
      service_(service),
      pace_(pace),
      tell_(std::move(tell)),
      follow_(std::move(service), pace.follow, seed),
      timer_(context) {}

SliceReader::~SliceReader() {
  timer_.cancel();
  if (call_ != nullptr) call_->Drop();
}

void SliceReader::Go() {
  call_ = nullptr;
  text_.clear();
  step_ = follow_.Next();
  timer_.expires_after(absl::ToChronoNanoseconds(step_.wait));
  timer_.async_wait([this, alive = std::weak_ptr(alive_)](const auto& error) {
    if (!error && !alive.expired()) Ask();
  });
}

void SliceReader::Ask() {
  call_ = BeginCall(context_, api_,
                    {.target = step_.target,
                     .silence = step_.is_watch ? pace_.silence : absl::ZeroDuration(),
                     .longest = step_.longest,
                     .connect_timeout = pace_.connect_timeout,
                     .answer_timeout = pace_.answer_timeout},
                    *this);
}

void SliceReader::OnHead() {
  if (!step_.is_watch) return;
  follow_.OnWatchBegun();
  Report(true);
}

bool SliceReader::OnBytes(std::string_view bytes) {
  if (!step_.is_watch) {
    text_ += bytes;
    return true;
  }
  bool goes_on = true;
  bool is_said = false;
  for (size_t end; goes_on && (end = bytes.find('\n')) != std::string_view::npos;) {
    text_ += bytes.substr(0, end);
    bytes.remove_prefix(end + 1);
    if (!text_.empty()) {
      goes_on = follow_.OnLine(text_);
      is_said = true;
    }
    text_.clear();
  }
  text_ += bytes;
  if (goes_on && text_.size() > limits::kMaxEventBytes) {
    follow_.OnTooLong();
    goes_on = false;
  }
  if (is_said || !goes_on) Report(true);
  if (!goes_on) Go();
  return goes_on;
}

void SliceReader::OnEnd(const std::string& trouble) {
  if (step_.is_watch) {
    follow_.OnWatchEnded(trouble);
  } else if (trouble.empty()) {
    follow_.OnPage(text_);
  } else {
    follow_.OnRefused({.why = trouble});
  }
  Report(trouble.empty());
  Go();
}

void SliceReader::OnRefused(const Refusal& refusal) {
  follow_.OnRefused(refusal);
  Report(refusal.status != 0);
  Go();
}

void SliceReader::Report(bool is_heard) {
  EndpointReport report{.endpoints = std::nullopt, .error = follow_.error(), .is_heard = is_heard};
  if (follow_.has_list()) {
    Endpoints now = follow_.endpoints();
    if (report.error.empty()) report.error = std::move(now.trouble);
    if (report.error.empty() && !follow_.has_slices()) {
      report.error = absl::StrCat("it has no EndpointSlice: is there a Service ",
                                  service_.name_space, "/", service_.name, "?");
    }
    if (now.ready != told_) report.endpoints = told_ = std::move(now.ready);
  } else if (report.error.empty()) {
    report.error = "its EndpointSlices are being listed";
  }
  tell_(std::move(report));
}

}  // namespace remuda::kubernetes
