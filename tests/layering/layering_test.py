#!/usr/bin/env python3
"""Every #include "..." against the table of the design (left to right only), and the house's sizes.

Claims: a file includes only modules to the left of its own; ITK, spdlog, Torch, MPI and NCCL show up
only where they may; no file is longer than 300 lines, tests among them, no header of the sources than 120. Before that it breaks
each rule once in memory and sees that it is found.
"""
import os
import re
import sys
from pathlib import Path

ROOT = Path(os.environ.get("HOMOLOG_SOURCE", Path(__file__).resolve().parents[2]))
TREES = ["src", "sharding", "cluster", "launcher", "monitoring"]
LONGEST_FILE, LONGEST_HEADER = 300, 120

# Folder -> module, longest folder first. Apps are composition roots: they may include anything.
FOLDERS = {
    "src/base": "base", "src/volume": "volume", "src/picture": "picture", "src/data": "data", "src/model": "model",
    "src/objective": "objective", "src/train": "train", "src/census": "census", "src/task": "task", "src/apps": "apps",
    "src/dispatch": "apps", "src/demo": "apps", "src/bench": "apps", "src/cmake": "cmake",
    "sharding/import": "import", "sharding/phantom": "phantom", "sharding/match": "match",
    "sharding/store/commands": "store_commands", "sharding/store": "shard_store", "sharding/apps": "apps", "sharding": "shard_build",
    "cluster/topology": "topology", "cluster/comm": "comm", "cluster/plan": "plan", "cluster/doctor": "doctor",
    "cluster/apps": "apps", "cluster": "cluster",
    "launcher/apps": "apps", "launcher": "launcher",
    "monitoring/board": "board", "monitoring/apps": "apps", "monitoring": "monitoring",
}
# Module -> the modules that it may include, beside itself.
DIRECT = {
    "base": [], "cmake": ["base"],
    "volume": ["base"], "picture": ["base"], "topology": ["base"], "board": ["base"], "plan": ["base"], "model": ["base"],
    "shard_store": ["volume"], "store_commands": ["shard_store", "picture"], "import": ["volume"], "phantom": ["volume"],
    "match": ["model", "volume", "picture"], "shard_build": ["shard_store", "import", "match"],
    "data": ["shard_store"], "objective": ["model"],
    "comm": ["topology"], "launcher": ["topology", "board"], "cluster": ["topology"], "doctor": ["base"], "monitoring": ["board"],
    "train": ["data", "objective", "comm", "board"], "task": ["train"],
    "census": ["train", "plan"],
}
TORCH_MODULES = {"model", "objective", "data", "train", "census", "task", "match", "shard_build", "apps", "cmake"}
# Header prefix -> where it may be included.
FOREIGN = [
    (r"(torch|ATen|c10)/", lambda f, m: m in TORCH_MODULES, "Torch in a module that builds without it"),
    (r"itk[A-Z]|gdcm", lambda f, m: f.startswith("sharding/import/") and f.endswith(".cpp"), "ITK outside sharding/import/*.cpp"),
    (r"(spdlog|fmt)/", lambda f, m: f == "src/base/log.cpp", "spdlog or fmt outside src/base/log.cpp"),
    (r"mpi\.h", lambda f, m: m == "comm", "MPI outside cluster/comm"),
    (r"nccl\.h", lambda f, m: f == "cluster/comm/nccl.cpp", "NCCL outside cluster/comm/nccl.cpp"),
    (r"prometheus/|civetweb|CivetServer", lambda f, m: m == "monitoring" or f.startswith("monitoring/"), "prometheus-cpp outside monitoring"),
    (r"hdf5|H5", lambda f, m: m == "shard_store", "HDF5 outside sharding/store"),
    (r"boost/program_options", lambda f, m: m == "base", "Boost.Program_options outside src/base"),
]
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


