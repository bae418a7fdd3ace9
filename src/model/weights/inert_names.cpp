#include "model/weights/inert_names.h"

#include <map>
#include <set>

namespace homolog::model {
namespace {

// What torch.save writes for tensors and for plain values of its own.
constexpr const char* kTorch[] = {"torch._utils._rebuild_tensor",
                                  "torch._utils._rebuild_tensor_v2",
                                  "torch._utils._rebuild_parameter",
                                  "torch._utils._rebuild_parameter_with_state",
                                  "torch._tensor._rebuild_from_type_v2",
                                  "torch.Tensor",
                                  "torch.nn.parameter.Parameter",
                                  "monai.data.meta_tensor.MetaTensor",
                                  "torch.Size",
                                  "torch.device",
                                  "torch.torch_version.TorchVersion",
                                  "torch.float32",
                                  "torch.float64",
                                  "torch.float16",
                                  "torch.bfloat16",
                                  "torch.int64",
                                  "torch.int32",
                                  "torch.int16",
                                  "torch.int8",
                                  "torch.uint8",
                                  "torch.bool"};

// NumPy's numbers and arrays, and what they are made of.
constexpr const char* kNumpy[] = {"numpy.core.multiarray.scalar",
                                  "numpy._core.multiarray.scalar",
                                  "numpy.core.multiarray._reconstruct",
                                  "numpy._core.multiarray._reconstruct",
                                  "numpy.core.numeric._frombuffer",
                                  "numpy._core.numeric._frombuffer",
                                  "numpy.ndarray",
                                  "numpy.dtype",
                                  "numpy.float64",
                                  "numpy.float32",
                                  "numpy.float16",
                                  "numpy.int64",
                                  "numpy.int32",
                                  "numpy.uint8",
                                  "numpy.bool_",
                                  "_codecs.encode"};

// Python's plain types, times and paths; in Python 2 they were of __builtin__.
constexpr const char* kPython[] = {"builtins.set",
                                   "builtins.frozenset",
                                   "builtins.list",
                                   "builtins.dict",
                                   "builtins.tuple",
                                   "builtins.int",
                                   "builtins.float",
                                   "builtins.complex",
                                   "builtins.bool",
                                   "builtins.str",
                                   "builtins.bytes",
                                   "builtins.bytearray",
                                   "builtins.range",
                                   "builtins.slice",
                                   "__builtin__.set",
                                   "__builtin__.frozenset",
                                   "__builtin__.list",
                                   "__builtin__.dict",
                                   "__builtin__.tuple",
                                   "__builtin__.int",
                                   "__builtin__.long",
                                   "__builtin__.float",
                                   "__builtin__.complex",
                                   "__builtin__.bool",
                                   "__builtin__.str",
                                   "__builtin__.unicode",
                                   "__builtin__.bytearray",
                                   "__builtin__.slice",
                                   "__builtin__.xrange",
                                   "collections.OrderedDict",
                                   "collections.defaultdict",
                                   "collections.Counter",
                                   "collections.deque",
                                   "datetime.datetime",
                                   "datetime.date",
                                   "datetime.time",
                                   "datetime.timedelta",
                                   "datetime.timezone",
                                   "argparse.Namespace",
                                   "types.SimpleNamespace",
                                   "uuid.UUID",
                                   "decimal.Decimal",
                                   "fractions.Fraction",
                                   "pathlib.Path",
                                   "pathlib.PosixPath",
                                   "pathlib.WindowsPath",
                                   "pathlib.PurePosixPath",
                                   "pathlib.PureWindowsPath",
                                   "pathlib._local.Path",
                                   "pathlib._local.PosixPath",
                                   "pathlib._local.WindowsPath",
                                   "pathlib._local.PurePosixPath",
                                   "pathlib._local.PureWindowsPath"};

// Settings and logs that training frameworks keep beside the weights.
constexpr const char* kSettings[] = {"addict.addict.Dict",
                                     "easydict.EasyDict",
                                     "yacs.config.CfgNode",
                                     "mmcv.utils.config.ConfigDict",
                                     "mmengine.config.config.ConfigDict",
                                     "mmengine.logging.history_buffer.HistoryBuffer",
                                     "pytorch_lightning.utilities.parsing.AttributeDict",
                                     "lightning_fabric.utilities.data.AttributeDict",
                                     "lightning.fabric.utilities.data.AttributeDict",
                                     "omegaconf.dictconfig.DictConfig",
                                     "omegaconf.listconfig.ListConfig",
                                     "omegaconf.base.ContainerMetadata",
                                     "omegaconf.base.Metadata",
                                     "omegaconf.nodes.AnyNode",
                                     "typing.Any"};

std::set<std::string> all() {
  std::set<std::string> names(std::begin(kTorch), std::end(kTorch));
  names.insert(std::begin(kNumpy), std::end(kNumpy));
  names.insert(std::begin(kPython), std::end(kPython));
  names.insert(std::begin(kSettings), std::end(kSettings));
  return names;
}

}  // namespace

std::string unsupported_tensor(const std::string& global) {
  static const std::map<std::string, std::string> names = {
      {"torch._utils._rebuild_meta_tensor_no_storage",
       "a tensor of the meta device, which has no numbers"},
      {"torch._utils._rebuild_sparse_tensor", "a sparse tensor"},
      {"torch._utils._rebuild_sparse_csr_tensor", "a sparse tensor"},
      {"torch._utils._rebuild_nested_tensor", "a nested tensor"},
      {"torch._utils._rebuild_qtensor", "a quantised tensor"},
      {"torch._utils._rebuild_tensor_v3", "a tensor of a type like float8 or uint16"},
      {"torch._utils._rebuild_wrapper_subclass", "a tensor of a class of its own"},
      {"torch._utils._rebuild_device_tensor_from_numpy", "a tensor of another device"},
      {"torch._utils._rebuild_device_tensor_from_cpu_tensor", "a tensor of another device"},
      {"torch.ComplexFloatStorage", "a tensor of complex numbers"},
      {"torch.ComplexDoubleStorage", "a tensor of complex numbers"},
      {"torch.QInt8Storage", "a quantised tensor"},
      {"torch.QUInt8Storage", "a quantised tensor"},
      {"torch.QInt32Storage", "a quantised tensor"}};
  const auto found = names.find(global);
  return found == names.end() ? "" : found->second;
}

bool is_inert(const std::string& global) {
  static const std::set<std::string> names = all();
  return names.contains(global);
}

}  // namespace homolog::model
