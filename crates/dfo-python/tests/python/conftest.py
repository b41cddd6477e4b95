"""What the tests share: addresses, a stand-in for the optimizer, the command, and a clean end.

The stand-in is pyzmq, a client that no one here wrote. It sends what a test tells it and decides nothing;
a test that is about decisions takes the command, with the fixture ``dfo``.

Every wait here ends with its event, or fails at a deadline that is far beyond what a loaded machine needs.
"""

from __future__ import annotations

import faulthandler
import itertools
import json
import os
import shutil
import signal
import tempfile
import time
from collections import deque
from typing import Any, Deque, Dict, Iterator, List, NamedTuple, Tuple

import pytest
import zmq

from dfoptimizer.runtime import context as contexts

#: Seconds after which what should have come is not coming.
DEADLINE = 60.0

#: Seconds after which a test hangs, whatever it does: then the run ends and shows where.
HANGS = 900.0

#: Files whose tests take long, and so run on one Python only (``-m "not slow"`` leaves them out).
SLOW = ("test_endurance.py", "test_exit.py", "test_faults.py")

#: What the control channel's records call themselves.
ACK, REGISTRATION, STOP = "action_ack", "knob_registration", "stop"

_plan_numbers = itertools.count(1)

# Who started this in the background may have had SIGINT ignored, and Python leaves it so, here and in
# the scripts that the tests start. They are about a terminal's.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Endpoints(NamedTuple):
    """Addresses that nobody else has."""

    plans: str
    control: str
    findings: str


class Optimizer:
    """Stands in for the optimizer: it binds both addresses, sends plans and keeps what comes back.

    ``pattern`` is ``push``, or ``pub``, where each plan goes to every application that has subscribed by
    then: see :meth:`wait_for_subscribers`.
    """

    def __init__(self, endpoints: Endpoints, pattern: str = "push") -> None:
        self.endpoints = endpoints
        self.pattern = pattern
        #: All that came on the control channel, metadata and payload, in order.
        self.records: List[Tuple[Dict[str, Any], Dict[str, Any]]] = []
        self._waiting: Dict[str, Deque[Dict[str, Any]]] = {
            kind: deque() for kind in (ACK, REGISTRATION, STOP)
        }
        self._subscribers = 0
        self._context = zmq.Context()
        # XPUB is PUB that also tells who has subscribed; VERBOSE, so that it tells of each.
        self._plans = self._context.socket(zmq.PUSH if pattern == "push" else zmq.XPUB)
        if pattern == "pub":
            self._plans.setsockopt(zmq.XPUB_VERBOSE, 1)
        self._control = self._context.socket(zmq.PULL)
        for sock, address in ((self._plans, endpoints.plans), (self._control, endpoints.control)):
            sock.setsockopt(zmq.LINGER, 0)
            sock.setsockopt(zmq.SNDTIMEO, int(DEADLINE * 1000))
            sock.bind(address)

    def send_plan(self, knob_id: str, new_value: Any, **fields: Any) -> str:
        """Sends a plan; its id. ``fields`` are others of the message: ``target_function``, ``apply_when``, …

        With ``push`` this waits until an application is connected.
        """
        plan: Dict[str, Any] = {
            "plan_id": f"plan-{next(_plan_numbers)}",
            "knob_id": knob_id,
            "target_function": "",
            "old_value": None,
            "new_value": new_value,
            "apply_when": "epoch_boundary",
            "rationale": "because the test says so",
            "finding_type": "fetch_pressure",
            "severity": 0.9,
            "opportunity_tag": "test",
            "window_index": 1,
            "target_nodes": [],
            **fields,
        }
        same = ("plan_id", "knob_id", "target_function", "target_nodes")
        metadata = {"type": "action_plan", **{name: plan[name] for name in same}}
        self.send_frames(json.dumps(metadata).encode(), json.dumps(plan).encode())
        return str(plan["plan_id"])

    def send_frames(self, *frames: bytes) -> None:
        """Sends whatever these bytes are."""
        self._plans.send_multipart(frames)

    def wait_for_subscribers(self, count: int = 1, timeout: float = DEADLINE) -> None:
        """Waits until so many applications in all have subscribed, with ``pub``."""
        until = time.monotonic() + timeout
        while self._subscribers < count:
            what = f"subscriber {self._subscribers + 1} of {count}"
            if self._receive(self._plans, until, what)[0][:1] == b"\x01":
                self._subscribers += 1

    def next_ack(self, timeout: float = DEADLINE) -> Dict[str, Any]:
        """The next acknowledgement, once it is there."""
        return self._next(ACK, timeout)

    def next_registration(self, timeout: float = DEADLINE) -> Dict[str, Any]:
        """The next registration, once it is there; heartbeats are registrations too."""
        return self._next(REGISTRATION, timeout)

    def wait_stop(self, timeout: float = DEADLINE) -> Dict[str, Any]:
        """The next farewell of an application (its metadata, which say whose it is), once it is there."""
        return self._next(STOP, timeout)

    def close(self) -> None:
        """Ends as if killed: what was not sent is lost. Another one may take the same addresses then."""
        if not self._context.closed:
            self._context.destroy(linger=0)

    def _next(self, kind: str, timeout: float) -> Dict[str, Any]:
        until = time.monotonic() + timeout
        while not self._waiting[kind]:
            metadata, payload = map(json.loads, self._receive(self._control, until, kind))
            self.records.append((metadata, payload))
            self._waiting[metadata["type"]].append(
                metadata if metadata["type"] == STOP else payload
            )
        return self._waiting[kind].popleft()

    def _receive(self, sock: zmq.Socket[bytes], until: float, what: str) -> List[bytes]:
        left = max(0.0, until - time.monotonic())
        if not sock.poll(int(left * 1000)):
            raise AssertionError(f"no {what} came in time; before it came {self.records}")
        return sock.recv_multipart()


