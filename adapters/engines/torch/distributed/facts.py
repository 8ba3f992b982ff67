"""How several devices share the work, for the record."""

from collections.abc import Mapping

from accelbench.adapters.engines.torch.distributed.adapter import TorchDistributedAdapter
from accelbench.harness.schema.plain import Plain

_STRATEGY = {
    "none": "none: one device",
    "ddp": "data-parallel: a copy of the model on each device, gradients averaged"
    " (DistributedDataParallel)",
    "fsdp": "sharded data-parallel (FSDP2, fully_shard)",
    "pipeline": "pipeline: a stage of the model on each device (torch.distributed.pipelining)",
}
_HOW = (
    "a process group notes each message: when it was issued, waited for and done; it travels from"
    " when the last rank had come, as all share a clock; exposed is what forward and backward of"
    " the same rank do not cover, the time in which they wait for a message taken out of them"
)
_PAYLOAD = (
    "a collective's whole tensor once, however many take part; a message once, by its sender; what"
    " the library sends to carry it out is not counted"
)


def way_facts(how: TorchDistributedAdapter, sent: Mapping[str, Plain]) -> dict[str, Plain]:
    """Strategy, degrees, links, and what was sent.

    Args:
        how: The adapter's options.
        sent: What the last trial sent in a step, by operation.
    """
    data = how.devices if how.way in ("ddp", "fsdp") else 1
    stages = how.devices if how.way == "pipeline" else 1
    facts: dict[str, Plain] = {
        "devices": how.devices,
        "parallel": {
            "data": data,
            "tensor": 1,
            "pipeline": stages,
            "expert": 1,
            "sharded_optimizer": data if how.sharing else 1,
            "strategy": _STRATEGY[how.way],
            "zero_stage": how.sharing,
        },
        "batching": "static: batches of the size that the scenario asks for, one after another",
        "compile_path": "eager",
        "compilation": {
            "included": False,
            "what": "eager: nothing is compiled",
            "recompiles": 0,
            "graph_breaks": 0,
        },
        "fusion": "none: eager, a call of a kernel library for each operator",
        "dispatch": "the host issues every operator, in a process for each device",
        "timing": "marks of each rank on the machine's clock; on a GPU events, read afterwards",
        "timing_scope": {
            "boundary": "device",
            "inside": ["batches", "dispatch by the host", "kernels", "communication"],
            "outside": ["loading of data and model", "start of the processes"],
        },
        "cache_state": {
            "compile": "none: eager",
            "weights_and_data": "in memory before the window opens",
            "processor": "cold: the first step is in the window",
        },
    }
    if how.way == "pipeline":
        facts["schedule"] = {"pipeline": "1F1B", "microbatches": how.microbatches}
    if how.devices > 1:
        facts["communication"] = {
            "backend": "gloo" if how.device == "cpu" else "nccl",
            "link": _link(how),
            "overlap": how.overlap and not (how.way == "fsdp" and how.device == "cpu"),
            "overlap_how": _overlap(how),
            "per_step": sent,
            "counting": _PAYLOAD,
            "method": _HOW,
        }
    return facts


def _link(how: TorchDistributedAdapter) -> str:
    if how.device == "cpu":
        return "TCP over the loopback of one machine; the devices are processes on its processors"
    return "as NCCL finds it between the GPUs of one machine"


def _overlap(how: TorchDistributedAdapter) -> str:
    if how.way == "pipeline":
        return "by the schedule: a stage sends while it computes the next micro-batch"
    if not how.overlap:
        return "off: each collective is waited for when it is issued"
    if how.way == "fsdp":
        on_gpu = "parts are gathered and reduced on streams of their own"
        return on_gpu if how.device == "cuda" else "none: on the CPU FSDP waits for each collective"
    return f"gradients travel in buckets of up to {how.bucket_mb:g} MB during the backward pass"
