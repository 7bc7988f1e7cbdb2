// Cron times: what is refused and how it is said, which moments match, and clocks that change.
#include "controller/core/schedule/cron.h"

#include <absl/strings/str_cat.h>
#include <absl/time/civil_time.h>
#include <gmock/gmock.h>

#include <optional>
#include <vector>

namespace remuda::core {
namespace {

using testing::ElementsAreArray;
using testing::HasSubstr;
using CivilKind = absl::TimeZone::TimeInfo::CivilKind;

absl::TimeZone Zone(const char* name) {
  absl::TimeZone zone;
  EXPECT_TRUE(absl::LoadTimeZone(name, &zone)) << name << ": is tzdata installed?";
  return zone;
}

Cron Parsed(std::string_view text) {
  Cron cron;
  EXPECT_EQ(ParseCron(text, cron), "") << text;
  return cron;
}

// "2026-03-29 01:59 +0100"
constexpr char kForm[] = "%Y-%m-%d %H:%M %z";
Time At(std::string_view text) {
  Time time;
  std::string error;
  EXPECT_TRUE(absl::ParseTime(kForm, std::string(text), &time, &error)) << text << ": " << error;
  return time;
}

std::vector<std::string> Runs(const char* cron_text, const char* zone_name, const char* after,
                              size_t count) {
  const Cron cron = Parsed(cron_text);
  const absl::TimeZone zone = Zone(zone_name);
  std::vector<std::string> runs;
  for (Time time = At(after); runs.size() < count;) {
    time = NextAfter(cron, zone, time);
    runs.push_back(absl::FormatTime(kForm, time, zone));
    EXPECT_EQ(LastAtOrBefore(cron, zone, time), time) << cron_text << " at " << runs.back();
  }
  return runs;
}

std::vector<std::string> RunsBefore(const char* cron_text, const char* zone_name, const char* until,
                                    size_t count) {
  const Cron cron = Parsed(cron_text);
  const absl::TimeZone zone = Zone(zone_name);
  std::vector<std::string> runs;
  for (Time time = At(until); runs.size() < count; time -= absl::Nanoseconds(1)) {
    time = LastAtOrBefore(cron, zone, time);
    runs.insert(runs.begin(), absl::FormatTime(kForm, time, zone));
  }
  return runs;
}

struct RunsCase {
  const char* cron;
  const char* zone;
  const char* after;
  std::vector<std::string> runs;
  const char* why;
};

void ExpectRuns(const std::vector<RunsCase>& cases) {
  for (const RunsCase& each : cases) {
    SCOPED_TRACE(absl::StrCat(each.cron, " in ", each.zone, ": ", each.why));
    EXPECT_THAT(Runs(each.cron, each.zone, each.after, each.runs.size()),
                ElementsAreArray(each.runs));
    const std::string until = each.runs.back();
    EXPECT_THAT(RunsBefore(each.cron, each.zone, until.c_str(), each.runs.size()),
                ElementsAreArray(each.runs));
  }
}

TEST(CronTest, FieldsTakeValuesListsRangesStepsAndNames) {
  ExpectRuns({
      {"30 9 * * *",
       "UTC",
       "2026-01-01 09:30 +0000",
       {"2026-01-02 09:30 +0000", "2026-01-03 09:30 +0000"},
       "after is after"},
      {"0,15,45 8-9 * * *",
       "UTC",
       "2026-01-01 08:15 +0000",
       {"2026-01-01 08:45 +0000", "2026-01-01 09:00 +0000", "2026-01-01 09:15 +0000",
        "2026-01-01 09:45 +0000", "2026-01-02 08:00 +0000"},
       "lists and ranges"},
      {"10-40/15 */12 * * *",
       "UTC",
       "2026-01-01 00:00 +0000",
       {"2026-01-01 00:10 +0000", "2026-01-01 00:25 +0000", "2026-01-01 00:40 +0000",
        "2026-01-01 12:10 +0000"},
       "steps of a range and of *"},
      {"0 0 1 jan,JUL *",
       "UTC",
       "2026-01-02 00:00 +0000",
       {"2026-07-01 00:00 +0000", "2027-01-01 00:00 +0000"},
       "names of months, in any case"},
      {"0 0 * * MON-WED",
       "UTC",
       "2026-01-01 00:00 +0000",  // a Thursday
       {"2026-01-05 00:00 +0000", "2026-01-06 00:00 +0000", "2026-01-07 00:00 +0000",
        "2026-01-12 00:00 +0000"},
       "names of days"},
      {"0 0 * * FRI-SUN",
       "UTC",
       "2026-01-01 00:00 +0000",
       {"2026-01-02 00:00 +0000", "2026-01-03 00:00 +0000", "2026-01-04 00:00 +0000",
        "2026-01-09 00:00 +0000"},
       "Sunday ends a week"},
      {"0 0 * * 0", "UTC", "2026-01-01 00:00 +0000", {"2026-01-04 00:00 +0000"}, "Sunday is 0"},
      {"0 0 * * 7", "UTC", "2026-01-01 00:00 +0000", {"2026-01-04 00:00 +0000"}, "and 7"},
      {" \t05  07 * * * ", "UTC", "2026-01-01 00:00 +0000", {"2026-01-01 07:05 +0000"}, "blanks"},
      {"0 0 */10 * *",
       "UTC",
       "2026-01-02 00:00 +0000",
       {"2026-01-11 00:00 +0000", "2026-01-21 00:00 +0000", "2026-01-31 00:00 +0000",
        "2026-02-01 00:00 +0000"},
       "a step begins anew with the field above it"},
  });
}

TEST(CronTest, BothDayFieldsRestrictedMeansEither) {
  ExpectRuns({
      {"0 0 13 * FRI",
       "UTC",
       "2026-02-10 00:00 +0000",
       {"2026-02-13 00:00 +0000", "2026-02-20 00:00 +0000", "2026-02-27 00:00 +0000",
        "2026-03-06 00:00 +0000", "2026-03-13 00:00 +0000", "2026-03-20 00:00 +0000"},
       "13 April 2026 is a Monday"},
      {"0 0 1 * WED",
       "UTC",
       "2026-05-31 00:00 +0000",
       {"2026-06-01 00:00 +0000", "2026-06-03 00:00 +0000"},
       "1 June 2026 is a Monday"},
      {"0 0 */2 * FRI",
       "UTC",
       "2026-01-01 00:00 +0000",
       {"2026-01-09 00:00 +0000", "2026-01-23 00:00 +0000", "2026-02-13 00:00 +0000"},
       "*/2 begins with *: both must match"},
      {"0 0 30 2 MON",
       "UTC",
       "2026-01-01 00:00 +0000",
       {"2026-02-02 00:00 +0000", "2026-02-09 00:00 +0000"},
       "the Mondays of February"},
  });
}

TEST(CronTest, Aliases) {
  ExpectRuns({
      {"@hourly",
       "UTC",
       "2026-01-01 00:30 +0000",
       {"2026-01-01 01:00 +0000", "2026-01-01 02:00 +0000"},
       ""},
      {"@daily",
       "UTC",
       "2026-01-01 00:30 +0000",
       {"2026-01-02 00:00 +0000", "2026-01-03 00:00 +0000"},
       ""},
      {"@weekly",
       "UTC",
       "2026-01-01 00:30 +0000",
       {"2026-01-04 00:00 +0000", "2026-01-11 00:00 +0000"},
       ""},
      {"@monthly",
       "UTC",
       "2026-01-01 00:30 +0000",
       {"2026-02-01 00:00 +0000", "2026-03-01 00:00 +0000"},
       ""},
      {"@yearly",
       "UTC",
       "2026-01-01 00:30 +0000",
       {"2027-01-01 00:00 +0000", "2028-01-01 00:00 +0000"},
       ""},
  });
}

TEST(CronTest, MonthsHaveTheirDays) {
  ExpectRuns({
      {"0 12 31 * *",
       "UTC",
       "2026-01-31 12:00 +0000",
       {"2026-03-31 12:00 +0000", "2026-05-31 12:00 +0000", "2026-07-31 12:00 +0000",
        "2026-08-31 12:00 +0000"},
       "five months have 30 days or less"},
      {"0 0 29 2 *",
       "UTC",
       "2026-01-01 00:00 +0000",
       {"2028-02-29 00:00 +0000", "2032-02-29 00:00 +0000"},
       "leap days"},
      {"0 0 29 2 *", "UTC", "2096-02-29 00:00 +0000", {"2104-02-29 00:00 +0000"}, "2100 has none"},
      {"59 23 28-31 2 *",
       "Asia/Kolkata",
       "2028-02-28 23:59 +0530",
       {"2028-02-29 23:59 +0530", "2029-02-28 23:59 +0530"},
       "the last of February"},
      {"0 0 29 2 */6",
       "UTC",
       "2060-02-28 00:00 +0000",  // */6 is Sunday and Saturday
       {"2060-02-29 00:00 +0000", "2076-02-29 00:00 +0000"},
       "leap days on a Saturday or Sunday"},
  });
}

// Berlin: 2026-03-29 02:00 +0100 becomes 03:00 +0200; 2026-10-25 03:00 +0200 becomes 02:00 +0100.
TEST(CronTest, ATimeThatDoesNotExistRunsAtTheJump) {
  ExpectRuns({
      {"30 2 * * *",
       "Europe/Berlin",
       "2026-03-27 12:00 +0100",
       {"2026-03-28 02:30 +0100", "2026-03-29 03:00 +0200", "2026-03-30 02:30 +0200"},
       "Berlin"},
      {"0,20,40 2-3 29 3 *",
       "Europe/Berlin",
       "2026-03-29 01:00 +0100",
       {"2026-03-29 03:00 +0200", "2026-03-29 03:20 +0200", "2026-03-29 03:40 +0200",
        "2027-03-29 02:00 +0200"},
       "all of them at once, and once with 03:00"},
      {"0 */2 * * *",
       "Europe/Berlin",
       "2026-03-29 00:00 +0100",
       {"2026-03-29 03:00 +0200", "2026-03-29 04:00 +0200"},
       "a step of hours is times of day"},
      {"30 2 * * *",
       "America/New_York",
       "2026-03-07 12:00 -0500",
       {"2026-03-08 03:00 -0400", "2026-03-09 02:30 -0400"},
       "New York"},
      {"15 2 * * *",
       "Australia/Lord_Howe",
       "2026-10-03 12:00 +1030",
       {"2026-10-04 02:30 +1100", "2026-10-05 02:15 +1100"},
       "half an hour"},
      {"45 2 * * *",
       "Australia/Lord_Howe",
       "2026-10-03 12:00 +1030",
       {"2026-10-04 02:45 +1100", "2026-10-05 02:45 +1100"},
       "after the half hour"},
      {"30 12 * * *",
       "Pacific/Apia",
       "2011-12-29 00:00 -1000",
       {"2011-12-29 12:30 -1000", "2011-12-31 00:00 +1400", "2011-12-31 12:30 +1400"},
       "a day that was left out"},
  });
}

TEST(CronTest, ATimeThatExistsTwiceRunsOnce) {
  ExpectRuns({
      {"30 2 * * *",
       "Europe/Berlin",
       "2026-10-24 12:00 +0200",
       {"2026-10-25 02:30 +0200", "2026-10-26 02:30 +0100"},
       "Berlin"},
      {"0,30 1-3 * * *",
       "Europe/Berlin",
       "2026-10-25 01:00 +0200",
       {"2026-10-25 01:30 +0200", "2026-10-25 02:00 +0200", "2026-10-25 02:30 +0200",
        "2026-10-25 03:00 +0100", "2026-10-25 03:30 +0100"},
       "two hours between 02:30 and 03:30"},
      {"0 */2 * * *",
       "Europe/Berlin",
       "2026-10-25 00:00 +0200",
       {"2026-10-25 02:00 +0200", "2026-10-25 04:00 +0100"},
       "a step of hours is times of day"},
      {"30 1 * * *",
       "America/New_York",
       "2026-10-31 12:00 -0400",
       {"2026-11-01 01:30 -0400", "2026-11-02 01:30 -0500"},
       "New York"},
      {"45 1 * * *",
       "Australia/Lord_Howe",
       "2026-04-04 12:00 +1100",
       {"2026-04-05 01:45 +1100", "2026-04-06 01:45 +1030"},
       "half an hour"},
  });
}

TEST(CronTest, AskedWithinTheSecondOfTwoTimes) {
  const Cron cron = Parsed("15,45 2 * * *");
  const absl::TimeZone zone = Zone("Europe/Berlin");
  const Time second_half_past_two = At("2026-10-25 02:30 +0100");
  EXPECT_EQ(NextAfter(cron, zone, second_half_past_two), At("2026-10-26 02:15 +0100"));
  EXPECT_EQ(LastAtOrBefore(cron, zone, second_half_past_two), At("2026-10-25 02:45 +0200"));
}

TEST(CronTest, AnyHourOrAnyMinuteRunsByElapsedTime) {
  ExpectRuns({
      {"30 * * * *",
       "Europe/Berlin",
       "2026-03-29 00:30 +0100",
       {"2026-03-29 01:30 +0100", "2026-03-29 03:30 +0200"},
       "an hour apart"},
      {"30 * * * *",
       "Europe/Berlin",
       "2026-10-25 01:30 +0200",
       {"2026-10-25 02:30 +0200", "2026-10-25 02:30 +0100", "2026-10-25 03:30 +0100"},
       "an hour apart"},
      {"*/20 2 * * *",
       "Europe/Berlin",
       "2026-10-25 00:00 +0200",
       {"2026-10-25 02:00 +0200", "2026-10-25 02:20 +0200", "2026-10-25 02:40 +0200",
        "2026-10-25 02:00 +0100", "2026-10-25 02:20 +0100", "2026-10-25 02:40 +0100",
        "2026-10-26 02:00 +0100"},
       "an hour that exists twice"},
      {"*/20 2 * * *",
       "Europe/Berlin",
       "2026-03-29 00:00 +0100",
       {"2026-03-30 02:00 +0200"},
       "an hour that does not exist"},
      {"*/30 1-2 * * *",
       "America/New_York",
       "2026-11-01 00:00 -0400",
       {"2026-11-01 01:00 -0400", "2026-11-01 01:30 -0400", "2026-11-01 01:00 -0500",
        "2026-11-01 01:30 -0500", "2026-11-01 02:00 -0500"},
       "New York"},
      {"*/15 * * * *",
       "Australia/Lord_Howe",
       "2026-04-05 01:30 +1100",
       {"2026-04-05 01:45 +1100", "2026-04-05 01:30 +1030", "2026-04-05 01:45 +1030",
        "2026-04-05 02:00 +1030"},
       "half an hour twice"},
      {"*/15 * * * *",
       "Australia/Lord_Howe",
       "2026-10-04 01:30 +1030",
       {"2026-10-04 01:45 +1030", "2026-10-04 02:30 +1100", "2026-10-04 02:45 +1100"},
       "half an hour left out"},
      {"*/60 2 * * *",
       "Europe/Berlin",
       "2026-03-28 12:00 +0100",
       {"2026-03-29 03:00 +0200"},
       "*/60 is one minute of the hour: a time of day"},
  });
}

TEST(CronTest, BetweenTwoRuns) {
  const Cron cron = Parsed("0 9 * * MON-FRI");
  const absl::TimeZone zone = Zone("Asia/Kolkata");
  const Time friday = At("2026-01-02 09:00 +0530");
  const Time monday = At("2026-01-05 09:00 +0530");
  for (const Duration after : {absl::Nanoseconds(1), absl::Seconds(59), absl::Hours(71)}) {
    EXPECT_EQ(NextAfter(cron, zone, friday + after), monday);
    EXPECT_EQ(LastAtOrBefore(cron, zone, friday + after), friday);
  }
  EXPECT_EQ(LastAtOrBefore(cron, zone, monday - absl::Nanoseconds(1)), friday);
  EXPECT_EQ(NextAfter(cron, zone, monday - absl::Nanoseconds(1)), monday);
}

TEST(CronTest, TheEndsOfTime) {
  const Cron cron = Parsed("0 0 1 1 *");
  const absl::TimeZone utc = absl::UTCTimeZone();
  EXPECT_EQ(NextAfter(cron, utc, absl::InfiniteFuture()), absl::InfiniteFuture());
  EXPECT_EQ(NextAfter(cron, utc, At("9999-01-01 00:00 +0000")), absl::InfiniteFuture());
  EXPECT_EQ(NextAfter(cron, utc, absl::InfinitePast()), At("0002-01-01 00:00 +0000"));
  EXPECT_EQ(LastAtOrBefore(cron, utc, absl::InfiniteFuture()), At("9999-01-01 00:00 +0000"));
  EXPECT_EQ(LastAtOrBefore(cron, utc, absl::InfinitePast()), absl::InfinitePast());
  // 29 February on a Monday: none between 2072 and 2112, for 2100 has no such day.
  Cron rare = Parsed("0 0 29 2 *");
  rare.days_of_week = uint64_t{1} << 1;
  EXPECT_EQ(NextAfter(rare, utc, At("2072-02-29 00:00 +0000")), At("2112-02-29 00:00 +0000"));
  EXPECT_EQ(LastAtOrBefore(rare, utc, At("2112-02-28 00:00 +0000")), At("2072-02-29 00:00 +0000"));
}

TEST(CronTest, WhatIsWrongNamesFieldValueAndRule) {
  const struct {
    std::string text;
    const char* fault;
  } cases[] = {
      {"", "must have five fields (minute, hour, day of month, month, day of week), not 0"},
      {"0 9 * *", "must have five fields (minute, hour, day of month, month, day of week), not 4"},
      {"0 0 9 * * ?", "not 6"},
      {"@reboot", "must be @hourly, @daily, @weekly, @monthly, @yearly or five fields"},
      {"60 * * * *", "minute \"60\": must be within 0-59"},
      {"* 24 * * *", "hour \"24\": must be within 0-23"},
      {"* * 0 * *", "day of month \"0\": must be within 1-31"},
      {"* * * 13 *", "month \"13\": must be within 1-12 or JAN-DEC"},
      {"* * * * 8", "day of week \"8\": must be within 0-7 or SUN-SAT"},
      {"* * * * MOON", "day of week \"MOON\": must be within 0-7 or SUN-SAT"},
      {"* * * MON *", "month \"MON\": must be within 1-12 or JAN-DEC"},
      {"JAN * * * *", "minute \"JAN\": must be within 0-59"},
      {"-1 * * * *", "minute \"\": must be within 0-59"},
      {"+1 * * * *", "minute \"+1\": must be within 0-59"},
      {"1,,2 * * * *", "minute \"\": must be within 0-59"},
      {"1, * * * *", "minute \"\": must be within 0-59"},
      {"99999999999999999999 * * * *", "minute \"99999999999999999999\": must be within 0-59"},
      {"1.5 * * * *", "minute \"1.5\": must be within 0-59"},
      {"* 17-9 * * *", "hour \"17-9\": a range must not end before it begins"},
      {"* * * * FRI-MON", "day of week \"FRI-MON\": a range must not end before it begins"},
      {"* *-5 * * *", "hour \"*\": must be within 0-23"},
      {"*/0 * * * *", "minute \"*/0\": a step must be within 1-60"},
      {"*/90 * * * *", "minute \"*/90\": a step must be within 1-60"},
      {"*/ * * * *", "minute \"*/\": a step must be within 1-60"},
      {"1-9/2/2 * * * *", "minute \"1-9/2/2\": a step must be within 1-60"},
      {"5/15 * * * *", "minute \"5/15\": a step must be of * or of a range, as in 5-59/5"},
      {"0 0 30 2 *",
       "day of month \"30\": no month of \"2\" has such a day, so it would never run"},
      {"0 0 31 4,6,9,NOV *", "day of month \"31\": no month of \"4,6,9,NOV\" has such a day"},
      {"0 0 31 2 */2", "day of month \"31\": no month of \"2\" has such a day"},
      {std::string(256, '1'), "must have at most 255 bytes"},
  };
  for (const auto& each : cases) {
    Cron cron;
    EXPECT_THAT(ParseCron(each.text, cron), HasSubstr(each.fault)) << each.text;
  }
}

// --- Against a walk through every minute --------------------------------------------------------

bool Matches(const Cron& cron, absl::CivilMinute minute) {
  const auto has = [](uint64_t values, int value) { return ((values >> value) & 1) == 1; };
  const int day_of_week = (static_cast<int>(absl::GetWeekday(absl::CivilDay(minute))) + 1) % 7;
  const bool is_of_month = has(cron.days_of_month, minute.day());
  const bool is_of_week = has(cron.days_of_week, day_of_week);
  return has(cron.minutes, minute.minute()) && has(cron.hours, minute.hour()) &&
         has(cron.months, minute.month()) &&
         (cron.is_either_day ? is_of_month || is_of_week : is_of_month && is_of_week);
}

// The runs in (begin, end]: each minute that passes is read off the clock. A minute whose reading
// was there before is a run only by reading; what a jump leaves out runs at the jump.
std::vector<Time> Walk(const Cron& cron, absl::TimeZone zone, Time begin, Time end) {
  std::vector<Time> runs;
  absl::CivilMinute seen(zone.At(begin).cs);
  for (Time time = begin + absl::Minutes(1); time <= end; time += absl::Minutes(1)) {
    const absl::CivilMinute now(zone.At(time).cs);
    bool is_run = false;
    if (cron.is_by_reading) {
      is_run = Matches(cron, now);
    } else {
      for (; seen < now; is_run = is_run || Matches(cron, seen)) ++seen;
    }
    if (is_run) runs.push_back(time);
  }
  return runs;
}

TEST(CronTest, SameAsAWalkThroughEveryMinute) {
  constexpr const char* kCrons[] = {
      "* * * * *",        "*/7 * * * *",    "*/10 1-3 * * *",  "0 * * * *",     "13 2 * * *",
      "0,30 1,2,3 * * *", "0 */2 * * *",    "5-55/10 2 * * *", "0 0 * * *",     "59 1 * * SUN",
      "*/30 2 25-31 * 0", "0-59 2-3 * * *", "17 3,14 4 * *",   "*/45 */3 * * *"};
  constexpr const char* kZones[] = {"Europe/Berlin",
                                    "America/New_York",
                                    "Australia/Lord_Howe",
                                    "America/Santiago",
                                    "Africa/Casablanca",
                                    "Asia/Kolkata",
                                    "UTC"};
  for (const char* zone_name : kZones) {
    const absl::TimeZone zone = Zone(zone_name);
    // Two days around each change of 2026 and 2027, or around a New Year.
    std::vector<Time> middles = {At("2026-01-01 00:00 +0000")};
    absl::TimeZone::CivilTransition change;
    for (Time time = middles[0]; zone.NextTransition(time, &change);) {
      time = zone.At(change.to).trans;
      if (time > At("2028-01-01 00:00 +0000")) break;
      middles.push_back(time);
    }
    for (const char* text : kCrons) {
      const Cron cron = Parsed(text);
      for (const Time middle : middles) {
        SCOPED_TRACE(absl::StrCat(text, " in ", zone_name, " around ", absl::FormatTime(middle)));
        const Time begin = middle - absl::Hours(26);
        const Time end = middle + absl::Hours(26);
        const std::vector<Time> runs = Walk(cron, zone, begin, end);
        size_t next = 0;  // of `runs`
        for (Time time = begin; time <= end; time += absl::Minutes(1)) {
          if (next < runs.size() && time >= runs[next]) ++next;
          const Time after = NextAfter(cron, zone, time);
          const Time before = LastAtOrBefore(cron, zone, time + absl::Seconds(59));
          if (next < runs.size()) {
            ASSERT_EQ(after, runs[next]) << absl::FormatTime(time);
          } else {
            ASSERT_GT(after, end) << absl::FormatTime(time);
          }
          if (next > 0) {
            ASSERT_EQ(before, runs[next - 1]) << absl::FormatTime(time);
          } else {
            ASSERT_LE(before, begin) << absl::FormatTime(time);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace remuda::core
