// Alice's loss: terms, gradients, temperatures and centres of every case and ablation, then three
// steps from zero centres.
#include "golden_kind.h"
#include "objective/alice_loss.h"

namespace homolog::golden {
namespace {

using namespace objective::alice;
using nlohmann::json;

struct Sizes {
  std::int64_t rows, classes, tokens, patch, image;
  explicit Sizes(const json& c)
      : rows(c.at("views").get<std::int64_t>() * c.at("batch_per_view").get<std::int64_t>()),
        classes(c.at("out_dim")),
        tokens(c.at("tokens")),
        patch(c.at("patch_out_dim")),
        image(c.at("image")) {}
  std::vector<std::int64_t> images(std::int64_t n) const { return {n, 1, image, image, image}; }
};

struct Inputs {
  torch::Tensor student_cls, student_tokens, reconstruction, target_cls, target_tokens, images;
};

LossPlan plan_of(const json& c) {
  LossPlan p;
  p.student_temperature = c.at("student_temp");
  p.target_temperature_start = c.at("teacher_temps").at(0);
  p.target_temperature = c.at("teacher_temps").at(1);
  p.temperature_epochs = c.at("warmup_epochs");
  p.centre_momentum = c.at("center_momentum");
  return p;
}

torch::Tensor images_of(const Sizes& n) {
  return torch::cat(
      {input(0, n.images(n.rows / 2), 0.5, 0.5), input(1, n.images(n.rows / 2), 0.5, 0.5)});
}

// [class, patch, reconstruction, total], weighted; gradients flow to the inputs.
torch::Tensor weighted_terms(const LossPlan& p, const Inputs& in, const torch::Tensor& centre,
                             const torch::Tensor& centre2, std::int64_t epoch) {
  const torch::Tensor terms = torch::stack(
      {p.lambda_inter * inter_loss(p, in.target_cls, centre, in.student_cls, epoch),
       p.lambda_intra * intra_loss(p, in.target_tokens, centre2, in.student_tokens, epoch),
       p.lambda_reconstruction * reconstruction_loss(p, in.reconstruction, in.images, {})});
  return torch::cat({terms, terms.sum().reshape({1})});
}

void update_centres(const LossPlan& p, const Sizes& n, const Inputs& in, torch::Tensor& centre,
                    torch::Tensor& centre2) {
  update_centre(centre, centre_sums(in.target_cls, n.classes), p.centre_momentum);
  update_centre(centre2, centre_sums(in.target_tokens, n.patch), p.centre_momentum);
}

torch::Tensor l2(const torch::Tensor& x) { return x.to(torch::kDouble).norm().reshape({1}); }

void check_case(const Fixture& fixture, const json& row) {
  const Sizes n(fixture.config());
  LossPlan p = plan_of(fixture.config());
  p.lambda_inter = row.at("lambdas").at(0);
  p.lambda_intra = row.at("lambdas").at(1);
  p.lambda_reconstruction = row.at("lambdas").at(2);
  p.intra_start_epoch = row.at("mim_start_epoch");
  const std::int64_t epoch = row.at("epoch");
  const std::string name = row.at("name");
  Inputs in = {input(4, {n.rows, n.classes}, 0, 0.3).requires_grad_(),
               input(6, {n.rows, n.tokens, n.patch}, 0, 0.5).requires_grad_(),
               input(5, n.images(n.rows), 0.5, 0.5).requires_grad_(),
               input(7, {n.rows, n.classes}, 0, 0.05),
               input(8, {n.rows, n.tokens, n.patch}, 0, row.at("teacher_patch_amp")),
               images_of(n)};
  torch::Tensor centre = input(9, {1, n.classes}, 0, 0.02),
                centre2 = input(10, {1, 1, n.patch}, 0, 0.02);
  fixture.expect(name + ".temps", torch::tensor({target_temperature(p, epoch),
                                                 target_temperature(p, epoch, p.intra_start_epoch)},
                                                torch::kDouble));
  const torch::Tensor terms = weighted_terms(p, in, centre, centre2, epoch);
  fixture.expect(name + ".terms", terms);
  terms[3].backward();
  fixture.expect(name + ".grad_student_cls", in.student_cls.grad());
  fixture.expect(name + ".grad_student_patch_norm", l2(in.student_tokens.grad()));
  fixture.expect(name + ".grad_student_dec_norm", l2(in.reconstruction.grad()));
  update_centres(p, n, in, centre, centre2);
  fixture.expect(name + ".center", centre);
  fixture.expect(name + ".center2", centre2);
}

void check_sequence(const Fixture& fixture) {
  const Sizes n(fixture.config());
  const LossPlan p = plan_of(fixture.config());
  torch::Tensor centre = torch::zeros({1, n.classes}), centre2 = torch::zeros({1, 1, n.patch});
  std::vector<torch::Tensor> terms;
  for (std::int64_t s = 0; s < 3; ++s) {
    const auto stream = [&](int j) { return static_cast<std::uint64_t>(j + 10 * s); };
    const Inputs in = {input(stream(20), {n.rows, n.classes}, 0, 0.3),
                       input(stream(21), {n.rows, n.tokens, n.patch}, 0, 0.5),
                       input(stream(22), n.images(n.rows), 0.5, 0.5),
                       input(stream(23), {n.rows, n.classes}, 0.03, 0.05),
                       input(stream(24), {n.rows, n.tokens, n.patch}, 0.03, 0.05),
                       images_of(n)};
    terms.push_back(weighted_terms(p, in, centre, centre2, s));
    update_centres(p, n, in, centre, centre2);
  }
  fixture.expect("seq.terms", torch::stack(terms));
  fixture.expect("seq.center", centre);
  fixture.expect("seq.center2", centre2);
}

const RegisterKind registered({"Alice's loss",
                               [](const Fixture& f) {
                                 return f.config().contains("cases") &&
                                        f.config().contains("teacher_temps");
                               },
                               [](const Fixture& f) {
                                 for (const auto& row : f.config().at("cases")) {
                                   SCOPED_TRACE(row.at("name").get<std::string>());
                                   check_case(f, row);
                                 }
                                 check_sequence(f);
                               }});

}  // namespace
}  // namespace homolog::golden
