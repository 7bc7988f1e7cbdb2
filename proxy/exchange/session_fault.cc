// Messages that are refused for what they are: what is remembered and said of them.
#include "proxy/client/client_worker.h"
#include "proxy/exchange/session.h"
#include "proxy/telemetry/bad_messages.h"

namespace remuda::proxy {

using http::Reason;

namespace {

// Many requests may bring such fields: then a worker does not write down each.
constexpr std::chrono::milliseconds kDroppedFieldInterval{100};

}  // namespace

// The request's head breaks the grammar.
bool Session::RefuseHead() {
  Exchange& x = *exchange_;
  const http::BadHead bad = x.parser.Blame(in_.data(), in_.size(), x.request);
  x.fault.Set(x.parser.reason(), bad.culprit, /*is_name=*/!bad.is_first_line);
  return Answer(x.parser.reason());
}

void Session::NoteBadRequest(Reason reason) {
  Exchange& x = *exchange_;
  const bool is_about_target = reason == Reason::kBadTarget || reason == Reason::kBadPath ||
                               reason == Reason::kMethodNotAllowed;
  if (x.fault.rule() == reason) {
    // Known from the parser.
  } else if (is_about_target && x.head_size > 0) {
    x.fault.Set(reason, x.request.target, /*is_name=*/false);
  } else if (reason == Reason::kSuspiciousFieldName) {
    x.fault.Set(reason, x.request.dropped_name);
  } else {
    x.fault.Set(reason, http::FieldOf(reason));
  }
  BadMessage message{.kind = BadMessage::Kind::kRequest,
                     .time_us = x.begin_us,
                     .reason = reason,
                     .fault = &x.fault,
                     .client = {peer_.text, peer_.text_size}};
  if (in_) message.first_line = http::FirstLineOf({in_.data(), in_.size()});
  if (listener_->spec != nullptr) message.load_balancer = listener_->spec->load_balancer->id;
  worker_.bad_messages().Note(message);
}

// A field that did not go on for its name: the request passes, and is logged with it.
void Session::NoteDroppedField() {
  Exchange& x = *exchange_;
  worker_.counters().dropped_fields.Add(1);
  x.fault.Set(Reason::kSuspiciousFieldName, x.request.dropped_name);
  if (!worker_.TakeNote(kDroppedFieldInterval)) return;
  BadMessage message{.kind = BadMessage::Kind::kDroppedField,
                     .time_us = x.begin_us,
                     .fault = &x.fault,
                     .first_line = http::FirstLineOf({in_.data(), in_.size()}),
                     .client = {peer_.text, peer_.text_size}};
  if (listener_->spec != nullptr) message.load_balancer = listener_->spec->load_balancer->id;
  worker_.bad_messages().Note(message);
}

// The target's answer breaks `rule`.
Session::Pump Session::RefuseResponse(Reason rule, const http::BadHead& bad) {
  Exchange& x = *exchange_;
  const Reason reason =
      http::IsHeadBound(rule) ? Reason::kTargetHeadTooLarge : Reason::kTargetBadResponse;
  x.fault.Set(rule, bad.culprit, /*is_name=*/!bad.is_first_line);
  worker_.counters().bad_response_rules[static_cast<size_t>(rule)].Add(1);
  BadMessage message{.kind = BadMessage::Kind::kResponse,
                     .time_us = worker_.WallUs(worker_.loop().now()),
                     .reason = reason,
                     .fault = &x.fault,
                     .client = {peer_.text, peer_.text_size},
                     .target_group = x.group->id(),
                     .target = x.in_flight.target()->endpoint()};
  if (x.response_in && !x.has_response_head)
    message.first_line = http::FirstLineOf({x.response_in.data(), x.response_in.size()});
  if (listener_->spec != nullptr) message.load_balancer = listener_->spec->load_balancer->id;
  worker_.bad_messages().Note(message);
  return FailResponse(reason);
}

}  // namespace remuda::proxy
