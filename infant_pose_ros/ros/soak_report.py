"""A soak's record as a table and as JSON."""

from __future__ import annotations

from collections import defaultdict
import dataclasses
import math
from typing import Any

from infant_pose_ros.ros.soak_judging import age_drift, Growth, Life, Recovery
from infant_pose_ros.ros.soak_run import Record


def report_table(record: Record) -> str:
    """What a run showed, for a terminal."""
    sections = [[f'{record.seconds / 60:.1f} minutes, seed {record.seed}'
                 + (', interrupted' if record.interrupted else '')],
                _fault_lines(record.recoveries), _account_lines(record), _age_lines(record),
                _process_lines(record)]
    return '\n\n'.join('\n'.join(lines) for lines in sections if lines)


def _fault_lines(recoveries: list[Recovery]) -> list[str]:
    by_kind: dict[str, list[Recovery]] = defaultdict(list)
    for recovery in recoveries:
        by_kind[recovery.kind].append(recovery)
    if not by_kind:
        return ['no fault was injected']
    lines = [f'{"fault":22s}{"times":>6s}{"recovered":>11s}{"worst s":>9s}{"gone s":>8s}'
             f'{"excused":>9s}  shown']
    for kind, group in sorted(by_kind.items()):
        times = [r.recovered_s for r in group if r.recovered_s is not None]
        cleared = [r.cleared_s for r in group if r.cleared_s is not None]
        shown = sorted({name for r in group for name in r.shown})
        lines.append(f'{kind:22s}{len(group):6d}{len(times):11d}{_number(times):>9s}'
                     f'{_number(cleared):>8s}{sum(r.excused for r in group):9d}'
                     f'  {", ".join(shown) or "-"}')
    return lines


def _account_lines(record: Record) -> list[str]:
    lines = [f'{"pictures":10s}{"published":>10s}{"answered":>10s}{"dropped":>9s}{"stale":>7s}'
             f'{"failed":>8s}{"lost":>6s}{"excused":>9s}{"uncounted":>11s}{"overcounted":>13s}']
    for name, account in record.totals().items():
        counted = account.counted
        parts = record.accounts[name]
        lines.append(
            f'{name:10s}{account.published:10d}{account.answered:10d}'
            f'{counted["frames_dropped"]:9d}{counted["frames_stale"]:7d}'
            f'{counted["frames_failed"]:8d}{counted["frames_lost_in_transport"]:6d}'
            f'{account.excused:9d}{sum(part.uncounted for part in parts):11d}'
            f'{sum(part.overcounted for part in parts):13d}')
    return lines


def _age_lines(record: Record) -> list[str]:
    rates = ', '.join(f'{name} {hz:.1f}' for name, hz in record.usual_hz.items())
    lines = [f'answers a second before any fault: {rates or "unknown"}']
    drift = age_drift(record.ages)
    if drift is not None:
        lines.append(f'age of answers between faults, median: {drift[0]:.1f} ms at first, '
                     f'{drift[1]:.1f} ms at the end')
    return lines


def _process_lines(record: Record) -> list[str]:
    growths = record.growths()
    if not growths:
        return ['memory: no process lived long enough to be judged']
    lines = [f'{"process":14s}{"judged s":>9s}{"MB first":>10s}{"MB last":>9s}{"growth":>9s}'
             f'{"in use MB":>17s}{"growth":>9s}{"shared MB":>11s}'
             f'{"threads":>10s}{"files":>10s}{"cores":>7s}']
    lines += [_growth_line(growth) for growth in growths]
    judged = {growth.node for growth in growths}
    short = sorted({life.node for life in record.lives} - judged)
    if short:
        lines.append(f'lived too short to be judged: {", ".join(short)}')
    return lines


def _growth_line(growth: Growth) -> str:
    shared, threads, files = (f'{first:.0f} > {last:.0f}' for first, last in (
        growth.shared_mb, growth.threads, growth.files))
    used = (f'{"-":>17s}{"-":>9s}' if math.isnan(growth.in_use_share) else
            f'{growth.in_use_mb[0]:8.1f} > {growth.in_use_mb[1]:6.1f}{growth.in_use_share:+9.2%}')
    return (f'{growth.node:14s}{growth.judged_s:9.0f}{growth.own_mb[0]:10.1f}'
            f'{growth.own_mb[1]:9.1f}{growth.share:+9.2%}{used}{shared:>11s}{threads:>10s}'
            f'{files:>10s}{growth.cpu_share:7.2f}')


def _number(values: list[float]) -> str:
    return f'{max(values):.1f}' if values else '-'


def report_json(record: Record) -> dict[str, Any]:
    """The same and more, as soak.json holds it."""
    verdict = record.verdict()
    return {
        'passed': not verdict, 'problems': verdict, 'interrupted': record.interrupted,
        'seed': record.seed, 'seconds': record.seconds, 'warm_after_s': record.warm_s,
        'calm_from_s': [round(calm_s - record.begun_at_s, 1) for calm_s in record.calms],
        'usual_hz': record.usual_hz,
        'faults': [dataclasses.asdict(recovery) for recovery in record.recoveries],
        'accounts': {name: _account(account) for name, account in record.totals().items()},
        'epochs': {name: [_account(account) for account in accounts]
                   for name, accounts in record.accounts.items()},
        'ages': [dataclasses.asdict(window) for window in record.ages],
        'age_p50_ms_first_last': age_drift(record.ages),
        'processes': [_growth(growth) for growth in record.growths()],
        'lives': [_life(life, record.begun_at_s) for life in record.lives if life.samples]}


def _growth(growth: Growth) -> dict[str, Any]:
    tells = not math.isnan(growth.in_use_share)
    return {**dataclasses.asdict(growth), 'growth': growth.share,
            'in_use_mb': growth.in_use_mb if tells else None,
            'growth_in_use': growth.in_use_share if tells else None}


def _life(life: Life, begun_at_s: float) -> dict[str, Any]:
    """Every sample of a process, in columns; times since the run began."""
    columns = {name: [_rounded(getattr(sample, name)) for sample in life.samples]
               for name in ('memory_mb', 'shared_mb', 'threads', 'files', 'cpu_s', 'in_use_mb')}
    return {'node': life.node, **columns,
            'at_s': [round(sample.at_s - begun_at_s, 1) for sample in life.samples]}


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 2)


def _account(account) -> dict[str, Any]:
    return {'published': account.published, 'answered': account.answered,
            'excused': account.excused, 'unanswered': account.num_unanswered,
            **account.counted, 'uncounted': account.uncounted,
            'overcounted': account.overcounted, 'unexpected': account.unexpected,
            'unanswered_stamps_ns': list(account.unanswered)}
