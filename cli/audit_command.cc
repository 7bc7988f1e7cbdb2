// remuda audit: every write that was asked for, as a log is read; and what follows.
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <memory>
#include <ostream>
#include <thread>

#include "cli/commands.h"
#include "cli/controller_client.h"
#include "cli/printing.h"
#include "cli/watching.h"
#include "remuda/v1/audit.grpc.pb.h"

namespace remuda::cli {
namespace {

using Audit = v1::AuditService::Stub;
using Records = std::vector<v1::AuditRecord>;

constexpr int kPageSize = 1000;

struct AuditOptions {
  std::string filter;
  bool watch = false;
  size_t limit = kListedActivities;
};

// "remuda.v1.TargetGroupService/CreateTargetGroup" -> "CreateTargetGroup".
std::string MethodWord(const std::string& method) { return method.substr(method.rfind('/') + 1); }

std::string OutcomeText(const v1::AuditRecord& record) {
  std::string text = record.code() == 0
                         ? "done"
                         : absl::StatusCodeToString(static_cast<absl::StatusCode>(record.code()));
  if (!record.error().empty()) absl::StrAppend(&text, ": ", record.error());
  if (record.left_out() != 0)
    absl::StrAppend(&text, " (and ", record.left_out(), " like it that were left out)");
  return text;
}

std::string RevisionsOf(const v1::AuditRecord& record) {
  if (record.revision_after() == 0) return "-";
  return absl::StrCat(record.revision_before(), " -> ", record.revision_after());
}

Table TableOfRecords(const Records& records, bool is_wide) {
  Table table{{"NUMBER", "TIME", "WHO", "METHOD", "RESOURCES", "COMMIT", "OUTCOME"}, {}};
  if (is_wide) {
    table.headers.insert(table.headers.begin() + 3, {"ROLE", "FROM", "CERTIFICATE"});
  }
  for (const v1::AuditRecord& record : records) {
    std::vector<std::string> row = {
        absl::StrCat(record.sequence()),
        FormatDate(record.time()),
        record.actor().empty() ? "-" : record.actor(),
        MethodWord(record.method()),
        record.resources().empty() ? "-" : absl::StrJoin(record.resources(), ","),
        RevisionsOf(record),
        OutcomeText(record)};
    if (is_wide) {
      const auto or_dash = [](const std::string& text) { return text.empty() ? "-" : text; };
      row.insert(row.begin() + 3, {or_dash(record.user_role()), or_dash(record.peer()),
                                   or_dash(record.certificate_serial())});
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

void PrintRecords(Context& context, const Records& records, bool with_headers) {
  if (context.output == OutputFormat::kName) {
    for (const v1::AuditRecord& record : records) context.out << record.sequence() << "\n";
  } else if (IsTable(context.output)) {
    context.out << RenderTable(TableOfRecords(records, ShowsAll(context.output)),
                               StyleOf(context, with_headers));
  } else {
    std::vector<const google::protobuf::Message*> messages;
    for (const v1::AuditRecord& record : records) messages.push_back(&record);
    PrintMessages(context, messages);
  }
  context.out.flush();
}

// The newest first.
absl::StatusOr<Records> ListRecords(const ControllerClient& client, const std::string& filter,
                                    size_t limit, int64_t above) {
  v1::ListAuditRecordsRequest request;
  request.set_filter(filter);
  Records records;
  do {
    request.set_page_size(static_cast<int>(std::min<size_t>(kPageSize, limit - records.size())));
    const auto page =
        client.Call<v1::ListAuditRecordsResponse>(*client.audit, &Audit::ListAuditRecords, request);
    if (!page.ok()) return page.status();
    for (const v1::AuditRecord& record : page->audit_records()) {
      if (record.sequence() <= above) return records;
      records.push_back(record);
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty() && records.size() < limit);
  return records;
}

// Goes on from `last`, until the user ends it or the controller says what waiting does not mend.
ExitCode FollowRecords(Context& context, const ControllerClient& client,
                       const AuditOptions& options, int64_t last) {
  bool was_there = true;
  const auto show = [&](const v1::AuditRecord& record) {
    if (record.sequence() <= last) return;
    last = record.sequence();
    PrintRecords(context, {record}, false);
  };
  while (true) {
    grpc::ClientContext call;
    call.set_deadline(std::chrono::system_clock::now() + kWatchDeadline);
    v1::WatchAuditRecordsRequest request;
    request.set_filter(options.filter);
    const auto stream = client.audit->WatchAuditRecords(&call, request);
    // What came between is listed once the stream is open.
    const auto missed = ListRecords(client, options.filter, kMaxListed, last);
    if (missed.ok()) {
      was_there = true;
      for (auto it = missed->rbegin(); it != missed->rend(); ++it) show(*it);
    }
    v1::WatchAuditRecordsResponse response;
    while (missed.ok() && stream->Read(&response)) {
      for (const v1::AuditRecord& record : response.audit_records()) show(record);
    }
    if (!missed.ok()) call.TryCancel();
    const absl::Status ended = FromGrpcStatus(stream->Finish());
    const absl::Status status = missed.ok() ? ended : missed.status();
    if (!IsAway(status)) return Fail(context, status);
    SayAway(context, was_there);
    std::this_thread::sleep_for(kWatchInterval);
  }
}

ExitCode RunAudit(Context& context, const AuditOptions& options) {
  const ControllerClient client(context.settings);
  auto records = ListRecords(client, options.filter, options.limit, 0);
  if (!records.ok()) return Fail(context, records.status());
  std::reverse(records->begin(), records->end());  // As a log is read: the newest last.
  PrintRecords(context, *records, true);
  if (!options.watch) return ExitCode::kOk;
  return FollowRecords(context, client, options, records->empty() ? 0 : records->back().sequence());
}

}  // namespace

void AddAuditCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand(
      "audit", "Show every write that was asked for: who, what, what came of it");
  auto options = std::make_shared<AuditOptions>();
  command->add_option("--filter", options->filter,
                      "Only those that match: by actor, method, code, resources");
  command->add_flag("-w,--watch", options->watch, "Go on and print each as it comes");
  AddLimit(command, options->limit, "At most so many of the newest");
  AddOutputFlag(command, context);
  SetExample(command,
             "remuda audit --watch\n  remuda audit --filter 'actor = person/alice AND code != 0'");
  SetRun(command, context, [&context, options] { return RunAudit(context, *options); });
}

}  // namespace remuda::cli
