// Every method of the API, found by reflection: wrong calls are answered with an error that says
// what is wrong, and end nothing.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/empty.pb.h>
#include <google/protobuf/unknown_field_set.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "common/grpc_status.h"
#include "remuda/agent/v1/agent.pb.h"
#include "remuda/controller/v1/peer.pb.h"
#include "remuda/proxy/v1/proxy.pb.h"
#include "remuda/v1/activity.pb.h"
#include "remuda/v1/apply.pb.h"
#include "remuda/v1/audit.pb.h"
#include "remuda/v1/backup.pb.h"
#include "remuda/v1/cluster.pb.h"
#include "remuda/v1/deployment.pb.h"
#include "remuda/v1/identity.pb.h"
#include "remuda/v1/image.pb.h"
#include "remuda/v1/lifecycle.pb.h"
#include "remuda/v1/metrics.pb.h"
#include "remuda/v1/scaling_policy.pb.h"
#include "remuda/v1/secret.pb.h"
#include "remuda/v1/security_group.pb.h"
#include "remuda/v1/target_group.pb.h"
#include "tests/component/controller/testing/controller_process.h"
#include "tests/component/controller/testing/fake_receivers.h"

namespace remuda {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MethodDescriptor;

// Mentioned, so that the linker keeps every file of the API.
const google::protobuf::Descriptor* const kLinked[] = {v1::Activity::descriptor(),
                                                       v1::ApplyResourcesRequest::descriptor(),
                                                       v1::Cluster::descriptor(),
                                                       v1::Deployment::descriptor(),
                                                       v1::Image::descriptor(),
                                                       agent::v1::Hello::descriptor(),
                                                       proxy::v1::Hello::descriptor(),
                                                       controller::v1::ReplicaHello::descriptor(),
                                                       v1::GroupMetrics::descriptor(),
                                                       v1::ScalingPolicy::descriptor(),
                                                       v1::EnterStandbyRequest::descriptor(),
                                                       v1::SecurityGroup::descriptor(),
                                                       v1::AuditRecord::descriptor(),
                                                       v1::User::descriptor(),
                                                       v1::Secret::descriptor(),
                                                       v1::CreateBackupRequest::descriptor()};

// Debian ships no header for grpc.reflection.v1alpha: its few fields are read and written by
// number.
constexpr char kReflectionPath[] = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
constexpr int kFileContainingSymbol = 4, kListServices = 7;            // of the request
constexpr int kFileDescriptorResponse = 4, kListServicesResponse = 6;  // of the response

std::string TextField(int number, const std::string& text) {
  google::protobuf::Empty message;
  message.GetReflection()->MutableUnknownFields(&message)->AddLengthDelimited(number, text);
  return message.SerializeAsString();
}

std::vector<std::string> TextFields(const std::string& bytes, int number) {
  google::protobuf::Empty message;
  std::vector<std::string> out;
  if (!message.ParseFromString(bytes)) return out;
  const auto& fields = message.GetReflection()->GetUnknownFields(message);
  for (int i = 0; i < fields.field_count(); ++i) {
    if (fields.field(i).number() == number &&
        fields.field(i).type() == google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED) {
      out.push_back(fields.field(i).length_delimited());
    }
  }
  return out;
}

constexpr int kGarbageRounds = 15;
// A stream that says nothing, because there is nothing to say, is left after so long.
constexpr auto kQuietStream = std::chrono::milliseconds(300);

class MethodsTest : public testing::Test {
 protected:
  MethodsTest() {
    controller_.Start();
    channel_ = controller_.Channel();
    stub_ = std::make_unique<grpc::GenericStub>(channel_);
  }
  ~MethodsTest() override {
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) continue;
  }

  bool Next() {
    void* tag = nullptr;
    bool ok = false;
    return queue_.Next(&tag, &ok) && ok;
  }

