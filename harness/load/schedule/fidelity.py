"""What a replay changed of a recording: requests, rate, stamps, burstiness, lengths, sharing."""

from array import array
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from accelbench.harness.load.schedule.formats import Recording
from accelbench.harness.schema.arrivals import Replay
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.prompts import Ask, Prompt
from accelbench.harness.statistics.counts import bins_for, dispersion

_Numbers: TypeAlias = npt.NDArray[np.float64]
_Section: TypeAlias = tuple[Mapping[str, Plain], str]
"""Facts, and why some that a reader may look for are not among them; empty if none are missing."""

_NO_TOKENS = "the prompts have no token ids, as no tokenizer is known"


def report(
    recording: Recording,
    asks: Sequence[Ask],
    prompts: Sequence[Prompt],
    due_s: _Numbers | None,
    process: Replay,
) -> Mapping[str, Plain]:
    """The recording beside its replay; figures of both are over the requests replayed.

    Args:
        recording: All that was read of the file.
        asks: The requests replayed, in order.
        prompts: What was made of each.
        due_s: When each is due in the replay, seconds; None for a recording without times.
        process: How it is replayed.

    Returns:
        A section each for rows, rate, stamps, gaps, input and output tokens and sharing; under
        "missing", why a section or a part of it is not there.

    Raises:
        ValueError: There is not one prompt for each request.
    """
    pairs = list(zip(asks, prompts, strict=True))
    told = all(prompt.tokens for prompt in prompts)
    sections = {
        "rows": _rows(recording, len(asks)),
        **_timing(recording, asks, due_s, process),
        "input_tokens": _lengths(
            [ask.input_tokens for ask in asks],
            [len(prompt.tokens) for prompt in prompts] if told else None,
        ),
        "output_tokens": _lengths(
            [ask.output_tokens for ask in asks], [prompt.output_tokens for _, prompt in pairs]
        ),
        "sharing": _sharing(asks, prompts if told else None),
    }
    missing = {name: why for name, (_, why) in sections.items() if why}
    return {
        "format": process.format,
        **{name: facts for name, (facts, _) in sections.items() if facts},
        **({"missing": missing} if missing else {}),
    }


def _rows(recording: Recording, used: int) -> _Section:
    readable = len(recording.asks)
    return {
        "recorded": readable + sum(recording.left_out.values()),
        "replayed": used,
        "not_reached": readable - used,
        "left_out": dict(recording.left_out),
        "out_of_order": recording.out_of_order,
    }, ""


def _timing(
    recording: Recording, asks: Sequence[Ask], due_s: _Numbers | None, process: Replay
) -> Mapping[str, _Section]:
    if due_s is None:
        return dict.fromkeys(
            ("rate", "stamps", "gaps"), ({}, "the recording does not tell when requests arrived")
        )
    at_s = np.array([ask.at_s for ask in asks], np.float64)
    if at_s.size < 3 or not np.ptp(at_s) or not np.ptp(due_s):  # noqa: PLR2004  (two gaps)
        why = "fewer than three requests, or all at one instant"
        return {"stamps": _stamps(recording, at_s, process), "rate": ({}, why), "gaps": ({}, why)}
    bins, replayed_bins = bins_for(at_s), bins_for(due_s)
    rate: Mapping[str, Plain] = {
        "speed": process.speed,
        "recorded_per_s": _rate(at_s),
        "replayed_per_s": _rate(due_s),
    }
    gaps: Mapping[str, Plain] = {
        "recorded_cv": _variation(at_s),
        "replayed_cv": _variation(due_s),
        "bins": bins.size - 1,
        "recorded_dispersion": dispersion(at_s, bins),
        "replayed_dispersion": dispersion(due_s, replayed_bins),
    }
    return {"rate": (rate, ""), "stamps": _stamps(recording, at_s, process), "gaps": (gaps, "")}


