"""What differs between two snapshots."""

from collections.abc import Callable, Mapping

from accelbench.harness.environment.changes import MOVING, changes
from accelbench.harness.environment.facts import collect, snapshot
from accelbench.harness.environment.reading import Roots
from accelbench.harness.schema.plain import Plain

Plant = Callable[[Mapping[str, str]], Roots]


def facts(roots: Roots) -> Mapping[str, Plain]:
    """The facts of a snapshot as a bundle stores them."""
    told = snapshot(roots, {})["facts"]
    assert isinstance(told, Mapping)
    return told


def test_a_machine_left_alone_has_no_changes(intel: Roots) -> None:
    """Two snapshots of one state do not differ."""
    assert changes(facts(intel), facts(intel)) == []


def test_a_changed_setting_is_told_with_both_values(intel: Roots, plant: Plant) -> None:
    """Fact, value before and value after; a reason in brackets where there is no value."""
    before = facts(intel)
    plant({"/proc/sys/vm/swappiness": "10\n"})
    intel.path("/proc/sys/kernel/random/boot_id").unlink()
    assert changes(before, facts(intel)) == [
        {"fact": "memory.swappiness", "before": 60, "after": 10},
        {
            "fact": "os.boot_id",
            "before": "11111111-2222-3333-4444-555555555555",
            "after": "(absent: No such file or directory)",
        },
    ]


def test_facts_that_always_move_are_left_out(intel: Roots, plant: Plant) -> None:
    """Load, free memory, clock and pressure say nothing by differing."""
    before = facts(intel)
    plant({"/proc/loadavg": "9.00 9.00 9.00 1/2 3\n", "/proc/pressure/cpu": "some total=9\n"})
    assert facts(intel) != before
    assert changes(before, facts(intel)) == []


def test_every_moving_fact_is_one_that_is_collected(intel: Roots) -> None:
    """The set names facts that exist."""
    assert collect(intel, {}).keys() >= MOVING


def test_a_fact_that_one_snapshot_lacks_is_told() -> None:
    """An older snapshot without the fact says so, not "no change"."""
    fact: Plain = {"value": 1, "source": "/x", "status": "ok", "detail": ""}
    assert changes({}, {"x": fact}) == [{"fact": "x", "before": "(not recorded)", "after": 1}]
