"""Work for other processes, which import it by this name whichever way the tests were started."""

import os
import time


def work(task: str) -> str:
    if task == "dies":
        os._exit(7)
    if task == "hangs":
        time.sleep(60)
    return task.upper()