def _stamps(recording: Recording, at_s: _Numbers, process: Replay) -> _Section:
    stamps, counts = np.unique(at_s, return_counts=True)
    facts: dict[str, Plain] = {
        "treated": process.stamps,
        "distinct": int(stamps.size),
        "requests_sharing_one_share": float(counts[counts > 1].sum() / max(at_s.size, 1)),
    }
    if recording.stamp_s is None or stamps.size < 2:  # noqa: PLR2004  (a distance needs two)
        return facts, "one stamp has no distance to another"
    written: dict[str, Plain] = {
        "written_in_s": recording.stamp_s,
        "median_distance_s": float(np.median(np.diff(stamps))),
    }
    return {**facts, **written}, ""


def _rate(at_s: _Numbers) -> float:
    """Mean requests a second between the first and the last."""
    return float((at_s.size - 1) / np.ptp(at_s))


def _variation(at_s: _Numbers) -> float:
    """Coefficient of variation of the gaps."""
    gaps = np.diff(at_s)
    return float(gaps.std() / gaps.mean())


def _lengths(recorded: Sequence[int | None], replayed: Sequence[int] | None) -> _Section:
    """Recorded lengths beside those asked for, tokens."""
    before = [length for length in recorded if length is not None]
    facts: dict[str, Plain] = {}
    if replayed:
        facts["replayed_mean_tokens"] = float(np.mean(replayed))
    if not before or len(before) < len(recorded):
        return facts, "the recording tells texts and not their tokens"
    facts["recorded_mean_tokens"] = float(np.mean(before))
    if replayed is None:
        return facts, _NO_TOKENS
    grown = np.array(replayed) - np.array(before)
    return {
        **facts,
        "shortened_requests": int((grown < 0).sum()),
        "cut_tokens": -int(grown[grown < 0].sum()),
        "lengthened_requests": int((grown > 0).sum()),
        "added_tokens": int(grown[grown > 0].sum()),
    }, ""


def _sharing(asks: Sequence[Ask], prompts: Sequence[Prompt] | None) -> _Section:
    """What a prefix cache without limits would hold of the prompts, recorded and replayed."""
    size = max((ask.block_tokens for ask in asks), default=0)
    if not size:
        return {}, "the recording does not tell which prompts begin alike"
    facts: dict[str, Plain] = {"block_tokens": size}
    facts |= _hits("recorded", (_recorded_blocks(ask) for ask in asks))
    if prompts is None:
        return facts, _NO_TOKENS
    return facts | _hits("replayed", (_made_blocks(prompt, size) for prompt in prompts)), ""


def _recorded_blocks(ask: Ask) -> Iterator[tuple[Hashable, int]]:
    left = ask.input_tokens or 0
    for block in ask.blocks:
        yield block, min(ask.block_tokens, left)
        left -= ask.block_tokens


def _made_blocks(prompt: Prompt, size: int) -> Iterator[tuple[Hashable, int]]:
    """Blocks of a prompt by the digest of their tokens, so that long prompts need little memory."""
    ids = array("q", prompt.tokens)
    for start in range(0, len(ids), size):
        block = ids[start : start + size]
        yield blake2b(block.tobytes(), digest_size=16).digest(), len(block)


def _hits(which: str, requests: Iterable[Iterable[tuple[Hashable, int]]]) -> dict[str, Plain]:
    """Hit rate of a prefix cache that forgets nothing, per block and per token.

    A block is a hit if an earlier prompt had it after the same blocks. The last block of a
    prompt is a block like others, however few tokens it has.

    Args:
        which: What the names of the two figures begin with.
        requests: Of each prompt, in order of arrival, its blocks: what identifies it, its tokens.
    """
    nodes: dict[tuple[int, Hashable], int] = {}
    blocks = tokens = hit_blocks = hit_tokens = 0
    for request in requests:
        node = 0
        for content, length in request:
            known = len(nodes)
            node = nodes.setdefault((node, content), known + 1)
            hit = len(nodes) == known
            blocks, tokens = blocks + 1, tokens + length
            hit_blocks, hit_tokens = hit_blocks + hit, hit_tokens + hit * length
    if not tokens:
        return {}
    return {
        f"{which}_hit_share_of_blocks": hit_blocks / blocks,
        f"{which}_hit_share_of_tokens": hit_tokens / tokens,
    }
