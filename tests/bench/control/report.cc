#include "tests/bench/control/report.h"

#include <algorithm>
#include <cstdio>

namespace remuda::bench {
namespace {

std::string Text(double number) {
  char text[32];
  const char* const format = number >= 100 ? "%.0f" : number >= 10 ? "%.1f" : "%.2f";
  std::snprintf(text, sizeof text, format, number);
  return text;
}

std::string Cell(const Value& value) {
  std::string text = Text(value.number);
  if (!value.goal.has_value()) return text;
  const bool is_below = value.goal->kind == Goal::Kind::kBelow;
  text += " (" + std::string(is_below ? "< " : ">= ") + Text(value.goal->limit);
  return text + (value.goal->IsMetBy(value.number) ? ")" : ", missed)");
}

std::string Quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out + "\"";
}

}  // namespace

void Row::Add(Value value) {
  std::fprintf(stderr, "  %-28s %s\n", value.key.c_str(), Cell(value).c_str());
  values.push_back(std::move(value));
}

std::optional<double> Row::Find(const std::string& key) const {
  for (const Value& value : values) {
    if (value.key == key) return value.number;
  }
  return std::nullopt;
}

std::string Table(const std::vector<Row>& rows) {
  std::vector<std::string> keys;
  std::string head = "| |";
  std::string rule = "|---|";
  for (const Row& row : rows) {
    head += " " + row.name + " |";
    rule += "---|";
    for (const Value& value : row.values) {
      if (std::find(keys.begin(), keys.end(), value.key) == keys.end()) keys.push_back(value.key);
    }
  }
  std::string table = head + "\n" + rule + "\n";
  for (const std::string& key : keys) {
    table += "| " + key + " |";
    for (const Row& row : rows) {
      const auto it = std::find_if(row.values.begin(), row.values.end(),
                                   [&](const Value& value) { return value.key == key; });
      table += it == row.values.end() ? " |" : " " + Cell(*it) + " |";
    }
    table += "\n";
  }
  for (const Row& row : rows) {
    if (!row.stopped.empty()) table += row.name + " was stopped: " + row.stopped + "\n";
  }
  return table;
}

std::string Json(const std::vector<Row>& rows) {
  std::string out = "[";
  for (const Row& row : rows) {
    out += out.size() == 1 ? "\n" : ",\n";
    out += "{\"row\": " + Quoted(row.name) + ", \"agents\": " + std::to_string(row.size.agents) +
           ", \"proxies\": " + std::to_string(row.size.proxies) +
           ", \"instances\": " + std::to_string(row.size.instances) +
           ", \"groups\": " + std::to_string(row.size.groups) +
           ", \"stopped\": " + Quoted(row.stopped);
    for (const Value& value : row.values) {
      char number[32];
      std::snprintf(number, sizeof number, "%.6g", value.number);
      out += ", " + Quoted(value.key) + ": " + number;
    }
    out += "}";
  }
  return out + "\n]\n";
}

}  // namespace remuda::bench
