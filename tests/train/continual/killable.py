"""A small continual training that kills itself at a chosen event.

Run as `python killable.py FOLDER ARRAYS [KILL_AT]`; prints the number of
events, which are the ends of training steps and every rename and flush to disk.
"""

import os
import signal
import sys

from landslide_tf.train import (
    Session,
    load_continual_recipe,
    resume_continual,
    train_continual,
)


class Events:
    def __init__(self, kill_at):
        self.kill_at = kill_at
        self.count = 0

    def around(self, function):
        def call(*arguments, **keywords):
            self()
            result = function(*arguments, **keywords)
            self()
            return result

        return call

    def __call__(self):
        self.count += 1
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def main(folder, recipe, kill_at):
    events = Events(kill_at)
    os.replace = events.around(os.replace)
    session = Session(verbose=0)
    if os.path.isfile(os.path.join(folder, "recipe.yaml")):
        resume_continual(folder, session)
    else:
        train_continual(load_continual_recipe(recipe), folder, session)
    print(events.count)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if sys.argv[3:] else None)
