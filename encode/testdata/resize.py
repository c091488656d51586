"""Sizes of a patterned picture by Pillow (bytes) and by ONNX's Resize (floats, by onnxruntime, which does what PyTorch and TensorFlow do).

    python resize.py > resize.json

The picture is 7 rows of 10 pixels; byte (37y + 53x + 101c + 17·x·y) mod 256 at row y, column x, channel c.
"""
import json
import numpy as np, onnx, onnxruntime, PIL
from PIL import Image
from onnx import helper, TensorProto

y, x, c = np.mgrid[:7, :10, :3]
picture = ((37 * y + 53 * x + 101 * c + 17 * x * y) % 256).astype(np.uint8)
sizes = [(3, 4), (7, 5), (14, 21), (5, 13), (4, 10)]
out = {"made by": f"resize.py, Pillow {PIL.__version__}, onnxruntime {onnxruntime.__version__}"}
for name, kind in [("box", Image.BOX), ("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC), ("lanczos", Image.LANCZOS)]:
    for h, w in sizes:
        out[f"pillow-{name} {h} {w}"] = np.asarray(Image.fromarray(picture).resize((w, h), kind)).reshape(-1).tolist()
for h, w in sizes:
    out[f"nearest {h} {w}"] = np.asarray(Image.fromarray(picture).resize((w, h), Image.NEAREST)).reshape(-1).tolist()
gray = np.asarray(Image.fromarray(picture).convert("L")).reshape(-1)
out["gray"] = gray.tolist()


def resized(h, w, **how):
    node = helper.make_node("Resize", ["x", "", "", "s"], ["y"], coordinate_transformation_mode="half_pixel", **how)
    g = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 7, 10])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
                          [helper.make_tensor("s", TensorProto.INT64, [4], [1, 3, h, w])])
    m = helper.make_model(g, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    s = onnxruntime.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"])
    v = s.run(None, {"x": picture.transpose(2, 0, 1)[None].astype(np.float32)})[0][0].transpose(1, 2, 0)
    return [round(float(f), 3) for f in v.reshape(-1)]


for h, w in sizes:
    out[f"bilinear {h} {w}"] = resized(h, w, mode="linear")
    out[f"bicubic {h} {w}"] = resized(h, w, mode="cubic", cubic_coeff_a=-0.75)
    out[f"tensorflow-bicubic {h} {w}"] = resized(h, w, mode="cubic", cubic_coeff_a=-0.5, exclude_outside=1)
    out[f"bilinear-antialias {h} {w}"] = resized(h, w, mode="linear", antialias=1, exclude_outside=1)
    out[f"bicubic-antialias {h} {w}"] = resized(h, w, mode="cubic", cubic_coeff_a=-0.5, antialias=1, exclude_outside=1)
print("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in out.items()) + "\n}")
