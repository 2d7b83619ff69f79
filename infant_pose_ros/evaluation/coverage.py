"""Do generated poses cover real ones? Compares 2D poses in the frame of the trunk.

A pose is the vectors of its segments (head, upper arms, forearms, thighs, shins) in axes along
(pelvis to thorax) and across (to the infant's left) the trunk. Lengths are taken over the trunk's,
which takes the camera's distance out, and then over the segment's reach: the 95 % quantile of
its length in the same set, both sides together. That takes out where exactly a labeller sees a
joint (a hip in the crease of the groin, say) and leaves how far a limb is foreshortened.
Real poses come from hand-labelled frames: S. Passmore's set of infants of 12 to 18 weeks (public
repository epassmore/infant-movements), whose "hand" and "heel" stand for wrist and ankle here.
"""

from __future__ import annotations

from collections.abc import Mapping
import csv
from dataclasses import dataclass
from pathlib import Path
import re

import numpy as np

from infant_pose_ros.data.files import read_mat
from infant_pose_ros.errors import DatasetError, InvalidInputError
from infant_pose_ros.skeleton import Joint, NUM_KEYPOINTS

#: Segment -> its ends; each pose vector holds them in this order.
SEGMENTS: dict[str, tuple[int, int]] = {
    'head': (Joint.THORAX, Joint.HEAD_TOP),
    'upper_arm.L': (Joint.L_SHOULDER, Joint.L_ELBOW),
    'upper_arm.R': (Joint.R_SHOULDER, Joint.R_ELBOW),
    'forearm.L': (Joint.L_ELBOW, Joint.L_WRIST), 'forearm.R': (Joint.R_ELBOW, Joint.R_WRIST),
    'thigh.L': (Joint.L_HIP, Joint.L_KNEE), 'thigh.R': (Joint.R_HIP, Joint.R_KNEE),
    'shin.L': (Joint.L_KNEE, Joint.L_ANKLE), 'shin.R': (Joint.R_KNEE, Joint.R_ANKLE)}
_BENDS = {'elbow': ('upper_arm', 'forearm'), 'knee': ('thigh', 'shin')}
#: A pose with fewer segments than this is left out.
MIN_SEGMENTS = 6
HALVINGS = 10

# The set's ids in the common keypoints; eyes, chin and toes have no place there.
_FROM_LABELS = {
    0: Joint.HEAD_TOP, 4: Joint.L_SHOULDER, 5: Joint.L_ELBOW, 6: Joint.L_WRIST, 7: Joint.L_HIP,
    8: Joint.L_KNEE, 9: Joint.L_ANKLE, 11: Joint.R_SHOULDER, 12: Joint.R_ELBOW,
    13: Joint.R_WRIST, 14: Joint.R_HIP, 15: Joint.R_KNEE, 16: Joint.R_ANKLE}


@dataclass(frozen=True, eq=False)
class RealPoses:
    """N labelled frames: keypoints_px (N, 16, 2), NaN where missing; infants (N,) names."""

    keypoints_px: np.ndarray
    infants: np.ndarray


