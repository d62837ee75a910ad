"""Runs a script as one of two processes, watched as a command is.

usage: watched.py PORT PROCESS SCRIPT ARGUMENT…

Apart from the scripts, because it needs no Keras.
"""

import sys

from landslide_tf.train.run.hosts import Hosts
from landslide_tf.train.run.supervision import supervise

if __name__ == "__main__":
    port, process, *command = sys.argv[1:]
    hosts = Hosts(f"127.0.0.1:{port}", 2, int(process), wait=200)
    sys.exit(supervise([sys.executable, *command], hosts))
