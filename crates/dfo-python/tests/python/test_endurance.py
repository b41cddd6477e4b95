"""A script that runs for days: nothing slows down, nothing grows.

What is compared is the first and the last tenth of one run, by the time that this thread had, not by the
clock on the wall: other work on the machine counts less so.
"""

from __future__ import annotations

import gc
import os
import time
from typing import Callable, List, Tuple

from conftest import Endpoints, Optimizer
from scene import Scene, connected, plan_for

from dfoptimizer import OptimizerContext, Window, knob, optimizer_context, tunable

scene = connected

TENTHS = 10
MIB = 1 << 20


@tunable(knobs={"batch": knob(8, range=(1, 1_000_000))})
def train(batch: int = 8) -> int:
    return batch


@tunable(knobs={"batch": knob(8, range=(1, 1_000_000))}, keep=True)
def train_on(batch: int = 8) -> int:
    return batch


def resident() -> int:
    """The memory of this process, in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def tenths(work: Callable[[int], object], rounds: int) -> List[Tuple[float, int, int]]:
    """Does so many rounds of a work. The time of each tenth, the memory after it, and the objects then."""
    seen = []
    for tenth in range(TENTHS):
        begin = time.thread_time()
        for number in range(tenth * rounds // TENTHS, (tenth + 1) * rounds // TENTHS):
            work(number)
        took = time.thread_time() - begin
        gc.collect()
        seen.append((took, resident(), len(gc.get_objects())))
    return seen


def holds(seen: List[Tuple[float, int, int]], most_growth: int) -> None:
    """The last tenth was about as fast as the first ones, and what is there is about the same."""
    times, memory, objects = zip(*seen)
    assert min(times[-3:]) < 2.5 * max(times[:2]), times
    assert memory[-1] - memory[0] < most_growth, memory
    assert objects[-1] - objects[0] < 1000, objects


def test_a_million_iterations_neither_slow_down_nor_grow(scene: Scene) -> None:
    context = scene.context
    reader = context.function("read", {"threads": knob(2)})
    window = Window()

    def step(number: int) -> None:
        for _ in range(1000):
            context.drain_actions_for("loader", at="window_boundary")
            train(8)
            train_on()
        # Less often done.
        window.start()
        reader.poll("window_boundary")
        window.stop()

    holds(tenths(step, 1000), 4 * MIB)


def test_a_million_iterations_without_an_optimizer_neither_slow_down_nor_grow(
    endpoints: Endpoints,
) -> None:
    context = optimizer_context(
        "app", zmq_plans_endpoint=endpoints.plans, zmq_control_endpoint=endpoints.control
    )

    def step(number: int) -> None:
        for _ in range(1000):
            context.drain_actions_for("loader")
            # Another value each time, which is told.
            train(number % 100 + 1)

    holds(tenths(step, 200), 4 * MIB)


def test_many_plans_neither_slow_down_nor_grow(scene: Scene, optimizer: Optimizer) -> None:
    context = scene.context
    train(8)
    context.drain_actions_for("loader")

    def step(number: int) -> None:
        value = number % 1000 + 1
        for function, knob_id in (("train", "app.batch"), ("loader", "app.other")):
            context.enqueue_action(
                plan_for(knob_id, value, function, plan_id=f"{function} {number}")
            )
        assert train(8) == value
        [plan] = context.drain_actions_for("loader")
        context.ack_action(plan, None, value)
        for _ in range(2):
            assert scene.ack()["status"] == "applied"
        optimizer.records.clear()

    # What is remembered of plans has its bound after the first tenth.
    holds(tenths(step, 6_000), 4 * MIB)


def test_contexts_that_come_and_go_leave_nothing_behind(
    endpoints: Endpoints, optimizer: Optimizer
) -> None:
    def open_things() -> int:
        return sum(len(os.listdir(f"/proc/self/{kind}")) for kind in ("task", "fd"))

    def step(number: int) -> None:
        with OptimizerContext(
            "app", zmq_plans_endpoint=endpoints.plans, zmq_control_endpoint=endpoints.control
        ) as context:
            context.function("read", {"threads": knob(2)})
        optimizer.wait_stop()
        optimizer.records.clear()

    step(0)
    before = open_things()
    seen = tenths(step, 200)
    # The last ones may take a moment to go.
    assert open_things() < before + 20
    holds(seen, 8 * MIB)
