"""The forms beside the decorator: polling, callbacks, plans as they are; and what becomes of every answer."""

from __future__ import annotations

import copy
import gc
import logging
import sys
import threading
from typing import Any, Dict, Iterator, List

import pytest
from conftest import DEADLINE, Endpoints, Optimizer
from scene import Scene, connected, plan_for, said, wait_until

from dfoptimizer import Change, Function, KnobsRefused, OptimizerContext, knob
from dfoptimizer.runtime.knob import knob_def_from_dict
from dfoptimizer.types import ActionPlan

scene = connected

THREADS = {"threads": knob(default=2, range=(1, 16))}


@pytest.fixture
def reader(scene: Scene) -> Iterator[Function]:
    """A loop with a knob, which the optimizer knows of."""
    function = scene.context.function("read", THREADS)
    scene.registration()
    yield function


def taken(scene: Scene, reader: Function, value: Any = 4) -> Change:
    """A change in the script's hands."""
    scene.plan("app.threads", value, "read")
    [change] = reader.poll()
    return change


# -- the context manager --


def test_a_context_lives_as_long_as_its_block(endpoints: Endpoints, optimizer: Optimizer) -> None:
    with OptimizerContext(
        "app", zmq_plans_endpoint=endpoints.plans, zmq_control_endpoint=endpoints.control
    ) as context:
        instance = context.instance
        reader = context.function("read", THREADS, {"threads": 3})
        assert optimizer.next_registration()["current_values"] == {"threads": 3}
        optimizer.send_plan("app.threads", 4, target_function="read")
        wait_until(context, lambda now: now["plans_waiting"] == 1)
        for change in reader.poll("epoch_boundary"):
            change.applied()
        assert said(optimizer.next_ack()) == ("applied", 3, 4)
        assert reader.value("threads") == 4
    assert optimizer.wait_stop()["instance"] == instance
    assert context.status()["link"] == "stopped"


def test_a_block_that_raises_ends_its_context_too(
    endpoints: Endpoints, optimizer: Optimizer
) -> None:
    with pytest.raises(LookupError, match="as the test wants it"):
        with OptimizerContext(
            "app", zmq_plans_endpoint=endpoints.plans, zmq_control_endpoint=endpoints.control
        ) as context:
            context.function("read", THREADS)
            optimizer.send_plan("app.threads", 4, target_function="read")
            wait_until(context, lambda now: now["plans_waiting"] == 1)
            raise LookupError("as the test wants it")
    ack = optimizer.next_ack()
    assert said(ack) == ("rejected", 2, 2)
    assert ack["reason"] == "the application stopped taking plans before it applied this one"
    optimizer.wait_stop()


def test_a_context_of_its_own_is_not_the_processes(endpoints: Endpoints) -> None:
    import dfoptimizer

    with OptimizerContext("other", zmq_plans_endpoint=endpoints.plans) as context:
        assert dfoptimizer.optimizer_context() is not context


# -- polling --


def test_a_loop_polls_applies_and_answers(scene: Scene, reader: Function) -> None:
    threads = 2
    assert reader.name == "read"
    for wanted in (4, 8):
        plan = scene.plan("app.threads", wanted, "read", apply_when="window_boundary")
        for change in reader.poll("window_boundary"):
            assert (change.parameter, change.knob_id) == ("threads", "app.threads")
            assert (change.old_value, change.new_value) == (threads, wanted)
            assert change.plan_id == plan
            threads = change.new_value
            change.applied()
        assert reader.value("threads") == threads == wanted
        assert scene.ack()["new_value"] == wanted
    assert reader.poll() == []


def test_a_change_knows_the_plan_behind_it(scene: Scene, reader: Function) -> None:
    scene.plan("app.threads", 4, "read", severity=0.75, window_index=9, target_nodes=["n1"])
    [change] = reader.poll()
    plan = change.plan
    assert isinstance(plan, ActionPlan)
    assert (plan.severity, plan.window_index, plan.target_nodes) == (0.75, 9, ["n1"])
    assert (plan.knob_id, plan.target_function, plan.new_value) == ("app.threads", "read", 4)
    assert plan.rationale == "because the test says so"
    assert change.plan_id in repr(change)


