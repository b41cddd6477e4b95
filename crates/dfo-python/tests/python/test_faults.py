"""What goes wrong beside the script: it changes nothing for it but the plans that do not come."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from typing import Any, Dict, Iterator, List

import pytest
import zmq
from conftest import DEADLINE, Endpoints, Optimizer
from scene import Scene, Script, Serve, connected, received, run, said, wait_received

from dfoptimizer import OptimizerContext, knob, optimizer_context, tunable

scene = connected

ALWAYS = {
    "step": 1,
    "min_severity": 0.0,
    "min_persistence": 0,
    "cooldown_windows": 0,
    "effectiveness_threshold": 0.0,
}
BATCH = {"batch": knob(8, range=(1, 1_000_000), responds_to={"more": ALWAYS})}


@tunable(knobs=BATCH)
def train(batch: int = 8) -> int:
    return batch


class Diagnoser:
    """Sends findings, each of a later window."""

    def __init__(self, context: zmq.Context[Any], address: str) -> None:
        self.socket = context.socket(zmq.PUSH)
        self.socket.connect(address)
        self.window = 0

    def find(self) -> None:
        """Something severe that lasts, and gets worse."""
        self.window += 1
        found = {
            "finding_type": "test",
            "scope": "app:epoch",
            "severity_score": 1.0,
            "persistence": 9,
            "trend_direction": "worsening",
            "window_index": self.window,
            "opportunity_tags": ["more"],
        }
        self.socket.send_multipart([b'{"publish_mode": "control"}', json.dumps(found).encode()])


@pytest.fixture
def diagnoser(endpoints: Endpoints) -> Iterator[Diagnoser]:
    with zmq.Context() as context:
        diagnoser = Diagnoser(context, endpoints.findings)
        yield diagnoser
        diagnoser.socket.close(linger=0)


def connect(endpoints: Endpoints, **more: Any) -> OptimizerContext:
    """The process's context."""
    return optimizer_context(
        "app",
        zmq_plans_endpoint=endpoints.plans,
        zmq_control_endpoint=endpoints.control,
        **more,
    )


def until_changed(value: int) -> int:
    """Trains until a plan has changed the value."""
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        now = train(value)
        if now != value:
            return now
    raise AssertionError("no plan came")


# -- the optimizer --


def test_an_optimizer_that_is_killed_and_restarted_finds_the_knobs_and_plans_again(
    dfo: str, endpoints: Endpoints, diagnoser: Diagnoser
) -> None:
    context = connect(endpoints, heartbeat=0.1)
    value = train(8)
    for _ in range(3):
        with Serve(dfo, endpoints, "--explain") as served:
            served.wait_told("registers 1 knob")
            for _ in range(2):
                diagnoser.find()
                value += 1
                assert until_changed(value - 1) == value
                served.wait_told(f"applied: app.batch is at {value}")
            applied = context.status()["plans"]["applied"]
            served.kill()
        # Nobody is there: the work goes on as it is.
        for _ in range(1000):
            assert train(value) == value
        assert context.status()["plans"]["applied"] == applied


def test_an_optimizer_that_stands_still_holds_nothing_up(
    dfo: str, endpoints: Endpoints, diagnoser: Diagnoser
) -> None:
    context = connect(endpoints, heartbeat=0.01)
    train(8)
    with Serve(dfo, endpoints) as served:
        served.wait_told("registers 1 knob")
        os.kill(served.pid, signal.SIGSTOP)
        sent = context.status()["sent"]["registrations"]
        while context.status()["sent"]["registrations"] < sent + 20:
            assert train(8) == 8
        os.kill(served.pid, signal.SIGCONT)
        diagnoser.find()
        assert until_changed(8) == 9
        os.kill(served.pid, signal.SIGSTOP)
        began = time.monotonic()
        context.stop()
        # Two seconds and a moment, and what a loaded machine takes.
        assert time.monotonic() - began < DEADLINE / 4


#: Its result is the same, whoever listens.
WORK = """
import os, sys
from dfoptimizer import knob, optimizer_context, tunable
from dfoptimizer.runtime import Window

optimizer_context(
    "app",
    zmq_plans_endpoint=os.environ["PLANS"],
    zmq_control_endpoint=os.environ["CONTROL"],
    heartbeat=0.1,
)

@tunable(knobs={"batch": knob(8, range=(1, 1000000), responds_to={"more": {
    "step": 1, "min_severity": 0, "min_persistence": 0, "cooldown_windows": 0,
    "effectiveness_threshold": 0,
}})}, keep=True)
def train(step, batch=8):
    global seen
    seen = batch
    return step * step % 1009

seen, result = 8, 0
window = Window(None)

def steps(count):
    global result
    for step in range(count):
        window.start()
        result += train(step)
        window.stop()

steps(1000)
print("begun", flush=True)
while sys.stdin.readline() == "on\\n":
    steps(1000)
    print(seen, flush=True)
steps(1000)
print("result", result, flush=True)
"""


