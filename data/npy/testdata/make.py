# Makes the golden files beside it. Run in this folder with numpy 2.4 and ml_dtypes 0.5; the bytes are kept, not remade in tests.
import numpy as np, ml_dtypes
from numpy.lib import format

a = {}
for kind in ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]:
    for order in ["<", ">"]:
        for layout in "CF":
            x = np.arange(12).reshape(3, 4) - (0 if kind[0] == "u" else 5)
            x = x / 4 if kind[0] == "f" else x
            a[f"{kind}{'le' if order == '<' else 'be'}{layout}"] = np.array(x, dtype=order + kind, order=layout)
a["bool"] = np.array([[True, False], [False, True], [True, True]])
a["cube_C"] = np.arange(24, dtype="<i2").reshape(3, 2, 4)
a["cube_F"] = np.array(a["cube_C"], order="F")
a["names_U"] = np.array(["cat", "", "zebra é"])
a["names_Ube"] = np.array(["cat", "", "zebra é"], dtype=">U7")
a["names_S"] = np.array([b"cat", b"", b"dog"])
a["y_int"] = np.array([2, -1, 10])
a["y_float"] = np.array([1.0, 0.5, np.nan])
a["y_column"] = np.array([[7], [8], [9]], dtype="u1")
np.savez_compressed("types.npz", **a)
np.savez("stored.npz", X=a["f4leC"], F=a["f8leF"], y=a["names_U"])
np.save("brain.npy", np.array([[1.5, -2], [0.0078125, 3e38]], dtype=ml_dtypes.bfloat16))
with open("version2.npy", "wb") as f:
    format.write_array(f, a["f4leC"], version=(2, 0))
with open("version3.npy", "wb") as f:
    format.write_array(f, a["f4leC"], version=(3, 0))
np.save("fortran.npy", a["f4leF"])
np.save("records.npy", np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f4")]))
np.save("objects.npy", np.array([{}, None], dtype=object), allow_pickle=True)
np.save("complex.npy", np.array([1j]))
