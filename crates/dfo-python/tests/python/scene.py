"""What a test looks at: a script's context with the stand-in on the other side, in this process or another.

A test module takes the fixture by a name of its own: ``scene = connected``.

Every wait ends with its event, or fails at the deadline.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from types import TracebackType
from typing import IO, Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Type

import pytest
from conftest import DEADLINE, Endpoints, Optimizer

from dfoptimizer import OptimizerContext, optimizer_context
from dfoptimizer.types import ActionPlan


class Scene:
    """The process's context, and the stand-in that it is connected to."""

    def __init__(
        self, optimizer: Optimizer, namespace: str = "app", node: str = "n1", **arguments: Any
    ) -> None:
        self.optimizer = optimizer
        self.context = optimizer_context(
            namespace,
            zmq_plans_endpoint=optimizer.endpoints.plans,
            zmq_control_endpoint=optimizer.endpoints.control,
            zmq_plans_pattern=optimizer.pattern,
            node=node,
            **arguments,
        )

    def plan(self, knob_id: str, new_value: Any, target_function: str = "", **fields: Any) -> str:
        """Sends a plan, and waits until the context has it; its id."""
        before = received(self.context)
        plan_id = self.optimizer.send_plan(
            knob_id, new_value, target_function=target_function, **fields
        )
        wait_received(self.context, before + 1)
        return plan_id

    def frames(self, *frames: bytes) -> None:
        """Sends whatever these bytes are, and waits until the context has it."""
        before = received(self.context)
        self.optimizer.send_frames(*frames)
        wait_received(self.context, before + 1)

    def ack(self) -> Dict[str, Any]:
        """The next acknowledgement."""
        return self.optimizer.next_ack()

    def acks(self, count: int) -> Dict[str, Dict[str, Any]]:
        """The next acknowledgements, by plan."""
        acks = [self.ack() for _ in range(count)]
        assert len({ack["plan_id"] for ack in acks}) == count, acks
        return {ack["plan_id"]: ack for ack in acks}

    def registration(self) -> Dict[str, Any]:
        """The next registration."""
        return self.optimizer.next_registration()

    def no_more_acks(self) -> None:
        """Nothing was acknowledged that was not looked at. One that is provoked comes after all others."""
        self.optimizer.send_frames(b'{"plan_id": "the last", "target_nodes": []}', b"no plan")
        assert self.ack()["plan_id"] == "the last"


@pytest.fixture
def connected(optimizer: Optimizer) -> Iterator[Scene]:
    """One where plans are pushed. The context is stopped while the stand-in is still there."""
    scene = Scene(optimizer)
    yield scene
    scene.context.stop()


def received(context: OptimizerContext) -> int:
    """How many records have come on the channel of plans."""
    return int(context.status()["plans"]["received"])


def wait_received(context: OptimizerContext, count: int) -> None:
    """Waits until so many records have come."""
    wait_until(context, lambda now: now["plans"]["received"] >= count)


def wait_until(context: OptimizerContext, condition: Any) -> None:
    """Waits until the status is so."""
    assert context.wait_for(condition, DEADLINE), context.status()


def said(ack: Dict[str, Any]) -> Tuple[str, Any, Any]:
    """What an acknowledgement says: the status, the old and the new value."""
    return ack["status"], ack["old_value"], ack["new_value"]


def plan_for(knob_id: str, new_value: Any, target_function: str, **fields: Any) -> ActionPlan:
    """A plan to be put in by hand."""
    plan: Dict[str, Any] = {
        "plan_id": f"by hand: {knob_id} {new_value!r}",
        "old_value": None,
        "apply_when": "epoch_boundary",
        "rationale": "",
        "finding_type": "",
        "severity": 0.5,
        "opportunity_tag": "",
        "window_index": 0,
        **fields,
    }
    return ActionPlan(knob_id=knob_id, new_value=new_value, target_function=target_function, **plan)


