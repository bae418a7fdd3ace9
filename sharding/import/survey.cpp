// Three passes: what is each file (in parallel), which files make one scan, read each scan once (in
// parallel). Names, duplicates and order are settled at the end by one thread, so that neither
// depends on timing.
#include "sharding/import/survey.h"

#include <algorithm>
#include <exception>
#include <map>
#include <new>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/progress.h"
#include "sharding/import/content.h"
#include "sharding/import/dicom_series.h"
#include "sharding/import/file_check.h"
#include "sharding/import/file_walk.h"
#include "sharding/import/parallel_for.h"
#include "sharding/import/plausible.h"
#include "sharding/import/probe.h"
#include "sharding/import/scan_reader.h"

namespace homolog::import {
namespace fs = std::filesystem;
namespace {

struct Candidate {
  CatalogEntry entry;    // files and format; verdict Reject and a reason when it is refused already
  std::string identity;  // DICOM: of the series; else empty, and the content stands for it
  std::string subject;   // DICOM: of the patient; empty where unknown, and the scan stands alone
  std::vector<DicomSlice> slices;  // DICOM: what the headers say, until the scan is read
};

struct Looked {  // one file
  Kind kind = Kind::Other;
  std::string problem;
  bool misnamed = false;
  std::vector<DicomSlice> slices;
};

constexpr const char* kMisnamed = "content and file name disagree; read by content";

// The reason without the path that opens it: the entry has the path already. Throws
// Fault::Environment where memory ran out, which says nothing about the scan.
std::string reason_of(const std::exception& problem, const std::vector<fs::path>& files) {
  if (dynamic_cast<const std::bad_alloc*>(&problem) != nullptr) {
    throw Error(Fault::Environment, "out of memory while reading " + files.front().string(),
                "give fewer --jobs, or a machine with more memory");
  }
  const auto* error = dynamic_cast<const Error*>(&problem);
  std::string reason = error != nullptr ? error->summary() : problem.what();
  for (const fs::path& file : files) {
    const std::string prefix = file.string() + ": ";
    if (reason.starts_with(prefix)) reason.erase(0, prefix.size());
    const std::string folder = file.parent_path().string() + "/";  // a data file's name is enough
    if (reason.starts_with(folder)) reason.erase(0, folder.size());
  }
  return reason;
}

Candidate refused(const fs::path& file, const std::string& format, const std::string& reason) {
  Candidate candidate;
  candidate.entry.files = FileList({file});
  candidate.entry.format = format;
  candidate.entry.verdict = Verdict::Reject;
  candidate.entry.reasons = {reason};
  return candidate;
}

// Header of a DICOM file that a child has survived.
void look_inside(const fs::path& file, Looked& looked) {
  try {
    looked.slices = read_dicom_header(file);
  } catch (const std::exception& problem) {
    looked.problem = reason_of(problem, {file});
  }
}

void look_inside_dicom(const std::vector<fs::path>& files, int jobs, std::vector<Looked>& looked) {
  std::vector<std::size_t> dicom;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (looked[i].kind == Kind::Dicom && looked[i].problem.empty()) dicom.push_back(i);
  }
  const std::vector<char> alive =
      survivors(dicom.size(), jobs, [&](std::size_t i) { try_dicom(files[dicom[i]]); });
  parallel_for(dicom.size(), jobs, [&](std::size_t i) {
    Looked& one = looked[dicom[i]];
    if (alive[i]) {
      look_inside(files[dicom[i]], one);
    } else {
      one.problem = "damaged: the DICOM reader gave up on it";
    }
  });
}

Looked look(const fs::path& file) {
  Looked looked;
  try {
    const Sniffed sniffed = sniff(file);
    looked.kind = sniffed.kind;
    looked.problem = sniffed.problem;
    looked.misnamed = sniffed.misnamed;
  } catch (const std::exception& problem) {
    looked.problem = reason_of(problem, {file});
  }
  return looked;
}

bool is_dicomdir(const Looked& looked) {
  return !looked.slices.empty() && looked.slices.front().sop_class == "1.2.840.10008.1.3.10";
}

std::string format_of(Kind kind) {
  switch (kind) {
    case Kind::Dicom:
      return "dicom";
    case Kind::Nifti:
      return "nifti";
    case Kind::Nrrd:
      return "nrrd";
    case Kind::Meta:
      return "meta";
    default:
      return "unknown";
  }
}

Candidate image_candidate(const fs::path& file, const Looked& looked) {
  Candidate candidate;
  candidate.entry.format = format_of(looked.kind);
  candidate.entry.files = FileList({file});
  try {
    const HeaderFacts facts = looked.kind == Kind::Nifti  ? check_nifti(file)
                              : looked.kind == Kind::Nrrd ? check_nrrd(file)
                                                          : check_meta(file);
    candidate.entry.files = facts.files;
    candidate.entry.reasons = facts.warnings;
    if (looked.misnamed) candidate.entry.reasons.push_back(kMisnamed);
  } catch (const std::exception& problem) {
    return refused(file, candidate.entry.format, reason_of(problem, {file}));
  }
  return candidate;
}

Candidate series_candidate(DicomSeries&& series) {
  Candidate candidate;
  candidate.entry.files = series.files;
  candidate.entry.format = "dicom";
  candidate.entry.reasons = series.warnings;
  candidate.identity = series.identity;
  candidate.subject = series.subject;
  if (!series.refusal.empty()) {
    candidate.entry.verdict = Verdict::Reject;
    candidate.entry.reasons = {series.refusal};
  } else if (std::any_of(series.files.begin(), series.files.end(), [](const fs::path& f) {
               return has_extension(
                   f, {".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".img"});
             })) {
    candidate.entry.reasons.push_back(kMisnamed);
  }
  if (series.refusal.empty()) candidate.slices = std::move(series.slices);
  return candidate;
}

bool is_utf8(const fs::path& file) {
  try {
    (void)nlohmann::json(file.string()).dump();
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

// Reads the scan once, and fills the rest of its entry.
void assess(Candidate& candidate) {
  CatalogEntry& entry = candidate.entry;
  if (entry.verdict == Verdict::Reject) return;
  try {
    const auto files = entry.files.paths();
    if (!std::all_of(files.begin(), files.end(), is_utf8))
      throw Error(Fault::Data, "a file name is not UTF-8: rename it");
    ReadScan read = entry.format == "dicom" ? read_dicom(std::move(candidate.slices))
                                            : read_image_file(entry.files.front(), entry.format);
    if (!read.files.empty()) entry.files = read.files;
    entry.original_direction = read.scan.grid.direction;
    entry.original_orientation = orientation_letters(entry.original_direction);
    if (const std::string why = geometry_refusal(read.scan.grid); !why.empty())
      throw Error(Fault::Data, why);
    Scan scan = canonical(std::move(read.scan));
    const Volume volume{"", scan.grid, std::move(scan.hu)};
    describe(volume, entry);
    entry.reasons.insert(entry.reasons.end(), read.warnings.begin(), read.warnings.end());
    const Looks looks = looks_like_ct(volume, entry.format == "dicom", read.eight_bit);
    entry.reasons.insert(entry.reasons.end(), looks.warnings.begin(), looks.warnings.end());
    entry.hounsfield = looks.hounsfield;
    entry.verdict = entry.reasons.empty() ? Verdict::Accept : Verdict::Warn;
    if (!looks.refusal.empty()) {
      entry.verdict = Verdict::Reject;
      entry.reasons = {looks.refusal};
    }
  } catch (const std::exception& problem) {
    entry.verdict = Verdict::Reject;
    entry.reasons = {reason_of(problem, entry.files.paths())};
  }
}

// Candidates from what was seen. A data file that a header claims is no input of its own.
std::vector<Candidate> candidates_of(const Walked& found, std::vector<Looked> looked, int jobs,
                                     Survey& survey) {
  std::vector<Candidate> candidates;
  for (const Unreadable& one : found.unreadable) {
    candidates.push_back(refused(one.path, one.is_folder ? "folder" : "unknown", one.why));
  }
  std::vector<std::vector<DicomSlice>> dicom;
  std::vector<std::size_t> images;
  for (std::size_t i = 0; i < looked.size(); ++i) {
    if (!looked[i].problem.empty()) {
      candidates.push_back(refused(found.files[i], format_of(looked[i].kind), looked[i].problem));
    } else if (is_dicomdir(looked[i]) || looked[i].kind == Kind::Other ||
               looked[i].kind == Kind::DataPart) {
      ++survey.ignored;
    } else if (looked[i].kind == Kind::Dicom) {
      dicom.push_back(std::move(looked[i].slices));
    } else if (!has_extension(found.files[i],
                              {".img"})) {  // an .img that looks like a header by chance
      images.push_back(i);
    }
  }
  for (DicomSeries& series : group_series(std::move(dicom)))
    candidates.push_back(series_candidate(std::move(series)));
  std::vector<Candidate> checked(images.size());
  parallel_for(images.size(), jobs, [&](std::size_t i) {
    checked[i] = image_candidate(found.files[images[i]], looked[images[i]]);
  });
  candidates.insert(candidates.end(), checked.begin(), checked.end());
  return candidates;
}

// The first of equal volumes stays; a volume must never be paired with itself.
void settle(std::vector<Candidate>& candidates, const std::string& key) {
  std::map<std::string, std::string> first_with;  // content -> id
  std::set<std::string> ids;
  for (Candidate& candidate : candidates) {
    CatalogEntry& entry = candidate.entry;
    if (entry.verdict == Verdict::Reject) continue;
    if (const auto twin = first_with.find(entry.content_hash); twin != first_with.end()) {
      entry.verdict = Verdict::Reject;
      entry.reasons = {"duplicate of " + twin->second + " (the same voxels)"};
      continue;
    }
    const std::string identity =
        candidate.identity.empty() ? "content\n" + entry.content_hash : candidate.identity;
    entry.id = pseudonym(key, identity);
    if (!ids.insert(entry.id).second) {  // one series in two states, say an edited copy
      entry.id = pseudonym(key, identity + "\n" + entry.content_hash);
      ids.insert(entry.id);
    }
    entry.subject =
        candidate.subject.empty() ? entry.id : pseudonym(key, "subject\n" + candidate.subject);
    first_with[entry.content_hash] = entry.id;
  }
}

}  // namespace

std::string pseudonym(const std::string& key, const std::string& identity) {
  return hmac_sha256_hex(key, identity).substr(0, 16);
}

Survey survey(const std::vector<fs::path>& paths, const std::string& key, int jobs) {
  const Walked found = walk(paths);
  Survey result;
  result.looked_at = static_cast<std::int64_t>(found.files.size());
  std::vector<Looked> looked(found.files.size());
  parallel_for(looked.size(), jobs, [&](std::size_t i) { looked[i] = look(found.files[i]); });
  look_inside_dicom(found.files, jobs, looked);
  std::vector<Candidate> candidates = candidates_of(found, std::move(looked), jobs, result);
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) { return a.entry.files < b.entry.files; });
  Progress progress("scans", static_cast<std::int64_t>(candidates.size()), "scans");
  parallel_for(candidates.size(), jobs, [&](std::size_t i) {
    assess(candidates[i]);
    progress.advance();
  });
  progress.finish();
  settle(candidates, key);
  for (Candidate& candidate : candidates) result.entries.push_back(std::move(candidate.entry));
  return result;
}

}  // namespace homolog::import
