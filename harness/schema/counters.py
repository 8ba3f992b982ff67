"""The counters that metrics know: what an engine or a simulator may tell beside its phases.

A total is one reading made when the window has closed; a gauge is read as often as it changes.
Where a counter has several scopes (experts, devices, components), each scope is a series of its
own. Other names may be recorded too; no metric reads them.
"""

from collections.abc import Mapping
from types import MappingProxyType

COUNTERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        # memory and size
        "rss_peak": ("byte", "peak resident memory of the engine's process"),
        "device_memory_peak": ("byte", "peak memory of a device; scope: the device"),
        "device_memory.reserved": ("byte", "gauge: memory of a device that the framework holds"),
        "device_memory.allocated": ("byte", "gauge: of this, what tensors occupy"),
        "heap.held": ("byte", "gauge: what the C allocator of the engine's process holds"),
        "heap.free": ("byte", "gauge: of this, what is free but not given back"),
        "parameters": ("1", "elements of all parameters of the model"),
        "weights": ("byte", "bytes of the weights as loaded"),
        "gradients": ("byte", "bytes of the gradients in training"),
        "optimizer_state": ("byte", "bytes of what the optimiser keeps between steps"),
        "activations": ("byte", "bytes of activations kept at the peak"),
        # work
        "flops.hardware": ("FLOP", "FLOPs executed in the window, padding and recomputation too"),
        "elements.real": ("1", "elements of the inputs that carry data"),
        "elements.padded": ("1", "elements of the inputs as run, padding included"),
        "coverage.operators": ("1", "share of the operator calls that the accelerator ran"),
        "coverage.flops": ("1", "share of the FLOPs that the accelerator ran"),
        # serving
        "kv.allocated": ("byte", "gauge: memory reserved for keys and values"),
        "kv.used": ("byte", "gauge: memory of keys and values that hold tokens"),
        "kv.capacity": ("token", "tokens whose keys and values the engine has room for"),
        "kv.usage": ("1", "gauge: share of the blocks of keys and values that is in use"),
        "prefix_cache.queried": ("token", "prompt tokens looked up in a prefix cache"),
        "prefix_cache.hit": ("token", "of these, found in it"),
        "preemptions": ("1", "times a running request was put back to make room"),
        "requests.running": ("1", "gauge: requests in the engine's batch"),
        "requests.waiting": ("1", "gauge: requests in the engine's queue"),
        "speculation.drafted": ("token", "tokens that a draft proposed"),
        "speculation.accepted": ("token", "proposed tokens that were kept"),
        "moe.expert_tokens": ("token", "tokens that an expert was given; scope: the expert"),
        "moe.dropped_tokens": ("token", "tokens that no expert had room for"),
        # several devices
        "pipeline.stages": ("1", "stages of the pipeline"),
        "pipeline.microbatches": ("1", "micro-batches in flight through the pipeline"),
        "communication.bytes": (
            "byte",
            "payload sent in steps of the window, a collective's tensor once; scope: the operation",
        ),
        "communication.wait": (
            "s",
            "time in which a device waited in steps for others to come; scope: the device",
        ),
        # arrays, crossbars, spikes
        "mapped.weights": ("1", "share of the weights that lie on the array"),
        "mapped.flops": ("1", "share of the FLOPs that the array does"),
        "mapped.time": ("1", "share of the time that the array works"),
        "array.speedup": ("1", "how much faster the array does its share than the host would"),
        "crossbar.cells_used": ("1", "cells of crossbars that hold a weight"),
        "crossbar.cells_allocated": ("1", "cells of the crossbars taken, empty ones too"),
        "weight_writes": ("1", "weights written in the window"),
        "spikes": ("1", "spikes sent in the window; graded ones count once"),
        "neurons": ("1", "neurons of the network"),
        "timesteps": ("1", "time steps in the window"),
        "synaptic_operations": ("1", "synaptic operations in the window, of inputs other than 0"),
        "synaptic_operations.multiply": ("1", "of these, those whose input is no spike"),
        "synaptic_operations.not_needed": ("1", "further ones, that a dense execution does too"),
        "events.offered": ("1", "events offered in the window"),
        "events.dropped": ("1", "events that were lost"),
        # the machine, watched from outside
        "clock.achieved": ("Hz", "mean clock of the device in the window"),
        "clock.datasheet": ("Hz", "the clock its datasheet peak assumes"),
        "memory.resident": (
            "byte",
            "gauge: resident memory of the processes of the scope; what they share counts in each",
        ),
        "memory.available": ("byte", "gauge: memory that the machine could still give away"),
        "power.idle": ("W", "power of the idle machine in the meter's scope"),
        "throttle.events": ("1", "times the clock was held back in the window; scope: the cause"),
        "cpu.foreign_share": ("1", "share of the machine's processor time that others used"),
        "cpu.steal_share": ("1", "share of the processor time that a hypervisor took"),
        "cpu.pressure_share": ("1", "share of the time in which a task waited for a processor"),
        "cpu.involuntary_switches": ("1", "times the engine had to yield its processor"),
        "cpu.engine_time": ("s", "processor time of the engine in which it had to yield"),
        "clock.step": ("s", "how far the machine's time of day was set in the window"),
        # a stated neighbour; scope: its cell
        "neighbour.completed": ("1", "requests or batches that it completed in the window"),
        "neighbour.busy": ("1", "share of the window in which some of its requests was on its way"),
        "neighbour.cpu_time": ("s", "its processor time while the trial ran beside it"),
        "neighbour.time": ("s", "how long that was: the window and what precedes and follows it"),
        # the load generator
        "generator.error": ("s", "calibrated error of the load generator at this rate"),
        "generator.processes": ("1", "processes that sent the load"),
        "generator.cpu_time": ("s", "processor time of a dispatcher in its run; scope: its number"),
        "generator.cpu_share": ("1", "share of a processor that a dispatcher used while it ran"),
        "generator.stamp_lag": ("s", "p99 of the time from the arrival of bytes to their reading"),
        "generator.connections": ("1", "connections that were opened in the window"),
        "generator.resends": ("1", "requests sent again because an idle connection had closed"),
    }
)
"""Unit and meaning of each, by name."""
