"""Accounts of made-up pictures: what balances, and what must not be overlooked."""

import pytest

from infant_pose_ros.ros.soak_ledger import COUNTED, EpochAccount, GUARD_S, Ledger, total


def counters(**counts):
    """pose_node's counters; those left out are 0."""
    return {name: counts.get(name.removeprefix('frames_'), 0) for name in COUNTED}


def stream(ledger, stamps, answered, from_s=10.0, step_s=0.1):
    """Pictures heard of every `step_s`; those in `answered` get their answer at once."""
    for index, stamp in enumerate(stamps):
        now_s = from_s + index * step_s
        ledger.heard_of(stamp, now_s)
        if stamp in answered:
            ledger.answered(stamp, now_s + 0.03)


def test_every_picture_answered():
    ledger = Ledger()
    stream(ledger, range(1, 6), range(1, 6))
    account = ledger.close({}, counters())
    assert account == EpochAccount(5, 5, 0, 0, counters())
    assert account.uncounted == account.overcounted == 0


def test_an_unanswered_picture_must_be_counted():
    ledger = Ledger()
    stream(ledger, range(1, 6), (1, 2, 4, 5))
    account = ledger.close(counters(), counters())
    assert account.uncounted == 1 and account.unanswered == (3,)


@pytest.mark.parametrize('name', [name.removeprefix('frames_') for name in COUNTED])
def test_each_counter_accounts_for_it(name):
    ledger = Ledger()
    stream(ledger, range(1, 6), (1, 2, 4, 5))
    account = ledger.close(counters(**{name: 7}), counters(**{name: 8}))
    assert account.uncounted == 0 and account.num_unanswered == 1
    assert account.counted[f'frames_{name}'] == 1


def test_what_was_counted_before_does_not_count_again():
    ledger = Ledger()
    stream(ledger, range(1, 6), (1, 2, 4, 5))
    assert ledger.close(counters(dropped=4), counters(dropped=4)).uncounted == 1


def test_counting_too_much_shows():
    ledger = Ledger()
    stream(ledger, range(1, 6), (1, 2, 4, 5))
    account = ledger.close(counters(), counters(dropped=2, failed=1))
    assert account.overcounted == 2 and account.uncounted == 0


def test_pictures_of_ones_own_are_not_taken_twice():
    ledger = Ledger()
    for stamp in (7, 7, 7):     # a bag that loops: the same stamp thrice
        ledger.sent(stamp, 1.0)
        ledger.heard_of(stamp, 1.01)
    ledger.answered(7, 1.1)
    ledger.answered(7, 1.2)
    stream(ledger, (8,), (8,))
    account = ledger.close({}, counters())
    assert (account.published, account.answered, account.uncounted) == (4, 3, 1)


def test_an_answer_to_nothing_is_unexpected_and_saves_no_other():
    ledger = Ledger()
    stream(ledger, (1, 2, 3), (1, 3))
    ledger.answered(1, 11.0)
    ledger.answered(99, 11.0)
    account = ledger.close({}, counters())
    assert account.unexpected == 2 and account.uncounted == 1


def test_only_pictures_of_the_deaf_time_are_excused():
    """Deaf from 12 s to 13 s; the first answer after that is that to the picture of 14 s."""
    ledger = Ledger()
    stream(ledger, range(1, 11), (1, 2, 5, 6, 7, 8, 9, 10), from_s=10.0, step_s=1.0)
    ledger.deaf_from(12.0 + GUARD_S)
    ledger.hears_from(13.0)
    account = ledger.close({}, counters())
    assert account.excused == 2 and account.num_unanswered == 0     # those of 12 s and 13 s
    stream(ledger, range(11, 15), (11, 12, 14), from_s=20.0)
    assert ledger.close({}, counters()).unanswered == (13,)


def test_who_still_is_deaf_stays_it_in_the_next_account():
    ledger = Ledger()
    ledger.deaf_from(10.0)
    stream(ledger, (1, 2), (), from_s=10.0)
    assert ledger.close({}, counters()).excused == 2
    stream(ledger, (3, 4), (), from_s=12.0)
    assert ledger.close({}, counters()).excused == 2


def test_a_last_picture_that_was_cut_short_belongs_to_the_next_account():
    """Its publisher was stopped after CameraInfo; one that never comes is found in the end."""
    ledger = Ledger()
    stream(ledger, (1, 2, 3), (1, 2))
    account = ledger.close({}, counters())
    assert (account.published, account.uncounted) == (2, 0)
    ledger.answered(3, 20.0)
    stream(ledger, (4, 5), (4, 5), from_s=20.0)
    assert ledger.close({}, counters()).published == 3
    stream(ledger, (6,), (), from_s=30.0)
    assert ledger.close({}, counters()).uncounted == 0
    stream(ledger, (7,), (7,), from_s=40.0)
    assert ledger.close({}, counters()).unanswered == (6,)


def test_what_is_missing_at_the_end_must_be_counted_once_another_picture_came():
    ledger = Ledger()
    stream(ledger, (1, 2, 3, 4), (2,))
    account = ledger.close({}, counters())
    assert (account.published, account.unanswered) == (2, (1,))
    stream(ledger, (5,), (5,), from_s=20.0)
    account = ledger.close(counters(), counters(lost_in_transport=1))
    assert (account.published, account.num_unanswered, account.uncounted) == (3, 2, 1)


@pytest.mark.parametrize('seconds_later, uncounted', [(0.1, 0), (GUARD_S + 0.5, 1)])
def test_what_is_on_its_way_when_pose_node_ends_is_excused(seconds_later, uncounted):
    """The publisher is paused for two seconds, and pose_node stopped soon after, or later."""
    ledger = Ledger()
    stream(ledger, range(1, 6), range(1, 5))
    assert ledger.close(counters(), counters(), 12.5).uncounted == 0
    ledger.deaf_from(12.5 + seconds_later)
    ledger.hears_from(16.0)
    stream(ledger, range(20, 25), range(20, 25), from_s=16.0)
    assert ledger.close({}, counters()).uncounted == uncounted


def test_a_total_does_not_let_one_account_pay_for_another():
    ledger = Ledger()
    stream(ledger, range(1, 4), (1, 3))
    first = ledger.close({}, counters())
    stream(ledger, range(4, 7), (4, 5, 6), from_s=20.0)
    second = ledger.close(counters(), counters(dropped=5))
    both = total([first, second])
    assert both.published == 6 and both.answered == 5 and both.unanswered == (2,)
    assert first.uncounted == 1 and second.overcounted == 5