def what_it_works_out(script: Script, rounds: int) -> str:
    """The result of so many more rounds."""
    for _ in range(rounds):
        script.tell("on")
        script.line()
    *_, result = script.succeeds()
    return result


def test_the_result_of_the_work_is_the_same_with_and_without_an_optimizer(
    dfo: str, endpoints: Endpoints, diagnoser: Diagnoser
) -> None:
    # Never there.
    with Script(WORK, endpoints) as script:
        assert script.line() == "begun"
        expected = what_it_works_out(script, 6)

    # There from the beginning, and killed. One that is killed while plans and answers are on their way
    # is replaced; a round ends only when there was a plan.
    with Serve(dfo, endpoints) as served, Script(WORK, endpoints) as script:
        served.wait_told("registers 1 knob")
        assert script.line() == "begun"
        diagnoser.window = 1_000_000
        diagnoser.find()
        served.wait_told("app.batch  8 → 9")
        script.tell("on")
        script.line()
        served.kill()
        script.tell("on")
        script.line()
        with Serve(dfo, endpoints) as another:
            another.wait_told("registers 1 knob")
            diagnoser.window += 1_000_000
            diagnoser.find()
            another.wait_told("window ")
            script.tell("on")
            script.line()
            another.kill()
            assert what_it_works_out(script, 3) == expected


def test_answers_wait_for_an_optimizer_that_is_away(
    optimizer: Optimizer, endpoints: Endpoints
) -> None:
    scene = Scene(optimizer, heartbeat=0.1)
    train(8)
    scene.registration()
    function = scene.context.function("read", {"threads": knob(2)})
    waiting = scene.plan("app.batch", 32, "train")
    in_hand = scene.plan("app.threads", 4, "read")
    changes = function.poll()
    scene.optimizer.close()
    assert train(8) == 32
    changes.pop().applied()

    another = Optimizer(endpoints)
    acks = {ack["plan_id"]: said(ack) for ack in (another.next_ack(), another.next_ack())}
    assert acks == {waiting: ("applied", 8, 32), in_hand: ("applied", 2, 4)}
    values: Dict[str, Any] = {}
    while values != {"batch": 32, "threads": 4}:
        values.update(another.next_registration()["current_values"])
    scene.context.stop()
    another.close()


def test_an_optimizer_that_is_never_there_costs_the_script_nothing(endpoints: Endpoints) -> None:
    context = connect(endpoints, heartbeat=0.01)
    reader = context.function("read", {"threads": knob(2)})
    for _ in range(10_000):
        assert train(8) == 8
        assert reader.poll() == []
        assert context.drain_actions_for("other") == []
    status = context.status()
    assert status["plans"]["received"] == 0
    assert status["link"] in ("opening", "open")


# -- what comes --


def test_a_flood_of_plans_leaves_the_latest(scene: Scene) -> None:
    count = 20_000
    train(8)
    for value in range(1, count + 1):
        latest = scene.optimizer.send_plan("app.batch", value, target_function="train")
    wait_received(scene.context, count)
    assert scene.context.status()["plans_waiting"] == 1
    assert train(8) == count
    plans = scene.context.status()["plans"]
    assert (plans["staged"], plans["superseded"], plans["applied"]) == (count, count - 1, 1)
    # Answers that nobody fetched in time were dropped, oldest first, and counted.
    answers = 1
    while scene.ack()["plan_id"] != latest:
        answers += 1
    assert answers + scene.context.status()["sent"]["acks_dropped"] == count
    scene.plan("app.batch", 5, "train")
    assert train(8) == 5


def test_a_flood_of_plans_while_the_function_is_called_applies_them_in_order(scene: Scene) -> None:
    count = 5_000
    seen: List[int] = [0]
    train(0)
    for value in range(1, count + 1):
        latest = scene.optimizer.send_plan("app.batch", value, target_function="train")
        now = train(0)
        if now:
            seen.append(now)
    wait_received(scene.context, count)
    seen.append(train(0))
    ordered = [value for value in seen if value]
    assert ordered == sorted(set(ordered))
    assert ordered[-1] == count
    plans = scene.context.status()["plans"]
    assert plans["applied"] + plans["superseded"] == count
    assert plans["applied"] == len(ordered)
    while scene.ack()["plan_id"] != latest:
        pass