def read_infant_labels(path: Path) -> RealPoses:
    """Read `infant_labels.mat`: a struct array `dataset` with image, size and joints.

    Raises:
        DatasetError: the file can't be read, or is of another form.
    """
    form = 'a struct array `dataset` with the fields image and joints (n, 3)'
    rows = read_mat(path, 'dataset')[0].reshape(-1)
    if not {'image', 'joints'} <= set(rows.dtype.names or ()):
        raise DatasetError(f'{path}: expected {form}, found {rows.dtype.names or rows.dtype}; '
                           'take the file of the original set')
    images, joints = rows['image'], rows['joints']
    keypoints, infants = np.full((len(rows), NUM_KEYPOINTS, 2), np.nan), []
    for frame, (image, cell) in enumerate(zip(images, joints)):
        labels = np.asarray(cell.reshape(-1)[0] if cell.dtype == object else cell)
        if labels.size and (labels.ndim != 2 or labels.shape[1] < 3
                            or labels.dtype.kind not in 'fiu'):
            raise DatasetError(f'{path}: expected {form}, found joints {labels.dtype} of '
                               f'{labels.shape} in row {frame}; fetch it again')
        for number, x, y in labels[:, :3].astype(np.float64) if labels.size else ():
            if int(number) in _FROM_LABELS:
                keypoints[frame, _FROM_LABELS[int(number)]] = x, y
        name = str(np.asarray(image).reshape(-1)[0])
        found = re.search(r'Participant_(\w+?)_', name)
        infants.append(found.group(1) if found else name)
    for middle, (left, right) in ((Joint.PELVIS, (Joint.L_HIP, Joint.R_HIP)),
                                  (Joint.THORAX, (Joint.L_SHOULDER, Joint.R_SHOULDER))):
        keypoints[:, middle] = (keypoints[:, left] + keypoints[:, right]) / 2
    return RealPoses(keypoints, np.array(infants))


def trunk_vectors(keypoints_px: np.ndarray) -> np.ndarray:
    """Segments (N, 9, 2) of poses (N, 16, 2) seen in a picture, y down: along and across.

    The first number is towards the head, the second to the left of an infant seen from the
    front, both over the trunk's length; NaN where a point is missing.
    """
    trunk = keypoints_px[:, Joint.THORAX] - keypoints_px[:, Joint.PELVIS]
    length = np.linalg.norm(trunk, axis=1, keepdims=True)
    up = trunk / np.where(length > 0, length, np.nan)
    left = np.stack([-up[:, 1], up[:, 0]], 1)
    starts, ends = np.array(list(SEGMENTS.values())).T
    vectors = (keypoints_px[:, ends] - keypoints_px[:, starts]) / length[:, None]
    return np.stack([(vectors * up[:, None]).sum(-1), (vectors * left[:, None]).sum(-1)], -1)


def segment_reaches(vectors: np.ndarray) -> np.ndarray:
    """Reach (9,) of each segment of vectors (N, 9, 2): 95 % quantile of its length, in trunks.

    Left and right have one reach; NaN where a segment is never seen.
    """
    lengths = np.linalg.norm(vectors, axis=-1)
    limbs = [name.split('.')[0] for name in SEGMENTS]
    reaches = np.full(len(limbs), np.nan)
    for limb in dict.fromkeys(limbs):
        columns = [k for k, name in enumerate(limbs) if name == limb]
        seen = lengths[:, columns][np.isfinite(lengths[:, columns])]
        if len(seen):
            reaches[columns] = np.quantile(seen, 0.95)
    return reaches


def features(vectors: np.ndarray) -> dict[str, np.ndarray]:
    """Directions and bends in degrees, lengths as in `vectors`; left and right pooled (2N,).

    A direction is the angle from the head's end of the trunk, positive outwards on both sides
    (for the head: to the left). A bend is 0 where two segments make a straight line.
    """
    column = {name: vectors[:, k] for k, name in enumerate(SEGMENTS)}
    pooled: dict[str, np.ndarray] = {}
    limbs = list(dict.fromkeys(name.split('.')[0] for name in SEGMENTS if '.' in name))
    pooled['head direction'] = np.rad2deg(np.arctan2(column['head'][:, 1], column['head'][:, 0]))
    for limb in limbs:
        both = [column[f'{limb}.L'], column[f'{limb}.R'] * [1.0, -1.0]]
        stacked = np.concatenate(both)
        pooled[f'{limb} direction'] = np.rad2deg(np.arctan2(stacked[:, 1], stacked[:, 0]))
        pooled[f'{limb} length'] = np.linalg.norm(stacked, axis=1)
    for joint, (upper, lower) in _BENDS.items():
        first, second = (np.concatenate([column[f'{limb}.{side}'] for side in 'LR'])
                         for limb in (upper, lower))
        cosine = (first * second).sum(1) / (
            np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1) + 1e-12)
        pooled[f'{joint} bend'] = np.rad2deg(np.arccos(np.clip(cosine, -1, 1)))
    return pooled


