// What the rule that a request meets says is done with it.
#include "proxy/client/client_worker.h"
#include "proxy/core/match.h"
#include "proxy/core/redirect.h"
#include "proxy/core/rewrite.h"
#include "proxy/exchange/session.h"

namespace remuda::proxy {

bool Session::DispatchRule() {
  Exchange& x = *exchange_;
  if (listener_->spec == nullptr) {  // the listener went while this connection was open
    close_after_ = true;
    return Answer(http::Reason::kNoRule);
  }
  x.rule = MatchRule(*listener_->spec, x.request, peer_.bytes);
  if (x.rule == nullptr) return Answer(http::Reason::kNoRule);
  if (const auto* forward = std::get_if<ForwardAction>(&x.rule->action)) {
    x.group = ChooseGroup(*forward);
    if (x.group == nullptr) return Answer(http::Reason::kNoRegisteredTarget);
    if (x.rule->rewrites != nullptr && !RewriteRequest()) return Answer(http::Reason::kBadRewrite);
    PreparePick();
    return StartAttempt();
  }
  http::OwnAnswer answer;
  if (const auto* fixed = std::get_if<FixedResponse>(&x.rule->action)) {
    traffic().fixed_responses.Add(1);
    answer.status = fixed->status;
    answer.content_type = fixed->content_type;
    answer.body = fixed->body;
    return AnswerWith(answer);
  }
  const Redirect& redirect = std::get<Redirect>(x.rule->action);
  if (!x.request_head) x.request_head = worker_.buffers().Take();
  switch (ExpandRedirect(redirect, x.request, listener_->port,
                         {x.request_head.block.get(), kMaxLocationBytes}, answer.location)) {
    case ExpandResult::kTooLong:
      return Answer(http::Reason::kRedirectTooLong);
    case ExpandResult::kNoHost:
      return Answer(http::Reason::kMissingHost);
    case ExpandResult::kOk:
      break;
  }
  traffic().redirects.Add(1);
  answer.status = redirect.status;
  x.redirect_url = answer.location;
  return AnswerWith(answer);
}

bool Session::RewriteRequest() {
  Exchange& x = *exchange_;
  if (!x.request_head) x.request_head = worker_.buffers().Take();  // free until the head is written
  x.rewritten_bytes = worker_.buffers().Take();
  return ApplyRewrites(*x.rule->rewrites, x.request,
                       {x.request_head.block.get(), x.request_head.capacity},
                       {x.rewritten_bytes.block.get(), x.rewritten_bytes.capacity}, x.rewritten,
                       listener_->spec->load_balancer->paths);
}

}  // namespace remuda::proxy
