"""Bodies of infants and adults from the parametric model `anny`: shape, pose, keypoints.

Source of the model: R. Bregier et al., "Human Mesh Modeling for Anny Body" (2026), code under
Apache-2.0, assets under CC0. Axes at rest: x the infant's left, -y its front, z up; metres.
"""

from __future__ import annotations

from dataclasses import dataclass
import functools
import math

import numpy as np

from infant_pose_ros.data.mini_rgbd import NUM_JOINTS
from infant_pose_ros.errors import InvalidInputError, MissingDependencyError
from infant_pose_ros.geometry.growth import body_length_from_age
from infant_pose_ros.skeleton import FROM_MINI_RGBD, Joint, NUM_KEYPOINTS

#: Vertices of the default topology: the crown (highest at rest) and the tip of the nose.
CROWN_VERTEX, NOSE_VERTEX = 881, 296
MAX_INFANT_MONTHS = 12.0
#: Spread of the length about WHO's median, as a share of it, and how far a drawn one may lie.
LENGTH_STD, LENGTH_LIMIT = 0.035, 2.5

# Which age phenotype has an infant's proportions at an age in months. Found by measuring rest
# poses: with these, head circumference over length follows WHO's medians (0.69 at birth, 0.66,
# 0.64, 0.61 at 3, 6, 12 months) and so does mass over length cubed (27 down to 22 kg/m3), once
# the body is scaled to its length; anny's own lengths at these phenotypes are too short.
_MONTHS, _AGE_PHENOTYPES = (0.0, 3.0, 6.0, 12.0), (-0.33, -0.25, -0.20, -0.12)

_BONE_OF = {
    Joint.R_ANKLE: 'foot.R', Joint.R_KNEE: 'lowerleg01.R', Joint.R_HIP: 'upperleg01.R',
    Joint.L_HIP: 'upperleg01.L', Joint.L_KNEE: 'lowerleg01.L', Joint.L_ANKLE: 'foot.L',
    Joint.UPPER_NECK: 'head', Joint.R_WRIST: 'wrist.R', Joint.R_ELBOW: 'lowerarm01.R',
    Joint.R_SHOULDER: 'upperarm01.R', Joint.L_SHOULDER: 'upperarm01.L',
    Joint.L_ELBOW: 'lowerarm01.L', Joint.L_WRIST: 'wrist.L'}
#: Rows of MINI-RGBD's joints that are no common keypoints.
HEAD_ROW, L_FINGERS_ROW, R_FINGERS_ROW, NOSE_ROW = 15, 22, 23, 24
# Those of them that are heads of bones.
_MINI_RGBD_BONES = {3: 'spine04', 6: 'spine02', 10: 'toe3-1.L', 11: 'toe3-1.R',
                    13: 'clavicle.L', 14: 'clavicle.R', L_FINGERS_ROW: 'finger3-1.L',
                    R_FINGERS_ROW: 'finger3-1.R'}


@dataclass(frozen=True, eq=False)
class BodyShape:
    """Phenotype of one body, as anny names it: mostly 0..1, age -0.33 (birth) upwards.

    Attributes:
        age_months: age of the person, NaN unknown. length_m: crown to heel at rest, to which the
            whole body is scaled; NaN: as long as anny makes it.
    """

    age: float = -0.15
    gender: float = 0.5
    muscle: float = 0.5
    weight: float = 0.5
    height: float = 0.5
    proportions: float = 0.5
    age_months: float = math.nan
    length_m: float = math.nan

    @classmethod
    def sample(cls, rng: np.random.Generator) -> BodyShape:
        """Draw an infant from newborn to 12 months, of a length in WHO's range for its age."""
        months = float(rng.uniform(0, MAX_INFANT_MONTHS))
        deviation = float(np.clip(rng.normal(), -LENGTH_LIMIT, LENGTH_LIMIT))
        return cls(
            age=float(np.interp(months, _MONTHS, _AGE_PHENOTYPES)),
            gender=float(rng.uniform()), muscle=float(rng.uniform(0.0, 0.5)),
            weight=float(np.clip(rng.normal(0.75, 0.2), 0.1, 1.0)),
            height=float(np.clip(rng.normal(0.5, 0.05), 0.38, 0.62)),
            proportions=float(rng.uniform(0.2, 0.8)), age_months=months,
            length_m=body_length_from_age(months) * (1 + LENGTH_STD * deviation))

    @classmethod
    def sample_adult(cls, rng: np.random.Generator) -> BodyShape:
        """Draw a grown woman or man of 18 to 75 years."""
        woman, years = rng.random() < 0.5, float(rng.uniform(18, 75))
        length = rng.normal(1.64, 0.065) if woman else rng.normal(1.77, 0.07)
        return cls(
            age=float(np.interp(years, (18, 25, 75), (0.6, 0.67, 0.95))),
            gender=float(rng.uniform(0.75, 1.0) if woman else rng.uniform(0.0, 0.25)),
            muscle=float(np.clip(rng.normal(0.5, 0.2), 0.0, 1.0)),
            weight=float(np.clip(rng.normal(0.55, 0.25), 0.0, 1.0)),
            height=float(np.clip(rng.normal(0.5, 0.1), 0.2, 0.8)),
            proportions=float(rng.uniform(0.1, 0.9)), age_months=12 * years,
            length_m=float(np.clip(length, 1.45, 2.0)))


