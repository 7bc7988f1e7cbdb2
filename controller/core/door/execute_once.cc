#include "controller/core/door/execute_once.h"

#include <absl/strings/str_cat.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "controller/core/door/validate.h"
#include "controller/core/model/limits.h"

namespace remuda::core {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using store::v1::RequestRecord;

// Rows looked at for their age by each write, at each of two places: more than the one row that it
// adds.
constexpr int kRowsLookedAt = 2;
// How far below the limit the rows are brought when it is met, so that this is not done for each
// write.
constexpr size_t kKeptAfterPruning = limits::kRequestRecordsKept * 9 / 10;
// Uncommitted rows that a draft may add between looks at the committed number.
constexpr size_t kSlack = 1'000;

bool IsTooOld(const RequestRecord& record, Time now) {
  return FromProto(record.time()) + limits::kRequestRecordAge <= now;
}

// No id and no actor has a line break.
std::string RecordKey(std::string_view actor, const std::string& id) {
  return std::string(actor) + '\n' + id;
}

// Deletes old rows among those after `id`, where old random ids are found, and among the first,
// where old counted ones are.
void ForgetSome(Draft& draft, const std::string& id, Time now) {
  std::vector<std::string> old;
  for (const std::string& from : {id + '\0', std::string()}) {
    int left = kRowsLookedAt;
    draft.ForEachFrom<RequestRecord>(from,
                                     [&](const std::string& key, const RequestRecord& record) {
                                       if (IsTooOld(record, now)) old.push_back(key);
                                       return --left > 0;
                                     });
  }
  for (const std::string& key : old) draft.Delete<RequestRecord>(key);
}

// Brings the rows below the limit, the oldest first.
void ForgetOldest(Draft& draft) {
  if (draft.state().All<RequestRecord>().size() + kSlack < limits::kRequestRecordsKept) return;
  std::vector<std::pair<Time, std::string>> rows;
  draft.ForEach<RequestRecord>([&](const std::string& key, const RequestRecord& record) {
    rows.emplace_back(FromProto(record.time()), key);
  });
  if (rows.size() < limits::kRequestRecordsKept) return;
  std::sort(rows.begin(), rows.end());
  rows.resize(rows.size() - kKeptAfterPruning);
  for (const auto& [time, key] : rows) draft.Delete<RequestRecord>(key);
}

}  // namespace

Once::Once(std::string_view method, const Message& request, Digest digest, const Who& who)
    : method_(method) {
  const auto* type = request.GetDescriptor();
  const auto* reflection = request.GetReflection();
  if (const FieldDescriptor* field = type->FindFieldByName("validate_only"); field != nullptr) {
    validate_only_ = reflection->GetBool(request, field);
  }
  const FieldDescriptor* id = type->FindFieldByName("request_id");
  if (id == nullptr) return;
  request_id_ = reflection->GetString(request, id);
  if (request_id_.empty()) return;
  key_ = RecordKey(who.actor, request_id_);
  std::unique_ptr<Message> content(request.New());
  content->CopyFrom(request);
  reflection->ClearField(content.get(), id);
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream out(&stream);
    out.SetSerializationDeterministic(true);
    content->SerializeToCodedStream(&out);
  }
  digest_ = digest(bytes);
}

absl::StatusOr<bool> Once::Replay(const Draft& draft, Time now, Message& answer) const {
  if (request_id_.empty()) return false;
  const FieldPath at("request_id");
  Violations violations;
  CheckText(violations, at, request_id_, limits::kRequestIdBytes);
  if (!violations.empty()) return violations.ToStatus();
  const auto record = draft.Find<RequestRecord>(key_);
  if (record == nullptr || IsTooOld(*record, now)) return false;
  if (record->method() != method_) {
    return InvalidField(at.text(),
                        absl::StrCat(Quoted(request_id_), " was used for ", record->method(),
                                     "; take a new one for each request"));
  }
  if (record->request_digest() != digest_) {
    return InvalidField(at.text(),
                        absl::StrCat(Quoted(request_id_),
                                     " was used for a request with other content; take a new one"));
  }
  if (!record->response().UnpackTo(&answer)) {
    return Internal(absl::StrCat("request ", request_id_, ": the answer that was kept is not a ",
                                 answer.GetTypeName()));
  }
  return true;
}

void Once::Keep(Draft& draft, Time now, const Message& answer) const {
  if (request_id_.empty()) return;
  ForgetSome(draft, key_, now);
  ForgetOldest(draft);
  RequestRecord record;
  record.set_method(std::string(method_));
  record.set_request_digest(digest_);
  record.mutable_response()->PackFrom(answer);
  *record.mutable_time() = ToProto(now);
  draft.Put(key_, std::move(record));
}

}  // namespace remuda::core
