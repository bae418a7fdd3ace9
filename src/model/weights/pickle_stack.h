// The stack, marks and memo of the pickle machine, and the values it makes. Bounded: a number of
// values, marks and memos, nothing below a mark, nothing recalled that was not kept.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "model/weights/pickle.h"

namespace homolog::model {

class PickleStack {
 protected:
  PickleStack(std::size_t most_values, std::string origin)
      : most_values_(most_values), origin_of_values_(std::move(origin)) {}
  virtual ~PickleStack() = default;
  [[noreturn]] virtual void broken(const std::string& why) const = 0;

  PickleValue* make(PickleValue::Kind kind);
  PickleValue* push(PickleValue* value);
  PickleValue* push(PickleValue::Kind kind) { return push(make(kind)); }
  void push_number(PickleValue::Kind kind, std::int64_t value) { push(kind)->number = value; }
  void push_text(PickleValue::Kind kind, std::string_view value) { push(kind)->text = value; }

  PickleValue* top() const;
  PickleValue* pop();
  void mark();
  bool at_mark() const { return !marks_.empty() && marks_.back() == stack_.size(); }
  std::vector<PickleValue*> pop_to_mark();

  // Into the value on top: a list or set, a dict, or the result of a call.
  void append(const std::vector<PickleValue*>& items);
  void set_items(const std::vector<PickleValue*>& keys_and_values);

  void remember(std::uint64_t key);
  void remember_next() { remember(memo_.size()); }
  void recall(std::uint64_t key);

  // The value on top is the pickle's, of so many bytes.
  Pickle finish(std::size_t bytes);

 private:
  void count(std::size_t held) const;  // refuses one more than most_values

  std::size_t most_values_, pushed_ = 0;  // values made or recalled
  std::string origin_of_values_;
  Pickle out_;
  std::vector<PickleValue*> stack_;
  std::vector<std::size_t> marks_;
  std::map<std::uint64_t, PickleValue*> memo_;
};

}  // namespace homolog::model
