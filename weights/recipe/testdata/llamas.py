"""Writes llamas.json: tiny checkpoints and what mergekit-yaml makes of them by recipes. Run beside the file, with mergekit 0.1.5,
torch 2.15 and transformers: python llamas.py"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file

CONFIG = dict(
    architectures=["LlamaForCausalLM"], model_type="llama", hidden_size=4, intermediate_size=6, num_attention_heads=2,
    num_key_value_heads=1, num_hidden_layers=4, vocab_size=6, tie_word_embeddings=False, torch_dtype="float32", rms_norm_eps=1e-6,
    max_position_embeddings=16, bos_token_id=0, eos_token_id=1,
)


def shapes():
    yield "model.embed_tokens.weight", (6, 4)
    for i in range(4):
        p = f"model.layers.{i}."
        yield p + "self_attn.q_proj.weight", (4, 4)
        yield p + "self_attn.k_proj.weight", (2, 4)
        yield p + "self_attn.v_proj.weight", (2, 4)
        yield p + "self_attn.o_proj.weight", (4, 4)
        yield p + "mlp.gate_proj.weight", (6, 4)
        yield p + "mlp.up_proj.weight", (6, 4)
        yield p + "mlp.down_proj.weight", (4, 6)
        yield p + "input_layernorm.weight", (4,)
        yield p + "post_attention_layernorm.weight", (4,)
    yield "model.norm.weight", (4,)
    yield "lm_head.weight", (6, 4)


RECIPES = {p.stem: p.read_text() for p in sorted(pathlib.Path(".").glob("*.yaml"))}
torch.manual_seed(3)
base = {n: (torch.randn(s) * 2**20).round() / 2**20 for n, s in shapes()}
models = {"base": base}
for name in ("a", "b"):
    models[name] = {n: t + (torch.randn(t.shape) * 2**18).round() / 2**20 for n, t in base.items()}

result = {"inputs": {}, "outputs": {}}
with tempfile.TemporaryDirectory() as tmp:
    tmp = pathlib.Path(tmp)
    for name, tensors in models.items():
        (tmp / name).mkdir()
        save_file(tensors, tmp / name / "model.safetensors", metadata={"format": "pt"})
        (tmp / name / "config.json").write_text(json.dumps(CONFIG))
        result["inputs"][name] = {n: t.flatten().tolist() for n, t in tensors.items()}
    for name, text in RECIPES.items():
        (tmp / "recipe.yaml").write_text(text)
        subprocess.run([pathlib.Path(sys.executable).parent / "mergekit-yaml", "recipe.yaml", "out-" + name, "--no-write-model-card", "--no-copy-tokenizer"], cwd=tmp, check=True, env=os.environ | {"HF_HUB_OFFLINE": "1"})
        out = {}
        for f in sorted((tmp / ("out-" + name)).glob("*.safetensors")):
            out |= load_file(f)
        result["outputs"][name] = {n: [str(t.dtype).removeprefix("torch."), list(t.shape), t.double().flatten().tolist()] for n, t in sorted(out.items())}
result["shapes"] = {n: list(s) for n, s in shapes()}
pathlib.Path("llamas.json").write_text(json.dumps(result, separators=(",", ":")) + "\n")