def allowed(module):
    seen, todo = {module}, [module]
    while todo:
        for left in DIRECT[todo.pop()]:
            if left not in seen:
                seen.add(left)
                todo.append(left)
    return seen


def module_of(path):
    folder = os.path.dirname(path)
    while folder:
        if folder in FOLDERS:
            return FOLDERS[folder]
        folder = os.path.dirname(folder)
    return None


def resolve(name, files):
    """The file in the tree that an include names, seen from the root or from src."""
    for candidate in (name, "src/" + name):
        if candidate in files:
            return candidate
    return None


def check_includes(path, text, files):
    module = module_of(path)
    if module is None:
        yield f"{path}: its folder is in no module; add it to FOLDERS and to the design's table"
        return
    for number, line in enumerate(text.splitlines(), 1):
        found = INCLUDE.match(line)
        if not found:
            continue
        quote, name = found.groups()
        for pattern, may, why in FOREIGN:
            if re.match(pattern, name) and not may(path, module):
                yield f"{path}:{number}: {why} ({name})"
        if quote == "<":
            continue
        if name.startswith("."):
            yield f"{path}:{number}: relative include {name}; write it from the root or from src"
            continue
        target = resolve(name, files)
        if target is None:
            if name != "build_info.h":  # generated
                yield f"{path}:{number}: {name} is not in the tree"
        elif module != "apps" and module_of(target) not in allowed(module):
            yield f"{path}:{number}: {module} must not include {module_of(target)} ({name})"


def check_size(path, text):
    lines = text.count("\n")
    limit = LONGEST_HEADER if path.endswith(".h") and not path.startswith("tests/") else LONGEST_FILE
    if lines > limit:
        yield f"{path}: {lines} lines, at most {limit}"


def check(files):
    for path, text in sorted(files.items()):
        if not path.startswith("tests/"):  # they may include anything
            yield from check_includes(path, text, files)
        yield from check_size(path, text)


def read_tree():
    found = {}
    for tree in TREES + ["tests"]:
        for path in (ROOT / tree).rglob("*"):
            if path.suffix in {".h", ".cpp", ".cu", ".cuh"} or tree == "tests" and path.suffix in {".py", ".sh"}:
                found[path.relative_to(ROOT).as_posix()] = path.read_text()
    return found


def self_test():
    sound = {"src/base/a.h": "#pragma once\n", "cluster/topology/b.h": '#include "base/a.h"\n', "src/model/m.h": '#include <torch/types.h>\n'}
    assert not list(check(sound)), list(check(sound))
    broken = {
        "base includes rightwards": ("src/base/x.cpp", '#include "cluster/topology/b.h"\n'),
        "objective knows comm": ("src/objective/x.cpp", '#include "cluster/topology/b.h"\n'),
        "launcher knows training": ("launcher/x.cpp", '  # include "model/m.h"\n'),
        "Torch in a tool": ("launcher/x.h", "#include <torch/torch.h>\n"),
        "ITK in a header": ("sharding/import/x.h", "#include <itkImage.h>\n"),
        "spdlog elsewhere": ("src/base/x.cpp", "#include <spdlog/spdlog.h>\n"),
        "MPI elsewhere": ("src/train/x.cpp", "#include <mpi.h>\n"),
        "no such file": ("src/base/x.cpp", '#include "base/nothing.h"\n'),
        "long header": ("src/base/x.h", "\n" * 121),
        "long file": ("src/base/x.cpp", "\n" * 301),
        "long test": ("tests/unit/base/x_test.cpp", "\n" * 301),
        "unknown folder": ("src/utils/x.h", "\n"),
    }
    for what, (path, text) in broken.items():
        assert len(list(check(sound | {path: text}))) == 1, what


def main():
    self_test()
    files = read_tree()
    problems = list(check(files))
    if len(files) < 50:
        problems.append(f"only {len(files)} files found under {ROOT}: is this the source tree?")
    print("\n".join(problems) or f"{len(files)} files keep to the table")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
