"""Many processes at once: ranks that all hear every plan, and children that a script forks."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any, Dict, List

import pytest
import zmq
from conftest import Endpoints, Optimizer
from scene import Script, Serve, run, said

RANKS = 8

#: A rank of a training: its loop takes what comes at each window, until it is told to end. It prints what
#: it applied, in order.
RANK = """
import json, os, sys, threading
from dfoptimizer import knob, optimizer_context
from dfoptimizer.runtime import Window
from dfoptimizer.runtime.knob import knob_def_from_dict

context = optimizer_context("stormer", zmq_plans_endpoint=os.environ["PLANS"], node=os.environ["NODE"])
spec = knob(0, range=(0, 1000), responds_to={
    "more": {
        "step": 1, "min_severity": 0, "min_persistence": 0, "cooldown_windows": 0,
        "effectiveness_threshold": 0, "apply_when": "window_boundary",
    },
})
workers = knob_def_from_dict("stormer.workers", spec, target_function="stormer.make_loader")
context.register_knobs("stormer.make_loader", {"workers": workers})
window, value, applied = Window(None), 0, []
may_end = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), may_end.set()), daemon=True).start()
while not may_end.is_set():
    window.start()
    for plan in context.drain_actions_for("stormer.make_loader", at="window_boundary"):
        context.ack_action(plan, value, plan.new_value)
        value = plan.new_value
        applied.append([plan.plan_id, value, plan.target_nodes])
        print(value, flush=True)
    window.stop()
    # Sleeps: this is a step of the training.
    may_end.wait(0.001)
print(json.dumps(applied), flush=True)
"""


def ranks(stack: ExitStack, endpoints: Endpoints) -> Dict[str, Script]:
    """Eight of them, each on a node of its own, by the node's name."""
    nodes = [f"n{rank}" for rank in range(RANKS)]
    environment = {
        "DFOPTIMIZER_ZMQ_CONTROL": endpoints.control,
        "DFOPTIMIZER_ZMQ_PLANS_PATTERN": "pub",
    }
    return {
        node: stack.enter_context(Script(RANK, endpoints, {**environment, "NODE": node}))
        for node in nodes
    }


def what_it_applied(rank: Script) -> List[Any]:
    """The plans that a rank applied, in order, once it has ended."""
    *_, last = rank.succeeds()
    applied: List[Any] = json.loads(last)
    return applied


def test_eight_ranks_each_apply_the_plans_for_all_and_for_their_node_once(
    endpoints: Endpoints, pub_optimizer: Optimizer
) -> None:
    optimizer = pub_optimizer
    fields = {"target_function": "stormer.make_loader", "apply_when": "window_boundary"}
    expected: Dict[str, List[Any]] = {}
    with ExitStack() as stack:
        scripts = ranks(stack, endpoints)
        optimizer.wait_for_subscribers(RANKS)
        registrations = [optimizer.next_registration() for _ in scripts]
        assert {registration["node"] for registration in registrations} == set(scripts)
        assert len({registration["instance"] for registration in registrations}) == RANKS

        value = 0
        for _ in range(5):
            value += 1
            for_all = optimizer.send_plan("stormer.workers", value, **fields)
            for node, script in scripts.items():
                assert script.line() == str(value)
                expected.setdefault(node, []).append([for_all, value, []])
            acks = [optimizer.next_ack() for _ in scripts]
            assert {ack["plan_id"] for ack in acks} == {for_all}
            assert {ack["node"] for ack in acks} == set(scripts)
            assert {ack["status"] for ack in acks} == {"applied"}
            assert all(ack["window_index"] > 0 for ack in acks)
            for node, script in scripts.items():
                value += 1
                plan = optimizer.send_plan("stormer.workers", value, **fields, target_nodes=[node])
                expected[node].append([plan, value, [node]])
                assert script.line() == str(value)
                ack = optimizer.next_ack()
                assert (ack["plan_id"], ack["node"], ack["target_nodes"]) == (plan, node, [node])
                # The same once more, as from an optimizer that heard nothing: answered, not applied.
                optimizer.send_plan(
                    "stormer.workers", value, **fields, target_nodes=[node], plan_id=plan
                )
                assert optimizer.next_ack() == ack
        assert {node: what_it_applied(script) for node, script in scripts.items()} == expected
        assert len({optimizer.wait_stop()["instance"] for _ in scripts}) == RANKS


def finding(window: int, scope: str) -> List[bytes]:
    """Something severe that lasts."""
    found = {
        "finding_type": "test",
        "scope": scope,
        "severity_score": 1.0,
        "persistence": 9,
        "trend_direction": "worsening",
        "window_index": window,
        "opportunity_tags": ["more"],
    }
    return [b'{"publish_mode": "control"}', json.dumps(found).encode()]


