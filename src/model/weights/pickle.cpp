// A stack machine over the opcodes of Python's pickletools. Every opcode makes at most one value
// and arguments are counted, so that memory is bounded; nothing here recurses.
#include "model/weights/pickle.h"

#include "base/error.h"
#include "model/weights/file_words.h"
#include "model/weights/pickle_refusal.h"
#include "model/weights/pickle_stack.h"
#include "model/weights/pickle_stream.h"

namespace homolog::model {
namespace {

using Kind = PickleValue::Kind;
struct CountedText {  // its length stands before it, in `width` bytes
  std::uint8_t code;
  Kind kind;
  int width;
};
constexpr CountedText kCountedTexts[] = {
    {'T', Kind::Text, 4},  {'U', Kind::Text, 1},   {'X', Kind::Text, 4},
    {0x8c, Kind::Text, 1}, {0x8d, Kind::Text, 8},  {'B', Kind::Bytes, 4},
    {'C', Kind::Bytes, 1}, {0x8e, Kind::Bytes, 8}, {0x96, Kind::Bytes, 8}};

class Machine : PickleStack {
 public:
  Machine(std::string_view data, const PickleRules& rules, const std::string& origin)
      : PickleStack(rules.most_values, origin), in_(data, origin), rules_(rules), origin_(origin) {}

  Pickle run() {
    for (;;) {
      const std::uint8_t code = in_.byte();
      if (code == '.') break;
      if (!number(code) && !text(code) && !container(code) && !stack_or_memo(code) && !object(code))
        broken("opcode " + std::to_string(code) + " is not one of protocols 0 to 5 that " +
               "stand for plain data");
    }
    return finish(in_.offset());
  }

 private:
  [[noreturn]] void broken(const std::string& why) const override { in_.broken(why); }
  void push_long(std::string_view raw) {  // two's complement, little-endian
    if (raw.size() > 8) return push_text(Kind::Big, raw);
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < raw.size(); ++i)
      bits |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(raw[i])) << (8 * i);
    const bool negative = !raw.empty() && (static_cast<std::uint8_t>(raw.back()) & 0x80U) != 0;
    if (negative && raw.size() < 8) bits |= ~std::uint64_t{0} << (8 * raw.size());
    push_number(Kind::Int, static_cast<std::int64_t>(bits));
  }
  void push_decimal(std::string_view line) {
    if (line == "00" || line == "01") return push_number(Kind::Bool, line[1] - '0');
    if (line.size() > 18) return push_text(Kind::Big, line);
    push_number(Kind::Int, in_.decimal(line));
  }
  bool number(std::uint8_t code) {
    switch (code) {
      case 'N':
        return push(Kind::None), true;
      case 0x88:
        return push_number(Kind::Bool, 1), true;
      case 0x89:
        return push_number(Kind::Bool, 0), true;
      case 'I':
      case 'L':
        return push_decimal(in_.line()), true;
      case 'J':
        return push_number(Kind::Int, static_cast<std::int32_t>(in_.little(4))), true;
      case 'K':
        return push_number(Kind::Int, static_cast<std::int64_t>(in_.little(1))), true;
      case 'M':
        return push_number(Kind::Int, static_cast<std::int64_t>(in_.little(2))), true;
      case 0x8a:
        return push_long(in_.counted(1)), true;
      case 0x8b:
        return push_long(in_.counted(4)), true;
      case 'F':
        return push(Kind::Float)->real = in_.decimal_double(), true;
      case 'G':
        return push(Kind::Float)->real = in_.big_endian_double(), true;
      default:
        return false;
    }
  }

  bool text(std::uint8_t code) {
    switch (code) {
      case 'S':
        if (!unquote(in_.line(), push(Kind::Text)->text)) broken("a text without quotes");
        return true;
      case 'V':
        if (!unescape_unicode(in_.line(), push(Kind::Text)->text)) broken("a text's escape");
        return true;
      default:
        break;
    }
    for (const CountedText& row : kCountedTexts) {
      if (row.code != code) continue;
      push_text(row.kind, in_.counted(row.width));
      return true;
    }
    return false;
  }

