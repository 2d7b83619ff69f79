import pytest
import torch

from infant_pose_ros.errors import CheckpointError
from infant_pose_ros.training.runs import Average, cosine_rate, Run


def test_the_rate_rises_then_falls():
    assert cosine_rate(0, 100, 10) == pytest.approx(0.1)
    assert cosine_rate(9, 100, 10) == pytest.approx(1.0)
    assert cosine_rate(55, 100, 10) == pytest.approx(0.505)
    assert cosine_rate(100, 100, 10) == pytest.approx(0.01)


def test_state_comes_back_and_damage_is_named(tmp_path):
    run = Run(tmp_path / 'run')
    assert run.load_state() is None
    run.save_state({'step': 3, 'weights': {'a': torch.ones(2)}})
    assert run.load_state()['step'] == 3
    run.state_path.write_bytes(b'junk')
    with pytest.raises(CheckpointError, match='state.pt'):
        run.load_state()


def test_a_state_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ('ran',)

    run = Run(tmp_path)
    torch.save({'step': Evil()}, run.state_path)
    with pytest.raises(CheckpointError):
        run.load_state()


def test_curves_are_written_and_drawn(tmp_path):
    run = Run(tmp_path)
    run.log({'step': 1, 'loss': 0.5})
    run.log({'step': 2, 'loss': 0.25})
    assert run.curves_path.read_text().split() == ['step,loss', '1,0.5', '2,0.25']
    assert run.plot().stat().st_size > 1000


def test_a_column_that_comes_later_gets_its_own_place(tmp_path):
    run = Run(tmp_path)
    run.log({'step': 1, 'loss': 0.5})
    run.log({'step': 2, 'loss': 0.25, 'iou': 0.75})
    assert run.curves_path.read_text().split() == ['step,loss,iou', '1,0.5,', '2,0.25,0.75']
    assert run.plot().stat().st_size > 1000


def test_average_follows_slowly_and_copies_counters():
    module = torch.nn.BatchNorm1d(1)
    average = Average(module, decay=0.5)
    with torch.no_grad():
        module.weight.fill_(3.0)
    module.num_batches_tracked.fill_(7)
    for _ in range(12):
        average.update(module)
    assert 2.9 < average.values['weight'].item() < 3.0
    assert average.values['num_batches_tracked'].item() == 7


def test_average_goes_on_from_stored_values():
    module = torch.nn.Linear(1, 1)
    average, kept = Average(module, decay=0.5), Average(module, decay=0.5).values
    kept['weight'] = torch.full((1, 1), 4.0)
    average.restore(kept, 30)
    average.update(module)
    assert average.steps == 31
    assert average.values['weight'].item() == pytest.approx((4 + module.weight.item()) / 2)
    assert average.values['weight'] is not kept['weight']
