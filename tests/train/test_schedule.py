from __future__ import annotations

import pytest

from dolly.train.schedule import learning_rate

SCHEDULES = ("cosine", "linear", "constant")


def rates(*, steps: int, warmup_share: float, schedule: str, peak: float = 1.0) -> list[float]:
    return [
        learning_rate(step, peak=peak, steps=steps, warmup_share=warmup_share, schedule=schedule)
        for step in range(steps)
    ]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_rate_rises_evenly_to_its_peak(schedule: str) -> None:
    made = rates(steps=100, warmup_share=0.1, schedule=schedule, peak=2.0)
    assert made[:10] == pytest.approx([0.2 * n for n in range(1, 11)])
    assert made[10] == pytest.approx(2.0)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("warmup_share", [0.0, 0.03, 0.5, 0.99])
@pytest.mark.parametrize("steps", [1, 2, 3, 50])
def test_no_step_is_without_effect_or_above_the_peak(schedule: str, warmup_share: float, steps: int) -> None:
    made = rates(steps=steps, warmup_share=warmup_share, schedule=schedule, peak=3e-4)
    assert all(0 < rate <= 3e-4 * (1 + 1e-12) for rate in made)
    assert max(made) == pytest.approx(3e-4)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_without_warm_up_the_first_step_has_the_peak(schedule: str) -> None:
    assert rates(steps=10, warmup_share=0.0, schedule=schedule)[0] == 1.0


@pytest.mark.parametrize(
    ("schedule", "quarter", "half", "three_quarters", "end"),
    [("cosine", 0.853553, 0.5, 0.146447, 0.0), ("linear", 0.75, 0.5, 0.25, 0.0), ("constant", 1.0, 1.0, 1.0, 1.0)],
)
def test_the_rate_falls_as_its_schedule_says(
    schedule: str, quarter: float, half: float, three_quarters: float, end: float
) -> None:
    # 20 of 100 steps are warm-up, so that the fall runs from step 20 to 100.
    made = [learning_rate(s, peak=1, steps=100, warmup_share=0.2, schedule=schedule) for s in (40, 60, 80, 100)]
    assert made == pytest.approx([quarter, half, three_quarters, end], abs=1e-6)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_after_the_warm_up_the_rate_never_rises(schedule: str) -> None:
    made = rates(steps=60, warmup_share=0.1, schedule=schedule)
    assert made[6:] == sorted(made[6:], reverse=True)
