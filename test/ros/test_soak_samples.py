import os

from waiting import wait_until

from infant_pose_ros.ros.soak_judging import Sample
from infant_pose_ros.ros.soak_samples import Floors, ProcessSampler, sample_process


def sample(at_s, own_mb):
    return Sample(at_s, own_mb + 30.0, 30.0, 20, 50, 0.0)


def test_of_each_second_the_lowest_is_kept():
    kept = Floors(period_s=1.0)
    for number in range(40):
        kept.add(sample(0.1 * number, 700.0 - (number % 10 == 7) * 5.0))
    assert [each.own_mb for each in kept.samples] == [695.0] * 4


def test_too_many_are_thinned_out_to_the_lower_ones():
    kept = Floors(period_s=1.0, most=8)
    for number in range(100):
        kept.add(sample(float(number), 695.0 if number % 16 == 5 else 700.0))
    assert len(kept.samples) <= 8
    assert [each.own_mb for each in kept.samples[:-1]] == [695.0] * (len(kept.samples) - 1)
    times = [each.at_s for each in kept.samples]
    assert times == sorted(times) and times[-1] > 80.0


def test_this_process():
    ids = {'self': os.getpid(), 'gone': 2 ** 22 + 1}
    with ProcessSampler(lambda: ids, period_s=0.01) as sampler:
        wait_until(sampler.lives)
    (life,) = sampler.lives()
    assert life.node == 'self' and life.samples[0].own_mb > 5.0
    assert life.samples[0].threads >= 2 and life.samples[0].files >= 3
    assert sample_process(2 ** 22 + 1, 0.0) is None
