# Makes the golden files beside it. Run in this folder with safetensors 0.8, numpy 2.4 and ml_dtypes 0.5; the bytes are kept.
import numpy as np, ml_dtypes
from safetensors.numpy import save_file

save_file({n: np.arange(6, dtype="f4").reshape(2, 3) + i for i, n in enumerate(["b.weight", "a", "é", "empty"])} | {"empty": np.zeros((0, 4), "f4"), "scalar": np.array(2.5, "f4")}, "one_type.safetensors")
types = {t: np.arange(3).astype(t) for t in ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"]}
types["bf16"] = np.arange(3).astype(ml_dtypes.bfloat16)
save_file(types, "types.safetensors", metadata={"format": "np", "note": "<&> é \" \\"})
