"""How the scripts of this folder talk to `cargo xtask bench`: one JSON document a line, over standard input and output.

First line out: {"present": {name: version}, "absent": {name: reason}}. Then one line out for each line in.
"""

import json
import os
import sys
import time

THREADS = int(sys.argv[1]) if len(sys.argv) > 1 else os.cpu_count()
# What libraries print does not come between the lines.
OUT = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def say(document):
    print(json.dumps(document), file=OUT, flush=True)


def reason(error):
    return f"{type(error).__name__}: {error}".splitlines()[0]


def serve(makers, answer):
    """Makes every peer, says which are there, and answers questions with answer(peer, question)."""
    peers, absent = {}, {}
    for name, make in makers.items():
        try:
            peers[name] = make()
        except Exception as error:
            absent[name] = reason(error)
    say({"present": {name: peer.version for name, peer in peers.items()}, "absent": absent})
    for line in sys.stdin:
        question = json.loads(line)
        try:
            say(answer(peers[question["peer"]], question))
        except Exception as error:
            say({"error": reason(error)})


def rate(run, items, seconds):
    """Items a second of a call that does `items` of them."""
    run()
    run()
    start, n = time.perf_counter(), 0
    while True:
        run()
        n += items
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return n / elapsed
