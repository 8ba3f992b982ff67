"""When a metric applies: what kinds of work and figures a trace has."""

from accelbench.harness.metrics.observation import Observation


def always(_: Observation) -> bool:
    """A headline quantity: present in every record, if only with its reason."""
    return True


def trains(seen: Observation) -> bool:
    """The trial had a training target: its requests are training steps."""
    return seen.trace.head.target is not None


def serves(seen: Observation) -> bool:
    """The trial has requests that are not training steps."""
    return not trains(seen) and seen.trace.num_rows("requests") > 0


def serves_or_is_idle(seen: Observation) -> bool:
    """The same, or nothing was asked at all: then its rates are 0."""
    return not trains(seen)


def streams(seen: Observation) -> bool:
    """Token arrivals were reported."""
    return serves(seen) and seen.trace.num_rows("tokens") > 0


def generates_or_is_idle(seen: Observation) -> bool:
    """Tokens were generated, or nothing was asked at all: then their rate is 0."""
    told = streams(seen) or seen.tells("requests", "output_tokens")
    return not trains(seen) and (told or not serves(seen))


def tells_prefill(seen: Observation) -> bool:
    """Some request tells when its prefill ended."""
    return serves(seen) and seen.tells("requests", "prefill_end_ns")


def tells_queue(seen: Observation) -> bool:
    """Some request tells when it left the queue."""
    return serves(seen) and seen.tells("requests", "queue_exit_ns")


def tells_cache(seen: Observation) -> bool:
    """Some request tells what a prefix cache saved."""
    return tells_prefill(seen) and seen.tells("requests", "cached_input_tokens")


def tells_samples(seen: Observation) -> bool:
    """Some request tells how many samples were in it."""
    return seen.tells("requests", "samples")
