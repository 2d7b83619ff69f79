"""Made-up records: each kind of trouble must be found, and nothing else."""

import json

import pytest

from infant_pose_ros.ros.soak_judging import (
    account_problems,
    age_drift,
    AgeWindow,
    drift_problems,
    EXTRA_HANDLES,
    FLOOR_S,
    growth_over_calms,
    growth_problems,
    JUDGED_S,
    Life,
    Recovery,
    recovery_problems,
    Sample,
)
from infant_pose_ros.ros.soak_ledger import COUNTED, EpochAccount
from infant_pose_ros.ros.soak_report import report_json, report_table
from infant_pose_ros.ros.soak_run import line_of, Record


def life(memory_of, seconds=300, threads_of=lambda at: 20, files_of=lambda at: 50,
         shared_of=lambda at: 30.0, node='camera_node', in_use_of=lambda at: float('nan')):
    """A process that is looked at every second, and uses half a core."""
    return Life(node, [
        Sample(float(at), memory_of(at) + shared_of(at), shared_of(at), threads_of(at),
               files_of(at), 0.5 * at, in_use_of(at))
        for at in range(seconds)])


CALMS = [60.0, 85.0, 110.0, 185.0, 210.0, 235.0]


def growth_of(*arguments, **changes):
    """Growth of such a life between calm times after two rounds."""
    return growth_over_calms(life(*arguments, **changes), CALMS)


def recovery(**changes):
    """A fault that was recovered from."""
    given = {'at_s': 65.0, 'kind': 'camera_killed', 'detail': 'SIGKILL', 'recovered_s': 3.0,
             'cleared_s': 4.0, 'limit_s': 30.0, **changes}
    return Recovery(**given)


def test_a_steady_process_has_not_grown():
    growth = growth_of(lambda at: 700.0 + (at % 7))
    assert abs(growth.share) < 0.005 and growth_problems(growth) == []
    assert growth.cpu_share == pytest.approx(0.5) and growth.judged_s == 175.0


def test_growth_before_it_is_warm_does_not_count_and_later_does():
    assert growth_problems(growth_of(lambda at: 500.0 if at < 60 else 700.0)) == []
    (problem,) = growth_problems(growth_of(lambda at: 500.0 if at < 150 else 700.0))
    assert 'grew from 500.0 to 700.0 MB (+40.0%)' in problem


def test_what_lies_between_the_calm_times_does_not_count():
    def memory_of(at):
        return 700.0 if any(begun <= at < begun + FLOOR_S for begun in CALMS) else 900.0

    assert growth_of(memory_of).own_mb == (700.0, 700.0)


def test_shared_memory_is_judged_apart():
    assert growth_problems(growth_of(
        lambda at: 700.0, shared_of=lambda at: 30.0 + (at > 150) * 60.0)) == []
    (problem,) = growth_problems(growth_of(lambda at: 700.0, shared_of=lambda at: at))
    assert 'shared memory grew' in problem


def test_what_is_handed_back_now_and_then_has_not_grown():
    """More and more between two times at which it is handed back, and no more after them."""
    assert growth_problems(growth_of(
        lambda at: 700.0 if at % 10 == 0 else 720.0 + at / 5.0)) == []


def test_one_high_look_is_no_growth_and_all_the_later_ones_are():
    high = growth_of(lambda at: 700.0 + 50.0 * (205 < at < 250))
    assert growth_problems(high) == [] and high.own_mb == (700.0, 700.0)
    (problem,) = growth_problems(growth_of(lambda at: 700.0 + 50.0 * (at > 180)))
    assert 'grew from 700.0 to 750.0 MB' in problem


def test_only_who_lived_through_calm_times_that_are_apart_is_judged():
    node = life(lambda at: 700.0, seconds=300)
    assert growth_over_calms(node, [60.0, 60.0 + JUDGED_S]) is not None
    assert growth_over_calms(node, [60.0, 59.0 + JUDGED_S]) is None
    assert growth_over_calms(node, [100.0]) is None
    assert growth_over_calms(node, [200.0, 400.0]) is None      # it ended between the two
    assert growth_over_calms(Life('camera_node', ()), CALMS) is None


@pytest.mark.parametrize(('mb_per_s', 'is_wrong'), [(0.01, False), (0.06, True)])
def test_a_slow_leak(mb_per_s, is_wrong):
    """The halves' first looks are 125 s apart: 1.3 and 7.5 of about 700 MB."""
    growth = growth_of(lambda at: 700.0 + mb_per_s * at)
    assert growth.own_mb[1] - growth.own_mb[0] == pytest.approx(125 * mb_per_s)
    assert bool(growth_problems(growth)) == is_wrong