  // One message up, half-closed, all answers read: how the call ended.
  grpc::Status Call(const MethodDescriptor& method, const std::string& bytes) {
    return Call("/" + method.service()->full_name() + "/" + method.name(), bytes,
                method.server_streaming()
                    ? kQuietStream
                    : std::chrono::duration_cast<std::chrono::milliseconds>(kPatience),
                nullptr);
  }
  grpc::Status Call(const std::string& path, const std::string& bytes,
                    std::chrono::milliseconds patience, std::string* last) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + patience);
    const auto call = stub_->PrepareCall(&context, path, &queue_);
    call->StartCall(nullptr);
    bool ok = Next();
    const grpc::Slice slice(bytes);
    if (ok) {
      call->Write(grpc::ByteBuffer(&slice, 1), nullptr);
      ok = Next();
    }
    if (ok) {
      call->WritesDone(nullptr);
      Next();
    }
    grpc::ByteBuffer answer;
    while (true) {
      call->Read(&answer, nullptr);
      if (!Next()) break;
      std::vector<grpc::Slice> slices;
      if (last == nullptr || !answer.Dump(&slices).ok()) continue;
      last->clear();
      for (const grpc::Slice& part : slices)
        last->append(reinterpret_cast<const char*>(part.begin()), part.size());
    }
    grpc::Status status;
    call->Finish(&status, nullptr);
    Next();
    return status;
  }

  std::vector<const MethodDescriptor*> Methods() {
    std::vector<const MethodDescriptor*> methods;
    std::string response;
    EXPECT_TRUE(Call(kReflectionPath, TextField(kListServices, "*"), kPatience, &response).ok());
    for (const std::string& list : TextFields(response, kListServicesResponse)) {
      for (const std::string& service : TextFields(list, 1)) {
        for (const std::string& name : TextFields(service, 1)) AddMethods(name, methods);
      }
    }
    return methods;
  }
  void AddMethods(const std::string& name, std::vector<const MethodDescriptor*>& methods) {
    services_.insert(name);
    if (name.rfind("remuda.", 0) != 0) return;
    const auto* service = DescriptorPool::generated_pool()->FindServiceByName(name);
    ASSERT_NE(service, nullptr) << name << " is not linked into the test";
    for (int i = 0; i < service->method_count(); ++i) methods.push_back(service->method(i));
    // Its file can be had too: what grpcurl asks for.
    std::string response;
    EXPECT_TRUE(
        Call(kReflectionPath, TextField(kFileContainingSymbol, name), kPatience, &response).ok());
    EXPECT_FALSE(TextFields(response, kFileDescriptorResponse).empty()) << name;
  }

  // Fills fields at random: names, texts, numbers and lists, right by accident at most.
  void Fill(Message& message, int depth) {
    const auto* descriptor = message.GetDescriptor();
    for (int i = 0; i < descriptor->field_count(); ++i) {
      const FieldDescriptor* field = descriptor->field(i);
      if (random_() % 3 == 0) continue;
      const int times = field->is_repeated() ? static_cast<int>(random_() % 4) : 1;
      for (int n = 0; n < times; ++n) FillField(message, *field, depth);
    }
  }

  ControllerProcess controller_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<grpc::GenericStub> stub_;
  grpc::CompletionQueue queue_;
  std::set<std::string> services_;
  std::mt19937 random_{20261122};

 private:
  std::string Text() {
    static const char* const kTexts[] = {"",           "blue", "targetGroups/blue",
                                         "Targets/UP", "-",    "targetGroups/-",
                                         "10.0.0.1",   "*",    "..",
                                         "a/b/c",      "\x01", "%s",
                                         "2147483648"};
    if (random_() % 10 == 0) return std::string(5000, 'x');
    return kTexts[random_() % (sizeof kTexts / sizeof kTexts[0])];
  }
  int64_t Number() {
    static const int64_t kNumbers[] = {0, 1, -1, 2, 80, 65536, 1001, INT32_MAX, INT32_MIN};
    return kNumbers[random_() % (sizeof kNumbers / sizeof kNumbers[0])];
  }
  void FillField(Message& message, const FieldDescriptor& field, int depth) {
    const auto* reflection = message.GetReflection();
    const bool many = field.is_repeated();
    const auto number = Number();
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        many ? reflection->AddString(&message, &field, Text())
             : reflection->SetString(&message, &field, Text());
        break;
      case FieldDescriptor::CPPTYPE_INT32:
        many ? reflection->AddInt32(&message, &field, static_cast<int32_t>(number))
             : reflection->SetInt32(&message, &field, static_cast<int32_t>(number));
        break;
      case FieldDescriptor::CPPTYPE_INT64:
        many ? reflection->AddInt64(&message, &field, number * 1'000'000'007)
             : reflection->SetInt64(&message, &field, number * 1'000'000'007);
        break;
      case FieldDescriptor::CPPTYPE_BOOL:
        many ? reflection->AddBool(&message, &field, true)
             : reflection->SetBool(&message, &field, true);
        break;
      case FieldDescriptor::CPPTYPE_ENUM:
        many ? reflection->AddEnumValue(&message, &field, static_cast<int>(number))
             : reflection->SetEnumValue(&message, &field, static_cast<int>(number));
        break;
      case FieldDescriptor::CPPTYPE_DOUBLE:
        if (!many)
          reflection->SetDouble(&message, &field,
                                number == 2 ? 0.0 / 0.0 : static_cast<double>(number));
        break;
      case FieldDescriptor::CPPTYPE_MESSAGE:
        if (depth > 6) break;
        Fill(many ? *reflection->AddMessage(&message, &field)
                  : *reflection->MutableMessage(&message, &field),
             depth + 1);
        break;
      default:
        break;
    }
  }
};

// What a wrong call may be answered with. INTERNAL, UNKNOWN and UNAVAILABLE would be our fault.
bool IsHonest(const grpc::Status& status, bool streams) {
  switch (status.error_code()) {
    case grpc::OK:
    case grpc::INVALID_ARGUMENT:
    case grpc::NOT_FOUND:
    case grpc::ALREADY_EXISTS:
    case grpc::FAILED_PRECONDITION:
    case grpc::ABORTED:
    case grpc::UNIMPLEMENTED:  // strategies of a later version
      return true;
    case grpc::DEADLINE_EXCEEDED:
      return streams;
    default:
      return false;
  }
}

