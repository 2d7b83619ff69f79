from infant_pose_ros.cli import bench_filters as module
from infant_pose_ros.cli.bench_filters import bench_filters
from infant_pose_ros.config import PipelineSettings


def test_every_kind_is_measured_for_one_and_for_eight(monkeypatch):
    monkeypatch.setattr(module, 'STEPS', 2)
    monkeypatch.setattr(module, 'REFERENCE_STEPS', 1)
    spent = bench_filters(PipelineSettings(max_infants=1, smoothing=False))
    assert list(spent) == ['kalman', 'tracker', 'filterpy']
    assert all(set(by_count) == {1, 8} for by_count in spent.values())
    assert all(ms > 0 for by_count in spent.values() for ms in by_count.values())
