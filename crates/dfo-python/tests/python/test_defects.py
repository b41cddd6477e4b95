"""The defects of the original's application side, as a script sees them: none of them is here."""

from __future__ import annotations

import logging
import math
import socket
from typing import Any, Dict, List, Tuple

import pytest
from conftest import Endpoints, Optimizer
from scene import Scene, connected, received, said, wait_received

from dfoptimizer import Window, knob, optimizer_context, tunable
from dfoptimizer.runtime.knob import knob_def_from_dict

scene = connected

THREADS = knob(default=2, range=(1, 16), responds_to={"reader_parallelism": {"step": 2}})


@tunable(knobs={"threads": THREADS})
def train(threads: int = 2) -> int:
    return threads


# -- a: acknowledgements --


def test_a03_every_ack_says_in_which_window_on_which_node_and_by_whom(scene: Scene) -> None:
    train()
    registration = scene.registration()
    window = Window()
    for expected in (1, 2):
        window.start()
        plan = scene.plan("app.threads", 3 + expected, "train")
        train(2)
        window.stop()
        ack = scene.ack()
        assert ack["plan_id"] == plan
        assert ack["window_index"] == expected
        assert ack["target_nodes"] == ["n1"]
        assert ack["node"] == "n1"
        assert ack["instance"] == registration["instance"] == scene.context.instance
    assert list(ack) == [
        *("plan_id", "knob_id", "status", "old_value", "new_value", "reason"),
        *("window_index", "target_nodes", "instance", "node"),
    ]


def test_a03_a_window_that_nobody_told_is_not_guessed(scene: Scene) -> None:
    train()
    scene.plan("app.threads", 4, "train", window_index=17)
    train()
    assert scene.ack()["window_index"] in (None, -1)


def test_a06_a_deferred_plan_leaves_the_value_and_comes_back(scene: Scene) -> None:
    reader = scene.context.function("read", {"threads": THREADS})
    plan = scene.plan("app.threads", 4, "read")
    reader.poll()[0].deferred()
    assert said(scene.ack()) == ("deferred", 2, 2)
    assert reader.value("threads") == 2
    [again] = reader.poll()
    assert again.plan_id == plan
    again.applied()
    assert said(scene.ack()) == ("applied", 2, 4)


@pytest.mark.parametrize("status", ["failed", "superseded", "Applied", "", None])
def test_a06_only_the_three_statuses_are_sent(scene: Scene, status: Any) -> None:
    assert scene.context.drain_actions_for("loader") == []
    plan = scene.plan("app.threads", 4, "loader")
    [drained] = scene.context.drain_actions_for("loader")
    assert drained.plan_id == plan
    scene.context.ack_action(drained, 2, 4, status=status)
    ack = scene.ack()
    assert ack["status"] == "rejected"
    assert str(status) in ack["reason"]


def test_a07_a_rejection_says_the_value_that_stays_in_force(scene: Scene) -> None:
    train(threads=8)
    assert scene.registration()["current_values"] == {"threads": 8}
    scene.plan("app.threads", "lots", "train")
    assert said(scene.ack()) == ("rejected", 8, 8)
    train(threads=8)
    scene.no_more_acks()


def test_a11_a_value_that_is_none_of_the_knobs_is_not_acknowledged(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    definition = knob_def_from_dict("app.threads", THREADS, "loader")
    scene.context.register_knobs("loader", {"threads": definition})
    for wrong in ("lots", [4], math.nan, 4.5):
        scene.plan("app.threads", 4, "loader")
        [plan] = scene.context.drain_actions_for("loader")
        scene.context.ack_action(plan, 2, wrong)
        ack = scene.ack()
        assert said(ack) == ("rejected", 2, 2)
        assert ack["reason"].startswith("failed: "), ack
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) >= 4
    assert scene.context.status()["plans"]["applied"] == 0


# -- f: the application's side --