def test_threads_and_files_that_pile_up():
    problems = growth_problems(growth_of(
        lambda at: 700.0, threads_of=lambda at: 20 + at // 10, files_of=lambda at: 50 + at // 2))
    assert len(problems) == 2 and 'threads' in problems[0] and 'files' in problems[1]
    assert growth_problems(growth_of(
        lambda at: 700.0, files_of=lambda at: 50 + (at > 150) * EXTRA_HANDLES)) == []


def ages(*medians_ms):
    return [AgeWindow(10.0 * index, median, 2 * median, 90, 3.0)
            for index, median in enumerate(medians_ms)]


def test_drift_of_ages():
    assert age_drift(ages(20.0, 30.0)) is None
    assert drift_problems(ages(20.0, 22.0, 21.0, 20.0, 40.0, 23.0)) == []
    (problem,) = drift_problems(ages(20.0, 20.0, 90.0, 60.0, 120.0, 130.0))
    assert 'from 20 to 125 ms' in problem


def test_recoveries():
    assert recovery_problems(recovery()) == []
    assert recovery_problems(recovery(expected=('no_image',), shown=('no_image',))) == []
    (late,) = recovery_problems(recovery(recovered_s=None))
    assert 'camera_killed at 65 s: not recovered within 30 s' == late
    (silent,) = recovery_problems(recovery(expected=('no_image', 'no_publisher')))
    assert 'showed none of no_image, no_publisher' in silent
    (stuck,) = recovery_problems(recovery(cleared_s=None))
    assert 'still showed it' in stuck
    (told,) = recovery_problems(recovery(problem='~/reset was refused'))
    assert told.endswith('~/reset was refused')


def test_lines_of_faults():
    line = line_of(recovery(expected=('no_image',), shown=('no_image',)))
    assert '1:05' in line and 'after  3.0 s' in line and 'no_image, gone after 4.0 s' in line
    assert 'NOT RECOVERED' in line_of(recovery(recovered_s=None))


def account(uncounted=0):
    counted = dict.fromkeys(COUNTED, 0) | {'frames_dropped': 2}
    return EpochAccount(100, 98 - uncounted, 0, 2 + uncounted, counted,
                        tuple(range(2 + uncounted)))


def test_accounts():
    assert account_problems('camera', account()) == []
    (problem,) = account_problems('camera', account(uncounted=3))
    assert '5 of 100 pictures' in problem and '3 of them not counted' in problem


@pytest.fixture
def record():
    """A run that has nothing wrong with it."""
    return Record(seed=7, seconds=300.0, usual_hz={'camera': 29.8}, warm_s=60.0,
                  recoveries=[recovery()], ages=ages(20.0, 21.0, 22.0), calms=list(CALMS),
                  accounts={'camera': [account(), account()]}, lives=[
                      life(lambda at: 700.0), life(lambda at: 700.0, node='pose_node')])


def test_a_good_run_passes_and_is_told(record):
    assert record.verdict() == []
    told = report_json(record)
    assert told['passed'] and told['accounts']['camera']['published'] == 200
    assert told['faults'][0]['kind'] == 'camera_killed'
    table = report_table(record)
    assert 'seed 7' in table and 'camera_killed' in table and 'pose_node' in table


def test_one_bad_epoch_fails_a_run_although_another_counted_too_much(record):
    generous = EpochAccount(100, 100, 0, 0, dict.fromkeys(COUNTED, 5))
    record.accounts['camera'] += [account(uncounted=1), generous]
    (problem,) = record.verdict()
    assert '1 of them not counted' in problem
    assert not report_json(record)['passed']


def test_all_that_is_wrong_is_told(record):
    record.problems.append('pose_node did not tell its counters')
    record.recoveries.append(recovery(recovered_s=None))
    record.lives.append(life(lambda at: 500.0 + at))
    record.ages += ages(20.0, 20.0, 200.0, 200.0, 200.0)
    assert len(record.verdict()) == 4


def test_an_empty_record_can_be_told():
    assert 'no fault' in report_table(Record(seed=1))
    assert report_json(Record(seed=1))['passed']


def test_before_two_whole_rounds_nothing_is_judged(record):
    assert [growth.node for growth in record.growths()] == ['camera_node', 'pose_node']
    del record.calms[3:]
    assert record.growths() == [] and 'no process lived long enough' in report_table(record)


@pytest.mark.parametrize(('resident', 'in_use', 'words'), [
    (0.03, 0.0, []), (0.03, None, ['memory grew']), (0.08, 0.0, ['memory grew']),
    (0.0, 0.03, ['memory in use grew']), (0.0, 0.02, []),
    (0.03, 0.03, ['memory grew', 'memory in use grew'])])
def test_gaps_between_what_is_in_use(resident, in_use, words):
    """Shares of 700 MB that are resident and of 300 MB that are in use."""
    def of(base, share):
        return lambda at: base * (1.0 if at < 150 else 1.0 + share)

    more = {} if in_use is None else {'in_use_of': of(300.0, in_use)}
    problems = growth_problems(growth_of(of(700.0, resident), **more))
    assert len(problems) == len(words)
    assert all(word in problem for word, problem in zip(words, problems, strict=True))


def test_a_report_is_json_also_where_nobody_tells_what_is_in_use(record):
    record.lives.append(life(lambda at: 700.0, node='overlay_node', in_use_of=lambda at: 90.0))
    told = json.loads(json.dumps(report_json(record), allow_nan=False))
    assert [process['in_use_mb'] for process in told['processes']] == [None, None, [90.0, 90.0]]
    assert '90.0 >   90.0' in report_table(record)