def test_changes_come_oldest_first_and_one_for_each_knob(scene: Scene) -> None:
    names = ("a", "b", "c")
    function = scene.context.function("several", {name: knob(0) for name in names})
    for value in (1, 2):
        for name in ("c", "a", "b"):
            scene.plan(f"app.{name}", value, "several")
    changes = function.poll()
    assert [(change.parameter, change.new_value) for change in changes] == [
        ("c", 2),
        ("a", 2),
        ("b", 2),
    ]


def test_another_value_than_the_wanted_one_can_be_in_force(scene: Scene, reader: Function) -> None:
    taken(scene, reader, 8).applied(6)
    assert said(scene.ack()) == ("applied", 2, 6)
    assert reader.value("threads") == 6
    # Also one that the knob does not allow: it is what it is.
    taken(scene, reader, 8).applied(40)
    assert said(scene.ack()) == ("applied", 6, 40)


def test_a_value_of_another_type_is_not_in_force(scene: Scene, reader: Function) -> None:
    change = taken(scene, reader)
    with pytest.raises(ValueError, match="not of type int"):
        change.applied("many")
    ack = scene.ack()
    assert said(ack) == ("rejected", 2, 2)
    assert ack["reason"].startswith("failed: ")
    with pytest.raises(RuntimeError, match="answered already"):
        change.applied()

    change = taken(scene, reader)
    with pytest.raises(TypeError, match="not a list"):
        change.applied([4])  # type: ignore[arg-type]
    # That was no answer.
    change.applied(5)
    assert said(scene.ack()) == ("applied", 2, 5)


def test_a_rejection_says_why(scene: Scene, reader: Function) -> None:
    taken(scene, reader).rejected("no memory left")
    ack = scene.ack()
    assert said(ack) == ("rejected", 2, 2)
    assert ack["reason"] == "no memory left"


def test_a_deferred_change_comes_back_at_the_next_boundary(scene: Scene, reader: Function) -> None:
    change = taken(scene, reader)
    for _ in range(3):
        change.deferred()
        assert said(scene.ack()) == ("deferred", 2, 2)
        [again] = reader.poll()
        assert (again.plan_id, again.new_value) == (change.plan_id, 4)
        change = again
    change.applied()
    assert said(scene.ack()) == ("applied", 2, 4)


def test_a_deferred_change_gives_way_to_a_newer_plan(scene: Scene, reader: Function) -> None:
    change = taken(scene, reader)
    newer = scene.plan("app.threads", 8, "read")
    change.deferred()
    ack = scene.ack()
    assert (ack["plan_id"], ack["status"]) == (change.plan_id, "rejected")
    assert ack["reason"] == f"superseded by {newer}"
    [change] = reader.poll()
    assert (change.plan_id, change.new_value) == (newer, 8)


def test_a_change_is_answered_once(scene: Scene, reader: Function) -> None:
    change = taken(scene, reader)
    change.applied()
    for answer in (change.applied, change.deferred, lambda: change.rejected("no")):
        with pytest.raises(RuntimeError, match="answered already"):
            answer()
    assert said(scene.ack()) == ("applied", 2, 4)
    scene.no_more_acks()


def test_a_change_that_is_let_go_is_rejected(scene: Scene, reader: Function) -> None:
    change = taken(scene, reader)
    del change
    gc.collect()
    ack = scene.ack()
    assert said(ack) == ("rejected", 2, 2)
    assert ack["reason"] == "failed: the application gave no answer"


def test_a_change_can_be_answered_by_another_thread(scene: Scene, reader: Function) -> None:
    change = taken(scene, reader)
    thread = threading.Thread(target=change.applied)
    thread.start()
    thread.join()
    assert said(scene.ack()) == ("applied", 2, 4)


