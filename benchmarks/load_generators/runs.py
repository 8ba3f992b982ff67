"""Runs of a load generator against the null server, each side on a processor of its own."""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from interface import Job, Load, Peer, Told
from peers import KINDS, MODEL, Accelbench

from accelbench.harness.errors import AccelbenchError, TrialError
from accelbench.harness.foreign import foreign
from accelbench.harness.load.http.null_server import NullServer

_TREE = Path(__file__).with_name("process_tree.py")
_PROMPTS = Path(__file__).parents[2] / "suites" / "workloads" / "requests" / "prompts.txt"
_TRIES = 3


@dataclass(frozen=True)
class Answers:
    """How the null server answers.

    Attributes:
        tokens: Of each answer.
        first_s: Seconds to the first token.
        gap_s: Seconds between tokens.
        slots: Requests served at once; 0 for no limit.
    """

    tokens: int
    first_s: float = 0.0
    gap_s: float = 0.0
    slots: int = 0


@dataclass(frozen=True)
class Bench:
    """What all runs of a script share.

    Attributes:
        peers: Those to compare, ours first.
        server_cpu: Logical processor of the null server.
        client_cpu: That of a load generator with all its processes.
        limit_s: Seconds after which a run is given up.
        folder: Takes what all runs write.
        tokenizer: Folder of the tokenizer for those that need one.
    """

    peers: Sequence[Peer]
    server_cpu: int
    client_cpu: int
    limit_s: float
    folder: Path
    tokenizer: Path


@dataclass(frozen=True)
class Run:
    """What came of a run.

    Attributes:
        told: What the tool tells.
        stamps: The server's log by the order of coming: for each request the instant at which it
            had come whole, then those at which its tokens were written, ns.
        cpu_s: Processor time of the tool, all its processes, from start to end.
        wall_s: How long the command took.
        server_busy: Share of its processor that the server used from first to last stamp.
        calibration_s: Processor time that a calibration of the tool took, which it keeps for
            later runs and is not in `cpu_s`; None where it made none.
    """

    told: Told
    stamps: Sequence[Sequence[int]]
    cpu_s: float
    wall_s: float
    server_busy: float
    calibration_s: float | None

    @property
    def served(self) -> int:
        """Requests that the server has answered."""
        return len(self.stamps)

    @property
    def requests_per_s(self) -> float:
        """Requests over the time from the first's coming to the last token, at the server."""
        last = max(stamps[-1] for stamps in self.stamps)
        return self.served / (last - self.stamps[0][0]) * 1e9


@dataclass(frozen=True)
class Ended:
    """A command of a tool that has ended.

    Attributes:
        output: What it printed.
        said: The last line of its complaints.
        code: Its exit code.
        cpu_s: Processor time of all its processes.
        wall_s: How long it took.
    """

    output: str
    said: str
    code: int
    cpu_s: float
    wall_s: float

    def reading(self, name: str) -> AbstractContextManager[None]:
        """Turns what goes wrong in reading its results into an error that tells what it said.

        Args:
            name: Of the tool.
        """
        doing = f"reading its results (exit code {self.code})"
        return foreign(doing, where=name, remedy=f"it said: {self.said}")


def options(doc: str | None) -> argparse.ArgumentParser:
    """The options that all scripts have."""
    parser = argparse.ArgumentParser(description=(doc or "").split("\n")[0])
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=PYTHON",
        help=f"interpreter of a peer's virtual environment, of {', '.join(KINDS)}; can be repeated",
    )
    parser.add_argument("--server-cpu", type=int, default=1, help="logical processor")
    parser.add_argument("--client-cpu", type=int, default=0, help="logical processor")
    parser.add_argument("--limit", type=float, default=240.0, help="seconds for one run")
    parser.add_argument("--json", type=Path, help="file that takes the results")
    parser.add_argument("--keep", type=Path, help="folder for what the tools write; else none")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it works")
    return parser


@contextmanager
def bench(args: argparse.Namespace) -> Iterator[Bench]:
    """The bench that options describe; what is written goes with it, unless it is to be kept."""
    peers: list[Peer] = [Accelbench()]
    for told in args.peer:
        name, _, python = told.partition("=")
        if name not in KINDS or not python:
            sys.exit(f"--peer {told}: use NAME=PYTHON with one of {', '.join(KINDS)}")
        peers.append(KINDS[name](Path(python).absolute()))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="load-generators-") as temporary:
        folder = Path(temporary if args.keep is None else args.keep).absolute()
        tokenizer = folder / "tokenizer"
        tokenizer.mkdir(parents=True, exist_ok=True)
        if len(peers) > 1:
            _make_tokenizer(tokenizer)
        yield Bench(peers, args.server_cpu, args.client_cpu, args.limit, folder, tokenizer)


def run(bench: Bench, peer: Peer, load: Load, answers: Answers) -> Run:
    """One run; a tool that calibrated itself meanwhile is run once more.

    Raises:
        AccelbenchError: The tool failed, or told nothing that could be read.
    """
    calibration_s = None
    for _ in range(_TRIES):
        known = _calibrations(bench)
        found = _run(bench, peer, load, answers)
        if _calibrations(bench) == known:
            if calibration_s is not None:
                calibration_s -= found.cpu_s
            return Run(**{**vars(found), "calibration_s": calibration_s})
        calibration_s = found.cpu_s
    raise TrialError("it calibrated itself in every run", where=peer.name)