TEST_F(MethodsTest, AnEmptyCallSaysWhichFieldIsMissing) {
  // Empty is a right call of these.
  const std::set<std::string> takes_empty = {
      "GetCluster",       "ListImages",        "ListLaunchTemplates",
      "ListTargetGroups", "ListLoadBalancers", "ListAutoScalingGroups",
      "ListCertificates", "ListInstances",     "ListLaunchTemplateVersions",
      "WatchInstances",   "ListDeployments",   "ListHosts",
      "ListProxies",      "ListActivities",    "WatchActivities",
      "ListTargets",      "WatchTargets",      "ListSecurityGroups",
      "ListAuditRecords", "WatchAuditRecords", "GetCaller",
      "ListJoinTokens",   "ListUsers",         "ListRevocations",
      "ListSecrets",      "CreateBackup",      "ListControllers"};
  // And these say that there are no identities here.
  const std::set<std::string> needs_identities = {"GetTrustBundle", "RenewCertificate",
                                                  "CreateJoinToken"};
  const auto methods = Methods();
  ASSERT_NE(kLinked[0], nullptr);
  EXPECT_GE(methods.size(), 45U);
  EXPECT_TRUE(services_.contains("grpc.health.v1.Health"));
  EXPECT_TRUE(services_.contains("grpc.channelz.v1.Channelz"));
  for (const MethodDescriptor* method : methods) {
    const grpc::Status status = Call(*method, "");
    if (takes_empty.contains(method->name())) {
      EXPECT_TRUE(status.ok() ||
                  (method->server_streaming() && status.error_code() == grpc::DEADLINE_EXCEEDED))
          << method->full_name() << ": " << status.error_message();
      continue;
    }
    if (needs_identities.contains(method->name())) {
      EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION) << method->full_name();
      continue;
    }
    EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT)
        << method->full_name() << ": " << status.error_message();
    EXPECT_FALSE(ViolationsOf(FromGrpcStatus(status)).empty())
        << method->full_name() << " names no field: " << status.error_message();
  }
  EXPECT_TRUE(controller_.IsAlive()) << controller_.Log();
}

TEST_F(MethodsTest, GarbageEndsNothing) {
  google::protobuf::DynamicMessageFactory factory;
  for (const MethodDescriptor* method : Methods()) {
    const int rounds = method->server_streaming() ? 3 : kGarbageRounds;
    for (int round = 0; round < rounds; ++round) {
      const std::unique_ptr<Message> request(factory.GetPrototype(method->input_type())->New());
      Fill(*request, 0);
      const grpc::Status status = Call(*method, request->SerializePartialAsString());
      EXPECT_TRUE(IsHonest(status, method->server_streaming()))
          << method->full_name() << ": " << status.error_code() << " " << status.error_message()
          << "\n"
          << request->ShortDebugString().substr(0, 2000);
    }
    // Bytes that are no message: gRPC's own error or ours, but an answer.
    const grpc::Status status = Call(*method, "\xff\xff\xff\xff garbage");
    EXPECT_FALSE(status.ok()) << method->full_name();
    ASSERT_TRUE(controller_.IsAlive()) << method->full_name() << "\n" << controller_.Log();
  }
}

TEST_F(MethodsTest, AMessageOverTheLimitIsRefusedAndOthersAreNot) {
  const auto* apply =
      DescriptorPool::generated_pool()->FindMethodByName("remuda.v1.ApplyService.ApplyResources");
  v1::ApplyResourcesRequest request;
  request.set_request_id(std::string(9 << 20, 'x'));
  const grpc::Status ours = Call(*apply, request.SerializeAsString());
  EXPECT_EQ(ours.error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_THAT(ours.error_message(), testing::HasSubstr("more than 8388608"));
  request.set_request_id(std::string(20 << 20, 'x'));
  EXPECT_EQ(Call(*apply, request.SerializeAsString()).error_code(), grpc::RESOURCE_EXHAUSTED);
  // As much as a manifest may have.
  request.set_request_id(std::string(7 << 20, 'x'));
  EXPECT_EQ(Call(*apply, request.SerializeAsString()).error_code(), grpc::INVALID_ARGUMENT);
  request.set_request_id("short");
  EXPECT_EQ(Call(*apply, request.SerializeAsString()).error_code(), grpc::INVALID_ARGUMENT);
}

TEST_F(MethodsTest, UnknownFieldsOfReadsAreIgnoredAndOfWritesRefused) {
  const auto* pool = DescriptorPool::generated_pool();
  const auto* get = pool->FindMethodByName("remuda.v1.ClusterService.GetCluster");
  const std::string unknown("\xc0\x3e\x01", 3);  // field 1000, a varint
  EXPECT_TRUE(Call(*get, unknown).ok());
  const auto* create = pool->FindMethodByName("remuda.v1.TargetGroupService.CreateTargetGroup");
  v1::CreateTargetGroupRequest request;
  request.set_target_group_id("blue");
  request.mutable_target_group();
  const grpc::Status status = Call(*create, request.SerializeAsString() + unknown);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), testing::HasSubstr("field 1000 is not known"));
}

}  // namespace
}  // namespace remuda