def test_a_change_cannot_be_made_by_hand() -> None:
    with pytest.raises(TypeError):
        Change()


def test_a_value_that_the_loop_changed_itself_is_told(scene: Scene, reader: Function) -> None:
    reader.set_value("threads", 7)
    assert reader.value("threads") == 7
    change = taken(scene, reader)
    assert change.old_value == 7
    change.applied()
    assert said(scene.ack()) == ("applied", 7, 4)


def test_a_value_that_is_none_of_the_knobs_cannot_be_told(reader: Function) -> None:
    with pytest.raises(KeyError):
        reader.set_value("speed", 7)
    with pytest.raises(ValueError, match="not of type int"):
        reader.set_value("threads", "many")
    for wrong in ([7], None, float("nan")):
        with pytest.raises(TypeError):
            reader.set_value("threads", wrong)  # type: ignore[arg-type]
    assert reader.value("threads") == 2
    assert reader.value("speed") is None


def test_an_unknown_boundary_gives_no_changes(
    scene: Scene, reader: Function, caplog: pytest.LogCaptureFixture
) -> None:
    scene.plan("app.threads", 4, "read")
    assert reader.poll("tomorrow") == []
    assert "unknown boundary 'tomorrow'" in caplog.text
    assert len(reader.poll()) == 1


# -- callbacks --


def test_a_callback_makes_the_change(scene: Scene, reader: Function) -> None:
    seen: List[Any] = []
    reader.on_change("threads", lambda value: seen.append((value, threading.current_thread())))
    scene.plan("app.threads", 4, "read")
    assert reader.apply() == 1
    assert seen == [(4, threading.current_thread())]
    assert said(scene.ack()) == ("applied", 2, 4)
    assert reader.apply() == 0


def test_a_callback_gives_the_value_that_is_in_force(scene: Scene, reader: Function) -> None:
    reader.on_change("threads", lambda value: min(value, 3))
    scene.plan("app.threads", 8, "read")
    assert reader.apply() == 1
    assert said(scene.ack()) == ("applied", 2, 3)
    assert reader.value("threads") == 3


def test_true_and_false_of_a_callback_say_whether_it_went_well(
    scene: Scene, reader: Function
) -> None:
    answers = [True, False]
    reader.on_change("threads", lambda value: answers.pop(0))
    for went_well, status in ((True, "applied"), (False, "rejected")):
        scene.context.enqueue_action(plan_for("app.threads", 7 if went_well else 9, "read"))
        assert reader.apply() == int(went_well)
        ack = scene.ack()
        assert (ack["status"], ack["new_value"]) == (status, 7)


@pytest.mark.parametrize("given", ["many", [3], object(), float("nan")])
def test_a_callback_that_gives_no_value_of_the_knob_is_a_rejection(
    scene: Scene, reader: Function, caplog: pytest.LogCaptureFixture, given: Any
) -> None:
    reader.on_change("threads", lambda value: given)
    scene.plan("app.threads", 8, "read")
    assert reader.apply() == 0
    ack = scene.ack()
    assert said(ack) == ("rejected", 2, 2)
    assert ack["reason"].startswith("failed: ")
    assert any(record.levelno == logging.ERROR for record in caplog.records)


def test_a_callback_that_raises_rejects_with_its_error(
    scene: Scene, reader: Function, caplog: pytest.LogCaptureFixture
) -> None:
    def callback(value: Any) -> None:
        raise MemoryError("no room for 8 threads")

    reader.on_change("threads", callback)
    scene.plan("app.threads", 8, "read")
    assert reader.apply() == 0
    ack = scene.ack()
    assert said(ack) == ("rejected", 2, 2)
    assert ack["reason"] == "MemoryError: no room for 8 threads"
    assert "no room for 8 threads" in caplog.text


