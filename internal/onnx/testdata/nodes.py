"""The ONNX project's own node tests (Apache-2.0), as the onnx package generates them, for the operators listed here.

    python nodes.py nodes.tar.gz

Each test is NAME/model.onnx, NAME/input_0.pb …, NAME/output_0.pb …; those above 3 kB are left out, and those in which
another thing than tensors of floats, doubles, whole numbers or truth values enters. An operator that newer sets only gave more element types
is moved to set 21. Two graphs with seeded weights are added, their outputs by onnxruntime.
"""
import gzip, io, sys, tarfile, warnings
import numpy as np, onnx, onnxruntime
from onnx import helper, numpy_helper, TensorProto
from onnx.backend.test.loader import load_model_tests

warnings.filterwarnings("ignore")
OPERATORS = """Conv Gemm MatMul MaxPool AveragePool GlobalAveragePool GlobalMaxPool BatchNormalization LayerNormalization GroupNormalization
InstanceNormalization Softmax LogSoftmax LSTM Relu Sigmoid Tanh Erf Exp Log Sqrt Abs Floor Ceil Sin Cos Neg Reciprocal Softplus Softsign Mish
HardSwish Gelu LeakyRelu Elu HardSigmoid Clip PRelu Add Sub Mul Div Pow Min Max Equal Less LessOrEqual Greater GreaterOrEqual And Or Not Where
Cast Reshape Flatten Squeeze Unsqueeze Identity Dropout Transpose Expand Concat Slice Split Gather Pad Shape Constant ConstantOfShape Range
ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare Tile CumSum Sum Round Sign""".split()
KINDS = {"float32", "float64", "int64", "int32", "int8", "uint8", "int16", "uint16", "uint32", "bool"}
packed = gzip.GzipFile(sys.argv[1], "wb", 9, mtime=0)
archive = tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT)


def put(name, raw):
    entry = tarfile.TarInfo(name)
    entry.size = len(raw)
    archive.addfile(entry, io.BytesIO(raw))


def add(name, model, inputs, outputs):
    put(f"{name}/model.onnx", model.SerializeToString())
    for kind, arrays in (("input", inputs), ("output", outputs)):
        for i, a in enumerate(arrays):
            put(f"{name}/{kind}_{i}.pb", numpy_helper.from_array(np.asarray(a)).SerializeToString())


for case in sorted(load_model_tests(kind="node"), key=lambda c: c.name):
    m = case.model
    ops = {n.op_type for n in m.graph.node}
    if not ops <= set(OPERATORS) or len(m.graph.node) != 1 or "_expanded" in case.name:
        continue
    inputs, outputs = case.data_sets[0]
    if any(not isinstance(a, (np.ndarray, np.generic)) or str(a.dtype) not in KINDS for a in list(inputs) + list(outputs)):
        continue
    version = m.opset_import[0].version
    if version > 21:
        m.opset_import[0].version = 21
    elif version < 13:
        if onnx.defs.get_schema(m.graph.node[0].op_type, 13).since_version != version:
            continue
        m.opset_import[0].version = 13
    if m.ByteSize() + sum(a.nbytes for a in list(inputs) + list(outputs)) < 3000:
        add(case.name, m, inputs, outputs)

r = np.random.default_rng(1993)
W = lambda name, *shape: numpy_helper.from_array((r.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32), name)
I = lambda name, *v: numpy_helper.from_array(np.array(v, np.int64), name)
N = helper.make_node


