// The files of monitoring/page, compiled in (src/cmake/Homolog.cmake, homolog_embed), so that the
// monitor is one program that finds its page wherever it lies.
#pragma once

#include <string_view>
#include <vector>

namespace homolog::monitoring {

struct PageFile {
  std::string_view name;  // "page.css"
  std::string_view text;
};
const std::vector<PageFile>& page_files();

}  // namespace homolog::monitoring
