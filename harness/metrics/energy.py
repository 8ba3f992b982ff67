"""Energy and power over the window, and energy for each token and inference.

Tokens and inferences are those of requests that were completed in the window. EPT, TPJ and
TPW of the survey are one number (tokens per watt-second are tokens per joule), printed once
as itself and once as its inverse.
"""

from dataclasses import replace

import numpy as np

from accelbench.harness.metrics.applies import always, serves
from accelbench.harness.metrics.meters import watched, window_energy
from accelbench.harness.metrics.observation import Numbers, Observation
from accelbench.harness.metrics.registry import Absent, Outcome, Value, metric
from accelbench.harness.metrics.tallies import tells, total
from accelbench.harness.metrics.throughput import NO_LENGTH, sum_over


def _watched_and_idle_known(seen: Observation) -> bool:
    return watched(seen) and tells("power.idle")(seen)


def _per_token(seen: Observation) -> bool:
    return (
        serves(seen) and watched(seen) and seen.tells("requests", "input_tokens", "output_tokens")
    )


def _per_output_token(seen: Observation) -> bool:
    return serves(seen) and watched(seen) and seen.tells("requests", "output_tokens")


def _per_inference(seen: Observation) -> bool:
    return serves(seen) and watched(seen)


@metric(
    "energy.total",
    unit="J",
    summary="Energy spent in the window.",
    formula="integral of P dt over the window (trapezoid, interpolated at its ends, the nearest"
    " sample held at an end that none reaches), or the difference of a counter, or the sum of a"
    " simulator's ledger; channels are added",
    source="eq. 9, section 6.2",
    better="lower",
    applies=always,
)
def total_energy(seen: Observation) -> Outcome:
    """Energy of the window, J."""
    found = window_energy(seen)
    return found if isinstance(found, Absent) else Value(found.energy_j, found.n, energy=found.note)


@metric(
    "energy.net",
    unit="J",
    summary="Energy spent in the window beyond what the idle machine would have spent.",
    formula="E - P_idle T_window, P_idle from the counter power.idle; not clipped at 0",
    source="eq. 9 text, section 6.2",
    better="lower",
    applies=_watched_and_idle_known,
)
def net(seen: Observation) -> Outcome:
    """Energy net of idle, J."""
    found, idle = window_energy(seen), total(seen, "power.idle")
    if isinstance(found, Absent):
        return found
    if isinstance(idle, Absent):
        return idle
    note = replace(
        found.note,
        method=f"{found.note.method}; less the idle power over the window",
        net_of_idle=True,
    )
    return Value(found.energy_j - idle.value * seen.length_s, found.n, energy=note)


@metric(
    "power.avg",
    unit="W",
    summary="Mean power over the window, weighted by time.",
    formula="E / T_window",
    source="eq. 9, section 6.2",
    better="lower",
    applies=watched,
)
def average_power(seen: Observation) -> Outcome:
    """Mean power, W."""
    found = window_energy(seen)
    if isinstance(found, Absent):
        return found
    if seen.length_ns == 0:
        return NO_LENGTH
    return Value(found.energy_j / seen.length_s, found.n, energy=found.note)


@metric(
    "energy.per_token",
    unit="J/token",
    summary="Energy per token, prompt and output tokens alike (EPT).",
    formula="E / sum of (L_in + L_out), over requests that are ok and done in the window",
    source="eq. 10, section 6.2",
    better="lower",
    applies=_per_token,
)
def per_token(seen: Observation) -> Outcome:
    """Equation 10, J/token."""
    return _each(seen, seen.requests.input_tokens + seen.output_tokens, "tokens")


@metric(
    "energy.per_output_token",
    unit="J/token",
    summary="Energy per output token.",
    formula="E / sum of L_out, over requests that are ok and done in the window",
    source="eq. 10 text, section 6.2",
    better="lower",
    applies=_per_output_token,
)
def per_output_token(seen: Observation) -> Outcome:
    """Energy over output tokens, J/token."""
    return _each(seen, seen.output_tokens, "output tokens")


@metric(
    "energy.per_inference",
    unit="J/inference",
    summary="Energy per inference: per sample where requests have samples, else per request.",
    formula="E / sum of samples (1 where not told), over requests that are ok and done in the"
    " window",
    source="section 4.7.1",
    better="lower",
    applies=_per_inference,
)
def per_inference(seen: Observation) -> Outcome:
    """Energy over inferences, J."""
    return _each(seen, np.nan_to_num(seen.requests.samples, nan=1.0), "inferences")


@metric(
    "tokens_per_joule",
    unit="token/J",
    summary="Tokens per joule, prompt and output tokens alike (TPJ, TPW).",
    formula="sum of (L_in + L_out) / E, over requests that are ok and done in the window",
    source="eq. 12, section 6.2",
    better="higher",
    applies=_per_token,
)
def tokens_per_joule(seen: Observation) -> Outcome:
    """Equation 12, token/J; 0 where no token was completed."""
    found = window_energy(seen)
    if isinstance(found, Absent):
        return found
    requests = seen.requests
    tokens = sum_over(requests.input_tokens + seen.output_tokens, requests.finished, "tokens")
    if isinstance(tokens, Absent):
        return tokens
    if found.energy_j == 0:
        return Absent("no energy was spent in the window", tokens.n)
    return Value(tokens.value / found.energy_j, tokens.n, energy=found.note)


def _each(seen: Observation, units: Numbers, what: str) -> Outcome:
    """Energy over the units of work completed in the window."""
    found = window_energy(seen)
    if isinstance(found, Absent):
        return found
    done = sum_over(units, seen.requests.finished, what)
    if isinstance(done, Absent):
        return done
    if done.value == 0:
        return Absent(f"no {what} were completed in the window", done.n)
    return Value(found.energy_j / done.value, done.n, energy=found.note)