@dataclass(frozen=True, eq=False)
class PosedBodies:
    """One body in F poses, in a common world, z up.

    Attributes:
        vertices_m: (F, V, 3) float32. keypoints_m: (F, 16, 3) float64.
        rest_vertices_m: (V, 3) float32, the body at rest. body_length_m: crown to heel at rest.
        age_months: NaN unknown. joints_m: (F, 25, 3) float64, MINI-RGBD's joints in its order:
            those of the common keypoints are the same points but for the nose's tip.
    """

    vertices_m: np.ndarray
    keypoints_m: np.ndarray
    rest_vertices_m: np.ndarray
    body_length_m: float
    age_months: float
    joints_m: np.ndarray


def axis_rotation(axis: int, angle_rad: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) about x (0), y (1) or z (2) by `angle_rad` (...)."""
    angle_rad = np.asarray(angle_rad, dtype=np.float64)
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    matrix = np.zeros(angle_rad.shape + (3, 3))
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix[..., axis, axis] = 1.0
    matrix[..., first, first] = matrix[..., second, second] = cos
    matrix[..., second, first], matrix[..., first, second] = sin, -sin
    return matrix


@functools.lru_cache(maxsize=1)
def body_model():
    """The anny model, loaded once a process (its first load ever builds a cache for a minute).

    Raises:
        MissingDependencyError: anny is not installed.
    """
    try:
        import anny
    except ImportError as error:
        raise MissingDependencyError(
            "rendering infants needs the package anny: pip install 'infant_pose_ros[synth]'"
        ) from error
    import torch

    return anny.Anny().to(dtype=torch.float32)


@functools.lru_cache(maxsize=1)
def triangles() -> np.ndarray:
    """(T, 3) int32 vertex indices of the mesh."""
    return np.ascontiguousarray(body_model().faces.cpu().numpy(), dtype=np.int32)


@functools.lru_cache(maxsize=1)
def _bone_weights() -> np.ndarray:
    """(V, B) float32 skinning weights."""
    model = body_model()
    weights = np.zeros((model.template_vertices.shape[0], model.bone_count), np.float32)
    indices = model.vertex_bone_indices.cpu().numpy()
    np.add.at(weights, (np.arange(len(weights))[:, None], indices),
              model.vertex_bone_weights.cpu().numpy())
    return weights


def weight_of(prefixes: tuple[str, ...], side: str = '') -> np.ndarray:
    """Share (V,) of each vertex that bones with these names (of one side) carry."""
    columns = [i for i, label in enumerate(body_model().bone_labels)
               if label.startswith(prefixes) and label.endswith(side)]
    return _bone_weights()[:, columns].sum(1)


def pose_bodies(shape: BodyShape, rotations: dict[str, np.ndarray], num_frames: int,
                batch: int = 32) -> PosedBodies:
    """Pose one body in `num_frames` frames; it stays upright with the hips at the origin.

    Args:
        shape: of the body.
        rotations: bone name -> (num_frames, 3, 3) rotation on top of the rest pose, in the rest
            pose's axes.
        num_frames: how many. batch: how many at once.

    Raises:
        InvalidInputError: an unknown bone or a wrong number of rotations.
        MissingDependencyError: anny is not installed.
    """
    import torch

    model = body_model()
    pose = np.tile(np.eye(4, dtype=np.float32), (num_frames, model.bone_count, 1, 1))
    for bone, matrices in rotations.items():
        if bone not in model.bone_labels or np.shape(matrices) != (num_frames, 3, 3):
            raise InvalidInputError(
                f'rotations[{bone!r}]: expected a bone of the model and shape '
                f'{(num_frames, 3, 3)}, got {np.shape(matrices)}')
        pose[:, model.bone_labels.index(bone), :3, :3] = matrices
    vertices, bones, rest = [], [], None
    with torch.inference_mode():
        for start in range(0, num_frames, batch):
            output = _forward(shape, pose[start:start + batch])
            vertices.append(output['vertices'].numpy())
            bones.append(output['bone_poses'][:, :, :3, 3].numpy())
            rest = output['rest_vertices'][0].numpy() if rest is None else rest
    length = float(np.ptp(rest[:, 2]))
    scale = 1.0 if math.isnan(shape.length_m) else shape.length_m / length
    stacked = np.concatenate(vertices) * np.float32(scale)
    heads = np.concatenate(bones) * scale
    keypoints = keypoints_of(heads, stacked)
    return PosedBodies(stacked, keypoints, rest * np.float32(scale), length * scale,
                       shape.age_months, _joints_of(keypoints, heads, stacked))


def _forward(shape: BodyShape, pose: np.ndarray) -> dict:
    """The model's output for poses (N, B, 4, 4), in the model's own scale."""
    import torch

    return body_model()(
        pose_parameters=torch.from_numpy(pose),
        phenotype_kwargs={name: torch.full((len(pose),), float(getattr(shape, name)))
                          for name in ('gender', 'age', 'muscle', 'weight', 'height',
                                       'proportions')})


def rest_pose(shape: BodyShape) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Vertices (V, 3) float64 and the heads of the bones by name (3,) at rest, hips at 0, m."""
    import torch

    with torch.inference_mode():
        output = _forward(
            shape, np.eye(4, dtype=np.float32)[None, None].repeat(body_model().bone_count, 1))
    vertices = output['vertices'][0].numpy().astype(np.float64)
    scale = (1.0 if math.isnan(shape.length_m) else
             shape.length_m / float(np.ptp(output['rest_vertices'][0, :, 2].numpy())))
    heads = output['bone_poses'][0, :, :3, 3].numpy().astype(np.float64) * scale
    return vertices * scale, dict(zip(body_model().bone_labels, heads))


