// A forecast as text and as JSON. Each says what is counted, what is modelled and what was
// measured.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cluster/plan/forecast.h"

namespace homolog::plan {

std::string plan_text(const StepWork& work, const Question& question, const Forecast& forecast);
nlohmann::ordered_json plan_json(const StepWork& work, const Question& question,
                                 const Forecast& forecast);

}  // namespace homolog::plan
