"""Timing that survives a noisy machine: candidates take turns, medians are compared, ratios are reported."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure that is asked for, as measured in this run."""

    name: str
    value: float
    unit: str  # "x", "%", "µs", "MB"
    goal: float
    at_most: bool  # False: the goal is a floor
    detail: str  # what was divided by what

    @property
    def met(self) -> bool:
        return self.value <= self.goal if self.at_most else self.value >= self.goal


def seconds(function: Callable[[], object], repeat: int = 1) -> float:
    """Wall-clock seconds for one call, averaged over ``repeat`` calls in a row."""
    start = time.perf_counter()
    for _ in range(repeat):
        function()
    return (time.perf_counter() - start) / repeat


def in_turns(rounds: int, *functions: Callable[[], object], repeat: int = 1) -> list[float]:
    """Median seconds per call of each function; they take turns, so that a slow moment hits all of them."""
    samples: list[list[float]] = [[] for _ in functions]
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for function, taken in zip(functions, samples, strict=True):
                taken.append(seconds(function, repeat))
    finally:
        if enabled:
            gc.enable()
    return [median(taken) for taken in samples]