@pytest.mark.parametrize("value", [None, "abc", [1], {"a": 1}, 2.5, math.nan, math.inf])
def test_f01_a_bad_value_is_rejected_on_receipt_and_never_reaches_the_function(
    scene: Scene, value: Any
) -> None:
    assert train(threads=3) == 3
    plan = scene.plan("app.threads", value, "train")
    ack = scene.ack()
    assert (ack["plan_id"], ack["knob_id"]) == (plan, "app.threads")
    assert said(ack) == ("rejected", 3, 3)
    assert ack["reason"]
    assert train(threads=3) == 3
    scene.no_more_acks()


def test_f01_a_value_out_of_range_is_held_within_it_and_said(scene: Scene) -> None:
    train()
    for wanted, held in ((99, 16), (-5, 1)):
        scene.plan("app.threads", wanted, "train")
        assert train() == held
        ack = scene.ack()
        assert said(ack) == ("applied", 2, held)
        assert f"{wanted} is outside the range [1, 16]" in ack["reason"]


def test_f02_a_function_that_raises_still_acknowledges(scene: Scene) -> None:
    @tunable(knobs={"threads": THREADS})
    def fails(threads: int = 2) -> None:
        if threads == 4:
            raise MemoryError("as the test wants it")

    fails()
    scene.plan("app.threads", 4, fails.__qualname__)
    with pytest.raises(MemoryError, match="as the test wants it"):
        fails()
    assert said(scene.ack()) == ("applied", 2, 4)


def test_f03_positional_and_default_arguments_are_tuned(scene: Scene) -> None:
    calls: List[Tuple[Any, ...]] = [(), (2,)]
    for number, arguments in enumerate(calls):
        train(*arguments)
        scene.plan("app.threads", 5 + number, "train")
        assert train(*arguments) == 5 + number
        assert said(scene.ack()) == ("applied", 2, 5 + number)


def test_f04_one_decorator_on_two_functions_registers_and_tunes_both(scene: Scene) -> None:
    tuned = tunable(knobs={"threads": THREADS})

    @tuned
    def first(threads: int = 2) -> int:
        return threads

    @tuned
    def second(threads: int = 2) -> int:
        return threads

    first(), second()
    names = {scene.registration()["function_name"] for _ in range(2)}
    assert names == {first.__qualname__, second.__qualname__}
    scene.plan("app.threads", 7, second.__qualname__)
    assert (first(), second()) == (2, 7)
    assert said(scene.ack()) == ("applied", 2, 7)


def test_f04_a_registration_goes_out_once_there_is_somebody_to_take_it(
    endpoints: Endpoints,
) -> None:
    context = optimizer_context(
        "app", zmq_plans_endpoint=endpoints.plans, zmq_control_endpoint=endpoints.control
    )
    assert train(6) == 6
    late = Optimizer(endpoints)
    registration = late.next_registration()
    assert registration["function_name"] == "train"
    assert registration["current_values"] == {"threads": 6}
    context.stop()
    late.close()


@pytest.mark.parametrize("apply_when", ["window_boundary", "next_window"])
@pytest.mark.parametrize("at", ["window_boundary", "next_window", "epoch_boundary"])
def test_f05_next_window_is_a_window_boundary(scene: Scene, apply_when: str, at: str) -> None:
    train()
    scene.plan("app.threads", 4, "train", apply_when=apply_when)
    assert train(_apply_at=at) == 4  # type: ignore[call-arg]
    assert said(scene.ack()) == ("applied", 2, 4)


def test_f05_an_unknown_boundary_is_rejected(scene: Scene) -> None:
    train()
    scene.plan("app.threads", 4, "train", apply_when="tomorrow")
    ack = scene.ack()
    assert said(ack) == ("rejected", 2, 2)
    assert "tomorrow" in ack["reason"]
    assert train() == 2


