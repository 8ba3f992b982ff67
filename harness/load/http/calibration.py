"""How far the generator errs by itself, found by driving a server that stamps what it sends.

The null server answers at once, one write a token, and tells with each event when it was written,
on the clock that the generator stamps with. It is driven at 1.5 times the rate of the run, with as
many tokens in an answer, so that the generator has half as much again to do as it had in the run;
never slower than 50 requests a second, so that it takes no longer than a few seconds.
A p99 of some hundred requests hangs on the slowest few, which may be the machine's doing: one that is
beyond a millisecond is measured twice more, and the one in the middle stands.
A result holds for this host until it is started anew, and for this version of the generator.
"""

import hashlib
import json
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa

from accelbench.harness.errors import ConfigError
from accelbench.harness.load.http.null_server import NullServer
from accelbench.harness.load.http.sending import Sent, send
from accelbench.harness.load.http.target import Target
from accelbench.harness.load.schedule.plan import LoadPlan
from accelbench.harness.metrics.observation import Numbers
from accelbench.harness.schema.decode import decode, encode
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.prompts import Prompt
from accelbench.harness.units import NS_PER_S

MARGIN = 1.5
"""How much faster than the run the null server is driven."""

_STEPS_A_DECADE = 10
_SECONDS = 2.0
_SLOWEST_PER_S = 50.0
_FEWEST, _MOST = 200, 4000
_DOUBTFUL_S = 0.001
_TRIES = 3
_LONGEST = 1024
_TIMEOUT_S = 10.0
_LIMIT_NS = 60 * NS_PER_S
_SEED = 1


@dataclass(frozen=True)
class Calibration:
    """What the generator did against the null server; errors are ours less the server's.

    Attributes:
        rate_per_s: Requests a second that were offered, Poisson.
        tokens: Tokens of each answer, one write each.
        processes: Dispatchers.
        cpus: Logical processors that they were bound to.
        requests: How many were sent.
        ttft_error_s: p50 and p99 of the error of the time to first token, seconds, by size.
        itl_error_s: The same of the gaps between tokens.
        e2e_error_s: The same of the end-to-end time.
        lateness_s: p50 and p99 of sent less due.
        cpu_per_request_s: Processor time of the dispatchers, sending and reading.
        failed: Requests that did not end well.
        measured: How often it was measured; of several the one in the middle stands.
    """

    rate_per_s: float
    tokens: int
    processes: int
    cpus: tuple[int, ...]
    requests: int
    ttft_error_s: tuple[float, ...]
    itl_error_s: tuple[float, ...]
    e2e_error_s: tuple[float, ...]
    lateness_s: tuple[float, ...]
    cpu_per_request_s: float
    failed: int
    measured: int = 1

    @property
    def error_s(self) -> float:
        """The largest p99; infinite where a request failed, as the server never refuses one.

        Answers of one token have no gaps to be wrong about.
        """
        if self.failed:
            return math.inf
        gaps = self.itl_error_s[1] if self.tokens > 1 else 0.0
        return max(self.ttft_error_s[1], gaps, self.e2e_error_s[1])

    def document(self) -> dict[str, Plain]:
        """As plain data; null stands for what is infinite because nothing came back."""
        told = cast("dict[str, Plain]", encode(self))
        return {name: _finite(value) for name, value in told.items()}


def calibrate(target: Target, rate_per_s: float, tokens: int) -> Calibration:
    """The calibration for a run, from the cache where there is one.

    Args:
        target: How the generator was set up.
        rate_per_s: Requests a second of the run.
        tokens: Tokens of its answers, on average.

    Raises:
        TrialError: The null server or a dispatcher failed.
    """
    wanted = max(_SLOWEST_PER_S, MARGIN * rate_per_s)
    rate = 10 ** (math.ceil(_STEPS_A_DECADE * math.log10(wanted)) / _STEPS_A_DECADE)
    length = min(_LONGEST, 1 << max(0, tokens - 1).bit_length())
    setting: dict[str, Plain] = {
        "rate_per_s": rate,
        "tokens": length,
        "processes": target.processes,
        "cpus": list(target.cpus),
    }
    place = _cache_file(setting)
    known = _known(place)
    if known is None:
        known = _settled(target, rate, length)
        _keep(place, known)
    return known


