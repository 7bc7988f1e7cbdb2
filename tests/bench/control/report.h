// Report: what the rows found, as a table, as JSON and as a picture.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/bench/control/cluster.h"

namespace remuda::bench {

struct Goal {
  enum class Kind { kBelow, kAtLeast };
  Kind kind = Kind::kBelow;
  double limit = 0;
  bool IsMetBy(double number) const {
    return kind == Kind::kBelow ? number < limit : number >= limit;
  }
};

struct Value {
  std::string key;  // ends with its unit
  double number = 0;
  std::optional<Goal> goal = std::nullopt;
};

struct Row {
  std::string name;
  Size size;
  std::vector<Value> values;
  // Why not all is there; empty: it is.
  std::string stopped;

  // Adds a value, and says it at once.
  void Add(Value value);
  std::optional<double> Find(const std::string& key) const;
};

// Markdown: a line a measure, a column a row.
std::string Table(const std::vector<Row>& rows);
std::string Json(const std::vector<Row>& rows);

}  // namespace remuda::bench
