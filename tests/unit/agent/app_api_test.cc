#include "agent/app_api.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace remuda::agent {
namespace {

// An API whose tokens are the instances' names with "t-" before them.
class AppApiTest : public testing::Test {
 protected:
  void SetUp() override {
    options_.find_instance = [](const std::string& token) {
      return token.rfind("t-", 0) == 0 ? token.substr(2) : "";
    };
    options_.group_of = [](const std::string&) { return std::string("web"); };
    options_.send = [this](const v1::AppCall& call) {
      if (is_up_) sent_.push_back(call);
      return is_up_;
    };
  }
  // What is answered; a later place of `answers_` once it is.
  size_t Ask(AppApi& api, AdminRequest request) {
    const size_t place = answers_.size();
    answers_.emplace_back();
    answers_[place].status = 0;
    request.is_local = request.query != "from afar";
    api.Call(request, [this, place](AdminResponse answer) { answers_[place] = std::move(answer); });
    return place;
  }
  static AdminRequest Get(const std::string& authorization) {
    return {.path = "/v1/instance", .method = "GET", .authorization = authorization};
  }
  static bool Has(const AdminResponse& answer, const std::string& name, const std::string& value) {
    return std::count(answer.headers.begin(), answer.headers.end(), std::pair(name, value)) == 1;
  }

  EventLoop loop_;
  AppApi::Options options_;
  bool is_up_ = true;
  std::vector<v1::AppCall> sent_;
  std::vector<AdminResponse> answers_;
};

TEST_F(AppApiTest, PassesACallOnAndAnswersAsTheControllerDoes) {
  AppApi api(loop_, options_);
  const size_t one = Ask(api, Get("Bearer t-i-1"));
  const size_t two = Ask(api, {.path = "/v1/instance/protection",
                               .method = "PUT",
                               .authorization = "Bearer t-i-2",
                               .body = "{\"protected\":true}"});
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(sent_[0].instance(), "i-1");
  EXPECT_EQ(sent_[1].instance(), "i-2");
  EXPECT_TRUE(sent_[1].set_protection());
  EXPECT_GT(sent_[0].call_id(), 0);
  EXPECT_NE(sent_[0].call_id(), sent_[1].call_id());
  EXPECT_EQ(answers_[one].status, 0) << "nothing is answered yet";
  v1::AppAnswer answer;
  answer.set_call_id(sent_[1].call_id());
  api.OnAnswer(answer);
  EXPECT_EQ(answers_[two].status, 204);
  answer.set_call_id(sent_[0].call_id());
  answer.set_state("IN_SERVICE");
  api.OnAnswer(answer);
  api.OnAnswer(answer);  // nobody waits any more
  EXPECT_EQ(answers_[one].status, 200);
  EXPECT_NE(answers_[one].body.find("\"IN_SERVICE\""), std::string::npos);
  EXPECT_EQ(answers_[one].content_type, "application/json");
}

TEST_F(AppApiTest, RefusesWhoIsNoInstance) {
  AppApi api(loop_, options_);
  for (const char* authorization : {"", "t-i-1", "Basic t-i-1", "Bearer x"}) {
    const size_t place = Ask(api, Get(authorization));
    EXPECT_EQ(answers_[place].status, 401) << authorization;
    EXPECT_TRUE(Has(answers_[place], "WWW-Authenticate", "Bearer"));
  }
  AdminRequest afar = Get("Bearer t-i-1");
  afar.query = "from afar";
  EXPECT_EQ(answers_[Ask(api, afar)].status, 403);
  AdminRequest put = Get("Bearer t-i-1");
  put.method = "PUT";
  const size_t place = Ask(api, put);
  EXPECT_EQ(answers_[place].status, 405);
  EXPECT_TRUE(Has(answers_[place], "Allow", "GET"));
  EXPECT_TRUE(sent_.empty());
}

TEST_F(AppApiTest, WithoutASessionItSaysSoAtOnce) {
  AppApi api(loop_, options_);
  const size_t waits = Ask(api, Get("Bearer t-i-1"));
  is_up_ = false;
  api.OnDown();
  EXPECT_EQ(answers_[waits].status, 503);
  EXPECT_NE(answers_[waits].body.find("may have done"), std::string::npos);
  const size_t refused = Ask(api, Get("Bearer t-i-1"));
  EXPECT_EQ(answers_[refused].status, 503);
  EXPECT_TRUE(Has(answers_[refused], "Retry-After", "2"));
}

TEST_F(AppApiTest, ACallIsNotWaitedForForEver) {
  options_.answer_timeout = std::chrono::milliseconds(1);
  AppApi api(loop_, options_);
  const size_t place = Ask(api, Get("Bearer t-i-1"));
  loop_.After(std::chrono::milliseconds(20), [this] { loop_.Quit(); });
  loop_.Run();
  EXPECT_EQ(answers_[place].status, 504);
  v1::AppAnswer late;
  late.set_call_id(sent_[0].call_id());
  api.OnAnswer(late);
  EXPECT_EQ(answers_[place].status, 504);
}

TEST_F(AppApiTest, AnInstanceCallsOnceASecondBeyondItsBurst) {
  EventLoop::TimePoint now = EventLoop::Now();
  options_.now = [&] { return now; };
  AppApi api(loop_, options_);
  const auto ask = [&](const std::string& instance) {
    const size_t place = Ask(api, Get("Bearer t-" + instance));
    if (answers_[place].status != 0) return place;
    v1::AppAnswer answer;
    answer.set_call_id(sent_.back().call_id());
    api.OnAnswer(answer);
    return place;
  };
  for (int i = 0; i < AppApi::kBurst; ++i) EXPECT_EQ(answers_[ask("i-1")].status, 200) << i;
  const size_t refused = ask("i-1");
  EXPECT_EQ(answers_[refused].status, 429);
  EXPECT_TRUE(Has(answers_[refused], "Retry-After", "2"));
  EXPECT_EQ(answers_[ask("i-2")].status, 200) << "of others, none";
  now += AppApi::kCallInterval;
  EXPECT_EQ(answers_[ask("i-1")].status, 200);
  EXPECT_EQ(answers_[ask("i-1")].status, 429);
  now += AppApi::kBurst * AppApi::kCallInterval;
  for (int i = 0; i < AppApi::kBurst; ++i) EXPECT_EQ(answers_[ask("i-1")].status, 200) << i;
}

TEST_F(AppApiTest, WhatWaitsIsBounded) {
  AppApi api(loop_, options_);
  for (size_t i = 0; i < AppApi::kMaxWaitingOfInstance; ++i) Ask(api, Get("Bearer t-i-1"));
  EXPECT_EQ(answers_[Ask(api, Get("Bearer t-i-1"))].status, 429);
  EXPECT_EQ(answers_[Ask(api, Get("Bearer t-i-2"))].status, 0) << "of others, none";
  for (size_t i = 3; sent_.size() < AppApi::kMaxWaiting; ++i)
    Ask(api, Get("Bearer t-i-" + std::to_string(i)));
  EXPECT_EQ(answers_[Ask(api, Get("Bearer t-i-one-more"))].status, 503);
}

}  // namespace
}  // namespace remuda::agent
