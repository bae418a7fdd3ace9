// Backbone and objective by name, of the generated tables: every one declares its options, the
// chosen one is built.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/options.h"
#include "model/backbone_entry.h"
#include "objective/objective_entry.h"

namespace homolog {

struct Choice {
  std::string backbone = "nnformer", objective = "alice";
  std::vector<std::unique_ptr<backbone::Factory>> backbones;
  std::vector<std::unique_ptr<objective::Factory>> objectives;

  template <class Entries, class Factories>
  static std::vector<std::string> declare_all(Options& options, const Entries& entries,
                                              Factories& factories) {
    std::vector<std::string> names;
    for (const auto* entry : entries) {
      names.emplace_back(entry->name);
      factories.push_back(entry->factory());
      factories.back()->declare(options);
    }
    return names;
  }
  template <class Entries, class Factories>
  static auto& chosen(const Entries& entries, Factories& factories, const std::string& name) {
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (name == entries[i]->name) return *factories[i];
    }
    throw Error(Fault::Usage, "there is no '" + name + "'", "see --help");
  }
};

std::vector<std::string> names_of(const auto& entries) {
  std::vector<std::string> names;
  for (const auto* entry : entries) names.emplace_back(entry->name);
  return names;
}

inline std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// Both names and the options of all that can be named. `weights`: model.weights, which each program
// explains.
inline void declare(Options& options, Choice& choice,
                    const std::vector<const backbone::Entry*>& backbones,
                    const std::vector<const objective::Entry*>& objectives,
                    std::filesystem::path& weights, const char* weights_help) {
  options.add("model.backbone", choice.backbone, "network to train",
              {.choices = names_of(backbones)});
  options.add("model.weights", weights, weights_help);
  Choice::declare_all(options, backbones, choice.backbones);
  options.add("objective.name", choice.objective,
              "what it is trained for: " + joined(names_of(objectives)));
  Choice::declare_all(options, objectives, choice.objectives);
}

// The objectives that `command` ("homolog train") trains for.
inline std::vector<const objective::Entry*> objectives_of(const char* command) {
  auto entries = objective::catalog();
  std::erase_if(entries,
                [&](const auto* entry) { return entry->trainer != std::string_view(command); });
  return entries;
}

// Throws Fault::Usage, naming the command that trains for it, where `command` does not.
inline const objective::Entry& require_trained_by(const char* command, const std::string& name) {
  const objective::Entry& wanted = objective::find(name);
  if (wanted.trainer == std::string_view(command)) return wanted;
  throw Error(Fault::Usage, "objective.name = " + name + " is not trained on pairs",
              std::string("use `") + wanted.trainer + "`");
}

}  // namespace homolog
