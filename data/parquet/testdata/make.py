# Makes the golden files beside it. Run in this folder with pyarrow 26 and pandas 3; the bytes are kept, not remade in tests.
import numpy as np, pandas as pd, pyarrow as pa, pyarrow.parquet as pq

n = 10
x = (np.arange(4 * n).reshape(n, 4) - 7) / 4
names = ["cat", "dog", None, "zebra é", "cat", "", "cat", "dog", "dog", "cat"]
flat = {t: pa.array(x[:, 0].astype(t)) for t in ["float16", "float32", "float64"]}
flat |= {t: pa.array((np.arange(n) * 3).astype(t) - (0 if t[0] == "u" else 5)) for t in ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"]}
flat["uint64"] = pa.array(np.array([2**63 + 2**40] * n, "u8"))
flat["bool"] = pa.array([i % 3 == 0 for i in range(n)])
flat["name"] = pa.array(names)
flat["categorical"] = pa.array(names).dictionary_encode()
flat["label_float"] = pa.array([1.0, 2.5, None] + [float(i) for i in range(3, n)])
flat["when"] = pa.array(np.arange(n).astype("datetime64[s]"))
flat["null_at_4"] = pa.array([0.0, 1.0, 2.0, None] + [4.0] * (n - 4))
flat["nan_at_6"] = pa.array(np.where(np.arange(n) == 5, np.nan, 1.0))
flat["big_at_2"] = pa.array(np.where(np.arange(n) == 1, 1e300, 1.0))
flat["fixed"] = pa.FixedSizeListArray.from_arrays(pa.array(x.astype("f4").ravel()), 4)
flat["list32"] = pa.array(list(x.astype("f4")))
flat["list64"] = pa.array(list(x))
flat["listint"] = pa.array([[i, -i] for i in range(n)])
flat["ragged_at_3"] = pa.array([[1.0, 2.0], [3.0, 4.0], [5.0], [6.0, 7.0]] + [[0.0, 0.0]] * (n - 4))
flat["long_at_3"] = pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0, 7.0]] + [[0.0, 0.0]] * (n - 3))
flat["empty_at_2"] = pa.array([[1.0, 2.0], []] + [[0.0, 0.0]] * (n - 2), pa.list_(pa.float64()))
flat["nulllist_at_2"] = pa.array([[1.0, 2.0], None] + [[0.0, 0.0]] * (n - 2), pa.list_(pa.float64()))
flat["nullinlist_at_2"] = pa.array([[1.0, 2.0], [None, 1.0]] + [[0.0, 0.0]] * (n - 2))
flat["nested"] = pa.array([[[1.0]]] * n)
flat["struct"] = pa.array([{"a": 1.0}] * n)
table = pa.table(flat)
for codec, dictionary, version in [("none", False, 1), ("none", False, 2), ("none", True, 2), ("snappy", True, 1), ("gzip", False, 1), ("zstd", False, 1)]:
    pq.write_table(table, f"{codec}{'_dict' if dictionary else ''}_v{version}.parquet", compression=codec, use_dictionary=dictionary,
                   data_page_version=f"{version}.0", row_group_size=4, data_page_size=64, write_batch_size=3)
pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}, index=["r1", "r2"]).to_parquet("pandas.parquet")
pq.write_table(pa.table({"a": pa.array([], pa.float32())}), "no_rows.parquet")