@pytest.fixture
def endpoints() -> Iterator[Endpoints]:
    """Addresses in a folder of their own. A short one: the path of a socket has 107 bytes at most."""
    folder = tempfile.mkdtemp(prefix="dfo")
    names = ("plans", "control", "findings")
    yield Endpoints(*(f"ipc://{os.path.join(folder, name)}" for name in names))
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def optimizer(endpoints: Endpoints) -> Iterator[Optimizer]:
    """One that pushes its plans."""
    stand_in = Optimizer(endpoints)
    yield stand_in
    stand_in.close()


@pytest.fixture
def pub_optimizer(endpoints: Endpoints) -> Iterator[Optimizer]:
    """One that publishes its plans."""
    stand_in = Optimizer(endpoints, "pub")
    yield stand_in
    stand_in.close()


@pytest.fixture
def dfo() -> str:
    """The path of the command, with ZeroMQ: the environment's ``DFO_BIN``."""
    path = os.environ.get("DFO_BIN", "")
    if not path:
        missing("the command dfo (DFO_BIN is the path of one with ZeroMQ)")
    return path


def missing(what: str) -> None:
    """Skips the test; where ``DFO_NO_SKIP`` is set, fails it."""
    if os.environ.get("DFO_NO_SKIP"):
        pytest.fail(f"needs {what}", pytrace=False)
    pytest.skip(f"needs {what}")


@pytest.fixture(autouse=True)
def no_context_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test begins and ends without a context of the process, and without its variables."""
    for name in ("DFOPTIMIZER_ZMQ_CONTROL", "DFOPTIMIZER_ZMQ_PLANS_PATTERN"):
        monkeypatch.delenv(name, raising=False)
    yield
    left = contexts.current()
    if left is not None:
        left._stop_within(0.0)


@pytest.fixture(autouse=True)
def no_test_hangs(pytestconfig: pytest.Config) -> Iterator[None]:
    """Without it a test that waits for what never comes would hold up all of CI."""
    errors = pytestconfig.stash[_ERRORS]
    faulthandler.dump_traceback_later(HANGS, exit=True, file=errors)
    yield
    faulthandler.cancel_dump_traceback_later()


#: The run's own standard error; while a test runs, pytest keeps what is written to it.
_ERRORS = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    """Before anything is captured."""
    config.stash[_ERRORS] = os.dup(2)


def pytest_collection_modifyitems(items: List[pytest.Item]) -> None:
    """A test may also be marked by itself: ``@pytest.mark.slow``."""
    for item in items:
        if item.path.name in SLOW:
            item.add_marker(pytest.mark.slow)