  void push_tuple(std::size_t count) {
    std::vector<PickleValue*> items(count);
    while (count > 0) items[--count] = pop();
    push(Kind::Tuple)->items = std::move(items);
  }
  void push_items(Kind kind) {
    auto items = pop_to_mark();
    push(kind)->items = std::move(items);
  }
  bool container(std::uint8_t code) {
    switch (code) {
      case ']':
        return push(Kind::List), true;
      case ')':
        return push(Kind::Tuple), true;
      case '}':
        return push(Kind::Dict), true;
      case 0x8f:
        return push(Kind::Set), true;
      case 'l':
        return push_items(Kind::List), true;
      case 't':
        return push_items(Kind::Tuple), true;
      case 0x91:
        return push_items(Kind::Set), true;
      case 0x85:
      case 0x86:
      case 0x87:
        return push_tuple(code - 0x84U), true;
      case 'd': {
        const auto flat = pop_to_mark();
        push(Kind::Dict);
        set_items(flat);
        return true;
      }
      case 'a':
        append({pop()});
        return true;
      case 'e':
      case 0x90:
        return append(pop_to_mark()), true;
      case 's': {
        PickleValue* value = pop();
        PickleValue* key = pop();
        set_items({key, value});
        return true;
      }
      case 'u':
        return set_items(pop_to_mark()), true;
      default:
        return false;
    }
  }

  void check_protocol(std::uint8_t protocol) const {
    if (protocol > 5) broken("protocol " + std::to_string(protocol) + " is newer than 5");
  }

  bool stack_or_memo(std::uint8_t code) {
    switch (code) {
      case 0x80:
        return check_protocol(in_.byte()), true;
      case 0x95:
        in_.take(8);
        return true;  // frames only help buffered readers
      case '(':
        return mark(), true;
      case '1':
        return pop_to_mark(), true;
      case '0':
        if (at_mark())
          pop_to_mark();
        else
          pop();
        return true;
      case '2':
        return push(top()), true;
      case 'p':
        return remember(static_cast<std::uint64_t>(in_.decimal(in_.line()))), true;
      case 'q':
        return remember(in_.little(1)), true;
      case 'r':
        return remember(in_.little(4)), true;
      case 0x94:
        return remember_next(), true;
      case 'g':
        return recall(static_cast<std::uint64_t>(in_.decimal(in_.line()))), true;
      case 'h':
        return recall(in_.little(1)), true;
      case 'j':
        return recall(in_.little(4)), true;
      default:
        return false;
    }
  }

  std::string admitted(std::string_view module, std::string_view name) {
    std::string global = std::string(module) + "." + std::string(name);
    if (!rules_.allows(global)) refuse_name(rules_, global, in_.offset(), origin_);
    return global;
  }
  // What Python would call, not called.
  void push_call(const PickleValue* callee, std::vector<PickleValue*> arguments) {
    if (!callee->is(Kind::Global)) broken("it calls what is no name");
    // A tuple that is recalled is copied, without a byte of the file: counted, too.
    if ((arguments_ += arguments.size()) > rules_.most_values) broken("it calls with too much");
    push_text(Kind::Call, callee->text);
    top()->items = std::move(arguments);
  }
  void push_call_of_tuple() {
    const PickleValue* arguments = pop();
    if (!arguments->is(Kind::Tuple)) broken("it calls with what are no arguments");
    push_call(pop(), arguments->items);
  }
  void push_inst() {
    const std::string_view module = in_.line();
    const std::string global = admitted(module, in_.line());
    auto arguments = pop_to_mark();
    push_text(Kind::Call, global);
    top()->items = std::move(arguments);
  }
  void push_obj() {
    auto all = pop_to_mark();
    if (all.empty()) broken("it calls nothing");
    const PickleValue* callee = all.front();
    all.erase(all.begin());
    push_call(callee, std::move(all));
  }
  void push_stack_global() {
    const PickleValue* name = pop();
    const PickleValue* module = pop();
    if (!name->is(Kind::Text) || !module->is(Kind::Text)) broken("a name that is no text");
    push_text(Kind::Global, admitted(module->text, name->text));
  }
  void build() {
    PickleValue* state = pop();
    PickleValue* object = top();
    if (!object->is(Kind::Call)) broken("it gives a state to plain data");
    object->state = state;
  }

  bool object(std::uint8_t code) {
    switch (code) {
      case 'c': {
        const std::string_view module = in_.line();
        push_text(Kind::Global, admitted(module, in_.line()));
        return true;
      }
      case 0x93:
        return push_stack_global(), true;
      case 'i':
        return push_inst(), true;
      case 'o':
        return push_obj(), true;
      case 'R':
      case 0x81:
        return push_call_of_tuple(), true;
      case 0x92:
        pop();
        push_call_of_tuple();
        return true;  // keyword arguments are not kept
      case 'b':
        return build(), true;
      case 'P':
        push_text(Kind::Text, in_.line());
        [[fallthrough]];
      case 'Q': {
        PickleValue* id = pop();
        push(Kind::Persistent)->items = {id};
        return true;
      }
      default:
        return false;
    }
  }

  PickleStream in_;
  std::size_t arguments_ = 0;  // of all calls together
  const PickleRules& rules_;
  const std::string& origin_;
};

}  // namespace

Pickle read_pickle(std::string_view data, const PickleRules& rules, const std::string& origin) {
  return Machine(data, rules, origin).run();
}

}  // namespace homolog::model
