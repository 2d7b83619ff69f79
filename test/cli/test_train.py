from pathlib import Path

import pytest

from infant_pose_ros.cli import main
from infant_pose_ros.cli.train import read_changes
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.training.detector import DetectorRecipe
from infant_pose_ros.training.lifter import LifterRecipe
from infant_pose_ros.training.pose import PoseRecipe

CONFIG = Path(__file__).resolve().parents[2] / 'config'


def test_changes_are_read_as_yaml():
    assert read_changes(['steps=20', 'learning_rate=0.1', 'crop=false', 'adults=']) == {
        'steps': 20, 'learning_rate': 0.1, 'crop': False, 'adults': ''}
    assert read_changes(['learning_rate=1e-4', 'name=e4', 'out=nan']) == {
        'learning_rate': 1e-4, 'name': 'e4', 'out': 'nan'}
    with pytest.raises(InvalidInputError, match='NAME=VALUE'):
        read_changes(['steps'])
    with pytest.raises(InvalidInputError, match='no YAML'):
        read_changes(['name=['])


def test_set_may_be_given_more_than_once():
    words = main.build_parser('train').parse_args([
        'train', 'pose', 'r.yaml', '--out', 'o', '--set', 'a=1', 'b=2', '--set', 'c=3'])
    assert words.set == ['a=1', 'b=2', 'c=3']


RECIPES = {'detector': DetectorRecipe, 'pose': PoseRecipe, 'lifter': LifterRecipe}


@pytest.mark.parametrize('path', sorted(
    path for kind in ('train', 'paper') for path in CONFIG.glob(f'{kind}_*.yaml')),
    ids=lambda path: path.stem)
def test_the_recipes_that_come_along_are_valid(path):
    assert RECIPES[path.stem.split('_')[1]].from_yaml(path).name
    assert f'config/{path.name}' in path.read_text(encoding='utf-8')    # how to run it


def test_the_paper_s_recipes_keep_its_figures():
    adults, infants = (PoseRecipe.from_yaml(CONFIG / f'paper_pose_{stage}.yaml')
                       for stage in ('adults', 'infants'))
    for recipe in (adults, infants):
        assert (recipe.backbone, recipe.deconv_channels, recipe.input_size) == (
            'resnet50', 256, 256)
        assert (recipe.batch_size, recipe.learning_rate, recipe.schedule) == (
            16, 1e-4, 'constant')
        assert (recipe.activation, recipe.patience, recipe.min_improvement) == ('none', 3, 1e-3)
    rates = {stage: LifterRecipe.from_yaml(CONFIG / f'paper_lifter_{stage}.yaml')
             for stage in ('adults', 'infants', 'estimated')}
    assert [(each.learning_rate, each.decay) for each in rates.values()] == [
        (1e-3, 0.96), (1e-2, 0.9), (1e-2, 0.9)]
    assert all((each.dropout, each.max_norm, each.loss) == (0.5, 1.0, 'mse')
               for each in rates.values())
    detector = DetectorRecipe.from_yaml(CONFIG / 'paper_detector.yaml')
    assert (detector.batch_size, detector.learning_rate, detector.patience) == (4, 1e-4, 3)


def test_an_unknown_setting_ends_with_one_line(tmp_path, capsys):
    recipe = tmp_path / 'recipe.yaml'
    recipe.write_text('stepz: 3\n', encoding='utf-8')
    code = main.main(['train', 'pose', str(recipe), '--out', str(tmp_path / 'run')])
    assert code == 2
    error = capsys.readouterr().err
    assert 'stepz' in error and 'steps' in error and 'Traceback' not in error


def test_training_without_data_names_the_folder(tmp_path, capsys):
    recipe = tmp_path / 'recipe.yaml'
    nowhere = tmp_path / 'none'
    recipe.write_text(f'infants: {nowhere}\ninfants_val: {nowhere}\n', encoding='utf-8')
    assert main.main(['train', 'pose', str(recipe), '--out', str(tmp_path / 'run')]) == 2
    assert 'infant-pose synth' in capsys.readouterr().err
