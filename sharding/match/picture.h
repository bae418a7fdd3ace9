// A picture of a match: axial and coronal slices of query and key with a cross at the point.
#pragma once

#include "picture/picture.h"
#include "sharding/match/matcher.h"
#include "volume/volume.h"

namespace homolog::match {

// Upper row: query; lower row: key. Left: axial (patient's right at the left, front at the top);
// right: coronal (head at the top). Each panel says which it is, and the patient's R and L. Under
// the key's row stand the score and a bar of its length (0 to 1).
// Window -160 to 240 HU; millimetres are square.
Picture picture_of_match(const Volume& query, const Point3& query_index, const Volume& key,
                         const Match& match);

}  // namespace homolog::match
