"""The end of the process: prompt and clean, without a stop() in the script, and the optimizer hears of it."""

from __future__ import annotations

import signal
import time

import pytest
from conftest import DEADLINE, Endpoints, Optimizer
from scene import Script, run, said

UNHEARD = """
import atexit, os, signal, sys, threading
from dfoptimizer import OptimizerContext, knob, optimizer_context, tunable

def own():
    return OptimizerContext(
        "app", zmq_plans_endpoint=os.environ["PLANS"], zmq_control_endpoint=os.environ["CONTROL"]
    )

context = optimizer_context(
    "app", zmq_plans_endpoint=os.environ["PLANS"], zmq_control_endpoint=os.environ["CONTROL"]
)
reader = context.function("read", {"threads": knob(2, range=(1, 16))})
print(context.instance, flush=True)
"""

#: And an optimizer that knows of it.
BEGIN = UNHEARD + 'assert context.wait_for(lambda now: now["sent"]["registrations"], 60)\n'

#: What Python does at its end takes a while: some thread may wake up in the midst of it.
SLOW_END = """
import time, types
class Slow:
    def __init__(self, sleep):
        self.sleep = sleep
    def __del__(self):
        # Sleeps: this is what is slow.
        self.sleep(0.3)
sys.modules["slow"] = types.ModuleType("slow")
sys.modules["slow"].slow = Slow(time.sleep)
"""

#: Threads that never end, each in a call of the package as the process does.
DAEMONS = {
    "waiting": "context.wait_for(lambda now: False, 1000)",
    "waiting again and again": "while True: context.wait_for(lambda now: False, 0.001)",
    "polling": "while True: reader.poll()",
    "draining": "while True: context.drain_actions_for('read')",
    "looking": "while True: context.status()",
    "registering": "while True: context.function('read', {'threads': knob(2)})",
    "in a tuned function": "while True: tuned()",
    "starting and stopping": "while True:\n        with own(): pass",
}


def daemons(work: str) -> str:
    """Four of them, which have begun."""
    return f"""
@tunable(knobs={{"threads": knob(2)}})
def tuned(threads=2):
    return threads

begun = threading.Barrier(5)
def work():
    begun.wait()
    {work}
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
begun.wait()
"""


def test_the_optimizer_hears_the_end_of_a_script_that_does_not_stop(
    endpoints: Endpoints, optimizer: Optimizer
) -> None:
    [instance] = run(BEGIN, endpoints)
    assert optimizer.wait_stop()["instance"] == instance


@pytest.mark.parametrize(
    ("last", "code", "complaint"),
    [
        ("sys.exit(3)", 3, ""),
        ("sys.exit()", 0, ""),
        ("raise LookupError('as the test wants it')", 1, "LookupError: as the test wants it"),
        ("signal.raise_signal(signal.SIGINT)", -signal.SIGINT, "KeyboardInterrupt"),
        ("sys.exit('no more data')", 1, "no more data"),
        ("del context, reader", 0, ""),
        ("context.stop()", 0, ""),
        ("atexit.register(context.stop)", 0, ""),
        ("threading.Thread(target=context.stop).start()", 0, ""),
        ("atexit.register(lambda: context.drain_actions_for('read'))", 0, ""),
    ],
)
def test_a_script_ends_in_its_own_way_and_the_optimizer_hears_it(
    endpoints: Endpoints, optimizer: Optimizer, last: str, code: int, complaint: str
) -> None:
    with Script(BEGIN + last, endpoints) as script:
        ended, [instance], complaints = script.end()
        assert ended == code
        assert (complaints or [""])[-1] == complaint
        assert optimizer.wait_stop()["instance"] == instance


def test_what_was_not_applied_is_rejected_at_the_end(
    endpoints: Endpoints, optimizer: Optimizer
) -> None:
    takes = """
assert context.wait_for(lambda now: now["plans_waiting"], 60)
context.drain_actions_for("read")
print("taken", flush=True)
assert context.wait_for(lambda now: now["plans_waiting"], 60)
"""
    with Script(BEGIN + takes, endpoints) as script:
        instance = script.line()
        in_hand = optimizer.send_plan("app.threads", 4, target_function="read")
        assert script.line() == "taken"
        waiting = optimizer.send_plan("app.threads", 5, target_function="read")
        assert script.succeeds() == []
        acks = [optimizer.next_ack() for _ in range(2)]
        assert {ack["plan_id"] for ack in acks} == {in_hand, waiting}
        assert {said(ack) for ack in acks} == {("rejected", 2, 2)}
        assert optimizer.wait_stop()["instance"] == instance


