"""Asks a server as users of Triton do: python triton.py HTTP GRPC MODEL COLUMNS prints one line of JSON for each way.

Needs: pip install 'tritonclient[http,grpc]'
"""
import json
import sys

import numpy
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

http, grpc, name, columns = sys.argv[1:4] + [int(sys.argv[4])]
rows = (numpy.arange(3 * columns).reshape(3, columns) % 7 / 4).astype(numpy.float32)
types = {"FP16": numpy.float16, "FP32": numpy.float32, "FP64": numpy.float64}
wanted = ["ood_score", "p_value", "accept", "label", "probability"]


def ask(way, module, client, datatype, binary=None, **more):
    how = {} if binary is None else {"binary_data": binary}
    x = module.InferInput("input", list(rows.shape), datatype)
    x.set_data_from_numpy(rows.astype(types[datatype]), **how)
    outputs = [module.InferRequestedOutput(o, **how) for o in wanted]
    answer = client.infer(name, [x], outputs=outputs, request_id="7", **more)
    values = {o: answer.as_numpy(o).tolist() for o in wanted}
    values["label"] = [v.decode() if isinstance(v, bytes) else v for v in values["label"]]
    print(json.dumps({"way": way, "datatype": datatype, **values}))


for module, client in ((tritonclient.http, tritonclient.http.InferenceServerClient(http)), (tritonclient.grpc, tritonclient.grpc.InferenceServerClient(grpc))):
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(name)
    metadata = client.get_model_metadata(name)
    first = metadata["inputs"][0]["shape"] if module is tritonclient.http else metadata.inputs[0].shape
    assert [int(v) for v in first] == [-1, columns], metadata
    try:
        client.infer("nothing", [])
        raise SystemExit("a model that is not there answers")
    except InferenceServerException as e:
        assert "not found" in e.message(), e
    for datatype in types:
        if module is tritonclient.grpc:
            ask("grpc", module, client, datatype)
            continue
        ask("http, binary", module, client, datatype, True)
        ask("http, binary, gzip", module, client, datatype, True, request_compression_algorithm="gzip")
        ask("http, binary, deflate", module, client, datatype, True, request_compression_algorithm="deflate")
        if datatype != "FP16":  # which JSON does not hold
            ask("http, JSON", module, client, datatype, False)
    if module is tritonclient.grpc:
        ask("grpc, gzip", module, client, "FP32", compression_algorithm="gzip")
