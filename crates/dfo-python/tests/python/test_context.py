"""A context: how it fares, waiting, the log, its life, and that there is one for the process."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from typing import Any, Callable, Dict, List

import pytest
from conftest import DEADLINE, Endpoints, Optimizer
from scene import Scene, connected, plan_for, run, said, wait_until

from dfoptimizer import OptimizerContext, Window, knob, optimizer_context, tunable
from dfoptimizer.runtime import context as contexts
from dfoptimizer.runtime.knob import knob_def_from_dict

scene = connected

THREADS = {"threads": knob(default=2, range=(1, 16))}


def own(endpoints: Endpoints, **more: Any) -> OptimizerContext:
    """A context of its own."""
    return OptimizerContext(
        "app",
        zmq_plans_endpoint=endpoints.plans,
        zmq_control_endpoint=endpoints.control,
        **more,
    )


# -- how it fares --


def test_the_status_tells_what_became_of_everything(scene: Scene) -> None:
    function = scene.context.function("read", THREADS)
    scene.plan("app.threads", "many", "read")
    scene.plan("app.threads", 3, "read")
    scene.plan("app.threads", 4, "read")
    scene.plan("app.speed", 4, "read")
    scene.plan("app.threads", 4, "read", target_nodes=["elsewhere"])
    scene.frames(b"no", b"plan")
    [change] = function.poll()
    change.deferred()
    [change] = function.poll()
    change.applied()
    for _ in range(5):
        scene.ack()
    scene.registration()
    wait_until(scene.context, lambda now: now["sent"]["acks"] == 5)
    status = scene.context.status()
    assert status["plans"] == {
        "received": 6,
        "staged": 2,
        "applied": 1,
        "rejected": 2,
        "deferred": 1,
        "superseded": 1,
        "repeated": 0,
        "not_for_this_node": 1,
        "unknown_function": 1,
        "undecodable": 1,
        "too_large": 0,
    }
    assert status["sent"] == {
        "registrations": 1,
        "acks": 5,
        "acks_dropped": 0,
        "acks_unheard": 0,
        "undelivered": 0,
    }
    assert (status["plans_waiting"], status["acks_waiting"], status["openings"]) == (0, 0, 1)
    assert status["link"] == "open"
    assert "no knob `app.speed`" in status["last_refusal"]
    assert status["last_undecodable"]
    assert status["last_error"] is None


def test_the_link_tells_where_a_context_stands(endpoints: Endpoints, optimizer: Optimizer) -> None:
    context = own(endpoints)
    assert context.status()["link"] == "disabled"
    with context:
        assert context.wait_for(lambda now: now["link"] == "open", DEADLINE)
    assert context.status()["link"] == "stopped"


def test_the_status_is_a_copy(scene: Scene) -> None:
    scene.context.status()["plans"]["received"] = 77
    assert scene.context.status()["plans"]["received"] == 0


def test_a_context_says_who_it_is(endpoints: Endpoints) -> None:
    first, second = own(endpoints), own(endpoints, node="n7")
    assert (first.node, second.node) == (socket.gethostname(), "n7")
    assert first.instance != second.instance
    assert first.namespace == "app"
    assert OptimizerContext("").namespace == "app"
    assert "n7" in second.instance


def test_the_window_is_the_one_that_was_told(scene: Scene) -> None:
    function = scene.context.function("read", THREADS)
    for told, known in ((3, 3), (0, 0), (-1, None), (2**40, 2**40)):
        scene.context.set_window(told)
        assert scene.context.window == known
        scene.plan("app.threads", 4, "read")
        for change in function.poll():
            change.applied()
        assert scene.ack()["window_index"] == (-1 if known is None else known)


def test_a_window_tells_the_processes_context_only(scene: Scene, endpoints: Endpoints) -> None:
    with own(endpoints) as other:
        window = Window()
        window.start()
        assert (scene.context.window, other.window) == (1, None)


# -- waiting --


def test_a_wait_ends_when_the_condition_holds_or_time_is_up(scene: Scene) -> None:
    wait_for = scene.context.wait_for
    assert wait_for(lambda now: True, 0) is True
    assert wait_for(lambda now: False, 0) is False
    assert wait_for(lambda now: False, 0.01) is False
    assert wait_for(lambda now: "yes", 0) is True
    assert wait_for(lambda now: [], 0.01) is False


def test_other_threads_run_while_one_waits(scene: Scene) -> None:
    function = scene.context.function("read", THREADS)
    begun = threading.Event()

    def apply() -> None:
        begun.wait(DEADLINE)
        while not function.apply():
            pass

    function.on_change("threads", lambda value: None)
    thread = threading.Thread(target=apply)
    thread.start()
    scene.optimizer.send_plan("app.threads", 4, target_function="read")

    def condition(now: Dict[str, Any]) -> bool:
        begun.set()
        return bool(now["plans"]["applied"])

    assert scene.context.wait_for(condition, DEADLINE)
    thread.join()


def test_what_the_condition_raises_ends_the_wait(scene: Scene) -> None:
    with pytest.raises(KeyError, match="no such thing"):
        scene.context.wait_for(lambda now: now["no such thing"], DEADLINE)
    with pytest.raises(TypeError):
        scene.context.wait_for(None, DEADLINE)  # type: ignore[arg-type]


def test_the_condition_may_use_the_context(scene: Scene) -> None:
    def condition(now: Dict[str, Any]) -> bool:
        scene.context.set_window(4)
        assert scene.context.status()["link"] == now["link"]
        assert scene.context.wait_for(lambda inner: True, 0)
        return scene.context.drain_actions_for("read") == []

    assert scene.context.wait_for(condition, DEADLINE)


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_a_time_that_makes_no_sense_is_refused(scene: Scene, timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout"):
        scene.context.wait_for(lambda now: False, timeout)


@pytest.mark.parametrize("timeout", [1e10, 1e18, 1e19, 1e300, float("inf")])
def test_a_very_long_time_can_be_waited(scene: Scene, timeout: float) -> None:
    scene.optimizer.send_plan("app.threads", 4)
    assert scene.context.wait_for(lambda now: now["plans"]["received"] == 1, timeout)


def test_a_wait_ends_with_a_signal(scene: Scene) -> None:
    class Alarm(Exception):
        pass

    def ring(number: int, frame: object) -> None:
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Alarm):
            scene.context.wait_for(lambda now: False, DEADLINE)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_wait_ends_when_the_context_is_stopped(scene: Scene) -> None:
    thread = threading.Thread(target=scene.context.stop)
    thread.start()
    assert scene.context.wait_for(lambda now: now["link"] == "stopped", DEADLINE)
    thread.join()


def test_other_threads_run_while_one_stops(endpoints: Endpoints) -> None:
    # Nobody is there to take what waits, so that the stop takes its time.
    context = own(endpoints)
    context.start()
    context.function("read", THREADS)
    counted = 0
    thread = threading.Thread(target=context.stop)
    thread.start()
    while thread.is_alive():
        counted += 1
    assert counted > 1000


# -- the log --


def warnings(caplog: pytest.LogCaptureFixture) -> List[str]:
    """What was logged that needs somebody's attention."""
    records = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert all(record.name == "dfoptimizer" for record in records)
    return [record.getMessage() for record in records]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"zmq_plans_endpoint": "nonsense"}, "nonsense"),
        ({"zmq_plans_endpoint": "tcp://127.0.0.1"}, "tcp://127.0.0.1"),
        ({"zmq_plans_endpoint": "udp://127.0.0.1:5"}, "udp://127.0.0.1:5"),
        ({"zmq_control_endpoint": "nonsense"}, "nonsense"),
        ({"zmq_plans_pattern": "radio"}, "radio"),
    ],
)
def test_an_address_that_makes_no_sense_is_logged_and_the_script_goes_on(
    endpoints: Endpoints, caplog: pytest.LogCaptureFixture, arguments: Dict[str, str], part: str
) -> None:
    context = optimizer_context("app", **{"zmq_plans_endpoint": endpoints.plans, **arguments})  # type: ignore[arg-type]
    [warning] = warnings(caplog)
    assert part in warning
    assert context._noop

    @tunable(knobs=THREADS)
    def train(threads: int = 2) -> int:
        return threads

    assert train() == 2
    context.register_knobs("read", {"a": knob_def_from_dict("app.a", knob(1), "read")})
    assert context.drain_actions_for("read") == []
    assert context.function("loop", THREADS).poll() == []
    assert context.status()["link"] == "disabled"
    context.stop()
    assert len(warnings(caplog)) == 1


