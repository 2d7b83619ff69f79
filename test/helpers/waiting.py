"""Waiting for what another process does, on a machine that stalls now and then."""

import time


def wait_until(condition, message='waited in vain', timeout_s=60.0, every_s=0.02):
    """Wait until `condition()` holds, and return what it gave; fail if it never does.

    Args:
        message: of the failure; a callable is asked for it then.
    """
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, message() if callable(message) else message
        time.sleep(every_s)
    return found
