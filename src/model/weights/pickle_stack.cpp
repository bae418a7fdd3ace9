#include "model/weights/pickle_stack.h"

#include "base/error.h"

namespace homolog::model {

const PickleValue* PickleValue::find(std::string_view key) const {
  const PickleValue* found = nullptr;  // the last one counts, as in Python
  for (const auto& [k, value] : pairs) {
    if (k->is(Kind::Text) && k->text == key) found = value;
  }
  return found;
}

void PickleStack::count(std::size_t held) const {
  if (held < most_values_) return;
  throw Error(Fault::Data,
              origin_of_values_ + ": its pickle holds more than " + std::to_string(most_values_) +
                  " values",
              "save the state dict alone");
}

PickleValue* PickleStack::make(PickleValue::Kind kind) {
  out_.values.emplace_back().kind = kind;
  return &out_.values.back();
}

PickleValue* PickleStack::push(PickleValue* value) {
  count(pushed_++);
  stack_.push_back(value);
  return value;
}

PickleValue* PickleStack::top() const {
  const std::size_t floor = marks_.empty() ? 0 : marks_.back();
  if (stack_.size() <= floor) broken("it takes from an empty stack");
  return stack_.back();
}

PickleValue* PickleStack::pop() {
  PickleValue* value = top();
  stack_.pop_back();
  return value;
}

std::vector<PickleValue*> PickleStack::pop_to_mark() {
  if (marks_.empty()) broken("it returns to a mark that was never set");
  const auto from = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  std::vector<PickleValue*> taken(from, stack_.end());
  stack_.erase(from, stack_.end());
  marks_.pop_back();
  return taken;
}

void PickleStack::append(const std::vector<PickleValue*>& items) {
  using Kind = PickleValue::Kind;
  PickleValue* into = top();
  if (into->is(Kind::Call)) return;  // what Python's object would do with them is not known
  if (!into->is(Kind::List) && !into->is(Kind::Set)) broken("it appends to what is no list");
  into->items.insert(into->items.end(), items.begin(), items.end());
}

void PickleStack::set_items(const std::vector<PickleValue*>& keys_and_values) {
  using Kind = PickleValue::Kind;
  PickleValue* into = top();
  if (!into->is(Kind::Dict) && !into->is(Kind::Call)) broken("it sets a key of what has none");
  if (keys_and_values.size() % 2 != 0) broken("a key without its value");
  for (std::size_t i = 0; i < keys_and_values.size(); i += 2)
    into->pairs.emplace_back(keys_and_values[i], keys_and_values[i + 1]);
}

void PickleStack::mark() {
  count(marks_.size());
  marks_.push_back(stack_.size());
}

void PickleStack::remember(std::uint64_t key) {
  count(memo_.size());
  memo_[key] = top();
}

void PickleStack::recall(std::uint64_t key) {
  const auto found = memo_.find(key);
  if (found == memo_.end()) broken("it recalls a value that it never kept");
  push(found->second);
}

Pickle PickleStack::finish(std::size_t bytes) {
  out_.root = pop();
  out_.bytes = bytes;
  return std::move(out_);
}

}  // namespace homolog::model