def test_a_callback_that_ends_the_script_leaves_no_plan_open(scene: Scene) -> None:
    function = scene.context.function("several", {"a": knob(1), "b": knob(1)})

    def callback(value: Any) -> None:
        raise KeyboardInterrupt

    for name in ("a", "b"):
        function.on_change(name, callback)
        scene.plan(f"app.{name}", 4, "several")
    with pytest.raises(KeyboardInterrupt):
        function.apply()
    gc.collect()
    assert {said(ack) for ack in scene.acks(2).values()} == {("rejected", 1, 1)}


def test_a_knob_without_a_callback_is_rejected(scene: Scene, reader: Function) -> None:
    scene.plan("app.threads", 8, "read")
    assert reader.apply() == 0
    assert said(scene.ack()) == ("rejected", 2, 2)


def test_callbacks_are_called_at_their_boundary_and_oldest_first(scene: Scene) -> None:
    function = scene.context.function("several", {name: knob(1) for name in "abc"})
    seen: List[str] = []
    for name in "abc":
        function.on_change(name, lambda value, name=name: seen.append(name))  # type: ignore[misc]
    scene.plan("app.c", 4, "several", apply_when="window_boundary")
    scene.plan("app.b", 4, "several", apply_when="epoch_boundary")
    scene.plan("app.a", 4, "several", apply_when="next_window")
    assert function.apply("window_boundary") == 2
    assert seen == ["c", "a"]
    assert function.apply("epoch_boundary") == 1
    assert seen == ["c", "a", "b"]


def test_what_is_no_callback_is_refused(reader: Function) -> None:
    with pytest.raises(TypeError, match="threads"):
        reader.on_change("threads", 4)  # type: ignore[arg-type]


def test_a_callback_may_apply_what_came_meanwhile(scene: Scene, reader: Function) -> None:
    seen: List[Any] = []

    def callback(value: Any) -> None:
        seen.append(value)
        if value == 4:
            scene.plan("app.threads", 8, "read")
            assert reader.apply() == 1

    reader.on_change("threads", callback)
    scene.plan("app.threads", 4, "read")
    assert reader.apply() == 1
    assert seen == [4, 8]
    assert [said(scene.ack())[2] for _ in range(2)] == [8, 4]


# -- knobs that are refused --


@pytest.mark.parametrize(
    ("wrong", "said_of_it"),
    [
        (knob(1, range=(16, 1)), "reversed"),
        (knob("a"), "default"),
        (knob(1, type=list), "list"),
        (knob(1, range=()), "range"),
        (knob(1, values=[]), "values"),
        (knob(0.5, type=float, range=(0.0, float("nan"))), "range"),
        ({}, "default"),
        (5, "knob()"),
    ],
)
def test_a_knob_that_makes_no_sense_is_refused_with_all_others(
    scene: Scene, wrong: Any, said_of_it: str
) -> None:
    with pytest.raises(KnobsRefused) as refused:
        scene.context.function("read", {**THREADS, "wrong": wrong})
    error = refused.value
    assert isinstance(error, ValueError)
    [problem] = error.problems
    assert "wrong" in problem
    assert said_of_it in problem
    assert "read" in str(error)
    assert problem in str(error)
    # Nothing of it is registered: what is told next is something else.
    scene.context.function("other", THREADS)
    assert scene.registration()["function_name"] == "other"


def test_each_knob_that_is_refused_is_named(scene: Scene) -> None:
    wrong = {name: knob(1, range=(16, 1)) for name in ("a", "b", "c")}
    with pytest.raises(KnobsRefused) as refused:
        scene.context.function("read", {**wrong, **THREADS})
    assert len(refused.value.problems) == 3


@pytest.mark.parametrize("value", ["many", [2], 2.5, object()])
def test_a_value_that_makes_no_sense_is_refused(scene: Scene, value: Any) -> None:
    with pytest.raises(KnobsRefused, match="threads"):
        scene.context.function("read", THREADS, {"threads": value})


def test_a_definition_can_stand_in_the_place_of_its_spec(scene: Scene) -> None:
    definition = knob_def_from_dict("reader.threads", THREADS["threads"], "read")
    function = scene.context.function("read", {"threads": definition})
    assert scene.registration()["knobs"]["threads"]["id"] == "reader.threads"
    scene.plan("reader.threads", 4, "read")
    [change] = function.poll()
    assert change.parameter == "threads"


