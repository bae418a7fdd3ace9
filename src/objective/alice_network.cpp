#include "objective/alice_network.h"

namespace homolog::objective::alice {

std::shared_ptr<Network> build_network(const Plan& plan, const backbone::Factory& factory,
                                       const backbone::Size3& crop, bool as_target) {
  auto backbone = factory.make(crop);
  const backbone::FeatureSpec spec = backbone->spec();
  model::HeadPlan head = plan.head;
  head.encoder_channels = spec.encoder_channels;
  head.decoder_channels = spec.decoder_channels;
  head.shared_last = as_target;
  model::CasaPlan casa = plan.casa;
  casa.width = plan.head.outputs;
  casa.queries = !as_target;
  casa.zeta = plan.zeta;
  const bool has_casa = !as_target || plan.casa_ema;
  return std::make_shared<Network>(std::move(backbone), model::ProjectionHead(head),
                                   has_casa ? model::Casa(casa) : model::Casa(nullptr));
}

}  // namespace homolog::objective::alice
