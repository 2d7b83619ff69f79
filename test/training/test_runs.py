import pytest
import torch

from infant_pose_ros.errors import CheckpointError, SettingsError, TrainingError
from infant_pose_ros.training.runs import (
    autocast_type,
    Average,
    constant_rate,
    cosine_rate,
    Learner,
    Run,
)
from infant_pose_ros.training.stopping import Judge


def test_the_rate_rises_then_falls():
    assert cosine_rate(0, 100, 10) == pytest.approx(0.1)
    assert cosine_rate(9, 100, 10) == pytest.approx(1.0)
    assert cosine_rate(55, 100, 10) == pytest.approx(0.505)
    assert cosine_rate(100, 100, 10) == pytest.approx(0.01)


def test_the_constant_rate_rises_and_stays():
    assert constant_rate(0, 100, 4) == pytest.approx(0.25)
    assert constant_rate(3, 100, 4) == constant_rate(90, 100, 4) == 1.0


def test_number_formats():
    cpu, gpu = torch.device('cpu'), torch.device('cuda')
    assert autocast_type('auto', cpu) is None and autocast_type('fp32', gpu) is None
    assert autocast_type('bf16', cpu) == torch.bfloat16
    assert autocast_type('fp16', gpu) == torch.float16
    with pytest.raises(SettingsError, match='needs a GPU'):
        autocast_type('fp16', cpu)


@pytest.mark.parametrize(('capability', 'expected'), [((7, 5), None), ((8, 0), torch.bfloat16)])
def test_gpus_that_emulate_bf16_train_in_fp32(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: capability)
    assert autocast_type('auto', torch.device('cuda')) is expected


def test_a_learner_takes_the_step_worked_out_by_hand_and_names_a_lost_loss(tmp_path):
    module = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(module.weight, 2.0)
    learner = Learner(Run(tmp_path), module, torch.optim.SGD(module.parameters(), lr=1.0),
                      lambda step: 0.5, 0.1, 0.0, Judge('error'))
    learner.learn(lambda: module.weight.sum() * 3)      # 2 - 0.1 * 0.5 * 3
    assert module.weight.item() == pytest.approx(1.85) and learner.step == 1
    assert learner.average.values['weight'].item() == pytest.approx(1.85)
    with pytest.raises(TrainingError, match='learning_rate'):
        learner.learn(lambda: module.weight.sum() * float('nan'))


def test_rows_after_the_stored_state_are_dropped(tmp_path):
    run = Run(tmp_path)
    for step in (1, 2, 3):
        run.log({'step': step, 'loss': step / 2})
    run.forget_after('step', 2)
    assert run.curves_path.read_text().split() == ['step,loss', '1,0.5', '2,1']
    run.forget_after('step', 0)
    assert not run.curves_path.exists()


def test_a_learner_without_a_state_begins_its_curves_anew(tmp_path):
    run, module = Run(tmp_path), torch.nn.Linear(1, 1)

    def learner():
        return Learner(run, module, torch.optim.SGD(module.parameters(), lr=1.0),
                       lambda step: 1.0, 0.1, 0.0, Judge('error'))
    for _ in range(2):      # killed after the look at the start, before the first stored state
        learner().note({'error': 2.0})
    assert len(run.curves_path.read_text().splitlines()) == 2


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