def test_plans_for_everyone_else_fill_no_memory(
    endpoints: Endpoints, pub_optimizer: Optimizer
) -> None:
    context = optimizer_context("app", zmq_plans_endpoint=endpoints.plans, zmq_plans_pattern="pub")
    pub_optimizer.wait_for_subscribers(1)
    train(8)
    # A few at a time: a publisher drops what a subscriber does not take.
    for hundred in range(40):
        for number in range(100):
            name = f"function {hundred} {number}"
            pub_optimizer.send_plan(f"app.{name}", 1, target_function=name)
        wait_received(context, (hundred + 1) * 100)
    status = context.status()
    assert status["plans_unclaimed"] <= 1024
    pub_optimizer.send_plan("app.batch", 32, target_function="train")
    wait_received(context, 4001)
    assert train(8) == 32


def nonsense(chance: random.Random) -> List[bytes]:
    """Frames that are no plan, or hardly one."""
    plan = {
        "plan_id": chance.choice(["p", "", 5, None, "\udcff", "x" * 2000]),
        "knob_id": chance.choice(["app.batch", "app.none", "", [], {}, 1.5]),
        "target_function": chance.choice(["train", "", None, 7, ["train"]]),
        "new_value": chance.choice([None, "abc", [1], {}, 1e300, 10**30, True, float("nan")]),
        "apply_when": chance.choice(["tomorrow", "", 3, None, []]),
        "target_nodes": chance.choice([[], None, "n1", [1], {"n1": 1}, ["n2"]]),
        "severity": chance.choice(["high", None, float("inf"), -1]),
        "window_index": chance.choice([None, "one", 1.5, 2**70]),
    }
    for name in chance.sample(list(plan), chance.randrange(3)):
        del plan[name]
    payload = bytearray(json.dumps(plan).encode())
    for _ in range(chance.choice([0, 0, 1, 20])):
        payload[chance.randrange(len(payload))] = chance.randrange(256)
    metadata = chance.choice([b"", b"{}", b"null", b"\xff", b'{"type": "action_plan"}', b"[" * 100])
    frames = [metadata, bytes(payload[: chance.choice([len(payload), 10, 0])])]
    return frames[: chance.choice([1, 2, 2, 2])] + [b"more"] * chance.choice([0, 0, 0, 1])


def test_nonsense_is_counted_and_nothing_else(scene: Scene) -> None:
    chance = random.Random(4)
    train(8)
    count = 2000
    for _ in range(count):
        scene.optimizer.send_frames(*nonsense(chance))
        assert 1 <= train(8) <= 1_000_000
    wait_received(scene.context, count)
    assert scene.context.status()["link"] == "open"
    scene.plan("app.batch", 32, "train", plan_id="the right one")
    assert train(8) == 32


def test_the_optimizers_farewell_is_no_plan(scene: Scene) -> None:
    train(8)
    before = received(scene.context)
    for metadata in (b'{"name": "end"}', b'{"type": "stop"}'):
        scene.optimizer.send_frames(metadata, b"")
    scene.plan("app.batch", 32, "train")
    assert train(8) == 32
    assert received(scene.context) == before + 1


def test_addresses_that_lead_nowhere_hold_nothing_up() -> None:
    # Nobody answers there, and the name is none.
    for address in ("tcp://127.0.0.1:1", "tcp://no.such.host.invalid:5552"):
        context = optimizer_context("app", zmq_plans_endpoint=address, zmq_control_endpoint=address)
        for _ in range(100):
            assert train(8) == 8
        context._stop_within(0.0)


def test_a_socket_that_cannot_be_opened_is_told_and_the_script_goes_on() -> None:
    text = """
import os
from dfoptimizer import knob, optimizer_context, tunable

@tunable(knobs={"batch": knob(8)})
def train(batch=8):
    return batch

address = "ipc:///" + "x" * 300
context = optimizer_context("app", zmq_plans_endpoint=address, zmq_control_endpoint=address)
assert [train() for _ in range(100)] == [8] * 100
print(bool(context._noop or context.status()["last_error"]))
"""
    assert run(text) == ["True"]
