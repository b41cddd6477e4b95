"""Pulls plans as an application of the original does, and prints the frames of each as a line.

With a control address it registers the knobs of a file and acknowledges each plan as applied, with
the fields that the original's applications send.
"""

import json
import sys

import zmq


def main():
    plans, *control = sys.argv[1:]
    context = zmq.Context()
    pull = context.socket(zmq.PULL)
    pull.connect(plans)
    push = None
    if control:
        address, *registrations = control
        push = context.socket(zmq.PUSH)
        push.connect(address)
        for path in registrations:
            with open(path) as file:
                registration = json.load(file)
            metadata = {
                "type": "knob_registration",
                "namespace": registration["namespace"],
                "function": registration["function_name"],
            }
            push.send_multipart([json.dumps(metadata).encode(), json.dumps(registration).encode()])
    print("ready")
    while True:
        frames = pull.recv_multipart()
        print(json.dumps([frame.decode() for frame in frames]))
        if push is None:
            continue
        plan = json.loads(frames[1])
        metadata = {"type": "action_ack", "plan_id": plan["plan_id"]}
        ack = {
            "plan_id": plan["plan_id"],
            "knob_id": plan["knob_id"],
            "status": "applied",
            "old_value": plan["old_value"],
            "new_value": plan["new_value"],
            "reason": "",
        }
        push.send_multipart([json.dumps(metadata).encode(), json.dumps(ack).encode()])


main()
