"""Draw stills: independent pictures of infants or adults with their truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.synthetic.body import PosedBodies
from infant_pose_ros.synthetic.bystanders import sample_bystander
from infant_pose_ros.synthetic.labels import empty_labels, FrameLabels, label_frame
from infant_pose_ros.synthetic.motion import sample_adult, sample_infant
from infant_pose_ros.synthetic.renderer import Renderer, Rendering
from infant_pose_ros.synthetic.scene import sample_adult_scene, sample_scene, Scene

#: One body is posed this many times, each time in another scene.
POSES_PER_BODY = 4
#: Share of infants' stills with an adult beside the cot, and of empty beds.
BYSTANDER_SHARE, BYSTANDER_SHARE_OF_EMPTY = 0.06, 0.4
PEOPLE = ('infants', 'adults')
# Random numbers of their own, so that bodies and scenes do not depend on these draws.
_EMPTY_STREAM, _BYSTANDER_STREAM = 101, 102


@dataclass(frozen=True, eq=False)
class Still:
    """One picture and what is known of it.

    Attributes:
        rendering: picture, depth and owner. labels: truth; NaN throughout for an empty bed.
        scene: what was drawn. age_months: of the person, NaN without one.
    """

    rendering: Rendering
    labels: FrameLabels
    scene: Scene
    age_months: float


def render_stills(renderer: Renderer, seed: int, first: int, count: int,
                  size_wh: tuple[int, int], people: str = 'infants', negatives: float = 0.0
                  ) -> Iterator[Still]:
    """Yield `count` stills; numbers start at `first`.

    With the same arguments a still depends on seed and number alone.

    Args:
        first, count: multiples of `POSES_PER_BODY`. size_wh: picture, px.
        people: 'infants' or 'adults'. negatives: share of infants' stills whose bed is empty.

    Raises:
        InvalidInputError: unknown people, a share outside 0..1, or half a body's stills.
    """
    if people not in PEOPLE or not 0 <= negatives <= 1:
        raise InvalidInputError(f'render_stills: people must be one of {PEOPLE} and negatives '
                                f'0..1, got {people!r} and {negatives}')
    if first % POSES_PER_BODY or count % POSES_PER_BODY:
        raise InvalidInputError(f'render_stills: first and count must be multiples of '
                                f'{POSES_PER_BODY}, got {first} and {count}')
    for number in range(first, first + count, POSES_PER_BODY):
        rng = np.random.default_rng([seed, number])
        times_s = np.arange(POSES_PER_BODY) * 30.0
        bodies = (sample_infant if people == 'infants' else sample_adult)(rng, times_s)
        empty = np.random.default_rng([seed, number, _EMPTY_STREAM]).random(POSES_PER_BODY)
        for pose in range(POSES_PER_BODY):
            yield _draw(renderer, rng, [seed, number + pose, _BYSTANDER_STREAM], bodies, pose,
                        size_wh, people, bool(empty[pose] < negatives and people == 'infants'))


def _draw(renderer: Renderer, rng: np.random.Generator, stream: list[int],
          bodies: PosedBodies, pose: int, size_wh: tuple[int, int], people: str, empty: bool
          ) -> Still:
    """One still; scenes are drawn until enough of the person is seen.

    `stream` seeds the numbers that a bystander is drawn with.
    """
    sample = sample_scene if people == 'infants' else sample_adult_scene
    keypoints = bodies.keypoints_m[pose]
    others = np.random.default_rng(stream)
    share = BYSTANDER_SHARE_OF_EMPTY if empty else BYSTANDER_SHARE
    with_adult = people == 'infants' and others.random() < share
    labels = None
    while labels is None:
        scene = sample(rng, keypoints[None], size_wh, renderer.num_fabrics, renderer.num_reliefs)
        if with_adult:
            adult = sample_bystander(
                others, keypoints, scene.world_to_camera, renderer.num_fabrics)
            scene = replace(scene, others=() if adult is None else (adult,))
        rendering = renderer.render(scene, None if empty else bodies.vertices_m[pose],
                                    None if empty else bodies.rest_vertices_m)
        labels = empty_labels() if empty else label_frame(
            scene, rendering, keypoints, bodies.body_length_m)
    return Still(rendering, labels, scene, float('nan') if empty else bodies.age_months)