class Script:
    """A script, as a process of its own.

    It finds the addresses in ``PLANS`` and ``CONTROL``, and ``environment`` beside them. It talks by lines:
    what it prints is read with :meth:`line`, what it reads from standard input is written with :meth:`tell`.
    """

    def __init__(
        self,
        text: str,
        endpoints: Optional[Endpoints] = None,
        environment: Optional[Mapping[str, str]] = None,
        flags: Tuple[str, ...] = (),
    ) -> None:
        addresses = {}
        if endpoints is not None:
            addresses = {"PLANS": endpoints.plans, "CONTROL": endpoints.control}
        self._process = subprocess.Popen(
            [sys.executable, *flags, "-c", text],
            env={**os.environ, **addresses, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines = _lines_of(self._process.stdout)
        self._complaints = _lines_of(self._process.stderr)

    def __enter__(self) -> Script:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._process.kill()
        self._process.wait()

    def line(self) -> str:
        """The next line that it prints."""
        line = _next(self._lines)
        assert line is not None, f"it ended: {_rest(self._complaints)}"
        return line

    def has_said_something(self) -> bool:
        """Whether there is a line to read."""
        return not self._lines.empty()

    def json(self) -> Any:
        """The next line that it prints, which is JSON."""
        return json.loads(self.line())

    def tell(self, line: str) -> None:
        """Writes a line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def end(self) -> Tuple[int, List[str], List[str]]:
        """How it ended, once it has: the code, the other lines it printed, and what it complained of."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        code = self._process.wait(DEADLINE)
        return code, _rest(self._lines), _rest(self._complaints)

    def succeeds(self) -> List[str]:
        """It ended, well and without a complaint; the other lines it printed."""
        code, lines, complaints = self.end()
        assert (code, complaints) == (0, []), f"it ended with {code}: {complaints}"
        return lines


def run(
    text: str,
    endpoints: Optional[Endpoints] = None,
    environment: Optional[Mapping[str, str]] = None,
    flags: Tuple[str, ...] = (),
) -> List[str]:
    """Runs a script to its end, which is a good one; the lines it printed."""
    with Script(text, endpoints, environment, flags) as script:
        return script.succeeds()


class Serve:
    """The command, ``dfo serve zmq``, at the endpoints of a test."""

    def __init__(self, dfo: str, endpoints: Endpoints, *arguments: str) -> None:
        address = ["--address", endpoints.findings, "--bind"]
        ends = ["--plans-address", endpoints.plans, "--control-address", endpoints.control]
        self._process = subprocess.Popen(
            [dfo, "serve", "zmq", *address, *ends, *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._told = _lines_of(self._process.stderr)
        self.log: List[str] = []
        self.wait_told("dfo: started")

    def wait_told(self, part: str) -> str:
        """Waits until it tells a line with this in it; the line."""
        while True:
            line = _next(self._told, self.log)
            assert line is not None, f"it ended: {self.log}"
            self.log.append(line)
            if part in line:
                return line

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def kill(self) -> None:
        """Ends it as a machine that fails would."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Serve:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.kill()


def _lines_of(stream: Optional[IO[str]]) -> queue.Queue[Optional[str]]:
    """The lines of a stream as they come, None at its end."""
    assert stream is not None
    lines: queue.Queue[Optional[str]] = queue.Queue()

    def read(stream: IO[str] = stream) -> None:
        with stream:
            for line in stream:
                lines.put(line.rstrip("\n"))
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return lines


def _next(lines: queue.Queue[Optional[str]], before: Sequence[str] = ()) -> Optional[str]:
    """The next line, None at the end."""
    try:
        return lines.get(timeout=DEADLINE)
    except queue.Empty:
        raise AssertionError(f"no line came in time; before it came {before}") from None


def _rest(lines: queue.Queue[Optional[str]]) -> List[str]:
    """The lines to the end."""
    return [line for line in iter(lambda: _next(lines), None) if line is not None]
