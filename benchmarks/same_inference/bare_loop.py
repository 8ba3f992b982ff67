"""The same inference in a plain loop, of PyTorch and transformers alone, for any environment.

    PYTHON bare_loop.py '{"model": FOLDER, "batch": 1, "tokens": 16, "new_tokens": 16,
                          "runs": 60, "warmup": 3, "threads": 1}'

prints, for each run, seconds until the first logits are there, and until the last token is on the host.
"""

import json
import sys
import time
from typing import Any

import torch
import transformers


def main() -> None:
    """Loads the model, warms up and times."""
    asked = json.loads(sys.argv[1])
    torch.set_num_threads(asked["threads"])
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    kind = "AutoModelForCausalLM" if asked["new_tokens"] else "AutoModel"
    loader = getattr(transformers, kind)
    model = loader.from_pretrained(
        asked["model"], dtype=torch.float32, attn_implementation="sdpa", local_files_only=True
    ).eval()
    draw = torch.Generator().manual_seed(0)
    shape = (asked["batch"], asked["tokens"])
    ids = torch.randint(0, model.config.vocab_size, shape, generator=draw)
    run = _generate if asked["new_tokens"] else _encode
    with torch.inference_mode():
        for _ in range(asked["warmup"]):
            run(model, ids, asked["new_tokens"])
        found = [run(model, ids, asked["new_tokens"]) for _ in range(asked["runs"])]
    told = {"first_s": [one[0] for one in found], "whole_s": [one[1] for one in found]}
    print(json.dumps({**told, "transformers": transformers.__version__}))


def _generate(model: Any, ids: torch.Tensor, new_tokens: int) -> tuple[float, float]:
    """Greedy; each step's tokens are read before the next one begins."""
    began = time.perf_counter()
    first, cache = 0.0, None
    for step in range(new_tokens):
        answer = model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache = answer.past_key_values
        if step == 0:
            first = time.perf_counter() - began
        ids = answer.logits[:, -1].argmax(dim=-1, keepdim=True)
        ids.flatten().tolist()
    return first, time.perf_counter() - began


def _encode(model: Any, ids: torch.Tensor, _new_tokens: int) -> tuple[float, float]:
    mask = torch.ones_like(ids)
    began = time.perf_counter()
    model(input_ids=ids, attention_mask=mask)
    whole = time.perf_counter() - began
    return whole, whole


if __name__ == "__main__":
    main()
