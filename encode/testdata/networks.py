"""Logits and features of real networks on patterned images, by plain NumPy in float64.

    python networks.py ../../../shared/data/weights > networks.json

Image k has the byte (7y + 13x + 29c + 31k + xy mod 11) mod 256 at row y, column x, channel c. Nothing here shares code with the
product: convolutions are sums over windows, batch normalisation is not folded.
"""
import json, struct, sys
import numpy as np

folder = sys.argv[1]


def tensors(name):
    raw = open(f"{folder}/{name}.safetensors", "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    kinds = {"F32": "<f4", "U8": "u1", "I32": "<i4"}
    return {k: np.frombuffer(raw[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]], kinds[v["dtype"]]).reshape(v["shape"]).astype(np.float64)
            for k, v in json.loads(raw[8:8 + n]).items() if k != "__metadata__"}


def image(k, h, w, c=3):
    y, x, ch = np.mgrid[:h, :w, :c]
    return ((7 * y + 13 * x + 29 * ch + 31 * k + x * y % 11) % 256).astype(np.float64)


def windows(x, kh, kw, s, pads, fill=0.0):
    x = np.pad(x, (pads[0], pads[1], (0, 0)), constant_values=fill)
    v = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(0, 1))
    return v[::s, ::s]  # H, W, C, kh, kw


def same(n, k, s):
    p = max(0, (-(-n // s) - 1) * s + k - n)
    return (p // 2, p - p // 2)


def conv(x, w, s, pads):  # H,W,C with O,kh,kw,I
    return np.einsum("hwcij,oijc->hwo", windows(x, w.shape[1], w.shape[2], s, pads), w, optimize=True)


def depthwise(x, w, s, pads):  # kh,kw,C
    return np.einsum("hwcij,ijc->hwc", windows(x, w.shape[0], w.shape[1], s, pads), w, optimize=True)


def resnet(name, depth, k):
    t = tensors(name)
    x = (image(k, 32, 32) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]

    def block(x, prefix, number, s):
        y = conv(x, t[f"{prefix}conv{number}.weight"].transpose(0, 2, 3, 1), s, ((1, 1), (1, 1)))
        b = f"{prefix}bn{number}."
        return (y - t[b + "running_mean"]) / np.sqrt(t[b + "running_var"] + 1e-5) * t[b + "weight"] + t[b + "bias"]

    x = np.maximum(block(x, "", "1", 1), 0)
    for stage in (1, 2, 3):
        for i in range((depth - 2) // 6):
            s = 2 if stage > 1 and i == 0 else 1
            p = f"layer{stage}.{i}."
            y = block(np.maximum(block(x, p, "1", s), 0), p, "2", 1)
            if s == 2:
                c = x.shape[2]
                x = np.pad(x[::2, ::2], ((0, 0), (0, 0), (c // 2, c // 2)))
            x = np.maximum(x + y, 0)
    return x.mean((0, 1)) @ t["linear.weight"].T + t["linear.bias"]


def squeezenet(k):
    t = tensors("squeezenet_v1_1_imagenet_notop")
    x = image(k, 227, 227)[:, :, ::-1] - [103.939, 116.779, 123.68]

    def layer(x, name, s=1):
        w = t[name + "/kernel"].transpose(3, 0, 1, 2)
        p = ((0, 0), (0, 0)) if s > 1 else (same(x.shape[0], w.shape[1], 1), same(x.shape[1], w.shape[2], 1))
        return np.maximum(conv(x, w, s, p) + t[name + "/bias"], 0)

    pool = lambda x: windows(x, 3, 3, 2, ((0, 0), (0, 0))).max((3, 4))
    x = pool(layer(x, "conv1", 2))
    for i in range(2, 10):
        q = layer(x, f"fire{i}/squeeze1x1")
        x = np.concatenate([layer(q, f"fire{i}/expand1x1"), layer(q, f"fire{i}/expand3x3")], 2)
        if i in (3, 5):
            x = pool(x)
    return x.mean((0, 1))


def lite(name, prepare, layer, k):
    t = tensors(name)
    g = json.load(open(f"{folder}/{name}.graph.json"))
    about = {v["id"]: v for v in g["tensors"]}

    def real(i):
        v, a = t[f"t{i}"], about[i]
        return (v - a["zero_point"]) * a["scale"] if a["stored"] != "F32" and "scale" in a else v

    _, h, w, c = about[g["inputs"][0]]["shape"]
    values = {g["inputs"][0]: prepare(image(k, h, w, c))}
    for o in g["ops"]:
        x = values[o["inputs"][0]]
        if o["op"] in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            kernel, s = real(o["inputs"][1]), o["stride_h"]
            p = tuple(same(x.shape[d], kernel.shape[1 + d], s) for d in (0, 1)) if o["padding"] == "SAME" else ((0, 0), (0, 0))
            y = (conv(x, kernel, s, p) if o["op"] == "CONV_2D" else depthwise(x, kernel[0], s, p)) + real(o["inputs"][2])
        elif o["op"] == "AVERAGE_POOL_2D":
            y = x.mean((0, 1), keepdims=True)
        elif o["op"] == "RESHAPE":
            y = x.reshape(-1)
        elif o["op"] == "FULLY_CONNECTED":
            y = x.reshape(-1) @ real(o["inputs"][1]).T + real(o["inputs"][2])
        elif o["op"] == "ADD":
            y = x + values[o["inputs"][1]]
        elif o["op"] == "SOFTMAX":
            y = np.exp(x - x.max()) / np.exp(x - x.max()).sum()
        y = {0: y, 1: np.maximum(y, 0), 3: np.clip(y, 0, 6)}[o.get("act", 0)]
        values[o["outputs"][0]] = y
    ops = g["ops"]
    at = ops[-1]["outputs"][0] if layer == "output" else [o for o in ops if o["op"] == "AVERAGE_POOL_2D"][0]["outputs"][0]
    return values[at].reshape(-1)


out = {"made by": "networks.py, NumPy " + np.__version__}
for d in (20, 32, 56):
    out[f"cifar10_resnet{d} logits"] = [resnet(f"cifar10_resnet{d}", d, k).tolist() for k in (0, 1)]
out["squeezenet_v1_1_imagenet_notop features"] = [squeezenet(0)[:32].tolist()]
out["mlperf_tiny_ic_resnet8_cifar10 output"] = [lite("mlperf_tiny_ic_resnet8_cifar10", lambda x: x, "output", 1).tolist()]
out["mlperf_tiny_vww_mobilenet025_96 features"] = [lite("mlperf_tiny_vww_mobilenet025_96", lambda x: x / 255, "features", 1)[:32].tolist()]
out["mobilenet_v1_0.25_128_imagenet_u8 features"] = [lite("mobilenet_v1_0.25_128_imagenet_u8", lambda x: (x - 128) / 128, "features", 1)[:32].tolist()]
out["mobilenet_v1_1.0_224_imagenet_embed_u8 features"] = [lite("mobilenet_v1_1.0_224_imagenet_embed_u8", lambda x: (x - 128) / 128, "features", 1)[:32].tolist()]
print(json.dumps(json.loads(json.dumps(out), parse_float=lambda s: round(float(s), 6)), indent=0))
