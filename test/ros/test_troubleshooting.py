"""docs/troubleshooting.md names every fault that the code has, and no other."""

import ast
from pathlib import Path
import re

ROOT = Path(__file__).resolve().parents[2]


def names_in_code():
    found = {}
    for path in sorted((ROOT / 'infant_pose_ros').rglob('*.py')):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) \
                    and node.func.id == 'Fault':
                name = node.args[1]
                assert isinstance(name, ast.Constant), (
                    f'{path}:{node.lineno}: the name of a fault is written out where it is made')
                found.setdefault(name.value, set()).add(path.stem)
    return found


def rows_of_page():
    page = (ROOT / 'docs' / 'troubleshooting.md').read_text(encoding='utf-8')
    return [line for line in page.splitlines() if re.match(r'\| `\w+` \|', line)]


def test_code_and_page_have_the_same_names():
    in_page = [re.match(r'\| `(\w+)` \|', row).group(1) for row in rows_of_page()]
    assert len(in_page) == len(set(in_page))
    assert set(in_page) == set(names_in_code())


def test_each_has_what_one_sees_a_cause_and_a_mend():
    for row in rows_of_page():
        cells = [cell.strip() for cell in row.strip('|').split('|')]
        assert len(cells) == 4 and all(cells), row


def test_names_are_stable_words():
    assert len(names_in_code()) > 35
    assert all(re.fullmatch(r'[a-z]+(_[a-z]+)*', name) for name in names_in_code())