def test_f06_a_superseded_plan_is_said_to_be(scene: Scene) -> None:
    train()
    earlier = scene.plan("app.threads", 4, "train")
    later = scene.plan("app.threads", 5, "train")
    ack = scene.ack()
    assert (ack["plan_id"], ack["status"]) == (earlier, "rejected")
    assert ack["reason"] == f"superseded by {later}"
    assert train() == 5
    assert said(scene.ack()) == ("applied", 2, 5)


def test_f06_a_plan_for_an_unknown_function_or_knob_is_rejected(scene: Scene) -> None:
    train()
    for knob_id, function in (("app.threads", "validate"), ("app.speed", "train")):
        plan = scene.plan(knob_id, 4, function)
        ack = scene.ack()
        assert (ack["plan_id"], ack["status"]) == (plan, "rejected")
        assert ack["reason"]
    assert train() == 2


def test_f07_short_and_full_names_of_this_node_are_one(optimizer: Optimizer) -> None:
    scene = Scene(optimizer, node="")
    name = socket.gethostname()
    short = name.split(".")[0]
    train()
    values = [4, 5, 6]
    for value, spelling in zip(values, (name, short, f"{short}.cluster.example")):
        scene.plan("app.threads", value, "train", target_nodes=["elsewhere", spelling])
        assert train() == value
        assert said(scene.ack()) == ("applied", 2, value)
    scene.context.stop()


def test_f07_a_plan_for_other_nodes_is_counted_and_says_nothing(scene: Scene) -> None:
    train()
    scene.plan("app.threads", 4, "train", target_nodes=["n10", "n2"])
    assert train() == 2
    assert scene.context.status()["plans"]["not_for_this_node"] == 1
    scene.no_more_acks()


def test_f07_a_text_is_no_list_of_nodes(scene: Scene) -> None:
    train()
    scene.plan("app.threads", 4, "train", target_nodes="xn1x")
    assert scene.ack()["status"] == "rejected"
    assert train() == 2


def test_f08_registrations_and_acks_leave_over_zeromq(scene: Scene, optimizer: Optimizer) -> None:
    definition = knob_def_from_dict("app.threads", THREADS, "loader")
    scene.context.register_knobs("loader", {"threads": definition}, {"threads": 3})
    scene.registration()
    metadata, registration = optimizer.records[-1]
    assert metadata == {"type": "knob_registration", "namespace": "app", "function": "loader"}
    assert registration["knobs"]["threads"]["responds_to"]["reader_parallelism"]["step"] == 2
    assert registration["current_values"] == {"threads": 3}

    scene.plan("app.threads", 4, "loader")
    [plan] = scene.context.drain_actions_for("loader")
    scene.context.ack_action(plan, 3, 4)
    ack = scene.ack()
    assert optimizer.records[-1][0] == {"type": "action_ack", "plan_id": ack["plan_id"]}
    assert said(ack) == ("applied", 3, 4)


def test_f09_a_stopped_context_is_not_given_again(
    scene: Scene, optimizer: Optimizer, endpoints: Endpoints
) -> None:
    first = scene.context
    first.stop()
    assert optimizer.wait_stop()["instance"] == first.instance
    second = optimizer_context("other", zmq_plans_endpoint=endpoints.plans)
    assert second is not first
    assert second.namespace == "other"
    assert second.status()["link"] != "stopped"
    second.stop()


@pytest.mark.parametrize(
    "other", [{"namespace": "other"}, {"zmq_plans_endpoint": "ipc:///nowhere"}, {"node": "n2"}]
)
def test_f09_other_arguments_for_the_living_context_are_an_error(
    scene: Scene, other: Dict[str, Any]
) -> None:
    context = scene.context
    with pytest.raises(ValueError, match="there is a context already"):
        optimizer_context(**other)
    assert optimizer_context() is context
    endpoint = scene.optimizer.endpoints.plans
    assert optimizer_context("app", zmq_plans_endpoint=endpoint) is context


