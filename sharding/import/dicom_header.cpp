// DICOM headers through GDCM, up to the pixels: classic files and enhanced multi-frame ones, whose
// geometry and rescale stand in functional groups.
#include <gdcmAttribute.h>
#include <gdcmGlobal.h>
#include <gdcmReader.h>
#include <gdcmSequenceOfItems.h>
#include <gdcmTrace.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <set>

#include "base/error.h"
#include "sharding/import/dicom_slice.h"

namespace homolog::import {
namespace {

using gdcm::DataSet;
using gdcm::Tag;

std::string text(const DataSet& set, const Tag& tag) {
  if (!set.FindDataElement(tag)) return "";
  const gdcm::ByteValue* bytes = set.GetDataElement(tag).GetByteValue();
  if (bytes == nullptr || bytes->GetPointer() == nullptr) return "";
  std::string value(bytes->GetPointer(), bytes->GetLength());
  while (!value.empty() && (value.back() == ' ' || value.back() == '\0')) value.pop_back();
  value.erase(0, std::min(value.find_first_not_of(' '), value.size()));
  return value;
}

// "a\b\c" -> numbers; empty when there are not exactly `count` of them.
std::vector<double> numbers(const DataSet& set, const Tag& tag, std::size_t count) {
  const std::string all = text(set, tag);
  std::vector<double> values;
  for (std::size_t at = 0; at <= all.size() && !all.empty();) {
    const std::size_t end = std::min(all.find('\\', at), all.size());
    std::size_t first = all.find_first_not_of(" +", at);
    double value = 0;
    if (first >= end ||
        std::from_chars(all.data() + first, all.data() + end, value).ec != std::errc())
      return {};
    values.push_back(value);
    at = end + 1;
  }
  return values.size() == count ? values : std::vector<double>{};
}

template <std::uint16_t Group, std::uint16_t Element>
int whole(const DataSet& set, int fallback) {
  if (!set.FindDataElement(Tag(Group, Element)) ||
      set.GetDataElement(Tag(Group, Element)).IsEmpty())
    return fallback;
  gdcm::Attribute<Group, Element> attribute;
  attribute.SetFromDataSet(set);
  return static_cast<int>(attribute.GetValue());
}

// Item `index` (0-based) of a sequence, or nullptr.
gdcm::SmartPointer<gdcm::SequenceOfItems> sequence(const DataSet& set, const Tag& tag) {
  return set.FindDataElement(tag) ? set.GetDataElement(tag).GetValueAsSQ() : nullptr;
}

// Geometry and rescale as they stand directly in `set`.
void take_geometry(const DataSet& set, DicomSlice& slice, bool& position, bool& orientation) {
  if (const auto p = numbers(set, Tag(0x0020, 0x0032), 3); !p.empty()) {
    slice.position = {p[0], p[1], p[2]};
    position = true;
  }
  if (const auto o = numbers(set, Tag(0x0020, 0x0037), 6); !o.empty()) {
    std::copy(o.begin(), o.end(), slice.orientation.begin());
    orientation = true;
  }
  if (const auto s = numbers(set, Tag(0x0028, 0x0030), 2); !s.empty()) {
    slice.row_mm = s[0];  // PixelSpacing: between rows first
    slice.column_mm = s[1];
    slice.has_spacing = true;
  }
  if (const auto t = numbers(set, Tag(0x0018, 0x0050), 1); !t.empty()) slice.thickness_mm = t[0];
  if (const auto v = numbers(set, Tag(0x0028, 0x1053), 1); !v.empty()) slice.slope = v[0];
  if (const auto v = numbers(set, Tag(0x0028, 0x1052), 1); !v.empty()) slice.intercept = v[0];
}

// The same inside the functional groups of one item (shared, or one frame's).
void take_groups(const DataSet& item, DicomSlice& slice, bool& position, bool& orientation) {
  for (const Tag& group :
       {Tag(0x0020, 0x9113), Tag(0x0020, 0x9116), Tag(0x0028, 0x9110), Tag(0x0028, 0x9145)}) {
    const auto items = sequence(item, group);
    if (items && items->GetNumberOfItems() > 0) {
      take_geometry(items->GetItem(1).GetNestedDataSet(), slice, position, orientation);
    }
  }
}

// Whom the slices show: scans of one patient must not be split. Empty when nothing tells.
std::string subject_of(const DataSet& set) {
  std::string patient = text(set, Tag(0x0010, 0x0020));
  std::string folded = patient;
  std::transform(folded.begin(), folded.end(), folded.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  // What anonymisers write for everybody names nobody.
  static const std::set<std::string> kNobody{"",     "anonymous", "anonymized", "anonymised",
                                             "anon", "unknown",   "none",       "0"};
  if (!kNobody.contains(folded)) {
    return "patient\n" + patient + "\n" + text(set, Tag(0x0010, 0x0021)) + "\n" +
           text(set, Tag(0x0010, 0x0030));
  }
  const std::string study = text(set, Tag(0x0020, 0x000d));
  return study.empty() ? "" : "study\n" + study;
}

DicomSlice common_part(const std::filesystem::path& file, const gdcm::File& dicom) {
  const DataSet& set = dicom.GetDataSet();
  DicomSlice slice;
  slice.file = file;
  slice.series = text(set, Tag(0x0020, 0x000e));
  slice.instance = text(set, Tag(0x0008, 0x0018));
  slice.subject = subject_of(set);
  slice.modality = text(set, Tag(0x0008, 0x0060));
  slice.sop_class = text(set, Tag(0x0008, 0x0016));
  if (slice.sop_class.empty()) slice.sop_class = text(dicom.GetHeader(), Tag(0x0002, 0x0002));
  slice.image_type = text(set, Tag(0x0008, 0x0008));
  slice.compressed = dicom.GetHeader().GetDataSetTransferSyntax().IsEncapsulated();
  slice.rows = whole<0x0028, 0x0010>(set, 0);
  slice.columns = whole<0x0028, 0x0011>(set, 0);
  slice.samples = whole<0x0028, 0x0002>(set, 1);
  slice.bits = whole<0x0028, 0x0100>(set, 16);
  slice.bits_stored = whole<0x0028, 0x0101>(set, slice.bits);
  slice.is_signed = whole<0x0028, 0x0103>(set, 0) == 1;
  slice.has_pixels = slice.rows > 0 && slice.columns > 0;
  const auto frames = numbers(set, Tag(0x0028, 0x0008), 1);
  if (!frames.empty()) slice.frames = static_cast<int>(std::min(std::max(frames[0], 1.0), 1e6));
  return slice;
}

}  // namespace

void prepare_dicom() {
  static const bool once = [] {
    gdcm::Global::GetInstance().GetDicts();
    gdcm::Trace::DebugOff();
    gdcm::Trace::WarningOff();
    gdcm::Trace::ErrorOff();
    return true;
  }();
  static_cast<void>(once);
}

std::vector<DicomSlice> read_dicom_header(const std::filesystem::path& file) {
  prepare_dicom();
  gdcm::Reader reader;
  reader.SetFileName(file.c_str());
  bool ok = false;
  try {
    ok = reader.ReadUpToTag(Tag(0x7fe0, 0x0010), std::set<Tag>());
  } catch (const std::exception&) {
  }
  if (!ok) throw Error(Fault::Data, file.string() + ": not readable as DICOM");
  const DataSet& set = reader.GetFile().GetDataSet();
  DicomSlice slice = common_part(file, reader.GetFile());
  bool position = false, orientation = false;
  take_geometry(set, slice, position, orientation);
  if (const auto shared = sequence(set, Tag(0x5200, 0x9229));
      shared && shared->GetNumberOfItems() > 0) {
    take_groups(shared->GetItem(1).GetNestedDataSet(), slice, position, orientation);
  }
  const auto per_frame = sequence(set, Tag(0x5200, 0x9230));
  std::vector<DicomSlice> slices;
  for (int frame = 0; frame < slice.frames; ++frame) {
    DicomSlice one = slice;
    bool placed = position && slice.frames == 1, turned = orientation;
    one.frame = frame;
    if (per_frame && static_cast<int>(per_frame->GetNumberOfItems()) > frame) {
      take_groups(per_frame->GetItem(static_cast<std::size_t>(frame) + 1).GetNestedDataSet(), one,
                  placed, turned);
    }
    one.has_place = placed && turned;
    slices.push_back(std::move(one));
    if (!per_frame && slice.frames > 1) break;  // no places: one slice is enough to say so
  }
  return slices;
}

}  // namespace homolog::import