def test_eight_ranks_follow_a_real_optimizer(dfo: str, endpoints: Endpoints) -> None:
    with ExitStack() as stack:
        served = stack.enter_context(Serve(dfo, endpoints, "--plans", "pub", "--explain"))
        scripts = ranks(stack, endpoints)
        for _ in scripts:
            served.wait_told("registers 1 knob")
        context = stack.enter_context(zmq.Context())
        diagnoser = stack.enter_context(context.socket(zmq.PUSH))
        diagnoser.connect(endpoints.findings)

        def plan(value: int) -> None:
            # Never behind the ranks, which count their steps as windows.
            diagnoser.send_multipart(finding(value * 1_000_000, "app:epoch"))
            served.wait_told(f"applied: stormer.workers is at {value}")

        # A rank may have said which knobs it has before it hears plans. Then all hear them.
        value = 0
        while not all(script.has_said_something() for script in scripts.values()):
            value += 1
            plan(value)
        values = [value + 1, value + 2, value + 3]
        for value in values:
            plan(value)
            for script in scripts.values():
                while script.line() != str(value):
                    pass
        for script in scripts.values():
            applied = what_it_applied(script)
            assert [value for _, value, _ in applied[-3:]] == values
            assert len({plan for plan, _, _ in applied}) == len(applied)


# -- forks --

#: A parent with a context that is alive, and with a plan for its loop that waits.
PARENT = """
import gc, multiprocessing, os, sys, threading, warnings
from dfoptimizer import OptimizerContext, knob, optimizer_context, tunable
warnings.simplefilter("ignore", DeprecationWarning)

def own(namespace="app"):
    return OptimizerContext(
        namespace, zmq_plans_endpoint=os.environ["PLANS"], zmq_control_endpoint=os.environ["CONTROL"]
    )

context = optimizer_context(
    "app", zmq_plans_endpoint=os.environ["PLANS"], zmq_control_endpoint=os.environ["CONTROL"]
)
reader = context.function("read", {"threads": knob(2, range=(1, 64))})
writer = context.function("write", {"threads": knob(2, range=(1, 64))})

@tunable(knobs={"batch": knob(8, range=(1, 64))})
def train(batch=8):
    return batch

train()
print(context.instance, flush=True)
assert context.wait_for(lambda now: now["plans_waiting"] == 3, 60)
# In the parent's hands as it forks.
in_hand = writer.poll()
assert len(in_hand) == 1

def quiet():
    "What a child sees of what it inherited."
    for _ in range(100):
        assert train() == 8
        assert train(9) == 9
        assert reader.poll() == []
        assert reader.apply() == 0
        assert context.drain_actions_for("read") == []
        assert context.drain_actions_for("unheard of") == []
    reader.set_value("threads", 5)
    reader.value("threads")
    for change in in_hand:
        change.plan
        change.applied()
    in_hand.clear()
    context.function("new", {"threads": knob(2)})
    context.set_window(7)
    assert context.status()["link"] == "forked"
    assert context.wait_for(lambda now: True, 0) in (True, False)
    assert not context.wait_for(lambda now: now["link"] == "open", 0.01)
    gc.collect()

def forked(work):
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        import traceback
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)

def wait(children):
    for child in children:
        _, status = os.waitpid(child, 0)
        assert status == 0, status
"""

#: What the parent does at last: its own plans are all there.
TAKES_ITS_PLANS = """
assert [change.new_value for change in in_hand] == [40]
in_hand.pop().applied()
assert train() == 32
[change] = reader.poll()
change.applied()
print("applied", flush=True)
assert context.wait_for(lambda now: now["plans_waiting"] == 1, 60)
[change] = reader.poll()
change.applied()
"""

CHILDREN = {
    "forked": """
read, written = os.pipe()
def work():
    quiet()
    os.read(read, 1)
children = [forked(work) for _ in range(16)]
LAST
os.write(written, b"x" * 16)
wait(children)
""",
    "forked, and stopping": """
def work():
    quiet()
    context.stop()
    context.stop()
wait([forked(work) for _ in range(16)])
LAST
""",
    "forked by threads": """
children = []
def fork():
    children.append(forked(quiet))
threads = [threading.Thread(target=fork) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
wait(children)
LAST
""",
    "forked while threads use the context": """
end = threading.Event()
def use():
    while not end.is_set():
        reader.value("threads")
        context.status()
        context.register_knobs("busy", {})
        with own("other"): pass
threads = [threading.Thread(target=use) for _ in range(2)]
for thread in threads: thread.start()
for _ in range(16):
    wait([forked(quiet)])
end.set()
for thread in threads: thread.join()
LAST
""",
    "of multiprocessing": """
fork = multiprocessing.get_context("fork")
children = [fork.Process(target=quiet) for _ in range(16)]
for child in children: child.start()
for child in children:
    child.join()
    assert child.exitcode == 0
LAST
""",
    "of a pool": """
with multiprocessing.get_context("fork").Pool(16) as pool:
    pool.starmap(quiet, [()] * 16)
    LAST_IN
""",
    "that end as scripts do": """
children = []
for _ in range(16):
    child = os.fork()
    if not child:
        quiet()
        sys.exit(0)
    children.append(child)
wait(children)
LAST
""",
    "that have children": """
def work():
    quiet()
    wait([forked(quiet) for _ in range(2)])
wait([forked(work) for _ in range(4)])
LAST
""",
}


