"""The process of one rank, started by torchrun: does as it is told, until nobody tells it.

Run as `python -m accelbench.adapters.engines.torch.distributed.rank SOCKET`. When the session at
the other end of the socket is gone, however that happened, the process ends at once.
"""

import os
import queue
import resource
import shutil
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from accelbench.adapters.engines.torch.distributed.engine import RankEngine
from accelbench.adapters.engines.torch.distributed.group import Place
from accelbench.adapters.engines.torch.distributed.orders import (
    Done,
    Failed,
    Joining,
    Order,
    Ready,
    Setup,
)
from accelbench.adapters.engines.torch.facts import (
    build_facts,
    device_facts,
    format_of,
    model_facts,
)
from accelbench.harness.errors import AccelbenchError, TrialError
from accelbench.harness.load.training import train_to_target
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.protocols import Work
from accelbench.harness.schema.recorder import Recorder, WallClock
from accelbench.harness.schema.trace import TABLES


def main(address: str) -> int:
    """Serves a session; returns the exit code."""
    rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    session: Connection = Client(address, "AF_UNIX")
    session.send(Joining(rank, os.getpid()))
    orders = _orders(session, Path(address).parent)
    try:
        _serve(rank, ranks, orders, session)
    except Exception as error:  # noqa: BLE001  (whatever it is, the session is told)
        traceback.print_exc()
        sys.stderr.flush()
        session.send(Failed(rank, _told(error)))
        orders.get()  # until the session has heard it and is gone
    return 1


def _serve(rank: int, ranks: int, orders: "queue.Queue[Any]", session: Connection) -> None:
    setup: Setup = orders.get()
    torch.set_num_threads(setup.how.threads)
    torch.manual_seed(setup.seed)
    device = _device(setup.how.device, rank, ranks)
    distributed: Any = dist  # torch leaves its stores untyped
    store = distributed.FileStore(str(setup.store), ranks)
    place = Place(rank, ranks, device, setup.how.patience_s)
    engine = RankEngine(setup.builder, setup.seed, setup.how, place, store)
    session.send(Ready(rank, _facts(engine, device)))
    while True:
        session.send(_done(rank, engine, orders.get(), device))


def _device(kind: str, rank: int, ranks: int) -> torch.device:
    """That of a rank.

    Raises:
        TrialError: There are fewer GPUs than ranks.
    """
    if kind == "cpu":
        return torch.device("cpu")
    there = torch.cuda.device_count()
    if there < ranks:
        raise TrialError(f"PyTorch finds {there} CUDA devices for {ranks} ranks")
    torch.cuda.set_device(rank)
    return torch.device("cuda", rank)


def _facts(engine: RankEngine, device: torch.device) -> dict[str, Plain]:
    parameters = list(engine.model.parameters())
    found: dict[str, Any] = model_facts(engine.model)
    kept = format_of(parameters[0].dtype)
    formats = dict.fromkeys(("activations", "gradients", "optimizer_state"), kept)
    return {
        "framework": f"torch {torch.__version__}",
        "device": "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device),
        "threads": torch.get_num_threads(),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        **build_facts(device),
        **device_facts(device),
        **found,
        "precision_map": {**found["precision_map"], **formats},
        "parameters": sum(one.numel() for one in parameters),
    }


def _done(rank: int, engine: RankEngine, order: Order, device: torch.device) -> Done:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    recorder = Recorder(WallClock())
    work = Work(order.scenario, order.rules, order.seed, order.artifacts)
    trained = train_to_target(
        engine, order.scenario, work, recorder, engine.demand, shares=engine.shares
    )
    trace = recorder.freeze("measured")
    assert trace.head.target is not None
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return Done(
        rank,
        {name: trace.table(name) for name in TABLES},
        trained.window_ns,
        trace.head.target,
        tuple(engine.messages()),
        trained.facts,
        trained.counting,
        _peak_bytes(),
        peak,
    )


def _orders(session: Connection, folder: Path) -> "queue.Queue[Any]":
    """What the session says; its end ends this process, whatever that is doing.

    A session that was killed could neither end torchrun nor remove its folder, so that its ranks
    do both.
    """
    waiting: queue.Queue[Any] = queue.Queue()
    torchrun = os.getppid()

    def read() -> None:
        try:
            while True:
                waiting.put(session.recv())
        except (EOFError, OSError):
            if os.getppid() == torchrun:
                os.kill(torchrun, signal.SIGKILL)
            shutil.rmtree(folder, ignore_errors=True)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return waiting


def _told(error: Exception) -> str:
    if isinstance(error, AccelbenchError):
        return str(error)
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"


def _peak_bytes() -> int:
    """Largest resident set of this process; Linux counts KiB, macOS bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
