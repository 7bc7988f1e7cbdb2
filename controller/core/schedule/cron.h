// Times that repeat, as crontab(5) writes them: `MINUTE HOUR DAY-OF-MONTH MONTH DAY-OF-WEEK`. Pure.
//
// A field is a list of values, ranges (9-17) and steps of `*` or of a range (*/15, 0-30/10); months
// and days of the week have names too (JAN, SUN), 0 and 7 are Sunday. Where both day fields are
// restricted (neither begins with *), a day of either is one. @hourly, @daily, @weekly, @monthly
// and @yearly stand for the five fields.
//
// When clocks change (cron(8)): a time that does not exist runs at the moment of the jump, and a
// time that exists twice runs the first time only. Where the hour is any, or the minute begins
// with * and is more than one, it runs at each moment whose reading of the clock matches: by
// elapsed time, twice in an hour that exists twice, and not in one that does not exist.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "controller/core/model/time.h"

namespace remuda::core {

inline constexpr size_t kCronBytes = 255;

// Bit n of a field: the value n is in it.
struct Cron {
  uint64_t minutes = 0;        // 0-59
  uint64_t hours = 0;          // 0-23
  uint64_t days_of_month = 0;  // 1-31
  uint64_t months = 0;         // 1-12
  uint64_t days_of_week = 0;   // 0-6, 0 is Sunday
  bool is_either_day = false;  // a day of one of the two day fields is enough
  bool is_by_reading = false;  // runs whenever the clock reads so, see above
};

// What is wrong with the text, with the field, the value and the rule; empty: `cron` has it. One
// that matches no day ever (30 February) is refused. `cron` is unspecified if something is wrong.
std::string ParseCron(std::string_view text, Cron& cron);

// The first moment after `time` at which a parsed `cron` runs, on clocks of `zone`.
// InfiniteFuture() if there is none within 41 years (29 February on a given day of the week comes
// within 40) or before the year 10000.
Time NextAfter(const Cron& cron, absl::TimeZone zone, Time time);

// The last moment up to and including `time`; InfinitePast() if there is none within 41 years
// before, or after the year 0.
Time LastAtOrBefore(const Cron& cron, absl::TimeZone zone, Time time);

}  // namespace remuda::core
