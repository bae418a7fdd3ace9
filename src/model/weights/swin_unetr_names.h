// What names and shapes of weights tell about a Swin UNETR (swin_unetr.h), and the names under
// which its transformer alone is published.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/backbone_entry.h"

namespace homolog::model::swin {

// "model.swin_unetr.*" except drop_path, which leaves no trace in weights; any crop. The
// transformer ("swinViT.*") is enough.
std::optional<backbone::Recognised> recognise(const backbone::NamedTensors& tensors);

// Self-supervised pre-training publishes the transformer without "swinViT." (or under "encoder.",
// with a number more), its perceptrons as mlp.fc1 and fc2, beside heads of its own: named as in
// SwinUNETR, as its load_from and filter_swinunetr read it, the heads into `left_out`. Other
// tensors stay as they are.
void rename_pretraining(backbone::NamedTensors& tensors, std::vector<std::string>& left_out,
                        std::vector<std::string>& notes);

}  // namespace homolog::model::swin
