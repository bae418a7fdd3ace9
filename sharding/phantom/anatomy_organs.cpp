// Heart and abdominal organs, deep muscles, and the order in which all solids take precedence.
#include "sharding/phantom/anatomy.h"

namespace homolog::phantom {
namespace {

Part plain(Shape shape, Organ organ, Matter matter, Clip clip = Clip::None) {
  return {shape, organ, matter, matter, 0, clip};
}

void add_heart(std::vector<Part>& parts) {
  // Four chambers in a muscle that points left, forwards and down.
  parts.push_back(plain(Shape::ellipsoid({44, -42, 366}, {34, 20, 20}, {0, 22, -30}), Organ::Heart,
                        Matter::ArterialBlood));
  parts.push_back(plain(Shape::ellipsoid({14, -62, 364}, {34, 15, 20}, {0, 18, -18}), Organ::Heart,
                        Matter::VenousBlood));
  parts.push_back(
      plain(Shape::ellipsoid({16, -4, 386}, {30, 16, 20}), Organ::Heart, Matter::ArterialBlood));
  parts.push_back(
      plain(Shape::ellipsoid({-26, -34, 372}, {18, 24, 26}), Organ::Heart, Matter::VenousBlood));
  parts.push_back({Shape::ellipsoid({20, -38, 370}, {66, 44, 42}, {0, 20, -22}), Organ::Heart,
                   Matter::Myocardium, Matter::Fat, 0.08f, Clip::Cavity});
}

void add_kidney(std::vector<Part>& parts, Vec at, float side, Organ organ) {
  parts.push_back(
      plain(Shape::ellipsoid({at.x - side * 13, at.y - 6, at.z}, {13, 9, 22}, {0, side * 10, 0}),
            Organ::Fat, Matter::Fat));
  parts.push_back({Shape::ellipsoid(at, {28, 24, 52}, {6, side * 12, side * 20}), organ,
                   Matter::KidneyMedulla, Matter::KidneyCortex, 0.45f, Clip::Abdomen});
}

void add_colon(std::vector<Part>& parts) {
  const auto piece = [&](Vec a, Vec b, float ra, float rb) {
    parts.push_back({Shape::capsule(a, b, ra, rb), Organ::Colon, Matter::ColonContent, Matter::Wall,
                     0.2f, Clip::Cavity});
  };
  piece({-92, -8, 128}, {-100, 4, 172}, 27, 23);  // caecum is the widest
  piece({-100, 4, 172}, {-98, 0, 232}, 22, 21);
  piece({-98, 0, 232}, {-50, -58, 222}, 21, 19);
  piece({-50, -58, 222}, {40, -60, 214}, 19, 18);
  piece({40, -60, 214}, {98, 6, 262}, 18, 17);
  piece({98, 6, 262}, {104, 18, 180}, 17, 15);
  piece({104, 18, 180}, {88, 8, 128}, 15, 14);
  piece({88, 8, 128}, {34, 0, 106}, 15, 15);
  piece({34, 0, 106}, {6, 38, 82}, 15, 16);
  piece({6, 38, 82}, {0, 54, 50}, 17, 18);
  piece({0, 54, 50}, {0, 38, 8}, 17, 11);
}

void add_bowel(std::vector<Part>& parts) {
  const auto loop = [&](Vec centre, Vec half) {
    parts.push_back(
        plain(Shape::ellipsoid(centre, half), Organ::Bowel, Matter::BowelContent, Clip::Cavity));
  };
  loop({8, -40, 172}, {84, 36, 44});
  loop({40, -22, 212}, {52, 34, 26});
  loop({-8, -28, 124}, {72, 38, 26});
}

}  // namespace

void add_organs(std::vector<Part>& parts) {
  add_heart(parts);
  parts.push_back(plain(Shape::ellipsoid({-62, -52, 244}, {15, 24, 16}, {30, 0, 0}),
                        Organ::Gallbladder, Matter::Bile, Clip::Abdomen));
  add_kidney(parts, {62, 42, 236}, 1, Organ::KidneyLeft);
  add_kidney(parts, {-60, 42, 220}, -1, Organ::KidneyRight);
  parts.push_back(plain(Shape::ellipsoid({108, 46, 288}, {24, 42, 46}, {24, 0, -24}), Organ::Spleen,
                        Matter::Spleen, Clip::Abdomen));
  parts.push_back({Shape::ellipsoid({66, -12, 300}, {42, 44, 38}, {0, 0, 10}), Organ::Stomach,
                   Matter::StomachContent, Matter::Wall, 0.2f, Clip::Abdomen});
  parts.push_back({Shape::capsule({62, -32, 286}, {10, -58, 244}, 30, 20), Organ::Stomach,
                   Matter::StomachContent, Matter::Wall, 0.25f, Clip::Abdomen});
  parts.push_back({Shape::capsule({10, -58, 244}, {-34, -30, 250}, 18, 13), Organ::Stomach,
                   Matter::StomachContent, Matter::Wall, 0.4f, Clip::Abdomen});
  parts.push_back(plain(Shape::capsule({-32, -10, 234}, {10, -22, 248}, 15, 10), Organ::Pancreas,
                        Matter::Pancreas, Clip::Abdomen));
  parts.push_back(plain(Shape::capsule({10, -22, 248}, {78, 22, 272}, 10, 8), Organ::Pancreas,
                        Matter::Pancreas, Clip::Abdomen));
  // Liver: right lobe, its tip below, left lobe across the midline.
  parts.push_back(plain(Shape::ellipsoid({-74, 4, 296}, {78, 92, 66}), Organ::Liver, Matter::Liver,
                        Clip::Abdomen));
  parts.push_back(plain(Shape::ellipsoid({-104, 14, 242}, {34, 52, 52}), Organ::Liver,
                        Matter::Liver, Clip::Abdomen));
  parts.push_back(plain(Shape::ellipsoid({0, -52, 306}, {74, 40, 34}, {0, 12, 0}), Organ::Liver,
                        Matter::Liver, Clip::Abdomen));
  add_colon(parts);
  parts.push_back({Shape::ellipsoid({0, -38, 66}, {38, 30, 28}), Organ::Bladder, Matter::Urine,
                   Matter::Wall, 0.2f});
  parts.push_back({Shape::ellipsoid({4, 4, 72}, {27, 21, 26}, {35, 0, 0}), Organ::PelvicOrgan,
                   Matter::SoftTissue, Matter::SoftTissue});
  parts.push_back({Shape::ellipsoid({0, -10, 30}, {21, 19, 18}), Organ::PelvicOrgan,
                   Matter::SoftTissue, Matter::SoftTissue});
  add_bowel(parts);
}

void add_deep_muscles(std::vector<Part>& parts) {
  const auto muscle = [&](Shape shape) {
    parts.push_back(plain(shape, Organ::Muscle, Matter::Muscle));
  };
  for (const float side : {-1.f, 1.f}) {
    muscle(Shape::capsule({side * 32, 46, 262}, {side * 46, 34, 150}, 8, 22));  // psoas
    muscle(Shape::capsule({side * 46, 34, 150}, {side * 84, -22, 62}, 21, 17));
    muscle(Shape::capsule({side * 84, -22, 62}, {side * 112, 0, 0}, 17, 14));
    muscle(Shape::ellipsoid({side * 80, 16, 122}, {16, 46, 40},
                            {-10, side * 22, side * 32}));         // iliacus
    muscle(Shape::ellipsoid({side * 66, 52, 178}, {24, 13, 44}));  // quadratus lumborum
    muscle(Shape::capsule({side * 27, 92, 90}, {side * 30, 82, 200}, 19, 23));  // along the spine
    muscle(Shape::capsule({side * 30, 82, 200}, {side * 26, 96, 340}, 23, 15));
    muscle(Shape::capsule({side * 26, 96, 340}, {side * 24, 92, 480}, 14, 12));
    muscle(Shape::capsule({side * 24, 92, 480}, {side * 22, 66, 580}, 14, 18));
    muscle(Shape::ellipsoid({side * 62, 20, 32}, {10, 30, 30}));             // obturator
    muscle(Shape::capsule({side * 16, 48, 60}, {side * 60, 24, 40}, 6, 9));  // pelvic floor
    muscle(Shape::capsule({0, 36, 16}, {side * 44, 28, 18}, 8, 7));
    muscle(Shape::capsule({side * 20, -8, 580}, {side * 26, -20, 500}, 14, 12));  // neck
  }
}

std::vector<Part> all_parts() {
  std::vector<Part> parts;
  add_spine(parts);
  add_pelvis(parts);
  add_shoulders(parts);
  add_vessels(parts);
  add_organs(parts);
  add_lung_trees(parts);
  add_deep_muscles(parts);
  return parts;
}

}  // namespace homolog::phantom
