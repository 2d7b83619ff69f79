"""Keeps account of every picture of one camera: answered, counted by pose_node, or neither.

Knows no rclpy. All times are of one steady clock, s; stamps are ns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import takewhile
import threading

#: Pictures published this long before pose_node was told to stop listening are excused: they may
#: still have been on their way, s.
GUARD_S = 0.5
#: Counters of pose_node that say why a picture has no answer.
COUNTED = ('frames_dropped', 'frames_stale', 'frames_failed', 'frames_lost_in_transport')
#: Unanswered stamps that an account lists, at most.
MAX_LISTED = 50


@dataclass(frozen=True)
class EpochAccount:
    """What became of the pictures between two moments at which all was quiet.

    Attributes:
        published: pictures that publishers sent. answered: of these, those with an answer.
        excused: unanswered ones that were sent while pose_node didn't listen, or whose stamp is
            zero: no CameraInfo can tell that such a one was lost.
        unanswered: stamps of the other unanswered ones, ns, the first `MAX_LISTED`.
        num_unanswered: how many they are.
        counted: by how much each of `COUNTED` grew.
        unexpected: answers that belong to no picture, or a second one to the same.
        num_trailing: how many of the unanswered ones came after all others.
    """

    published: int
    answered: int
    excused: int
    num_unanswered: int
    counted: Mapping[str, int] = field(default_factory=dict)
    unanswered: tuple[int, ...] = ()
    unexpected: int = 0
    num_trailing: int = 0

    @property
    def uncounted(self) -> int:
        """Unanswered pictures that pose_node did not count: there must be none."""
        return max(0, self.num_unanswered - sum(self.counted.values()))

    @property
    def overcounted(self) -> int:
        """Pictures that were counted beyond all that had no answer, excused ones included."""
        return max(0, sum(self.counted.values()) - self.num_unanswered - self.excused)


class Ledger:
    """Pictures sent and answers received since the last account; safe for several threads."""

    def __init__(self):
        self._lock = threading.Lock()
        self._sent: list[tuple[int, float]] = []        # stamp, when
        self._answers: Counter[int] = Counter()
        self._own: Counter[int] = Counter()             # sent by this process, not heard of yet
        self._deaf: list[tuple[float, float | None]] = []
        self.last_news_s = -float('inf')

    def sent(self, stamp_ns: int, now_s: float) -> None:
        """A picture is about to be sent from here, with its CameraInfo."""
        with self._lock:
            self._own[stamp_ns] += 1
            self._sent.append((stamp_ns, now_s))
            self.last_news_s = now_s

    def heard_of(self, stamp_ns: int, now_s: float) -> None:
        """A CameraInfo came: some publisher sends a picture of that stamp."""
        with self._lock:
            self.last_news_s = now_s
            if self._own[stamp_ns] > 0:
                self._own[stamp_ns] -= 1
            else:
                self._sent.append((stamp_ns, now_s))

    def answered(self, stamp_ns: int, now_s: float) -> None:
        """An answer came."""
        with self._lock:
            self._answers[stamp_ns] += 1
            self.last_news_s = now_s

    def deaf_from(self, now_s: float) -> None:
        """From now on pose_node need not hear pictures: it, or a camera, is being stopped."""
        with self._lock:
            if not self._deaf or self._deaf[-1][1] is not None:
                self._deaf.append((now_s - GUARD_S, None))

    def hears_from(self, now_s: float) -> None:
        """From now on it listens again, once the first picture sent after this is answered."""
        with self._lock:
            if self._deaf and self._deaf[-1][1] is None:
                self._deaf[-1] = (self._deaf[-1][0], now_s)

    def close(self, before: Mapping[str, int], after: Mapping[str, int],
              now_s: float = -float('inf')) -> EpochAccount:
        """The account since the last one; call it when all is quiet.

        Pictures that are missing at the very end belong to the next account: only a picture that
        comes after them shows that they are lost, and the publisher of the last one may have been
        stopped between CameraInfo and picture. They are still on their way, so where pose_node
        stops listening right after this, they are excused.

        Args:
            before, after: pose_node's counters at the last account (empty: a new process) and
                now.
            now_s: when that is.
        """
        with self._lock:
            sent, answers, deaf = self._sent, self._answers, self._deaf
            self._sent, self._answers, self._own = [], Counter(), Counter()
            # Who was still deaf stays it.
            self._deaf = [span for span in deaf if span[1] is None]
        account = _account(sent, answers, deaf, before, after)
        num_open = min(account.uncounted, account.num_trailing)
        if num_open:
            with self._lock:
                self._sent[:0] = [(stamp_ns, max(at_s, now_s)) for stamp_ns, at_s
                                  in sent[-num_open:]]
            return _account(sent[:-num_open], answers, deaf, before, after)
        return account


def _account(sent: list[tuple[int, float]], answers: Counter[int],
             deaf: list[tuple[float, float | None]], before: Mapping[str, int],
             after: Mapping[str, int]) -> EpochAccount:
    left, heard_s, missing = Counter(answers), [], []
    for stamp_ns, at_s in sent:
        if left[stamp_ns] > 0:
            left[stamp_ns] -= 1
            heard_s.append(at_s)
        else:
            missing.append((stamp_ns, at_s))
    spans = [(begin_s, _first_heard(heard_s, end_s)) for begin_s, end_s in deaf]
    unanswered = [(stamp_ns, at_s) for stamp_ns, at_s in missing
                  if stamp_ns and not any(
                      begin_s <= at_s <= end_s for begin_s, end_s in spans)]
    trailing = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1],
                                        zip(reversed(sent), reversed(unanswered))))
    return EpochAccount(
        published=len(sent), answered=len(heard_s), excused=len(missing) - len(unanswered),
        num_unanswered=len(unanswered),
        unanswered=tuple(stamp_ns for stamp_ns, _ in unanswered[:MAX_LISTED]),
        counted={name: after.get(name, 0) - before.get(name, 0) for name in COUNTED},
        unexpected=sum(left.values()), num_trailing=trailing)


def _first_heard(heard_s: list[float], from_s: float | None) -> float:
    """When the first answered picture of those sent from then on was sent; inf: none was."""
    if from_s is None:
        return float('inf')
    return min((at_s for at_s in heard_s if at_s >= from_s), default=float('inf'))


def total(accounts: list[EpochAccount]) -> EpochAccount:
    """All accounts as one; stamps are kept of those that don't balance."""
    counted: Counter[str] = Counter()
    for account in accounts:
        counted.update(account.counted)
    return EpochAccount(
        published=sum(account.published for account in accounts),
        answered=sum(account.answered for account in accounts),
        excused=sum(account.excused for account in accounts),
        num_unanswered=sum(account.num_unanswered for account in accounts),
        counted={name: counted[name] for name in COUNTED},
        unanswered=tuple(stamp for account in accounts if account.uncounted
                         for stamp in account.unanswered)[:MAX_LISTED],
        unexpected=sum(account.unexpected for account in accounts))
