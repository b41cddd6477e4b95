"""Pushes recorded findings as the diagnoser does: a bound PUSH, two frames each.

Prints the address. Then each line of standard input is how many of the findings to have pushed
by now, or "end" for the end of the stream; each is answered with a line when that is done.
"""

import gzip
import sys

import zmq


def main():
    findings, metadata = sys.argv[1:]
    context = zmq.Context()
    socket = context.socket(zmq.PUSH)
    socket.bind("tcp://127.0.0.1:*")
    print(socket.getsockopt_string(zmq.LAST_ENDPOINT))
    with gzip.open(metadata, "rb") as beside, gzip.open(findings, "rb") as lines:
        frames = [[m.rstrip(b"\n"), f.rstrip(b"\n")] for m, f in zip(beside, lines)]
    pushed = 0
    for line in sys.stdin:
        if line.strip() == "end":
            socket.send_multipart([b'{"name": "end"}', b""])
        else:
            until = int(line)
            for message in frames[pushed:until]:
                socket.send_multipart(message)
            pushed = until
        print(pushed)
    socket.close(linger=10000)
    context.term()


main()