def test_a_function_can_be_registered_again(scene: Scene, reader: Function) -> None:
    again = scene.context.function("read", {"threads": knob(2, range=(1, 4))}, {"threads": 3})
    registration = scene.registration()
    assert registration["knobs"]["threads"]["range"] == [1, 4]
    assert reader.value("threads") == again.value("threads") == 3
    scene.plan("app.threads", 16, "read")
    [change] = reader.poll()
    assert change.new_value == 4


# -- plans as they are --


def drained(scene: Scene, value: Any = 4) -> ActionPlan:
    """A plan in the script's hands."""
    scene.plan("app.threads", value, "loader")
    [plan] = scene.context.drain_actions_for("loader")
    return plan


@pytest.fixture
def context(scene: Scene) -> OptimizerContext:
    """One with a function whose plans are drained."""
    definition = knob_def_from_dict("app.threads", THREADS["threads"], "loader")
    scene.context.register_knobs("loader", {"threads": definition}, {"threads": 2})
    scene.registration()
    return scene.context


def test_a_plan_is_acknowledged_by_its_id(scene: Scene, context: OptimizerContext) -> None:
    plan = copy.deepcopy(drained(scene))
    context.ack_action(plan, old_value=2, new_value=4, status="applied")
    assert said(scene.ack()) == ("applied", 2, 4)


def test_the_old_value_of_an_ack_is_the_one_that_was_in_force(
    scene: Scene, context: OptimizerContext
) -> None:
    context.ack_action(drained(scene), 6, 4)
    assert said(scene.ack()) == ("applied", 6, 4)
    context.ack_action(drained(scene, 8), 6, None, status="rejected", reason="no memory")
    ack = scene.ack()
    assert said(ack) == ("rejected", 6, 6)
    assert ack["reason"] == "no memory"


def test_a_plan_that_is_deferred_is_drained_again(scene: Scene, context: OptimizerContext) -> None:
    plan = drained(scene)
    context.ack_action(plan, 2, 2, "deferred")
    assert said(scene.ack()) == ("deferred", 2, 2)
    assert context.drain_actions_for("loader") == [plan]
    context.ack_action(plan, 2, 4)
    assert said(scene.ack()) == ("applied", 2, 4)


def test_a_second_ack_says_nothing(
    scene: Scene, context: OptimizerContext, caplog: pytest.LogCaptureFixture
) -> None:
    plan = drained(scene)
    context.ack_action(plan, 2, 4)
    scene.ack()
    for stranger in (plan, plan_for("app.threads", 9, "loader")):
        context.ack_action(stranger, 2, 9)
        assert f"plan {stranger.plan_id} for app.threads is not in hand" in caplog.text
    scene.no_more_acks()


def test_a_plan_without_an_answer_is_rejected_when_the_next_is_drained(
    scene: Scene, context: OptimizerContext
) -> None:
    first, second = drained(scene), drained(scene, 8)
    ack = scene.ack()
    assert (ack["plan_id"], ack["status"]) == (first.plan_id, "rejected")
    context.ack_action(second, 2, 8)
    assert said(scene.ack()) == ("applied", 2, 8)


def test_a_plan_without_an_answer_is_rejected_at_the_end(
    scene: Scene, context: OptimizerContext
) -> None:
    plan = drained(scene)
    context.stop()
    ack = scene.ack()
    assert (ack["plan_id"], ack["status"]) == (plan.plan_id, "rejected")
    context.ack_action(plan, 2, 4)


