"""infant-pose synth: render infants for training, or a clip."""

from __future__ import annotations

import argparse
from pathlib import Path

from tqdm import tqdm

from infant_pose_ros.cli import synthcot
from infant_pose_ros.errors import InvalidInputError

DEFAULT_FRAMES = 2000


def add_parser(subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        'synth', help='render infants: stills for training, or a clip with its truth',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('out', type=Path, help='folder of stills, or stem of the clip')
    parser.add_argument('--frames', type=int, default=argparse.SUPPRESS,
                        help=f'how many stills (default: {DEFAULT_FRAMES})')
    parser.add_argument('--clip', type=float, metavar='SECONDS', default=0.0,
                        help='render one moving infant for this long instead of stills')
    parser.add_argument('--rate', type=float, default=30.0, help='pictures a second of a clip')
    parser.add_argument('--seed', type=int, default=0, help='same seed, same pictures')
    parser.add_argument('--size', type=int, nargs=2, metavar=('W', 'H'), default=(640, 480))
    parser.add_argument('--workers', type=int, default=1, help='processes')
    parser.add_argument('--people', choices=('infants', 'adults'), default='infants',
                        help='whom the stills are of')
    parser.add_argument('--negatives', type=float, metavar='SHARE', default=0.0,
                        help="share of infants' stills whose bed is empty: all labels NaN")
    parser.add_argument('--depth', action='store_true',
                        help='also write <index>_depth.png (16 bit, mm) and <index>_mask.png')
    parser.add_argument('--device', default='cpu', help="where to render: 'cpu' or 'cuda:0'")
    synthcot.add_arguments(parser)


def run(args) -> int:
    """Render."""
    from infant_pose_ros.synthetic.writer import (
        StillsPlan,
        whole_bodies,
        write_clip,
        write_stills,
    )

    args.frames = getattr(args, 'frames', None if args.synthcot12 else DEFAULT_FRAMES)
    if args.synthcot12:
        return synthcot.run_synthcot(args)
    if hasattr(args, 'sequences') or args.write_checksums:
        raise InvalidInputError(
            'synth: --sequences and --write-checksums are of SynthCot-12; add --synthcot12')
    if args.frames < 1 or args.clip < 0 or args.rate <= 0 or args.workers < 1 or min(
            args.size) < 64:
        raise InvalidInputError(
            'synth: --frames, --workers and --rate must be positive, --clip not negative and '
            f'--size at least 64x64; got {args.frames}, {args.workers}, {args.rate}, {args.clip}, '
            f'{args.size[0]}x{args.size[1]}')
    size_wh = (args.size[0], args.size[1])
    if not 0 <= args.negatives <= 1:
        raise InvalidInputError(f'synth: --negatives must be 0..1, got {args.negatives}')
    if args.clip > 0:
        if args.people != 'infants' or args.negatives or args.depth:
            raise InvalidInputError('synth: --people, --negatives and --depth are of stills; '
                                    'leave them out or leave out --clip')
        args.out.parent.mkdir(parents=True, exist_ok=True)
        with tqdm(total=int(round(args.clip * args.rate)), unit='frame') as bar:
            write_clip(args.out, args.clip, args.rate, args.seed, {}, size_wh,
                       device=args.device, progress=bar.update)
        return 0
    plan = StillsPlan(args.seed, size_wh, args.people, args.negatives, args.depth)
    with tqdm(total=whole_bodies(args.frames), unit='frame') as bar:
        made = write_stills(args.out, args.frames, plan, args.workers, args.device, bar.update)
    print(f'{made} stills in {args.out}')
    return 0