def whole(name, nodes, weights, inputs, outputs, feeds):
    g = helper.make_graph(nodes, name, [helper.make_tensor_value_info(*i) for i in inputs], [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in outputs], weights)
    m = helper.make_model(g, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    s = onnxruntime.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"])
    add(name, m, feeds, s.run(None, dict(zip([i[0] for i in inputs], feeds))))


# A block of a text encoder, written as exporters write it: sizes asked for at run time, a mask from whole numbers.
D, H, V = 16, 4, 30
whole("whole_encoder", [
    N("Gather", ["words", "input_ids"], ["e0"]),
    N("Shape", ["input_ids"], ["s"]), N("Gather", ["s", "one"], ["length"], axis=0), N("Unsqueeze", ["length", "zero1"], ["length1"]),
    N("Slice", ["places", "zero1", "length1", "zero1"], ["p"]), N("Gather", ["where", "p"], ["e1"]), N("Add", ["e0", "e1"], ["e"]),
    N("LayerNormalization", ["e", "g", "b"], ["x"], axis=-1, epsilon=1e-12),
    N("Unsqueeze", ["attention_mask", "axes12"], ["m0"]), N("Cast", ["m0"], ["m1"], to=1), N("Sub", ["onef", "m1"], ["m2"]), N("Mul", ["m2", "low"], ["m"]),
    *[n for k in "qkv" for n in (N("MatMul", ["x", "w" + k], [k + "0"]), N("Add", [k + "0", "b" + k], [k + "1"]), N("Reshape", [k + "1", "heads"], [k + "2"]),
                                 N("Transpose", [k + "2"], [k + "3"], perm=[0, 2, 3, 1] if k == "k" else [0, 2, 1, 3]))],
    N("MatMul", ["q3", "k3"], ["a0"]), N("Div", ["a0", "two"], ["a1"]), N("Add", ["a1", "m"], ["a2"]), N("Softmax", ["a2"], ["a"], axis=-1),
    N("MatMul", ["a", "v3"], ["c0"]), N("Transpose", ["c0"], ["c1"], perm=[0, 2, 1, 3]), N("Reshape", ["c1", "joined"], ["c"]),
    N("Add", ["c", "x"], ["y0"]), N("MatMul", ["y0", "w1"], ["f0"]), N("Div", ["f0", "root2"], ["f1"]), N("Erf", ["f1"], ["f2"]), N("Add", ["f2", "onef"], ["f3"]),
    N("Mul", ["f0", "f3"], ["f4"]), N("Mul", ["f4", "half"], ["f5"]), N("MatMul", ["f5", "w2"], ["f6"]), N("Add", ["f6", "y0"], ["y1"]),
    N("ReduceMean", ["y1"], ["mu"], axes=[-1]), N("Sub", ["y1", "mu"], ["dev"]), N("Pow", ["dev", "twof"], ["sq"]), N("ReduceMean", ["sq"], ["var"], axes=[-1]),
    N("Sqrt", ["var"], ["sd"]), N("Div", ["dev", "sd"], ["out"])],
    [W("words", V, D), W("where", 12, D), W("wq", D, D), W("wk", D, D), W("wv", D, D), W("bq", D), W("bk", D), W("bv", D), W("w1", D, 4 * D), W("w2", 4 * D, D), W("g", D), W("b", D),
     numpy_helper.from_array(np.array(1, np.int64), "one"), I("zero1", 0), I("axes12", 1, 2), I("heads", 0, -1, H, D // H), I("joined", 0, -1, D), I("places", *range(12)),
     *[numpy_helper.from_array(np.float32(v), n) for n, v in (("onef", 1), ("low", -3.4e38), ("two", 2), ("root2", np.sqrt(2)), ("half", 0.5), ("twof", 2))]],
    [("input_ids", TensorProto.INT64, ["n", "t"]), ("attention_mask", TensorProto.INT64, ["n", "t"])], ["out"],
    [r.integers(0, V, (2, 7)), np.array([[1] * 7, [1] * 4 + [0] * 3])])

# A residual image encoder: grouped and depthwise convolutions, normalisations to fold, clipped activations.
whole("whole_images", [
    N("Conv", ["x", "w1"], ["c1"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), N("BatchNormalization", ["c1", "g1", "b1", "m1", "v1"], ["n1"]), N("Relu", ["n1"], ["r1"]),
    N("Conv", ["r1", "w2", "b2"], ["c2"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=8), N("BatchNormalization", ["c2", "g1", "b1", "m1", "v1"], ["n2"], epsilon=1e-3), N("Clip", ["n2", "lo", "hi"], ["r2"]),
    N("Conv", ["r2", "w3"], ["c3"], kernel_shape=[1, 1]), N("Add", ["c3", "r1"], ["s"]), N("Relu", ["s"], ["r3"]),
    N("Conv", ["r3", "w4"], ["c4"], kernel_shape=[3, 3], group=2, dilations=[2, 2], pads=[2, 1, 2, 3]), N("HardSwish", ["c4"], ["h"]),
    N("MaxPool", ["h"], ["p"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), N("GlobalAveragePool", ["p"], ["q"]), N("Flatten", ["q"], ["f"]), N("Gemm", ["f", "w5", "b5"], ["out"], transB=1)],
    [W("w1", 8, 3, 3, 3), W("w2", 8, 1, 3, 3), W("b2", 8), W("w3", 8, 8, 1, 1), W("w4", 8, 4, 3, 3), W("w5", 5, 8), W("b5", 5), W("g1", 8), W("b1", 8), W("m1", 8),
     numpy_helper.from_array(r.uniform(0.5, 2, 8).astype(np.float32), "v1"), numpy_helper.from_array(np.float32(0), "lo"), numpy_helper.from_array(np.float32(6), "hi")],
    [("x", TensorProto.FLOAT, ["n", 3, 15, 18])], ["out", "r3"], [r.standard_normal((2, 3, 15, 18)).astype(np.float32)])
archive.close()
packed.close()