def _settled(target: Target, rate_per_s: float, tokens: int) -> Calibration:
    """A calibration that does not hang on one bad moment."""
    found = [measured(target, rate_per_s, tokens)]
    while found[0].error_s > _DOUBTFUL_S and len(found) < _TRIES:
        found.append(measured(target, rate_per_s, tokens))
    middle = sorted(found, key=lambda one: one.error_s)[len(found) // 2]
    return replace(middle, measured=len(found))


def measured(target: Target, rate_per_s: float, tokens: int) -> Calibration:
    """Drives the null server now.

    Args:
        target: How the generator is set up; its server is not touched.
        rate_per_s: Requests a second to offer.
        tokens: Tokens of each answer.

    Raises:
        TrialError: The null server or a dispatcher failed.
    """
    count = int(min(_MOST, max(_FEWEST, rate_per_s * _SECONDS)))
    draw = np.random.default_rng(_SEED)
    prompt = "a prompt of no importance to a server that does not read it"
    plan = LoadPlan(
        prompts=tuple(Prompt(str(number), prompt, (), tokens) for number in range(count)),
        warmup=0,
        requests=count,
        mode="schedule",
        due_s=np.cumsum(draw.exponential(1 / rate_per_s, count)),
        users=1,
        group=1,
        max_in_flight=None,
        arrivals=None,
        slo=None,
        facts={},
    )
    with NullServer(tokens=tokens, cpu=_elsewhere(target)) as server:
        local = replace(
            target,
            url=server.url,
            key="",
            prompt="text",
            extra={},
            timeout_s=_TIMEOUT_S,
            stamped=True,
        )
        (sent,) = send(local, plan, time.perf_counter_ns() + _LIMIT_NS, lambda _: None)
    return _judged(sent, target, rate_per_s, tokens)


def _elsewhere(target: Target) -> int | None:
    """A logical processor that the dispatchers are not bound to, for the null server.

    Bound to theirs, by us or with us by whoever started us, it would be measured with them. None
    where they are bound to none, or there is no other that we may use.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    ours = os.sched_getaffinity(0)
    taken = set(target.cpus) if target.cpus else ours
    for cpu in range(os.cpu_count() or 1):
        if cpu in taken:
            continue
        try:
            os.sched_setaffinity(0, {cpu})
        except OSError:  # the group that we are in may not use it
            continue
        os.sched_setaffinity(0, ours)
        return cpu
    return None


def errors(sent: Sent) -> dict[str, Numbers]:
    """Errors of a load against a server that stamps: ours less the server's, seconds.

    Args:
        sent: The load, its replies with the server's stamps.

    Returns:
        "ttft" and "e2e", one a request that ended well, and "itl", one a gap.
    """
    arrived: dict[int, list[int]] = {}
    for number, at_ns in zip(
        sent.arrivals["number"].to_pylist(), sent.arrivals["at_ns"].to_pylist(), strict=True
    ):
        arrived.setdefault(number, []).append(at_ns)
    found: dict[str, list[float]] = {"ttft": [], "itl": [], "e2e": []}
    for row in sent.replies.to_pylist():
        ours, theirs = arrived.get(row["number"], []), row["written_ns"]
        if row["status"] != "ok" or not theirs or row["received_ns"] is None:
            continue
        received = row["received_ns"]
        found["ttft"].append((ours[0] - row["sent_ns"]) - (theirs[0] - received))
        found["e2e"].append((row["done_ns"] - row["sent_ns"]) - (theirs[-1] - received))
        gaps = zip(np.diff(ours), np.diff(theirs[: len(ours)]), strict=True)
        found["itl"].extend(float(one - other) for one, other in gaps)
    return {name: np.asarray(values) / NS_PER_S for name, values in found.items()}


def _judged(sent: Sent, target: Target, rate_per_s: float, tokens: int) -> Calibration:
    found = errors(sent)
    replies: pa.Table = sent.replies
    late = (
        np.asarray(replies["sent_ns"].to_numpy(), dtype=np.float64)
        - np.asarray(replies["due_ns"].to_numpy(), dtype=np.float64)
    ) / NS_PER_S
    cpu_s = sum(answer.tally.cpu_s + answer.reading_s for answer in sent.answers)
    return Calibration(
        rate_per_s=rate_per_s,
        tokens=tokens,
        processes=len(sent.answers),
        cpus=target.cpus,
        requests=replies.num_rows,
        ttft_error_s=_percentiles(abs(found["ttft"])),
        itl_error_s=_percentiles(abs(found["itl"])),
        e2e_error_s=_percentiles(abs(found["e2e"])),
        lateness_s=_percentiles(late),
        cpu_per_request_s=cpu_s / replies.num_rows,
        failed=sum(status != "ok" for status in replies["status"].to_pylist()),
    )


def _finite(value: Plain) -> Plain:
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _percentiles(values: Numbers) -> tuple[float, ...]:
    """p50 and p99; without any value nothing is known, so that they are infinite."""
    if not values.size:
        return (math.inf, math.inf)
    return tuple(float(value) for value in np.nanpercentile(values, (50, 99)))


def _cache_file(setting: Mapping[str, Plain]) -> Path:
    """Where the result for a setting lies: by host since its start, and by our own code."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    told = json.dumps([_since_boot(), _code(), setting], sort_keys=True)
    name = hashlib.sha256(told.encode()).hexdigest()[:24]
    return Path(base) / "accelbench" / "calibration" / f"{name}.json"


def _since_boot() -> str:
    """What changes when the host is started anew; its name where Linux does not tell more."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return os.uname().nodename


def _code() -> str:
    every = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in every)).hexdigest()


def _known(place: Path) -> Calibration | None:
    try:
        return decode(Calibration, json.loads(place.read_bytes()))
    except (OSError, ValueError, ConfigError):
        return None


def _keep(place: Path, found: Calibration) -> None:
    """Keeps a result for the next run; a cache that cannot be written costs only time.

    One of which something failed is not kept: the next run tries again.
    """
    if not math.isfinite(found.error_s):
        return
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        beside = place.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps(found.document()))
        beside.replace(place)
    except OSError:
        return
