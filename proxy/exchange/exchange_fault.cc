// Messages that are refused for what they are: what is remembered and said of them.
#include "proxy/exchange/exchange.h"
#include "proxy/exchange/worker_context.h"
#include "proxy/telemetry/bad_messages.h"

namespace remuda::proxy {

using http::Reason;

namespace {

// Many requests may bring such fields: then a worker does not write down each.
constexpr std::chrono::milliseconds kDroppedFieldInterval{100};

}  // namespace

// The request's head breaks the grammar.
void Exchange::RefuseHead() {
  const http::BadHead bad = parser_.Blame(input_.data(), input_.size(), request_);
  fault_.Set(parser_.reason(), bad.culprit, /*is_name=*/!bad.is_first_line);
  Answer(parser_.reason());
}

void Exchange::NoteBadRequest(Reason reason) {
  const bool is_about_target = reason == Reason::kBadTarget || reason == Reason::kBadPath ||
                               reason == Reason::kMethodNotAllowed;
  if (fault_.rule() == reason) {
    // Known from the parser.
  } else if (is_about_target && head_size_ > 0) {
    fault_.Set(reason, request_.target, /*is_name=*/false);
  } else if (reason == Reason::kSuspiciousFieldName) {
    fault_.Set(reason, request_.dropped_name);
  } else {
    fault_.Set(reason, http::FieldOf(reason));
  }
  BadMessage message{.kind = BadMessage::Kind::kRequest,
                     .time_us = record_.begin_us,
                     .reason = reason,
                     .fault = &fault_,
                     .client = {origin_.peer->text, origin_.peer->text_size}};
  if (input_) message.first_line = http::FirstLineOf({input_.data(), input_.size()});
  if (origin_.entrance->spec != nullptr)
    message.load_balancer = origin_.entrance->spec->load_balancer->id;
  worker_.bad_messages().Note(message);
}

// A field that did not go on for its name: the request passes, and is logged with it.
void Exchange::NoteDroppedField() {
  worker_.counters().dropped_fields.Add(1);
  fault_.Set(Reason::kSuspiciousFieldName, request_.dropped_name);
  if (!worker_.TakeNote(kDroppedFieldInterval)) return;
  BadMessage message{.kind = BadMessage::Kind::kDroppedField,
                     .time_us = record_.begin_us,
                     .fault = &fault_,
                     .first_line = http::FirstLineOf({input_.data(), input_.size()}),
                     .client = {origin_.peer->text, origin_.peer->text_size}};
  if (origin_.entrance->spec != nullptr)
    message.load_balancer = origin_.entrance->spec->load_balancer->id;
  worker_.bad_messages().Note(message);
}

// The target's answer breaks `rule`.
Exchange::Pump Exchange::RefuseResponse(Reason rule, const http::BadHead& bad) {
  const Reason reason =
      http::IsHeadBound(rule) ? Reason::kTargetHeadTooLarge : Reason::kTargetBadResponse;
  fault_.Set(rule, bad.culprit, /*is_name=*/!bad.is_first_line);
  worker_.counters().bad_response_rules[static_cast<size_t>(rule)].Add(1);
  BadMessage message{.kind = BadMessage::Kind::kResponse,
                     .time_us = worker_.WallUs(worker_.loop().now()),
                     .reason = reason,
                     .fault = &fault_,
                     .client = {origin_.peer->text, origin_.peer->text_size},
                     .target_group = record_.group->id(),
                     .target = record_.in_flight.target()->endpoint()};
  if (response_in_ && !has_response_head())
    message.first_line = http::FirstLineOf({response_in_.data(), response_in_.size()});
  if (origin_.entrance->spec != nullptr)
    message.load_balancer = origin_.entrance->spec->load_balancer->id;
  worker_.bad_messages().Note(message);
  return FailResponse(reason);
}

}  // namespace remuda::proxy