def test_a_plan_that_is_rejected_on_arrival_is_logged_at_the_next_call(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    @tunable(knobs=THREADS)
    def train(threads: int = 2) -> int:
        return threads

    function = scene.context.function("loop", THREADS)
    train()
    name = train._tunable_func_name  # type: ignore[attr-defined]
    scene.context.drain_actions_for("drained")
    calls: List[Callable[[], object]] = [
        train,
        function.poll,
        lambda: scene.context.drain_actions_for("drained"),
    ]
    for number, call in enumerate(calls):
        caplog.clear()
        scene.plan("app.threads", f"many {number}", name)
        assert warnings(caplog) == []
        call()
        [warning] = warnings(caplog)
        assert f'new_value: "many {number}" is not of type int' in warning
        call()
        assert len(warnings(caplog)) == 1


def test_a_record_that_is_no_plan_is_logged(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.frames(b"{}", b"no plan")
    scene.context.drain_actions_for("read")
    [warning] = warnings(caplog)
    assert "a record that is no plan" in warning


def test_what_goes_well_is_told_as_information(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dfoptimizer")
    function = scene.context.function("read", THREADS)
    plan = scene.plan("app.threads", 4, "read")
    for change in function.poll():
        change.applied()
    scene.context.stop()
    told = "\n".join(record.getMessage() for record in caplog.records)
    for part in ("registered for read: threads", f"plan {plan}: app.threads to 4", "stopped"):
        assert part in told
    assert warnings(caplog) == []


def test_a_script_that_wants_no_log_gets_none(endpoints: Endpoints) -> None:
    script = """
from dfoptimizer import OptimizerContext, knob, optimizer_context
from dfoptimizer.runtime.knob import knob_def_from_dict
context = optimizer_context("app", zmq_plans_endpoint="nonsense")
context.register_knobs("read", {"k": knob_def_from_dict("k", knob(1, range=(2, 1)), "read")})
context.drain_actions_for("read", at="tomorrow")
"""
    assert run(script, endpoints) == []


def test_a_group_file_without_mofka_is_said(
    caplog: pytest.LogCaptureFixture, tmp_path: Any
) -> None:
    group_file = tmp_path / "mofka.json"
    group_file.write_text("{}")
    context = optimizer_context("app", group_file=str(group_file))
    [warning] = warnings(caplog)
    assert str(group_file) in warning
    assert context._noop


# -- its life --


def test_a_context_can_be_stopped_and_started_again(
    endpoints: Endpoints, optimizer: Optimizer
) -> None:
    context = own(endpoints)
    context.start()
    function = context.function("read", THREADS)
    first = optimizer.next_registration()
    function.set_value("threads", 5)
    context.stop()
    assert optimizer.wait_stop()["instance"] == first["instance"]
    assert function.poll() == []
    assert function.value("threads") == 5

    context.start()
    second = optimizer.next_registration()
    assert second["instance"] == context.instance != first["instance"]
    assert second["knobs"] == first["knobs"]
    assert second["current_values"] == {"threads": 5}
    optimizer.send_plan("app.threads", 8, target_function="read")
    wait_until(context, lambda now: now["plans_waiting"] == 1)
    [change] = function.poll()
    change.applied()
    assert said(optimizer.next_ack()) == ("applied", 5, 8)
    context.stop()


def test_starting_and_stopping_twice_is_once(endpoints: Endpoints, optimizer: Optimizer) -> None:
    context = own(endpoints)
    context.stop()
    context.start()
    instance = context.instance
    context.start()
    assert context.instance == instance
    context.function("read", THREADS)
    optimizer.next_registration()
    context.stop()
    context.stop()
    assert optimizer.wait_stop()["instance"] == instance


def test_a_stopped_context_is_quiet(scene: Scene) -> None:
    context = scene.context
    function = context.function("read", THREADS)
    scene.plan("app.threads", 4, "read")
    [change] = function.poll()
    scene.plan("app.threads", 5, "read")
    context.stop()
    change.applied()
    assert function.poll() == []
    assert context.drain_actions_for("read") == []
    context.enqueue_action(plan_for("app.threads", 6, "read"))
    context.register_knobs("read", {"a": knob_def_from_dict("app.a", knob(1), "read")})
    context.set_window(3)
    assert context.status()["link"] == "stopped"
    assert context.wait_for(lambda now: now["link"] == "stopped", 0)


def test_plans_that_were_there_at_the_stop_are_answered(scene: Scene) -> None:
    function = scene.context.function("read", {"a": knob(1), "b": knob(1)})
    plans = {scene.plan(f"app.{name}", 4, "read") for name in ("a", "b")}
    scene.context.stop()
    acks = scene.acks(2)
    assert set(acks) == plans
    assert {ack["status"] for ack in acks.values()} == {"rejected"}
    assert function.poll() == []


def test_the_addresses_come_from_the_environment(
    endpoints: Endpoints, pub_optimizer: Optimizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFOPTIMIZER_ZMQ_CONTROL", endpoints.control)
    monkeypatch.setenv("DFOPTIMIZER_ZMQ_PLANS_PATTERN", "pub")
    context = optimizer_context("app", zmq_plans_endpoint=endpoints.plans)
    pub_optimizer.wait_for_subscribers(1)
    context.function("read", THREADS)
    assert pub_optimizer.next_registration()["function_name"] == "read"
    pub_optimizer.send_plan("app.threads", 4, target_function="read")
    wait_until(context, lambda now: now["plans_waiting"] == 1)
    context.stop()
    assert pub_optimizer.next_ack()["status"] == "rejected"


def test_an_argument_goes_before_the_environment(
    endpoints: Endpoints, optimizer: Optimizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFOPTIMIZER_ZMQ_CONTROL", "nonsense")
    monkeypatch.setenv("DFOPTIMIZER_ZMQ_PLANS_PATTERN", "nonsense")
    with own(endpoints, zmq_plans_pattern="push") as context:
        context.function("read", THREADS)
        optimizer.next_registration()


@pytest.mark.parametrize("heartbeat", [-1, float("nan")])
def test_a_heartbeat_that_makes_no_sense_is_refused(heartbeat: float) -> None:
    with pytest.raises(ValueError, match="heartbeat"):
        OptimizerContext("app", heartbeat=heartbeat)


def test_plans_can_be_fetched_where_this_process_listens(endpoints: Endpoints) -> None:
    import zmq

    with OptimizerContext(
        "app", zmq_plans_endpoint=endpoints.plans, zmq_plans_bind=True
    ) as context:
        with zmq.Context() as messages, messages.socket(zmq.PUSH) as push:
            push.connect(endpoints.plans)
            push.send_multipart([b"{}", b'{"plan_id": "p", "knob_id": "k", "new_value": 1}'])
            wait_until(context, lambda now: now["plans"]["received"] == 1)


# -- one for the process --


def test_the_processes_context_is_made_once(scene: Scene) -> None:
    made: List[OptimizerContext] = []
    threads = [threading.Thread(target=lambda: made.append(optimizer_context())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [scene.context] * 8


def test_threads_that_are_first_together_get_one_context(endpoints: Endpoints) -> None:
    begin = threading.Barrier(8)
    made: List[OptimizerContext] = []

    def make() -> None:
        begin.wait(DEADLINE)
        made.append(optimizer_context("app", zmq_plans_endpoint=endpoints.plans))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len(set(map(id, made))) == 1


def test_what_an_argument_leaves_out_asks_for_nothing_else(scene: Scene) -> None:
    assert optimizer_context() is scene.context
    assert optimizer_context("app", node="n1") is scene.context
    with pytest.raises(ValueError, match="node='n1' and not 'n2'") as refused:
        optimizer_context(node="n2")
    assert "stop() it first" in str(refused.value)
    assert contexts.current() is scene.context


def test_a_context_of_the_process_that_nobody_can_reach_is_made_again_after_its_stop() -> None:
    first = optimizer_context()
    assert optimizer_context() is first
    first.stop()
    assert optimizer_context("other") is not first