def nearest_distances(vectors: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Distance (N,) of each pose (N, 9, 2) to the nearest of others (M, 9, 2), in reaches.

    Root mean square over the segments that the pose has; NaN where those are fewer than
    `MIN_SEGMENTS`. Others with a missing segment that the pose has don't count for it.
    """
    known = np.isfinite(others).all(-1)
    result = np.full(len(vectors), np.nan)
    for row, pose in enumerate(vectors):
        own = np.isfinite(pose).all(-1)
        candidates = others[known[:, own].all(1)][:, own]
        if own.sum() >= MIN_SEGMENTS and len(candidates):
            result[row] = np.sqrt(((candidates - pose[own]) ** 2).sum((1, 2)) / own.sum()).min()
    return result


def yardstick_distances(vectors: np.ndarray, infants: np.ndarray, seed: int = 0
                        ) -> tuple[np.ndarray, int]:
    """Distances (N,) of real poses to the nearest of other real infants, and of how many.

    The infants are split in halves `HALVINGS` times; each frame's distances to the other half's
    nearest are averaged.
    """
    names = np.unique(infants)
    rng = np.random.default_rng(seed)
    distances, sizes = np.full((HALVINGS, len(vectors)), np.nan), []
    for halving in range(HALVINGS):
        first = np.isin(infants, rng.permutation(names)[:len(names) // 2])
        for own in (first, ~first):
            distances[halving, own] = nearest_distances(vectors[own], vectors[~own])
            sizes.append(int(_usable(vectors[~own]).sum()))
    known = np.isfinite(distances)
    total = np.where(known, distances, 0.0).sum(0)
    return np.where(known.any(0), total / np.maximum(known.sum(0), 1), np.nan), round(
        float(np.mean(sizes)))


def _usable(vectors: np.ndarray) -> np.ndarray:
    return np.isfinite(vectors).all(-1).sum(-1) >= MIN_SEGMENTS


def overlap(real: np.ndarray, generated: np.ndarray) -> tuple[float, float, np.ndarray]:
    """How two sets of one feature agree.

    Returns:
        the share of real values in bins of which the generator fills at least a tenth as
        densely as reality; the common area of both histograms, 0..1; the bins' edges.

    Raises:
        InvalidInputError: one of them has no finite value.
    """
    real, generated = real[np.isfinite(real)], generated[np.isfinite(generated)]
    if not len(real) or not len(generated):
        raise InvalidInputError('overlap: each set needs at least one finite value, got '
                                f'{len(real)} real and {len(generated)} generated ones')
    edges = np.linspace(min(real.min(), generated.min()),
                        max(real.max(), generated.max()) + 1e-9, 25)
    shares = [np.histogram(values, edges)[0] / len(values) for values in (real, generated)]
    filled = shares[1] >= 0.1 * shares[0]
    return float(shares[0][filled].sum()), float(np.minimum(*shares).sum()), edges


@dataclass(frozen=True, eq=False)
class Coverage:
    """What came out.

    Attributes:
        rows: of the table: measure -> value. real, generated: features by name.
        yardstick, matched, whole: (N,) nearest distances of real poses to other real infants,
        to as many generated poses, and to all of them; in reaches, NaN left out.
    """

    rows: dict[str, float]
    real: Mapping[str, np.ndarray]
    generated: Mapping[str, np.ndarray]
    yardstick: np.ndarray
    matched: np.ndarray
    whole: np.ndarray


def measure_coverage(real: RealPoses, generated_px: np.ndarray, seed: int = 0) -> Coverage:
    """Compare real frames with generated poses (M, 16, 2) seen from above, y down, any unit.

    Raises:
        InvalidInputError: no usable pose in one of the two, or fewer than two real infants.
    """
    if len(np.unique(real.infants)) < 2:
        raise InvalidInputError('coverage: needs two or more real infants to compare with each '
                                f'other, got {len(np.unique(real.infants))}')
    vectors, made = trunk_vectors(real.keypoints_px), trunk_vectors(generated_px)
    if not _usable(vectors).any() or not _usable(made).any():
        raise InvalidInputError('coverage: needs real and generated poses with a whole trunk and '
                                f'{MIN_SEGMENTS} segments, got none')
    reaches = segment_reaches(vectors), segment_reaches(made)
    vectors, made = vectors / reaches[0][:, None], made / reaches[1][:, None]
    yardstick, size = yardstick_distances(vectors, real.infants, seed)
    chosen = np.random.default_rng(seed).permutation(len(made))[:max(size, 1)]
    matched, whole = nearest_distances(vectors, made[chosen]), nearest_distances(vectors, made)
    limit = float(np.nanquantile(yardstick, 0.95))
    rows = {'real frames': int(np.isfinite(whole).sum()),
            'real infants': len(np.unique(real.infants)), 'generated poses': len(made),
            'poses in a half (matched)': size}
    for name, distances in (('real to real, halves', yardstick),
                            ('real to generated, matched', matched),
                            ('real to generated, all', whole)):
        rows[f'{name}: median distance'] = float(np.nanmedian(distances))
        rows[f'{name}: 95 % distance'] = float(np.nanquantile(distances, 0.95))
        rows[f'{name}: share within {limit:.3f}'] = float(
            (distances[np.isfinite(distances)] <= limit).mean())
    for name, *pair in zip(SEGMENTS, *reaches):
        if not name.endswith('.R'):
            for kind, reach in zip(('real', 'generated'), pair):
                rows[f"{name.split('.')[0]}: reach over trunk, {kind}"] = float(reach)
    real_features, made_features = features(vectors), features(made)
    for name, values in real_features.items():
        covered, common, _ = overlap(values, made_features[name])
        rows[f'{name}: share of real covered'] = covered
        rows[f'{name}: common area'] = common
    return Coverage(rows, real_features, made_features, yardstick, matched, whole)


def write_coverage(coverage: Coverage, folder: Path) -> None:
    """Write `coverage.csv` (the table) and `coverage.png` (the histograms)."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / 'coverage.csv').open('w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['measure', 'value'])
        writer.writerows((name, f'{value:.4g}') for name, value in coverage.rows.items())
    _plot(coverage, folder / 'coverage.png')


def _plot(coverage: Coverage, path: Path) -> None:
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    names = list(coverage.real)
    columns = 4
    count = -(-(len(names) + 1) // columns)
    figure, axes = plt.subplots(count, columns, figsize=(4 * columns, 2.8 * count))
    for axis, name in zip(axes.flat, names):
        real, made = coverage.real[name], coverage.generated[name]
        _, common, edges = overlap(real, made)
        for values, label in ((real, 'real'), (made, 'generated')):
            axis.hist(values[np.isfinite(values)], edges, density=True, alpha=0.5, label=label)
        axis.set_title(f'{name}: common area {100 * common:.0f} %', fontsize=9)
    axis = axes.flat[len(names)]
    longest = np.nanmax([coverage.yardstick.max(initial=0.1, where=np.isfinite(
        coverage.yardstick)), np.nanmax(coverage.matched)])
    for values, label in ((coverage.yardstick, 'real infants'), (coverage.matched, 'as many made'),
                          (coverage.whole, 'all made')):
        axis.hist(values[np.isfinite(values)], np.linspace(0, longest, 40), histtype='step',
                  label=label)
    axis.set_title('distance to the nearest pose, reaches', fontsize=9)
    axis.legend(fontsize=7)
    for spare in axes.flat[len(names) + 1:]:
        spare.axis('off')
    axes.flat[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)
