import pytest

from infant_pose_ros.cli import main
from infant_pose_ros.cli.train import read_changes
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.training.detector import DetectorRecipe
from infant_pose_ros.training.lifter import LifterRecipe
from infant_pose_ros.training.pose import PoseRecipe


def test_changes_are_read_as_yaml():
    assert read_changes(['steps=20', 'learning_rate=0.1', 'bfloat16=false', 'adults=']) == {
        'steps': 20, 'learning_rate': 0.1, 'bfloat16': False, 'adults': ''}
    with pytest.raises(InvalidInputError, match='NAME=VALUE'):
        read_changes(['steps'])


@pytest.mark.parametrize('task, recipe', [
    ('detector', DetectorRecipe), ('pose', PoseRecipe), ('lifter', LifterRecipe)])
def test_the_recipes_that_come_along_are_valid(task, recipe):
    assert recipe.from_yaml(f'config/train_{task}.yaml').name


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
