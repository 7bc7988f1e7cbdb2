// The access log's lines, byte for byte.
#include "proxy/core/access_line.h"

#include <gtest/gtest.h>

#include <string>

namespace remuda::proxy {
namespace {

constexpr AccessAttempt kOne[] = {{"10.0.0.1:80", 200}};
constexpr AccessAttempt kTwo[] = {{"10.0.0.1:80", 0}, {"10.0.0.2:80", 201}};

// As AWS's page shows one.
AccessEntry Sample() {
  AccessEntry e;
  e.end_us = 1530570180186641;
  e.begin_us = 1530570168364000;
  e.load_balancer = "shop";
  e.client_address = "192.168.131.39";
  e.client_port = 2817;
  e.listener_port = 80;
  e.request_us = 86;
  e.target_us = 1048999;
  e.response_us = 1337000;
  e.status = 200;
  e.received_bytes = 34;
  e.sent_bytes = 366;
  e.method = "GET";
  e.host = "www.example.com";
  e.path = "/";
  e.version = "HTTP/1.1";
  e.user_agent = "curl/7.46.0";
  e.target_group = "blue";
  e.trace_id = "1-58337262-36d228ad5d99923122bbe354";
  e.rule_priority = 0;
  e.actions = "forward";
  e.attempts = kOne;
  e.attempt_count = 1;
  e.connection_id = 0x1234abcd5678ef90;
  return e;
}

std::string Line(const AccessEntry& e, AccessLogFormat format = AccessLogFormat::kAlb) {
  AccessLineWriter writer(format);
  return std::string(writer.Write(e));
}

TEST(AccessLine, HasAwsFieldsInAwsOrder) {
  EXPECT_EQ(
      Line(Sample()),
      "http 2018-07-02T22:23:00.186641Z shop 192.168.131.39:2817 10.0.0.1:80 "
      "0.000 1.048 1.337 200 200 34 366 \"GET http://www.example.com:80/ HTTP/1.1\" "
      "\"curl/7.46.0\" - - blue \"Root=1-58337262-36d228ad5d99923122bbe354\" \"-\" \"-\" 0 "
      "2018-07-02T22:22:48.364000Z \"forward\" \"-\" \"-\" \"10.0.0.1:80\" \"200\" \"-\" \"-\" "
      "TID_1234abcd5678ef90\n");
}

// Behind AWS's fields, so that readers of those are not disturbed.
TEST(AccessLine, EndsWithWhatIsWrongWithAMessage) {
  AccessEntry e = Sample();
  e.error_detail = "BadFieldName: X\x01\"";
  EXPECT_NE(Line(e).find(" TID_1234abcd5678ef90 \"BadFieldName: X\\x01\\x22\"\n"),
            std::string::npos)
      << Line(e);
  const std::string json = Line(e, AccessLogFormat::kJson);
  EXPECT_NE(json.find(",\"error_detail\":\"BadFieldName: X\\u0001\\\"\"}\n"), std::string::npos)
      << json;
}

TEST(AccessLine, OfARequestThatCouldNotBeRead) {
  AccessEntry e;
  e.end_us = e.begin_us = 1530570180000001;
  e.load_balancer = "shop";
  e.client_address = "::1";
  e.client_port = 9;
  e.listener_port = 8080;
  e.status = 400;
  e.received_bytes = 0;
  e.sent_bytes = 150;
  e.error_reason = "BadRequestLine";
  e.classification = "Severe";
  e.classification_reason = "BadMethod";
  EXPECT_EQ(Line(e),
            "http 2018-07-02T22:23:00.000001Z shop [::1]:9 - -1 -1 -1 400 - 0 150 "
            "\"- http://shop:8080- -\" \"-\" - - - \"-\" \"-\" \"-\" - 2018-07-02T22:23:00.000001Z "
            "\"-\" \"-\" \"BadRequestLine\" \"-\" \"-\" \"Severe\" \"BadMethod\" -\n");
}

TEST(AccessLine, OfATlsRequestThatWasTriedTwice) {
  AccessEntry e = Sample();
  e.type = TrafficType::kHttp2;
  e.tls_cipher = "TLS_AES_128_GCM_SHA256";
  e.tls_protocol = "TLSv1.3";
  e.domain_name = "shop.example.com";
  e.certificate = "certificates/shop";
  e.incoming_trace_id = "Self=1-a-b;Root=1-c-d";
  e.attempts = kTwo;
  e.attempt_count = 2;
  e.host = "[2001:db8::1]:8443";
  e.query = "a=b";
  e.has_query = true;
  const std::string line = Line(e);
  for (const char* part :
       {"h2 2018", " 10.0.0.2:80 0.000 1.048 1.337 200 201 ",
        "\"GET https://[2001:db8::1]:8443/?a=b HTTP/1.1\"", " TLS_AES_128_GCM_SHA256 TLSv1.3 blue ",
        "\"Self=1-58337262-36d228ad5d99923122bbe354;Root=1-c-d\" \"shop.example.com\" "
        "\"certificates/shop\" 0 ",
        "\"10.0.0.1:80 10.0.0.2:80\" \"- 201\" "}) {
    EXPECT_NE(line.find(part), std::string::npos) << part << "\n" << line;
  }
}

TEST(AccessLine, EscapesWhatAClientChose) {
  AccessEntry e = Sample();
  const std::string hostile = std::string("a\"b\\c\r\nd\x7f\xff e") + '\0';
  const std::string escaped = "a\\x22b\\x5cc\\x0d\\x0ad\\x7f\\xff e\\x00";
  e.method = e.path = e.user_agent = e.incoming_trace_id = e.domain_name = e.host = hostile;
  e.query = e.redirect_url = hostile;
  e.has_query = true;
  const std::string line = Line(e);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_NE(line.find("\"" + escaped + " http://" + escaped + ":80" + escaped + "?" + escaped +
                      " HTTP/1.1\" \"" + escaped + "\" "),
            std::string::npos)
      << line;
  EXPECT_NE(line.find(";" + escaped + "\" \"" + escaped + "\" "), std::string::npos) << line;
  EXPECT_NE(line.find("\"forward\" \"" + escaped + "\" "), std::string::npos) << line;
}

TEST(AccessLine, WorstCaseFitsItsBuffer) {
  const std::string bad(16384, '\x01');
  AccessEntry e = Sample();
  e.method = e.host = e.path = e.query = e.user_agent = e.incoming_trace_id = bad;
  e.has_query = true;
  for (const auto format : {AccessLogFormat::kAlb, AccessLogFormat::kJson}) {
    const std::string line = Line(e, format);
    const size_t escape = format == AccessLogFormat::kAlb ? 4 : 6;
    const size_t chosen = 5 * bad.size() + kMaxLoggedUserAgentBytes;  // the User-Agent is cut
    EXPECT_GT(line.size(), escape * chosen);
    EXPECT_LT(line.size(), escape * chosen + 1024);
  }
}

TEST(AccessLine, AsJson) {
  AccessEntry e = Sample();
  e.user_agent = "a\"b\\\n\xff";
  e.attempts = kTwo;
  e.attempt_count = 2;
  e.request_us = AccessEntry::kNever;
  EXPECT_EQ(
      Line(e, AccessLogFormat::kJson),
      "{\"type\":\"http\",\"time\":\"2018-07-02T22:23:00.186641Z\",\"elb\":\"shop\","
      "\"client\":\"192.168.131.39:2817\",\"target\":\"10.0.0.2:80\","
      "\"request_processing_time\":null,\"target_processing_time\":1.048,"
      "\"response_processing_time\":1.337,\"elb_status_code\":200,\"target_status_code\":201,"
      "\"received_bytes\":34,\"sent_bytes\":366,"
      "\"request\":\"GET http://www.example.com:80/ HTTP/1.1\","
      "\"user_agent\":\"a\\\"b\\\\\\u000a\\u00ff\",\"ssl_cipher\":null,\"ssl_protocol\":null,"
      "\"target_group_arn\":\"blue\",\"trace_id\":\"Root=1-58337262-36d228ad5d99923122bbe354\","
      "\"domain_name\":null,\"chosen_cert_arn\":null,\"matched_rule_priority\":0,"
      "\"request_creation_time\":\"2018-07-02T22:22:48.364000Z\",\"actions_executed\":\"forward\","
      "\"redirect_url\":null,\"error_reason\":null,"
      "\"target_port_list\":[\"10.0.0.1:80\",\"10.0.0.2:80\"],"
      "\"target_status_code_list\":[null,201],\"classification\":null,"
      "\"classification_reason\":null,\"conn_trace_id\":\"TID_1234abcd5678ef90\"}\n");
}

TEST(AccessLine, KeepsTheTimeOfEachLineApart) {
  AccessLineWriter writer(AccessLogFormat::kAlb);
  AccessEntry e = Sample();
  writer.Write(e);
  e.end_us += 1000000;
  EXPECT_EQ(writer.Write(e).substr(5, 27), "2018-07-02T22:23:01.186641Z");
  EXPECT_NE(writer.Write(e).find(" 2018-07-02T22:22:48.364000Z "), std::string::npos);
}

}  // namespace
}  // namespace remuda::proxy
