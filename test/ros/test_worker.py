import threading

import pytest

from infant_pose_ros.ros.worker import FairWorker

LONG_S = 20.0


class Gate:
    """Handles rounds one by one, each when `open` is called; tells what was done."""

    def __init__(self):
        self.rounds, self.dropped = [], []
        self._begun, self._may_go = threading.Semaphore(0), threading.Semaphore(0)

    def handle(self, items):
        self._begun.release()
        assert self._may_go.acquire(timeout=LONG_S)
        self.rounds.append(items)

    def wait_begun(self):
        assert self._begun.acquire(timeout=LONG_S)

    def open(self):
        self._may_go.release()


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def make_worker(gate):
    workers = []

    def make(**options):
        workers.append(FairWorker(gate.handle, gate.dropped.append, **options))
        workers[-1].start()
        return workers[-1]

    yield make
    for worker in workers:
        for _ in range(50):
            gate.open()
        assert worker.stop()


def done(worker):
    """Wait until the rounds so far are over."""
    event = threading.Event()
    worker.call(event.set)
    assert event.wait(LONG_S)


def test_only_the_newest_waits_and_every_item_is_accounted_for(gate, make_worker):
    worker = make_worker()
    worker.offer('cam', 1)
    gate.wait_begun()
    for item in (2, 3, 4, 5):
        worker.offer('cam', item)
    assert gate.dropped == [2, 3, 4]
    gate.open()
    gate.wait_begun()
    gate.open()
    done(worker)
    assert (gate.rounds, gate.dropped) == ([[1], [5]], [2, 3, 4])


def test_a_round_has_one_item_of_each_source(gate, make_worker):
    worker = make_worker()
    worker.offer('left', 'first')
    gate.wait_begun()
    for item in ('l1', 'r1', 't1', 'l2'):
        worker.offer(item[0], item)
    gate.open()
    gate.wait_begun()
    gate.open()
    done(worker)
    assert gate.dropped == ['l1']
    assert sorted(gate.rounds[1]) == ['l2', 'r1', 't1']


def test_a_fast_source_starves_no_slow_one(gate, make_worker):
    worker = make_worker(max_batch=1)
    worker.offer('fast', 'f')
    gate.wait_begun()
    worker.offer('slow', 's')
    worker.offer('slower', 't')
    for _ in range(4):
        worker.offer('fast', 'f')       # there is always a newer one
        gate.open()
        gate.wait_begun()
    gate.open()
    done(worker)
    assert gate.rounds[1] + gate.rounds[2] in (['s', 't'], ['t', 's'])
    assert gate.rounds[3:] == [['f']] * (len(gate.rounds) - 3)


def test_of_those_that_wait_the_longest_without_a_turn_come_first(gate, make_worker):
    worker = make_worker(max_batch=2)
    for name in 'ab':
        worker.offer(name, name)
        gate.wait_begun()
        if name == 'a':
            gate.open()
    for name in 'bac':              # b has its turn just now, a had it before, c never
        worker.offer(name, name)
    gate.open()
    gate.wait_begun()
    gate.open()
    gate.wait_begun()
    gate.open()
    done(worker)
    assert gate.rounds == [['a'], ['b'], ['c', 'a'], ['b']]


def test_with_keep_all_nothing_is_dropped_and_order_is_kept(gate, make_worker):
    worker = make_worker(max_batch=1, keep_all=True)
    for item in ('l1', 'l2', 'l3', 'r1'):
        worker.offer(item[0], item)
    for _ in range(4):
        gate.open()
    for _ in range(4):
        gate.wait_begun()
    done(worker)
    items = [item for round_ in gate.rounds for item in round_]
    assert [item for item in items if item[0] == 'l'] == ['l1', 'l2', 'l3']
    assert items.index('r1') <= 2       # not behind all of the other's
    assert gate.dropped == []


def test_a_task_runs_between_two_rounds(gate, make_worker):
    worker = make_worker()
    worker.offer('cam', 1)
    gate.wait_begun()
    seen = []
    worker.offer('cam', 2)
    worker.call(lambda: seen.append((threading.current_thread().name, list(gate.rounds))))
    assert seen == []               # and who called did not wait
    gate.open()
    gate.wait_begun()
    gate.open()
    done(worker)
    assert seen == [('pose_worker', [[1]])]


def test_stop_drops_what_waits_lets_the_work_end_and_runs_the_tasks(gate, make_worker):
    worker = make_worker(keep_all=True)
    worker.offer('cam', 1)
    gate.wait_begun()
    worker.offer('cam', 2)
    worker.offer('cam', 3)
    ran = []
    worker.call(lambda: ran.append(True))
    assert not worker.stop(timeout_s=0.01)
    assert gate.dropped == [2, 3]
    gate.open()
    assert worker.stop()
    assert (gate.rounds, ran) == ([[1]], [True])
    assert not worker.is_alive
    worker.start()                # stopped is stopped
    assert not worker.is_alive


def test_drop_takes_one_source_only(gate, make_worker):
    worker = make_worker()
    worker.offer('left', 'in work')
    gate.wait_begun()
    worker.offer('left', 'l')
    worker.offer('right', 'r')
    worker.drop('left')
    worker.drop('nobody')
    assert gate.dropped == ['l']
    gate.open()
    gate.wait_begun()
    gate.open()
    done(worker)
    assert gate.rounds == [['in work'], ['r']]


@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
def test_a_thread_that_ended_can_be_started_again_and_nothing_is_lost():
    handled = []

    def handle(items):
        if items == ['bad']:
            raise KeyError('bad')
        handled.append(items)

    worker = FairWorker(handle, handled.append)
    worker.start()
    worker.offer('cam', 'bad')
    worker._thread.join(LONG_S)
    assert not worker.is_alive
    worker.offer('cam', 'good')
    worker.start()
    assert worker.is_alive
    done(worker)
    done(worker)
    assert handled == [['good']]
    worker.start()                # it runs: nothing to do
    assert worker.stop()


def test_settle_drops_what_waits_and_the_same_thread_goes_on(gate, make_worker):
    worker = make_worker()
    worker.offer('cam', 1)
    gate.wait_begun()
    thread, ran = worker._thread, []
    worker.offer('cam', 2)
    worker.call(lambda: ran.append(threading.current_thread()))
    assert not worker.settle(timeout_s=0.01)        # a round is in work, and a task waits for it
    assert gate.dropped == [2]
    gate.open()
    assert worker.settle()
    assert (gate.rounds, ran) == ([[1]], [thread])
    worker.start()                                  # it runs: nothing to do
    worker.offer('cam', 3)
    gate.wait_begun()
    gate.open()
    assert worker.settle()
    assert gate.rounds == [[1], [3]]
    assert worker._thread is thread


def test_settle_before_the_start_runs_the_tasks_here():
    worker, ran = FairWorker(lambda items: None, ran_out), []
    worker.call(lambda: ran.append(threading.current_thread()))
    assert worker.settle()
    assert ran == [threading.current_thread()]


def ran_out(item):
    raise AssertionError(f'{item} was dropped')