@pytest.mark.parametrize("children", list(CHILDREN))
def test_sixteen_children_are_quiet_and_the_parent_goes_on(
    endpoints: Endpoints, optimizer: Optimizer, children: str
) -> None:
    indented = TAKES_ITS_PLANS.strip().replace("\n", "\n    ")
    text = CHILDREN[children].replace("LAST_IN", indented).replace("LAST", TAKES_ITS_PLANS)
    with Script(PARENT + text, endpoints) as script:
        instance = script.line()
        plans = [
            optimizer.send_plan("app.threads", 40, target_function="write"),
            optimizer.send_plan("app.batch", 32, target_function="train"),
            optimizer.send_plan("app.threads", 24, target_function="read"),
        ]
        assert script.line() == "applied"
        # They are still there, some of them, and it still hears.
        plans.append(optimizer.send_plan("app.threads", 48, target_function="read"))
        acks = [optimizer.next_ack() for _ in plans]
        assert [ack["plan_id"] for ack in acks] == plans
        assert [said(ack) for ack in acks] == [
            ("applied", 2, 40),
            ("applied", 8, 32),
            ("applied", 2, 24),
            ("applied", 24, 48),
        ]
        assert {ack["instance"] for ack in acks} == {instance}
        assert script.succeeds() == []
        heard = {optimizer.wait_stop()["instance"]}
        while instance not in heard:
            heard.add(optimizer.wait_stop()["instance"])
    functions = [r["function_name"] for m, r in optimizer.records if "function_name" in r]
    assert "new" not in functions


def test_a_forked_child_can_have_a_context_of_its_own(
    endpoints: Endpoints, pub_optimizer: Optimizer
) -> None:
    optimizer = pub_optimizer
    text = """
import os, sys, warnings
from dfoptimizer import OptimizerContext, knob, optimizer_context, tunable
warnings.simplefilter("ignore", DeprecationWarning)

arguments = dict(
    zmq_plans_endpoint=os.environ["PLANS"],
    zmq_control_endpoint=os.environ["CONTROL"],
    zmq_plans_pattern="pub",
)

@tunable(knobs={"batch": knob(8, range=(1, 64))})
def train(batch=8):
    return batch

def loop():
    while train() == 8:
        pass

context = optimizer_context("app", **arguments)
train()
print(context.instance, flush=True)
child = os.fork()
if not child:
    # The process's anew, in the place of what it inherited.
    optimizer_context().stop()
    context = optimizer_context("app", **arguments)
    train()
    print(context.instance, flush=True)
    loop()
    # And one beside it.
    with OptimizerContext("app", **arguments) as own:
        reader = own.function("read", {"threads": knob(2)})
        print(own.instance, flush=True)
        assert own.wait_for(lambda now: now["plans_waiting"] == 1, 60)
        [change] = reader.poll()
        change.applied()
    sys.exit(0)
loop()
assert os.waitpid(child, 0)[1] == 0
"""
    with Script(text, endpoints) as script:
        instances = {script.line(), script.line()}
        optimizer.wait_for_subscribers(2)
        assert {optimizer.next_registration()["instance"] for _ in range(2)} == instances
        optimizer.send_plan("app.batch", 32, target_function="train")
        acks = [optimizer.next_ack() for _ in range(2)]
        assert {ack["instance"] for ack in acks} == instances
        assert {said(ack) for ack in acks} == {("applied", 8, 32)}
        own = script.line()
        optimizer.wait_for_subscribers(3)
        assert optimizer.next_registration()["instance"] == own
        optimizer.send_plan("app.threads", 4, target_function="read")
        ack = optimizer.next_ack()
        assert (ack["instance"], *said(ack)) == (own, "applied", 2, 4)
        assert script.succeeds() == []
        assert {optimizer.wait_stop()["instance"] for _ in range(3)} == {own, *instances}


def test_a_child_that_is_spawned_begins_anew(endpoints: Endpoints, optimizer: Optimizer) -> None:
    text = """
import os, subprocess, sys
from dfoptimizer import optimizer_context
optimizer_context("app", zmq_plans_endpoint=os.environ["PLANS"])
child = "from dfoptimizer import optimizer_context; assert optimizer_context()._noop"
subprocess.run([sys.executable, "-c", child], check=True)
"""
    assert run(text, endpoints) == []
