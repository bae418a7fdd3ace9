#include "model/weights/stated_options.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/ini.h"
#include "model/weights/file_words.h"

namespace homolog::backbone {
namespace {

using nlohmann::json;

std::string metadata(const model::ForeignWeights& from, const std::string& key) {
  const auto found = from.weights.metadata.find(key);
  return found == from.weights.metadata.end() ? "" : found->second;
}

// "model.NAME." of the network that the file was written of.
std::string stated_prefix(const model::ForeignWeights& from, const Settings& all,
                          const Entry& entry) {
  for (const char* key : {"backbone", "trained.backbone"})
    if (const std::string name = metadata(from, key); !name.empty()) return "model." + name + ".";
  const auto name = all.find("model.backbone");
  return std::string("model.") + (name == all.end() ? entry.name : name->second) + ".";
}

// Of the pre-training decoder, which a file may lack.
bool is_of_decoder(const std::string& key) { return key.find(".decoder_") != std::string::npos; }

}  // namespace

Settings stated_options(const model::ForeignWeights& from, const Entry& entry) {
  Settings all = flat_settings(metadata(from, "config")), own;
  if (const std::string text = metadata(from, "options"); !text.empty()) {
    const json options = json::parse(text, nullptr, false);
    if (options.is_object()) {
      for (const auto& [key, value] : options.items())
        if (value.is_string()) all[key] = value.get<std::string>();
    }
  }
  const std::string prefix = stated_prefix(from, all, entry);
  for (const auto& [key, value] : all)
    if (key.starts_with(prefix))
      own["model." + std::string(entry.name) + "." + key.substr(prefix.size())] = value;
  // What an import guessed, as its notes say, nobody stated.
  const std::string notes = metadata(from, "source.notes");
  std::erase_if(own, [&](const auto& item) {
    return notes.find("--set " + item.first + "=") != std::string::npos;
  });
  return own;
}

bool is_guessed(const Recognised& told, const std::string& key) {
  return std::any_of(told.guesses.begin(), told.guesses.end(),
                     [&](const Guess& guess) { return guess.option == key; });
}

void tell_guesses(const Recognised& told, const Settings& given, bool own,
                  std::vector<std::string>& notes) {
  for (const Guess& guess : told.guesses)
    if (guess.option.empty() ? !own : !given.contains(guess.option)) notes.push_back(guess.note);
}

void require_stated_options(const model::ForeignWeights& from, const Entry& entry,
                            const Settings& options, const std::string& origin,
                            NetworkWeights& weights) {
  const auto factory = entry.factory();
  const Settings stated = stated_options(from, entry);
  std::vector<std::string> wrong;
  std::string remedy;
  for (const auto& [key, then] : stated) {
    const auto now = options.find(key);
    if (now == options.end() || now->second == then || factory->is_of_training(key)) continue;
    if (is_of_decoder(key) && weights.own_absent > 0) continue;
    wrong.push_back(key + ": the file states " + model::printable(then) + ", this network has " +
                    now->second);
    remedy += (remedy.empty() ? "set " : ", ") + key + " = " + model::printable(then);
  }
  if (!wrong.empty()) {
    std::string list;
    for (const std::string& line : wrong) list += "\n    " + line;
    throw Error(Fault::Data,
                origin +
                    " fits by its shapes and is of another network, which would compute something "
                    "else; nothing was loaded:" +
                    list,
                remedy + ", as the weights were trained");
  }
  const auto told = factory->recognise(weights.tensors);
  if (!told) return;
  for (const Guess& guess : told->guesses) {
    const auto now = options.find(guess.option);
    if (now == options.end()) {
      if (stated.empty()) weights.notes.push_back(guess.note);
    } else if (!stated.contains(guess.option) &&
               !(is_of_decoder(guess.option) && weights.own_absent > 0)) {
      weights.notes.push_back("the file does not tell " + guess.option +
                              ": taken as this network has it, " + now->second);
    }
  }
}

}  // namespace homolog::backbone