def keypoints_of(bone_heads_m: np.ndarray, vertices_m: np.ndarray) -> np.ndarray:
    """The common keypoints (F, 16, 3) from bone heads (F, B, 3) and vertices (F, V, 3).

    Pelvis and thorax are the middles of the hips and of the shoulders, the upper neck is the
    head of the bone `head`, the head top is the crown's vertex.
    """
    labels = body_model().bone_labels
    keypoints = np.zeros((len(bone_heads_m), NUM_KEYPOINTS, 3))
    for joint, bone in _BONE_OF.items():
        keypoints[:, joint] = bone_heads_m[:, labels.index(bone)]
    keypoints[:, Joint.PELVIS] = keypoints[:, [Joint.L_HIP, Joint.R_HIP]].mean(1)
    keypoints[:, Joint.THORAX] = keypoints[:, [Joint.L_SHOULDER, Joint.R_SHOULDER]].mean(1)
    keypoints[:, Joint.HEAD_TOP] = vertices_m[:, CROWN_VERTEX]
    return keypoints


def _joints_of(keypoints_m: np.ndarray, bone_heads_m: np.ndarray, vertices_m: np.ndarray
               ) -> np.ndarray:
    """MINI-RGBD's 25 joints (F, 25, 3); its `head` is the middle of upper neck and crown."""
    labels = body_model().bone_labels
    joints = np.zeros((len(keypoints_m), NUM_JOINTS, 3))
    joints[:, list(FROM_MINI_RGBD)] = keypoints_m
    for index, bone in _MINI_RGBD_BONES.items():
        joints[:, index] = bone_heads_m[:, labels.index(bone)]
    joints[:, HEAD_ROW] = keypoints_m[:, [Joint.UPPER_NECK, Joint.HEAD_TOP]].mean(1)
    joints[:, NOSE_ROW] = vertices_m[:, NOSE_VERTEX]
    return joints
