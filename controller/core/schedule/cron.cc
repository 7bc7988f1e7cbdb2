#include "controller/core/schedule/cron.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/time/civil_time.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <optional>
#include <span>
#include <vector>

namespace remuda::core {
namespace {

using absl::CivilDay;
using absl::CivilMinute;
using absl::CivilMonth;
using absl::CivilSecond;
using absl::TimeZone;
using CivilKind = TimeZone::TimeInfo::CivilKind;

constexpr std::array<std::string_view, 12> kMonthNames = {"jan", "feb", "mar", "apr", "may", "jun",
                                                          "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kDayNames = {"sun", "mon", "tue", "wed",
                                                       "thu", "fri", "sat"};
constexpr int kSunday = 7;  // as the end of a range
// Of a month in its longest year.
constexpr std::array<int, 13> kDaysOfMonth = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
constexpr uint64_t kEveryHour = (uint64_t{1} << 24) - 1;
constexpr int kHorizonDays = 41 * 366;

struct FieldRule {
  const char* name;
  int min;
  int max;
  int distinct;  // values of which no two mean the same
  std::span<const std::string_view> names;
  int first_name;  // value of names[0]
};
constexpr std::array<FieldRule, 5> kFields = {{{"minute", 0, 59, 60, {}, 0},
                                               {"hour", 0, 23, 24, {}, 0},
                                               {"day of month", 1, 31, 31, {}, 0},
                                               {"month", 1, 12, 12, kMonthNames, 1},
                                               {"day of week", 0, 7, 7, kDayNames, 0}}};

struct Alias {
  std::string_view name;
  std::string_view fields;
};
constexpr std::array<Alias, 5> kAliases = {{{"@hourly", "0 * * * *"},
                                            {"@daily", "0 0 * * *"},
                                            {"@weekly", "0 0 * * 0"},
                                            {"@monthly", "0 0 1 * *"},
                                            {"@yearly", "0 0 1 1 *"}}};

constexpr uint64_t Bit(int value) { return uint64_t{1} << value; }
constexpr bool Has(uint64_t values, int value) { return (values & Bit(value)) != 0; }

std::vector<std::string_view> SplitAt(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (size_t end = text.find(separator); end != std::string_view::npos;
       end = text.find(separator)) {
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  parts.push_back(text);
  return parts;
}

std::vector<std::string_view> WordsOf(std::string_view text) {
  constexpr std::string_view kBlanks = " \t";
  std::vector<std::string_view> words;
  for (size_t begin = text.find_first_not_of(kBlanks); begin != std::string_view::npos;
       begin = text.find_first_not_of(kBlanks)) {
    text.remove_prefix(begin);
    words.push_back(text.substr(0, text.find_first_of(kBlanks)));
    text.remove_prefix(words.back().size());
  }
  return words;
}

// A number without a sign; none if it is not one.
std::optional<int> NumberOf(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_number = !text.empty() &&
                         absl::ascii_isdigit(static_cast<unsigned char>(text[0])) &&
                         error == std::errc() && end == text.data() + text.size();
  return is_number ? std::optional(value) : std::nullopt;
}

// One of a list's entries, as in "9-17/2", into `values`; what is wrong with it, or nothing.
class EntryParser {
 public:
  explicit EntryParser(const FieldRule& rule) : rule_(rule) {}

  std::string Parse(std::string_view entry, uint64_t& values) const {
    const size_t slash = entry.find('/');
    const std::string_view range = entry.substr(0, slash);
    int low = rule_.min;
    int high = rule_.min + rule_.distinct - 1;
    if (range != "*") {
      const size_t dash = range.find('-');
      if (std::string fault = ParseValue(range.substr(0, dash), low); !fault.empty()) return fault;
      high = low;
      if (dash != std::string_view::npos) {
        if (std::string fault = ParseValue(range.substr(dash + 1), high); !fault.empty()) {
          return fault;
        }
        // FRI-SUN: the week ends with Sunday.
        if (IsOfWeek() && high == 0 && low > 0) high = kSunday;
        if (high < low) return Fault(range, "a range must not end before it begins");
      } else if (slash != std::string_view::npos) {
        return Fault(entry, absl::StrCat("a step must be of * or of a range, as in ", low, "-",
                                         rule_.max, "/5"));
      }
    }
    int step = 1;
    if (slash != std::string_view::npos) {
      const std::optional<int> given = NumberOf(entry.substr(slash + 1));
      if (!given || *given < 1 || *given > rule_.distinct) {
        return Fault(entry, absl::StrCat("a step must be within 1-", rule_.distinct));
      }
      step = *given;
    }
    for (int value = low; value <= high; value += step) {
      values |= Bit(IsOfWeek() ? value % kSunday : value);
    }
    return {};
  }

 private:
  bool IsOfWeek() const { return rule_.max == kSunday; }

  std::string Fault(std::string_view value, std::string_view rule) const {
    return absl::StrCat(rule_.name, " \"", absl::string_view(value.data(), value.size()),
                        "\": ", absl::string_view(rule.data(), rule.size()));
  }

  std::string ParseValue(std::string_view text, int& value) const {
    for (size_t i = 0; i < rule_.names.size(); ++i) {
      if (absl::EqualsIgnoreCase(absl::string_view(text.data(), text.size()),
                                 absl::string_view(rule_.names[i].data(), 3))) {
        value = rule_.first_name + static_cast<int>(i);
        return {};
      }
    }
    const std::optional<int> number = NumberOf(text);
    if (number && *number >= rule_.min && *number <= rule_.max) {
      value = *number;
      return {};
    }
    std::string must = absl::StrCat("must be within ", rule_.min, "-", rule_.max);
    if (IsOfWeek()) absl::StrAppend(&must, " or SUN-SAT");
    if (rule_.first_name == 1) absl::StrAppend(&must, " or JAN-DEC");
    return Fault(text, must);
  }

  const FieldRule& rule_;
};

bool HasADay(const Cron& cron) {
  if (cron.is_either_day) return true;
  for (int month = 1; month <= 12; ++month) {
    const uint64_t days = Bit(kDaysOfMonth[static_cast<size_t>(month)] + 1) - 1;
    // Each date, 29 February too, comes on each day of the week in some year.
    if (Has(cron.months, month) && (cron.days_of_month & days) != 0) return true;
  }
  return false;
}

bool IsDay(const Cron& cron, CivilDay day) {
  const int day_of_week = (static_cast<int>(absl::GetWeekday(day)) + 1) % 7;  // Monday is absl's 0
  const bool is_of_month = Has(cron.days_of_month, day.day());
  const bool is_of_week = Has(cron.days_of_week, day_of_week);
  return cron.is_either_day ? is_of_month || is_of_week : is_of_month && is_of_week;
}

// The first matching minute of a day, counted from its midnight, that is not before the given one.
std::optional<int> FirstOfDay(const Cron& cron, int from) {
  for (int hour = from / 60; hour < 24; ++hour) {
    if (!Has(cron.hours, hour)) continue;
    const int begin = std::max(from - hour * 60, 0);
    if (const uint64_t left = cron.minutes >> begin; left != 0) {
      return hour * 60 + begin + std::countr_zero(left);
    }
  }
  return std::nullopt;
}

std::optional<int> LastOfDay(const Cron& cron, int until) {
  for (int hour = until / 60; hour >= 0; --hour) {
    if (!Has(cron.hours, hour)) continue;
    const int end = std::min(until - hour * 60, 59);
    if (const uint64_t left = cron.minutes & (Bit(end + 1) - 1); left != 0) {
      const int minute = static_cast<int>(std::bit_width(left)) - 1;
      return hour * 60 + minute;
    }
  }
  return std::nullopt;
}

// The first matching minute of the calendar that is not before `from`; none after the day `end`.
std::optional<CivilMinute> FirstFrom(const Cron& cron, CivilMinute from, CivilDay end) {
  int minute = from.hour() * 60 + from.minute();
  for (CivilDay day(from); day <= end; minute = 0) {
    if (!Has(cron.months, day.month())) {
      day = CivilDay(CivilMonth(day) + 1);
      continue;
    }
    if (IsDay(cron, day)) {
      if (const auto found = FirstOfDay(cron, minute)) return CivilMinute(day) + *found;
    }
    ++day;
  }
  return std::nullopt;
}

std::optional<CivilMinute> LastUntil(const Cron& cron, CivilMinute until, CivilDay end) {
  constexpr int kLastMinute = 24 * 60 - 1;
  int minute = until.hour() * 60 + until.minute();
  for (CivilDay day(until); day >= end; minute = kLastMinute) {
    if (!Has(cron.months, day.month())) {
      day = CivilDay(CivilMonth(day)) - 1;
      continue;
    }
    if (IsDay(cron, day)) {
      if (const auto found = LastOfDay(cron, minute)) return CivilMinute(day) + *found;
    }
    --day;
  }
  return std::nullopt;
}

TimeZone::TimeInfo At(TimeZone zone, CivilMinute minute) { return zone.At(CivilSecond(minute)); }
CivilMinute Reading(TimeZone zone, Time time) { return CivilMinute(zone.At(time).cs); }

// What a clock reads just before it jumps at `transition`.
CivilMinute ReadingBefore(TimeZone zone, Time transition) {
  return Reading(zone, transition - absl::Seconds(1));
}

// When a minute of the calendar runs that runs once.
Time MomentOf(TimeZone zone, CivilMinute minute) {
  const TimeZone::TimeInfo info = At(zone, minute);
  return info.kind == CivilKind::SKIPPED ? info.trans : info.pre;
}

Time NextByCalendar(const Cron& cron, TimeZone zone, Time time) {
  const CivilMinute now = Reading(zone, time);
  const CivilDay end = CivilDay(now) + kHorizonDays;
  for (auto found = FirstFrom(cron, now + 1, end); found;
       found = FirstFrom(cron, *found + 1, end)) {
    if (const Time at = MomentOf(zone, *found); at > time) return at;
  }
  return absl::InfiniteFuture();
}

Time NextByReading(const Cron& cron, TimeZone zone, Time time) {
  const CivilMinute now = Reading(zone, time);
  const CivilDay end = CivilDay(now) + kHorizonDays;
  CivilMinute from = now + 1;
  const TimeZone::TimeInfo info = At(zone, now);
  if (info.kind == CivilKind::REPEATED && time < info.trans) {
    // What the clock reads until it goes back, then all of what it reads again.
    const auto found = FirstFrom(cron, from, end);
    if (found && *found <= ReadingBefore(zone, info.trans)) return At(zone, *found).pre;
    from = Reading(zone, info.trans);
  }
  for (auto found = FirstFrom(cron, from, end); found; found = FirstFrom(cron, *found + 1, end)) {
    const TimeZone::TimeInfo at = At(zone, *found);
    if (at.kind == CivilKind::SKIPPED) continue;
    if (at.pre > time) return at.pre;
    if (at.post > time) return at.post;
  }
  return absl::InfiniteFuture();
}

Time LastByCalendar(const Cron& cron, TimeZone zone, Time time) {
  CivilMinute until = Reading(zone, time);
  const CivilDay end = CivilDay(until) - kHorizonDays;
  const TimeZone::TimeInfo info = At(zone, until);
  if (info.kind == CivilKind::REPEATED && time >= info.trans) {
    until = ReadingBefore(zone, info.trans);  // all that exists twice has run
  }
  for (auto found = LastUntil(cron, until, end); found; found = LastUntil(cron, *found - 1, end)) {
    if (const Time at = MomentOf(zone, *found); at <= time) return at;
  }
  return absl::InfinitePast();
}

Time LastByReading(const Cron& cron, TimeZone zone, Time time) {
  CivilMinute until = Reading(zone, time);
  const CivilDay end = CivilDay(until) - kHorizonDays;
  const TimeZone::TimeInfo info = At(zone, until);
  if (info.kind == CivilKind::REPEATED && time >= info.trans) {
    // What the clock has read since it went back, then all of what it read before.
    const auto found = LastUntil(cron, until, end);
    if (found && *found >= Reading(zone, info.trans)) return At(zone, *found).post;
    until = ReadingBefore(zone, info.trans);
  }
  for (auto found = LastUntil(cron, until, end); found; found = LastUntil(cron, *found - 1, end)) {
    const TimeZone::TimeInfo at = At(zone, *found);
    if (at.kind == CivilKind::SKIPPED) continue;
    if (at.post <= time) return at.post;
    if (at.pre <= time) return at.pre;
  }
  return absl::InfinitePast();
}

// The years that a google.protobuf.Timestamp has: 1 to 9999.
constexpr Time kFirstTime = absl::FromUnixSeconds(-62135596800);
constexpr Time kEndTime = absl::FromUnixSeconds(253402300800);

}  // namespace

std::string ParseCron(std::string_view text, Cron& cron) {
  if (text.size() > kCronBytes) return absl::StrCat("must have at most ", kCronBytes, " bytes");
  std::vector<std::string_view> words = WordsOf(text);
  if (words.size() == 1 && words[0].starts_with('@')) {
    const auto* alias = std::find_if(kAliases.begin(), kAliases.end(),
                                     [&](const Alias& each) { return each.name == words[0]; });
    if (alias == kAliases.end()) {
      return "must be @hourly, @daily, @weekly, @monthly, @yearly or five fields";
    }
    words = WordsOf(alias->fields);
  }
  if (words.size() != kFields.size()) {
    return absl::StrCat(
        "must have five fields (minute, hour, day of month, month, day of week), not ",
        words.size());
  }
  cron = {};
  const std::array<uint64_t*, 5> values = {&cron.minutes, &cron.hours, &cron.days_of_month,
                                           &cron.months, &cron.days_of_week};
  for (size_t i = 0; i < kFields.size(); ++i) {
    for (const std::string_view entry : SplitAt(words[i], ',')) {
      std::string fault = EntryParser(kFields[i]).Parse(entry, *values[i]);
      if (!fault.empty()) return fault;
    }
  }
  const auto is_restricted = [&](size_t field) { return !words[field].starts_with('*'); };
  cron.is_either_day = is_restricted(2) && is_restricted(4);
  cron.is_by_reading =
      cron.hours == kEveryHour || (!is_restricted(0) && std::popcount(cron.minutes) > 1);
  if (!HasADay(cron)) {
    return absl::StrCat("day of month \"", std::string(words[2]), "\": no month of \"",
                        std::string(words[3]), "\" has such a day, so it would never run");
  }
  return {};
}

Time NextAfter(const Cron& cron, TimeZone zone, Time time) {
  if (time >= kEndTime) return absl::InfiniteFuture();
  time = std::max(time, kFirstTime);
  const Time next =
      cron.is_by_reading ? NextByReading(cron, zone, time) : NextByCalendar(cron, zone, time);
  return next < kEndTime ? next : absl::InfiniteFuture();
}

Time LastAtOrBefore(const Cron& cron, TimeZone zone, Time time) {
  if (time < kFirstTime) return absl::InfinitePast();
  time = std::min(time, kEndTime - absl::Seconds(1));
  const Time last =
      cron.is_by_reading ? LastByReading(cron, zone, time) : LastByCalendar(cron, zone, time);
  return last >= kFirstTime ? last : absl::InfinitePast();
}

}  // namespace remuda::core