def test_f10_nothing_that_comes_ends_the_listening(scene: Scene) -> None:
    train()
    rubbish: List[Tuple[bytes, ...]] = [
        (b"",),
        (b"", b""),
        (b"null", b"null"),
        (b"[1]", b"[1]"),
        (b"\xff\xfe", b"\xff\xfe"),
        (b"{}", b'{"plan_id": ' * 1000),
        (b"{}", b"[" * 100_000),
        (b"{}", b"x" * (2 << 20)),
        (b"{}", b"{}", b"{}"),
    ]
    for frames in rubbish:
        scene.frames(*frames)
    scene.plan("app.threads", 4, "train")
    assert train() == 4
    status = scene.context.status()
    assert status["link"] == "open"
    assert status["plans"]["undecodable"] == len(rubbish)
    assert status["last_undecodable"]


def test_f10_an_optimizer_that_comes_back_is_heard_again(
    scene: Scene, endpoints: Endpoints
) -> None:
    train()
    scene.registration()
    for value in (4, 5):
        scene.optimizer.close()
        scene.optimizer = Optimizer(endpoints)
        before = received(scene.context)
        plan = scene.optimizer.send_plan("app.threads", value, target_function="train")
        wait_received(scene.context, before + 1)
        assert train() == value
        assert scene.ack()["plan_id"] == plan
    # The last one hears the farewell.
    scene.context.stop()
    scene.optimizer.close()


# -- g: windows --


class Tracer:
    """Takes down what it is told."""

    def __init__(self) -> None:
        self.marks: List[Tuple[str, int]] = []

    def get_time(self) -> int:
        return 1

    def enter_event(self) -> None:
        pass

    def exit_event(self) -> None:
        pass

    def log_event(self, **fields: Any) -> None:
        self.marks.append((fields["name"], fields["int_args"]["window_index"][1]))


def test_g01_a_change_of_cadence_closes_the_open_window() -> None:
    tracer = Tracer()
    window = Window(tracer)
    window.update_cadence(4)
    assert window.start()
    window.update_cadence(1)
    assert window.start()
    assert window.stop()
    assert tracer.marks == [
        ("window.start", 1),
        ("window.stop", 1),
        ("window.start", 2),
        ("window.stop", 2),
    ]


def test_g02_flush_closes_only_what_was_opened() -> None:
    tracer = Tracer()
    window = Window(tracer)
    for _ in range(3):
        window.start()
        window.stop()
    window.increase_cadence()
    before = list(tracer.marks)
    assert not window.flush()
    assert tracer.marks == before
    assert window.counter == 0
    assert window.window_index == 3


@pytest.mark.parametrize("most", [0, -1])
def test_g03_a_maximum_below_one_counts_as_one(most: int) -> None:
    window = Window(None, max_every_n=most)
    window.increase_cadence()
    assert window.every_n == 1
    for n in (0, -3, 5):
        window.update_cadence(n)
        assert window.every_n == 1
    assert window.start()
    assert window.flush()
    assert not window.flush()


def test_g04_the_optimizer_can_set_the_cadence_as_a_knob_of_its_own(scene: Scene) -> None:
    window = Window(max_every_n=64)
    every_n = knob(
        default=1,
        range=(1, 64),
        responds_to={"tracing_overhead": {"step": 2, "step_mode": "multiply"}},
    )
    windows = scene.context.function("Window", {"every_n": every_n})

    def change(n: int) -> int:
        window.update_cadence(n)
        return window.every_n

    windows.on_change("every_n", change)
    scene.plan("app.every_n", 8, "Window", apply_when="window_boundary")
    assert windows.apply("window_boundary") == 1
    assert window.every_n == 8
    assert said(scene.ack()) == ("applied", 1, 8)


def test_g04_the_window_is_wired_to_the_acks(scene: Scene) -> None:
    window = Window()
    assert scene.context.window is None
    window.start()
    assert scene.context.window == 1