def test_of_many_threads_one_drains_a_plan(scene: Scene, context: OptimizerContext) -> None:
    count, seen, wrong = 300, [], []
    end = threading.Event()

    def work() -> None:
        try:
            while not end.is_set():
                for plan in context.drain_actions_for("loader", at="window_boundary"):
                    seen.append(plan.new_value)
                    context.ack_action(plan, None, plan.new_value)
        except BaseException as error:
            wrong.append(error)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for worker in workers:
            worker.start()
        for value in range(count):
            plan = plan_for("app.threads", value % 16 + 1, "loader", plan_id=f"{value}")
            plan.apply_when = "window_boundary"
            context.enqueue_action(plan)
            assert scene.ack()["plan_id"] == plan.plan_id
        end.set()
        for worker in workers:
            worker.join(DEADLINE)
    finally:
        sys.setswitchinterval(before)
    assert wrong == []
    assert seen == [value % 16 + 1 for value in range(count)]
    assert context.status()["plans"]["applied"] == count


def test_functions_do_not_take_each_others_plans(scene: Scene, context: OptimizerContext) -> None:
    other = knob_def_from_dict("app.threads", THREADS["threads"], "other")
    context.register_knobs("other", {"threads": other})
    plan = scene.plan("app.threads", 4, "other")
    assert context.drain_actions_for("loader") == []
    [mine] = context.drain_actions_for("other")
    assert mine.plan_id == plan


def test_definitions_that_make_no_sense_are_logged_and_the_rest_is_registered(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    def definition(name: str, **more: Any) -> Any:
        return knob_def_from_dict(f"app.{name}", knob(1, **more), "loader")

    wrong: Dict[str, Any] = {"none": None, "text": "text", "number": 4}
    scene.context.register_knobs(
        "loader",
        {
            "good": definition("good"),
            "reversed": definition("reversed", range=(16, 1)),
            "late": definition("late"),
            **wrong,
        },
        {"good": 3, "late": "never", "stranger": 4},
    )
    registration = scene.registration()
    assert list(registration["knobs"]) == ["good", "late"]
    assert registration["current_values"] == {"good": 3, "late": 1}
    for name in ("reversed", "late", *wrong):
        assert name in caplog.text


def test_knobs_that_are_no_map_are_logged(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    for wrong in (None, 5, ["threads"], "threads"):
        scene.context.register_knobs("loader", wrong)  # type: ignore[arg-type]
    for wrong in (5, ["threads"], "threads"):
        scene.context.register_knobs("loader", {}, wrong)  # type: ignore[arg-type]
    assert len([r for r in caplog.records if r.levelno == logging.ERROR]) >= 7


def test_a_plan_can_be_put_in_by_hand_and_is_answered(
    scene: Scene, context: OptimizerContext
) -> None:
    context.enqueue_action(plan_for("app.threads", 4, "loader"))
    [plan] = context.drain_actions_for("loader")
    context.ack_action(plan, 2, 4)
    ack = scene.ack()
    assert ack["plan_id"] == "by hand: app.threads 4"
    assert said(ack) == ("applied", 2, 4)


@pytest.mark.parametrize("value", [None, "many", [4], object(), float("nan")])
def test_a_plan_put_in_by_hand_with_a_bad_value_is_logged_and_not_drained(
    context: OptimizerContext, caplog: pytest.LogCaptureFixture, value: Any
) -> None:
    context.enqueue_action(plan_for("app.threads", value, "loader"))
    assert context.drain_actions_for("loader") == []
    assert "new_value: " in caplog.text


def test_a_plan_put_in_before_the_start_is_there_after_it(
    endpoints: Endpoints, optimizer: Optimizer
) -> None:
    context = OptimizerContext(
        "app", zmq_plans_endpoint=endpoints.plans, zmq_control_endpoint=endpoints.control
    )
    definition = knob_def_from_dict("app.threads", THREADS["threads"], "loader")
    context.register_knobs("loader", {"threads": definition})
    context.enqueue_action(plan_for("app.threads", 4, "loader"))
    with context:
        assert optimizer.next_registration()["function_name"] == "loader"
        [plan] = context.drain_actions_for("loader")
        context.ack_action(plan, 2, 4)
        assert said(optimizer.next_ack()) == ("applied", 2, 4)
