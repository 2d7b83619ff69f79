"""SynthCot-12, a part of `infant-pose synth`."""

from __future__ import annotations

import argparse

from infant_pose_ros.errors import InvalidInputError

#: Most pictures a second.
MAX_RATE_HZ = 240.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    group = parser.add_argument_group(
        'SynthCot-12', 'the benchmark: 12 fixed sequences of 1000 frames in the folder format of '
        'MINI-RGBD. --workers as above; --frames makes shorter sequences for a trial; another '
        '--rate than 30 shows the same movements more often or less; --seed, --size and --device '
        'are fixed.')
    group.add_argument('--synthcot12', action='store_true', help='make it')
    group.add_argument('--sequences', type=int, nargs='+', metavar='N',
                       default=argparse.SUPPRESS, help='only these of 1 to 12 (test: 11 12)')
    group.add_argument('--write-checksums', action='store_true',
                       help="then write the package's list of checksums anew")


def run_synthcot(args: argparse.Namespace) -> int:
    """Render the sequences that are missing in `args.out`.

    Raises:
        InvalidInputError: bad numbers. DatasetError: the folder holds something else.
    """
    from tqdm import tqdm

    from infant_pose_ros.synthetic.synthcot import frames_at, NUM_FRAMES, PLANS, RATE_HZ
    from infant_pose_ros.synthetic.synthcot_writer import write_synthcot12

    if not 1.0 <= args.rate <= MAX_RATE_HZ:
        raise InvalidInputError(f'synth --synthcot12: --rate must be 1 to {MAX_RATE_HZ:g} '
                                f'pictures a second, got {args.rate:g}')
    whole = frames_at(args.rate)
    frames = whole if args.frames is None else args.frames
    numbers = sorted(set(getattr(args, 'sequences', PLANS)))
    if not 1 <= frames <= whole or args.workers < 1 or not set(numbers) <= set(PLANS):
        raise InvalidInputError(
            f'synth --synthcot12: --frames must be 1 to {whole}, --workers positive and '
            f'--sequences of 1 to {len(PLANS)}; got {frames}, {args.workers} and '
            f'{" ".join(map(str, numbers))}')
    if args.write_checksums and (frames, numbers, args.rate) != (
            NUM_FRAMES, sorted(PLANS), RATE_HZ):
        raise InvalidInputError('synth --synthcot12: --write-checksums needs the whole set; leave '
                                'out --frames, --sequences and --rate')
    with tqdm(total=frames * len(numbers), unit='frame') as bar:
        write_synthcot12(args.out, numbers, frames, args.workers, bar.update, args.rate)
    print(f'{len(numbers)} sequences of {frames} frames in {args.out}')
    if args.write_checksums:
        _write_checksums(args.out)
    return 0


def _write_checksums(folder) -> None:
    from tqdm import tqdm

    from infant_pose_ros.data.checksums import (
        list_text,
        part_checksum,
        PARTS,
        synthcot_list,
        SYNTHCOT_NAME,
    )
    from infant_pose_ros.synthetic.synthcot import PLANS, VERSION

    rows = [(number, part) for number in PLANS for part in PARTS]
    sums = {(number, part): part_checksum(folder / f'{number:02d}', part)
            for number, part in tqdm(rows, unit='part')}
    path = synthcot_list()
    path.write_text(list_text(sums, f'{SYNTHCOT_NAME}, version {VERSION}'), encoding='ascii')
    print(f'{len(sums)} checksums in {path}')
