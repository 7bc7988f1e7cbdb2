// remuda metrics: what is measured of a group, once or as it comes; and values of its own metrics.
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <cmath>
#include <memory>
#include <ostream>
#include <thread>

#include "cli/commands.h"
#include "cli/controller_client.h"
#include "cli/kinds.h"
#include "cli/live_picture.h"
#include "cli/metrics_text.h"
#include "cli/printing.h"
#include "cli/watching.h"

namespace remuda::cli {
namespace {

// GetMetricsRequest.points
constexpr int kMaxPoints = 720;
constexpr int kUsualPoints = 60;
constexpr size_t kUsualWidth = 100;

struct MetricsOptions {
  std::string group;
  bool watch = false;
  int points = kUsualPoints;
  std::vector<std::string> data;  // put: NAME=VALUE
};

MetricsStyle MetricsStyleOf(const Context& context) {
  const size_t columns = context.out_is_terminal ? SizeOfTerminal().columns : 0;
  return {.has_blocks = context.out_has_blocks, .width = columns > 0 ? columns : kUsualWidth};
}

std::string MetricsPicture(const v1::GroupMetrics& metrics, const MetricsStyle& style,
                           const TableStyle& table_style) {
  std::string out = MetricsTitle(metrics) + "\n";
  if (const std::string silent = SilentText(metrics); !silent.empty())
    absl::StrAppend(&out, Printable(silent), "\n");
  if (metrics.series_size() > 0 && metrics.series(0).values_size() > 0)
    absl::StrAppend(&out, "\n", RenderTable(SeriesTable(metrics, style), table_style));
  if (metrics.instances_size() > 0)
    absl::StrAppend(&out, "\n", RenderTable(InstanceMetricsTable(metrics), table_style));
  return out;
}

void PrintMetrics(Context& context, const v1::GroupMetrics& metrics) {
  if (!IsTable(context.output)) return PrintMessage(context, metrics);
  context.out << MetricsPicture(metrics, MetricsStyleOf(context), StyleOf(context)) << std::flush;
}

// What a watch shows: the picture drawn again on a terminal; else the whole once, then a line for
// each new value; or each message as data.
class MetricsView {
 public:
  // `points` of each series are shown.
  MetricsView(Context& context, int points)
      : context_(context), picture_(context.out), points_(points) {}

  // `is_whole`: the last values; else those that are new.
  void Show(const v1::GroupMetrics& metrics, bool is_whole) {
    const bool is_first = !has_shown_;
    has_shown_ = true;
    if (!IsTable(context_.output)) return PrintMessage(context_, metrics);
    if (is_whole) {
      known_ = metrics;
    } else {
      AppendMetrics(metrics, points_, known_);
    }
    if (context_.out_is_terminal) return Draw();
    if (is_first) return PrintMetrics(context_, known_);
    context_.out << FormatClock(metrics.end_time()) << "  " << Printable(NewestLine(metrics))
                 << std::endl;
  }

  // Something else was said.
  void Leave() { picture_.Leave(); }

  bool has_shown() const { return has_shown_; }

 private:
  void Draw() {
    std::vector<std::string> lines =
        absl::StrSplit(MetricsPicture(known_, MetricsStyleOf(context_), {}), '\n');
    lines.pop_back();  // Behind the last line's end.
    picture_.Draw(FittingLines(std::move(lines), SizeOfTerminal()));
  }