def attempt(told: str, doing: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """What is done, as a row; where it fails the row says why."""
    print(told, file=sys.stderr, flush=True)
    try:
        return dict(doing())
    except AccelbenchError as error:
        print(f"{told}: {error}", file=sys.stderr, flush=True)
        return {"error": f"{told}: {error}"}


def table(columns: Mapping[str, Callable[[Mapping[str, Any]], str]], rows: Any) -> str:
    """Rows as a Markdown table; one that has an error shows it in place of its numbers."""
    names = list(columns)
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for row in rows:
        if "error" in row:
            cells = [row["tool"], f"failed: {row['error']}"[:300].replace("|", "/")]
            cells += [""] * (len(names) - 2)
        else:
            cells = [show(row) for show in columns.values()]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def ms(value: float | None, digits: int = 3) -> str:
    """Seconds as milliseconds, with so many digits that count."""
    return "-" if value is None else f"{float(f'{value * 1e3:.{digits}g}'):,g}"


def report(args: argparse.Namespace, title: str, text: str, rows: Any) -> None:
    """Prints a Markdown document and writes the JSON one."""
    host = f"{platform.machine()}, {os.cpu_count()} logical processors, Linux {platform.release()}"
    pins = f"server on processor {args.server_cpu}, each tool with all its processes on {args.client_cpu}"
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    place = f"{host}; {pins}; load averages at the end {load}"
    print(f"# {title}\n\n{place}\n\n{text}")
    if args.json is not None:
        told = {name: value for name, value in vars(args).items() if name not in ("peer", "keep")}
        document = {"title": title, "place": place, "options": told, "rows": rows}
        args.json.write_text(json.dumps(document, indent=1, default=str) + "\n")


def _run(bench: Bench, peer: Peer, load: Load, answers: Answers) -> Run:
    folder = new_folder(bench, peer.name)
    log = folder.with_suffix(".log")
    with NullServer(**vars(answers), cpu=bench.server_cpu, model=MODEL, log=str(log)) as server:
        job = Job(server.url, load, bench.tokenizer, folder)
        process = psutil.Process(server.pid)
        before = sum(process.cpu_times()[:2])
        ended = finish(bench, peer.name, peer.command(job), peer.environment, folder)
        time.sleep(0.2)  # the server sees the last connections close
        busy_s = sum(process.cpu_times()[:2]) - before
    with ended.reading(peer.name):
        found = peer.read(job, ended.output)
        stamps = sorted(entry for entry in json.loads(log.read_text()) if len(entry) > 1)
    if not stamps or not found.requests:
        raise TrialError("no request was answered", where=peer.name)
    length_s = (max(entry[-1] for entry in stamps) - stamps[0][0]) * 1e-9
    return Run(found, stamps, ended.cpu_s, ended.wall_s, busy_s / length_s, None)


def new_folder(bench: Bench, name: str) -> Path:
    """An empty folder for what a run of a tool writes."""
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=bench.folder))


def finish(
    bench: Bench, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path
) -> Ended:
    """Runs the command of a tool to its end, on the processor of the load generators.

    Args:
        bench: What all runs share.
        name: Of the tool.
        command: What to run.
        environment: Variables that it needs.
        folder: Where it is started; what it prints lies beside.

    Raises:
        TrialError: It took longer than the limit.
        ForeignError: It could not be started.
    """
    told, output, err = (folder.with_suffix(end) for end in (".tree", ".out", ".err"))
    own = {"XDG_CACHE_HOME": str(bench.folder / "cache")} if name == "accelbench" else {}
    line = [
        *(sys.executable, str(_TREE), "--cpu", str(bench.client_cpu)),
        *("--limit", str(bench.limit_s), "--out", str(told), "--", *command),
    ]
    with output.open("wb") as out, err.open("wb") as errors:
        process = subprocess.Popen(
            line,
            cwd=folder,
            env={**os.environ, **own, **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
        )
        try:
            process.wait()
        finally:
            process.terminate()
            process.wait()
    said = _last_line(err)
    with foreign("starting it", where=name, remedy=f"it said: {said}"):
        tree = json.loads(told.read_text())
    if tree["code"] is None:
        raise TrialError(f"it took longer than {bench.limit_s:g} s", where=name)
    return Ended(output.read_text(), said, tree["code"], tree["cpu_s"], tree["wall_s"])


def _last_line(file: Path) -> str:
    lines = file.read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "nothing")


def _calibrations(bench: Bench) -> int:
    """How many calibrations of our generator are kept."""
    return len(list((bench.folder / "cache").rglob("calibration/*.json")))


def _make_tokenizer(folder: Path) -> None:
    """A small byte-level BPE in which the null server's " word" is one token."""
    from tokenizers import (  # noqa: PLC0415  (peers alone need it)
        Tokenizer,
        decoders,
        models,
        pre_tokenizers,
        trainers,
    )

    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4000,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([_PROMPTS.read_text(), " word" * 1000], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    kind = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 8192}
    told = {**kind, "bos_token": "<s>", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