def test_a_script_that_nobody_hears_ends_soon(endpoints: Endpoints) -> None:
    began = time.monotonic()
    assert len(run(UNHEARD, endpoints)) == 1
    # Half a second, and what a loaded machine takes.
    assert time.monotonic() - began < DEADLINE / 4


@pytest.mark.parametrize("end", ["", SLOW_END], ids=["", "slow end"])
@pytest.mark.parametrize("work", list(DAEMONS))
def test_daemon_threads_in_the_package_do_not_disturb_the_end(
    endpoints: Endpoints, optimizer: Optimizer, work: str, end: str
) -> None:
    lines = run(BEGIN + end + daemons(DAEMONS[work]), endpoints)
    stopped = optimizer.wait_stop()["instance"]
    if work != "starting and stopping":
        assert lines == [stopped]


def test_a_context_that_lives_in_a_thread_is_stopped_when_the_thread_is_done(
    endpoints: Endpoints, optimizer: Optimizer
) -> None:
    thread = """
begun, end = threading.Event(), threading.Event()
def work():
    with own() as mine:
        print(mine.instance, flush=True)
        mine.function("write", {"threads": knob(2)})
        begun.set()
        end.wait()
        assert mine.status()["link"] == "open"
threading.Thread(target=work).start()
begun.wait()
threading.Thread(target=lambda: (threading.main_thread().join(), end.set())).start()
"""
    instances = run(BEGIN + thread, endpoints)
    assert len(instances) == 2
    assert {optimizer.wait_stop()["instance"] for _ in range(2)} == set(instances)


def test_a_context_that_nobody_stopped_or_holds_is_stopped_at_the_end(
    endpoints: Endpoints, optimizer: Optimizer
) -> None:
    let_go = """
mine = own()
mine.start()
print(mine.instance, flush=True)
mine.function("write", {"threads": knob(2)})
del mine
"""
    instances = run(BEGIN + let_go, endpoints)
    assert {optimizer.wait_stop()["instance"] for _ in range(2)} == set(instances)


def test_the_development_mode_finds_nothing_to_warn_of(
    endpoints: Endpoints, optimizer: Optimizer
) -> None:
    uses = """
from dfoptimizer.runtime import Window
@tunable(knobs={"batch": knob(8)})
def train(batch=8):
    return batch
train(), train(9), train(batch=9, _apply_at="window_boundary")
reader.on_change("threads", lambda value: None)
reader.apply()
window = Window()
window.start(), window.stop()
with own() as mine:
    mine.function("write", {"threads": knob(2)})
context.drain_actions_for("read")
"""
    flags = ("-X", "dev", "-W", "error", "-b")
    for last in ("", "context.stop()"):
        run(BEGIN + uses + last, endpoints, flags=flags)


def test_importing_it_starts_no_thread_and_opens_no_socket() -> None:
    script = """
import os
import dfoptimizer, dfoptimizer.runtime, dfoptimizer.types
print(len(os.listdir("/proc/self/task")))
links = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")[:-1]]
print(any(link.startswith("socket:") for link in links))
dfoptimizer.optimizer_context()
print(len(os.listdir("/proc/self/task")))
"""
    assert run(script) == ["1", "False", "1"]


def test_a_second_interpreter_is_refused_or_has_a_context_of_its_own(
    endpoints: Endpoints, optimizer: Optimizer
) -> None:
    script = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
code = '''
import os
def say(text):
    os.write(1, str(text).encode() + bytes([10]))
try:
    import dfoptimizer
except ImportError as refused:
    say(refused)
else:
    from dfoptimizer.types import ActionPlan
    context = dfoptimizer.optimizer_context("second", zmq_plans_endpoint=os.environ["PLANS"])
    reader = context.function("read", {"threads": dfoptimizer.knob(2)})
    plan = ActionPlan("p", "second.threads", "read", 2, 4, "epoch_boundary", "", "", 0.5, "", 1)
    context.enqueue_action(plan)
    say([change.new_value for change in reader.poll()])
'''

def second(*how):
    try:
        made = interpreters.create(*how)
    except TypeError:
        return
    failed = interpreters.run_string(made, code)
    assert failed is None, failed
    interpreters.destroy(made)

# One that shares nothing, where Python has that; and since 3.13 the old kind has a name.
second()
second("legacy")
assert reader.poll() == []
assert reader.value("threads") == 2
"""
    instance, *others = run(BEGIN + script, endpoints)
    assert others
    for said_there in others:
        assert said_there == "[4]" or "interpreter" in said_there, said_there
    assert optimizer.wait_stop()["instance"] == instance