  Context& context_;
  LivePicture picture_;
  const int points_;
  v1::GroupMetrics known_;
  bool has_shown_ = false;
};

// One stream to its end.
absl::Status StreamMetrics(const ControllerClient& client, const v1::WatchMetricsRequest& request,
                           MetricsView& view, bool& was_there) {
  grpc::ClientContext call;
  call.set_deadline(std::chrono::system_clock::now() + kWatchDeadline);
  const auto stream = client.metrics->WatchMetrics(&call, request);
  v1::WatchMetricsResponse response;
  for (bool is_whole = true; stream->Read(&response); is_whole = false) {
    was_there = true;
    view.Show(response.metrics(), is_whole);
  }
  return FromGrpcStatus(stream->Finish());
}

// Until the user ends it. A controller that goes away is waited for.
ExitCode WatchMetrics(Context& context, const ControllerClient& client,
                      const v1::WatchMetricsRequest& request) {
  MetricsView view(context, request.points());
  bool was_there = true;
  while (true) {
    const absl::Status status = StreamMetrics(client, request, view, was_there);
    if (!status.ok() && (!view.has_shown() || !IsAway(status))) return Fail(context, status);
    SayAway(context, was_there);
    view.Leave();
    std::this_thread::sleep_for(kWatchInterval);
  }
}

ExitCode RunMetrics(Context& context, const MetricsOptions& options) {
  if (options.group.empty()) return FailUsage(context, "metrics: of which group? Give asg/NAME");
  const auto id = ParseIdOf(KindId::kAutoScalingGroup, options.group);
  if (!id.ok()) return FailUsage(context, std::string(id.status().message()));
  const std::string name = FullName(KindId::kAutoScalingGroup, *id);
  const ControllerClient client(context.settings);
  if (options.watch) {
    v1::WatchMetricsRequest request;
    request.set_auto_scaling_group(name);
    request.set_points(options.points);
    return WatchMetrics(context, client, request);
  }
  v1::GetMetricsRequest request;
  request.set_auto_scaling_group(name);
  request.set_points(options.points);
  const auto metrics = client.Call<v1::GroupMetrics>(
      *client.metrics, &v1::MetricsService::Stub::GetMetrics, request);
  if (!metrics.ok()) return Fail(context, metrics.status());
  PrintMetrics(context, *metrics);
  return ExitCode::kOk;
}

absl::StatusOr<v1::MetricDatum> ParseDatum(const std::string& text) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits('=', 1));
  double value = 0;
  if (parts.first.empty() || !absl::SimpleAtod(parts.second, &value) || !std::isfinite(value)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is not NAME=NUMBER, for example queue-depth=12"));
  }
  v1::MetricDatum datum;
  datum.set_name(parts.first);
  datum.set_value(value);
  return datum;
}

ExitCode RunPutMetrics(Context& context, const MetricsOptions& options) {
  const auto id = ParseIdOf(KindId::kAutoScalingGroup, options.group);
  if (!id.ok()) return FailUsage(context, std::string(id.status().message()));
  v1::PutMetricDataRequest request;
  request.set_auto_scaling_group(FullName(KindId::kAutoScalingGroup, *id));
  for (const std::string& text : options.data) {
    auto datum = ParseDatum(text);
    if (!datum.ok()) return FailUsage(context, std::string(datum.status().message()));
    *request.add_data() = *std::move(datum);
  }
  const ControllerClient client(context.settings);
  const auto response = client.Call<v1::PutMetricDataResponse>(
      *client.metrics, &v1::MetricsService::Stub::PutMetricData, request);
  if (!response.ok()) return Fail(context, response.status());
  const std::string given =
      absl::StrJoin(request.data(), ", ", [](std::string* out, const v1::MetricDatum& datum) {
        absl::StrAppend(out, datum.name(), " is ", ValueText(datum.value(), ""));
      });
  PrintOutcome(context, request.auto_scaling_group(), "PUT",
               absl::StrCat(request.auto_scaling_group(), ": ", given, ", for five minutes"));
  return ExitCode::kOk;
}

}  // namespace

void AddMetricsCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("metrics", "Show what is measured of a group");
  auto options = std::make_shared<MetricsOptions>();
  command->add_option("group", options->group, "The group: asg/NAME");
  command->add_flag("-w,--watch", options->watch, "Go on and show each new value");
  command->add_option("--points", options->points, "So many of the newest values")
      ->check(CLI::Range(1, kMaxPoints))
      ->capture_default_str();
  AddOutputFlag(command, context);
  auto* put = command->add_subcommand("put", "Give values of metrics of your own");
  put->add_option("group", options->group, "The group: asg/NAME")->required();
  put->add_option("data", options->data, "NAME=NUMBER, one or more")->required();
  AddOutputFlag(put, context);
  SetExample(put, "remuda metrics put asg/blue queue-depth=12");
  SetRun(put, context, [&context, options] { return RunPutMetrics(context, *options); });
  SetExample(command,
             "remuda metrics asg/blue --watch\n  remuda metrics put asg/blue queue-depth=12");
  // Called for `put` as well.
  command->callback([&context, command, options] {
    if (command->get_subcommands().empty())
      context.run = [&context, options] { return RunMetrics(context, *options); };
  });
}

}  // namespace remuda::cli
