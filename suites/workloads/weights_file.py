"""Weights in a file of the safetensors format, written and read with PyTorch alone.

The format (https://huggingface.co/docs/safetensors, "Format"): eight bytes with the length of a
header in JSON, the header, and the numbers of all tensors, little endian. The library of that name
makes the same bytes and reads them; it is not asked for, so that what was trained can be used where
nothing but PyTorch is installed.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_KINDS = {
    "I64": torch.int64,
    "F64": torch.float64,
    "F32": torch.float32,
    "I32": torch.int32,
    "BF16": torch.bfloat16,
    "F16": torch.float16,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""Formats by their names there, in the order that tensors lie in: wide numbers first."""

_NAMES = {kind: name for name, kind in _KINDS.items()}
_LENGTH_BYTES = 8


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Writes tensors, by format and name, so that each lies where its numbers may.

    Args:
        tensors: By name; of a format that `load_tensors` knows.
        path: The file.

    Raises:
        OSError: It cannot be written.
        KeyError: A tensor has another format.
    """
    order = sorted(tensors, key=lambda name: (_rank(tensors[name]), name))
    header, parts, place = {}, [], 0
    for name in order:
        tensor = tensors[name].detach()
        parts.append(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        ends = [place, place := place + len(parts[-1])]
        kind, shape = _NAMES[tensor.dtype], list(tensor.shape)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": ends}
    told = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    told += b" " * (-len(told) % _LENGTH_BYTES)
    with path.open("wb") as file:
        file.write(len(told).to_bytes(_LENGTH_BYTES, "little") + told)
        file.writelines(parts)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, on the CPU, by name.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be read.
        ValueError, KeyError: It is not of the format, or holds numbers of another one.
    """
    whole = bytearray(path.read_bytes())
    begin = _LENGTH_BYTES + int.from_bytes(whole[:_LENGTH_BYTES], "little")
    header: Any = json.loads(whole[_LENGTH_BYTES:begin])
    if not isinstance(header, dict):
        raise ValueError("it has no header")  # noqa: TRY004  (a wrong file is no wrong type)
    held = {name: told for name, told in header.items() if name != "__metadata__"}
    return {name: _tensor(whole, begin, told) for name, told in held.items()}


def _tensor(whole: bytearray, begin: int, told: Mapping[str, Any]) -> Tensor:
    """One tensor of a file's bytes, whose numbers begin at a place."""
    kind, shape, ends = _KINDS[told["dtype"]], told["shape"], told["data_offsets"]
    count = math.prod(shape)
    if count == 0:
        return torch.empty(shape, dtype=kind)
    if ends[1] - ends[0] != count * kind.itemsize or begin + ends[1] > len(whole):
        raise ValueError("the numbers are more or fewer than the header tells")
    return torch.frombuffer(whole, dtype=kind, count=count, offset=begin + ends[0]).view(shape)


def _rank(tensor: Tensor) -> int:
    return list(_NAMES).index(tensor.dtype)
