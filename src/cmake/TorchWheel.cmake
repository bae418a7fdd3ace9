# LibTorch, CUDA runtime headers and NCCL from the Python wheels, without find_package(Torch): an
# imported target over the shared libraries configures in a second and works without nvcc.
execute_process(COMMAND ${HOMOLOG_PYTHON} -c
                "import importlib.util as u,os;print(os.path.dirname(u.find_spec('torch').origin))"
                OUTPUT_VARIABLE TORCH_DIR OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE _rc)
if(_rc)
  message(FATAL_ERROR "No torch wheel for ${HOMOLOG_PYTHON}: run ./run setup, or set HOMOLOG_PYTHON, "
                      "or build the preset `tools`, which needs no LibTorch.")
endif()
get_filename_component(SITE_PACKAGES ${TORCH_DIR} DIRECTORY)

add_library(homolog_libtorch INTERFACE)
target_include_directories(homolog_libtorch SYSTEM INTERFACE
  ${TORCH_DIR}/include ${TORCH_DIR}/include/torch/csrc/api/include)
target_link_directories(homolog_libtorch INTERFACE ${TORCH_DIR}/lib)
target_link_options(homolog_libtorch INTERFACE -Wl,-rpath,${TORCH_DIR}/lib)
# libstdc++ comes first: the wheel's libtorch.so exports parts of std::filesystem of its own, which
# crash (remove_all jumps to a null symbol) when the loader finds them before the system's.
target_link_libraries(homolog_libtorch INTERFACE stdc++ ${TORCH_DIR}/lib/libtorch.so
  ${TORCH_DIR}/lib/libtorch_cpu.so ${TORCH_DIR}/lib/libc10.so)

if(HOMOLOG_CUDA)
  # Without an installed toolkit: the compiler from the wheels (cluster/requirements-nvcc.txt).
  if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
    find_program(HOMOLOG_NVCC nvcc HINTS /usr/local/cuda/bin ${SITE_PACKAGES}/nvidia/cu13/bin REQUIRED)
    set(CMAKE_CUDA_COMPILER ${HOMOLOG_NVCC})
  endif()
  if(NOT CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80-real 90)
  endif()
  enable_language(CUDA)
  set(CMAKE_CUDA_STANDARD 17)
  if(NOT TARGET CUDA::nvToolsExt)  # gone from CUDA 13; CMake 3.25 insists on it
    add_library(CUDA::nvToolsExt INTERFACE IMPORTED)
  endif()
  find_package(CUDAToolkit REQUIRED)
  target_link_libraries(homolog_libtorch INTERFACE -Wl,--no-as-needed
    ${TORCH_DIR}/lib/libtorch_cuda.so ${TORCH_DIR}/lib/libc10_cuda.so -Wl,--as-needed)
  target_include_directories(homolog_libtorch SYSTEM INTERFACE ${CUDAToolkit_INCLUDE_DIRS})
endif()

# Compile a target against LibTorch, with its big headers precompiled once and shared.
add_library(homolog_torch_pch STATIC ${CMAKE_SOURCE_DIR}/src/cmake/torch_pch.cpp)
target_link_libraries(homolog_torch_pch PUBLIC homolog_flags homolog_libtorch)
# Not torch/torch.h: each file that reuses it would instantiate every module of torch::nn (9 s a file).
set(HOMOLOG_TORCH_HEADERS <torch/types.h> <torch/utils.h> <torch/nn/module.h>)
target_precompile_headers(homolog_torch_pch PRIVATE ${HOMOLOG_TORCH_HEADERS})
# homolog_torch(TARGET [PRECOMPILED]): PRECOMPILED holds the precompiled headers, homolog_torch_pch if not said.
function(homolog_torch target)
  set(precompiled homolog_torch_pch)
  if(ARGC GREATER 1)
    set(precompiled ${ARGV1})
  endif()
  target_link_libraries(${target} PUBLIC homolog_libtorch)
  target_precompile_headers(${target} REUSE_FROM ${precompiled})
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "EXECUTABLE")  # -fPIE would make the compiler refuse the precompiled header
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${target} PRIVATE -fPIC)
  endif()
endfunction()

# The communicator's back-ends: a missing one is a linked stub, never an #ifdef in the code.
function(homolog_comm_backends target)
  get_target_property(sources ${target} SOURCES)
  if(HOMOLOG_CUDA)
    list(FILTER sources EXCLUDE REGEX "/no_nccl\\.cpp$")
    set_property(TARGET ${target} PROPERTY SOURCES ${sources})
    list(TRANSFORM CUDAToolkit_INCLUDE_DIRS APPEND /cccl OUTPUT_VARIABLE cuda_includes)
    # CUDA 13 keeps nv/target, which its own cuda_fp16.h includes, below cccl/.
    target_include_directories(${target} SYSTEM PRIVATE ${SITE_PACKAGES}/nvidia/nccl/include
                               ${cuda_includes})
    target_link_libraries(${target} PRIVATE ${SITE_PACKAGES}/nvidia/nccl/lib/libnccl.so.2 CUDA::cudart)
    target_link_options(${target} PUBLIC -Wl,-rpath,${SITE_PACKAGES}/nvidia/nccl/lib)
  else()
    list(FILTER sources EXCLUDE REGEX "/nccl\\.cpp$")
    set_property(TARGET ${target} PROPERTY SOURCES ${sources})
  endif()
  target_compile_definitions(${target} PRIVATE OMPI_SKIP_MPICXX=1)
endfunction()
