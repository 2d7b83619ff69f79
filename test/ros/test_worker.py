import threading

from infant_pose_ros.ros.worker import NewestFrameWorker


def test_only_the_newest_waits_and_every_item_is_accounted_for():
    handled, dropped = [], []
    begun, go_on = threading.Event(), threading.Event()

    def handle(item):
        begun.set()
        assert go_on.wait(10.0)
        handled.append(item)
        if item == 5:
            done.set()

    done = threading.Event()
    worker = NewestFrameWorker(handle, dropped.append)
    worker.start()
    worker.offer(1)
    assert begun.wait(10.0)
    for item in (2, 3, 4, 5):
        worker.offer(item)
    assert dropped == [2, 3, 4]
    go_on.set()
    assert done.wait(10.0)
    assert worker.stop()
    assert (handled, dropped) == ([1, 5], [2, 3, 4])


def test_stop_drops_what_waits_and_lets_the_work_end():
    handled, dropped = [], []
    begun, go_on = threading.Event(), threading.Event()

    def handle(item):
        begun.set()
        go_on.wait(10.0)
        handled.append(item)

    worker = NewestFrameWorker(handle, dropped.append)
    worker.start()
    worker.offer('first')
    assert begun.wait(10.0)
    worker.offer('second')
    threading.Timer(0.05, go_on.set).start()
    assert worker.stop()
    assert (handled, dropped) == (['first'], ['second'])
    assert not worker.is_alive


def test_stop_tells_when_the_work_does_not_end():
    go_on = threading.Event()
    begun = threading.Event()
    worker = NewestFrameWorker(lambda _: (begun.set(), go_on.wait(10.0)), lambda _: None)
    worker.start()
    worker.offer(1)
    assert begun.wait(10.0)
    assert not worker.stop(timeout_s=0.01)
    go_on.set()
    assert worker.stop()


def test_drain_drops_what_waits_lets_the_work_end_and_goes_on():
    handled, dropped = [], []
    begun, go_on, again = threading.Event(), threading.Event(), threading.Event()

    def handle(item):
        begun.set()
        assert go_on.wait(10.0)
        handled.append(item)
        if item == 'third':
            again.set()

    worker = NewestFrameWorker(handle, dropped.append)
    worker.start()
    assert worker.drain()       # nothing to wait for
    worker.offer('first')
    assert begun.wait(10.0)
    worker.offer('second')
    assert not worker.drain(timeout_s=0.01)
    assert (handled, dropped) == ([], ['second'])
    threading.Timer(0.05, go_on.set).start()
    assert worker.drain()
    assert handled == ['first']
    worker.offer('third')
    assert again.wait(10.0)
    assert worker.stop()
