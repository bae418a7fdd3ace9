# homolog_library, homolog_program, homolog_catalog: one call per node of the dependency graph.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(homolog_flags INTERFACE)
target_compile_options(homolog_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wno-unknown-pragmas>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 sees overlaps inside std::string's operator+ that are not there (GCC bug 105651).
  target_compile_options(homolog_flags INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict -Wno-stringop-overflow -Wno-array-bounds>)
endif()
target_include_directories(homolog_flags INTERFACE
  ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
if(HOMOLOG_SANITIZE)
  set(_san ${HOMOLOG_SANITIZE})
  if(_san STREQUAL "address")
    set(_san "address,undefined")
  endif()
  target_compile_options(homolog_flags INTERFACE -fsanitize=${_san} -fno-omit-frame-pointer -g)
  target_link_options(homolog_flags INTERFACE -fsanitize=${_san})
endif()

# What `--version` and `--build-info` print; the commit is read when CMake configures.
execute_process(COMMAND git -C ${CMAKE_SOURCE_DIR} rev-parse --short=12 HEAD
                OUTPUT_VARIABLE HOMOLOG_COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT HOMOLOG_COMMIT)
  set(HOMOLOG_COMMIT unknown)
endif()
configure_file(${CMAKE_SOURCE_DIR}/src/cmake/build_info.h.in ${CMAKE_BINARY_DIR}/generated/build_info.h)

# homolog_library(NAME FOLDER… [TORCH] [CUDA] LINK… PRIVATE…): static library homolog_NAME of the
# .cpp files of its folders (and of the .cu files, or of the *_no_cuda.cpp stubs in their place).
function(homolog_library name)
  cmake_parse_arguments(A "TORCH;CUDA" "" "LINK;PRIVATE" ${ARGN})
  set(target homolog_${name})
  set(sources)
  foreach(folder ${A_UNPARSED_ARGUMENTS})
    file(GLOB found CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cpp)
    list(APPEND sources ${found})
    if(A_CUDA AND HOMOLOG_CUDA)
      list(FILTER sources EXCLUDE REGEX "_no_cuda\\.cpp$")
      file(GLOB found CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cu)
      list(APPEND sources ${found})
    endif()
  endforeach()
  if(NOT sources)
    file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/empty.cpp CONTENT "// A module with headers only.\n")
    set(sources ${CMAKE_BINARY_DIR}/generated/empty.cpp)
  endif()
  add_library(${target} STATIC ${sources})
  target_link_libraries(${target} PUBLIC homolog_flags ${A_LINK} PRIVATE ${A_PRIVATE})
  if(A_TORCH)
    homolog_torch(${target})
  endif()
  if(A_CUDA AND HOMOLOG_CUDA)
    target_link_libraries(${target} PUBLIC CUDA::cudart)
  endif()
endfunction()

# homolog_vectors(SOURCE FLAG…): a file compiled for processors that have what the flags say; which of
# such files runs is decided at run time. Precompiled headers were compiled without the flags.
function(homolog_vectors source)
  set_source_files_properties(${source} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${ARGN}")
  endif()
endfunction()

# homolog_keeps_pages(PROGRAM): tcmalloc in place of glibc's malloc, told to keep what a step gives
# back. Sanitizers bring an allocator of their own.
function(homolog_keeps_pages name)
  if(HOMOLOG_SANITIZE)
    return()
  endif()
  target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/src/apps/kept_pages.cpp)
  target_link_libraries(${name} PRIVATE -Wl,--push-state,--no-as-needed ${TCMALLOC_LIBRARY} -Wl,--pop-state)
endfunction()

# homolog_program(NAME SOURCE [TORCH] [KEEPS_PAGES] LINK…): one composition root. KEEPS_PAGES: it
# trains.
function(homolog_program name source)
  cmake_parse_arguments(A "TORCH;KEEPS_PAGES" "" "LINK" ${ARGN})
  if(NOT EXISTS ${CMAKE_SOURCE_DIR}/${source})
    message(STATUS "${name}: ${source} is missing")
    return()
  endif()
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE ${A_LINK})
  if(A_TORCH)
    homolog_torch(${name})
  endif()
  if(A_KEEPS_PAGES)
    homolog_keeps_pages(${name})
  endif()
endfunction()

# homolog_catalog(TARGET KIND FOLDER): every FOLDER/x.cpp that defines `homolog::KIND::x::entry` is
# listed in a generated table, so that a new one is one new file and no list elsewhere is edited.
function(homolog_catalog target kind folder)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cpp)
  set(externs "")
  set(rows "")
  foreach(file ${files})
    get_filename_component(stem ${file} NAME_WE)
    string(APPEND externs "namespace ${stem} { extern const Entry entry; }\n")
    string(APPEND rows "      &${stem}::entry,\n")
  endforeach()
  set(out ${CMAKE_BINARY_DIR}/generated/${kind}_catalog.cpp)
  string(REPLACE "homolog_" "" module ${target})
  file(CONFIGURE OUTPUT ${out} CONTENT
"// Generated from the files in ${folder}.
#include \"${module}/${kind}_entry.h\"
namespace homolog::${kind} {
${externs}
std::vector<const Entry*> catalog() {
  return {
${rows}  };
}
}
")
  target_sources(${target} PRIVATE ${out})
endfunction()

# homolog_embed(TARGET HEADER FUNCTION FOLDER): compiles the files of FOLDER into TARGET, as the table
# {name, text} that HEADER declares; a change of a file configures again.
function(homolog_embed target header function folder)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*)
  set(rows "")
  foreach(file ${files})
    get_filename_component(name ${file} NAME)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    file(READ ${file} text)
    string(APPEND rows "      {\"${name}\", R\"~~~~(${text})~~~~\"},\n")
  endforeach()
  set(out ${CMAKE_BINARY_DIR}/generated/${target}_files.cpp)
  file(GENERATE OUTPUT ${out} CONTENT
"// Generated from the files in ${folder}.
#include \"${header}\"
const std::vector<homolog::monitoring::PageFile>& ${function}() {
  static const std::vector<homolog::monitoring::PageFile> files = {
${rows}  };
  return files;
}
")
  target_sources(${target} PRIVATE ${out})
endfunction()
