"""Validity of token counts: lengths as asked, every arrival counted, the cache as the rules say."""

import numpy as np

from accelbench.harness.judge.case import Case
from accelbench.harness.metrics.applies import streams


def output_length_off(case: Case) -> str | None:
    """Output lengths of completed requests against what they were asked for.

    The mean's limit is that of MLPerf Inference's compliance test TEST09.
    """
    requests, limits = case.seen.requests, case.limits
    asked, made = requests.asked_output_tokens, case.seen.output_tokens
    taken = requests.completed & ~np.isnan(made) & (asked > 0)
    if not taken.any():
        return None
    asked, made = asked[taken], made[taken]
    share, mean = float((made != asked).mean()), float(made.mean() / asked.mean() - 1)
    if share <= limits.length_share and abs(mean) <= limits.length_mean:
        return None
    return (
        f"{share:.1%} of {asked.size} completed requests have another output length than asked,"
        f" at most {limits.length_share:.1%} may; the mean is {mean:+.1%} off, at most"
        f" {limits.length_mean:.1%} is allowed: make the engine ignore the end-of-sequence token,"
        " or ask for lengths that it gives"
    )


def tokens_uncounted(case: Case) -> str | None:
    """Arrivals without a count, and requests whose told length is not what arrived."""
    if not streams(case.seen):
        return None
    requests, tokens = case.seen.requests, case.seen.streams
    told = requests.ok & ~np.isnan(requests.output_tokens)
    differ = int((told & (requests.output_tokens != tokens.count)).sum())
    if not (tokens.uncounted or differ):
        return None
    return (
        f"{tokens.uncounted} arrivals in the window do not tell how many tokens they brought and"
        f" {differ} of {int(told.sum())} requests tell another count than arrived, none may:"
        " count tokens as the engine reports them, not chunks of text"
    )


def cache_contrary(case: Case) -> str | None:
    """Prompt tokens found in a prefix cache against what the rules say of it.

    Where no request tells, the engine's own counters do.
    """
    found = _cached(case) if case.rules.cache != "any" else None
    if found is None:
        return None
    hits, prompt = found
    if case.rules.cache == "cold" and hits > 0:
        share = f" ({hits / prompt:.1%})" if prompt else ""
        return (
            f"{hits:.0f} prompt tokens{share} were found in the cache, the rules ask for a cold"
            " one: empty it before each trial, or send prompts that share no prefix"
        )
    if case.rules.cache == "warm" and hits == 0:
        return (
            f"none of {prompt:.0f} prompt tokens was found in the cache, the rules ask for a warm"
            " one: send the prompts once before the window, and see that the cache is on"
        )
    return None


def _cached(case: Case) -> tuple[float, float] | None:
    """Prompt tokens found in the cache, and all of them; None where nobody tells."""
    requests = case.seen.requests
    told = requests.completed & ~np.isnan(requests.cached_input_tokens)
    if told.any():
        hits = float(requests.cached_input_tokens[told].sum())
        return hits, float(np.nansum(requests.input_tokens[told]))
    counted, queried = (case.seen.counter(f"prefix_cache.{name}") for name in ("hit", "queried"))
    return None if counted is None or queried is None else (counted, queried)
