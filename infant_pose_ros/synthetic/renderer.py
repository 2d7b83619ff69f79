"""Draw posed people in their scene: z-buffer, soft shadows, fabrics, sensor. On warp kernels."""

from __future__ import annotations

from dataclasses import dataclass, fields

import cv2
import numpy as np
import warp as wp

from infant_pose_ros.synthetic import kernels, shading
from infant_pose_ros.synthetic.bedding import drape
from infant_pose_ros.synthetic.body import triangles
from infant_pose_ros.synthetic.light import lens
from infant_pose_ros.synthetic.outfits import Complexion, Outfit, Person
from infant_pose_ros.synthetic.props import Prop
from infant_pose_ros.synthetic.scene import Scene
from infant_pose_ros.synthetic.tailor import tailor_columns
from infant_pose_ros.synthetic.textures import fabric_bank, relief_bank

SHADOW_SIZE, TOP_SIZE = 384, 128
_LOOKS = {field.name for kind in (Outfit, Complexion) for field in fields(kind)} & set(
    kernels.Dress.vars)
_SCENE = {field.name for field in fields(Scene)} & set(kernels.Look.vars)


@dataclass(frozen=True, eq=False)
class Rendering:
    """One picture with what only a renderer knows.

    Attributes:
        image_rgb: (H, W, 3) uint8. depth_m: (H, W) float32, along the optical axis.
        owner: (H, W) uint8: 0 bedding, 1 the person that the picture is of, 2 anything else.
    """

    image_rgb: np.ndarray
    depth_m: np.ndarray
    owner: np.ndarray

    def depth_mm(self) -> np.ndarray:
        """(H, W) uint16, mm: depth as files hold it, 65535 for that and more."""
        return np.clip(np.rint(self.depth_m * 1000), 0, 65535).astype(np.uint16)

    def mask(self) -> np.ndarray:
        """(H, W) uint8: 255 on the person that the picture is of, 0 elsewhere."""
        return np.where(self.owner == 1, 255, 0).astype(np.uint8)


class Renderer:
    """Renders scenes; holds the fabrics and the mesh on one device.

    Args:
        bank_seed: seed of the fabrics. device: 'cpu' or a CUDA device, as warp names it.
        supersample: pictures are drawn this many times larger and averaged down.
    """

    def __init__(self, bank_seed: int = 0, device: str = 'cpu', supersample: int = 1):
        wp.config.quiet = True
        wp.init()
        self.device = device
        self.supersample = supersample
        bank, reliefs = fabric_bank(bank_seed), relief_bank(bank_seed)
        self.num_fabrics, self.num_reliefs = len(bank), len(reliefs)
        self._bank = wp.array(bank, dtype=wp.uint8, device=device)
        self._reliefs = wp.array(reliefs, dtype=float, device=device)
        noise = np.random.default_rng(0).normal(size=(shading.NOISE_SIZE, 4)).astype(np.float32)
        self._noise = wp.array(noise, dtype=wp.vec4, device=device)
        self._faces = triangles()
        self._tailor = tailor_columns()

    def render(self, scene: Scene, vertices_m: np.ndarray | None,
               rest_m: np.ndarray | None) -> Rendering:
        """Draw one frame.

        Args:
            scene: everything but the body.
            vertices_m: (V, 3) world, or None for a picture without the scene's person.
            rest_m: (V, 3) of the body at rest, which the cloth's pattern follows; None likewise.
        """
        people = list(scene.others)
        if vertices_m is not None:
            people.insert(0, Person(vertices_m, rest_m, scene.outfit, scene.complexion, 1))
        props = list(scene.props)
        if scene.blanket is not None and vertices_m is not None:
            props.append(drape(scene.blanket, vertices_m))
        width = scene.camera.width * self.supersample
        height = scene.camera.height * self.supersample
        look = self._look(scene, people)
        mesh = self._upload(people, props)
        moments = self._shadow_map(scene, look, mesh)
        screen = wp.empty(mesh.count, dtype=wp.vec3, device=self.device)
        wp.launch(kernels.to_camera, mesh.count, [mesh.vertices, look, screen],
                  device=self.device)
        pixels = self._rasterise(screen, mesh.faces, width, height)
        image = wp.empty((height, width, 3), dtype=wp.uint8, device=self.device)
        depth = wp.empty((height, width), dtype=float, device=self.device)
        owner = wp.empty((height, width), dtype=wp.uint8, device=self.device)
        wp.launch(shading.shade, width * height, [
            pixels, width, height, mesh.normals, mesh.rest, mesh.tailor, mesh.faces, mesh.fabric,
            mesh.repeat, screen, look, self._dresses(scene, people), self._bank, self._reliefs,
            moments, SHADOW_SIZE, self._crowding(look, people), TOP_SIZE, image, depth, owner],
            device=self.device)
        return self._develop(scene, image.numpy(), depth.numpy(), owner.numpy())

    def _develop(self, scene: Scene, image: np.ndarray, depth: np.ndarray, owner: np.ndarray
                 ) -> Rendering:
        """Average down when supersampled; lens; sensor."""
        width, height = scene.camera.width, scene.camera.height
        if self.supersample > 1:
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            depth = cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST)
            owner = cv2.resize(owner, (width, height), interpolation=cv2.INTER_NEAREST)
        image = np.ascontiguousarray(lens(scene, image))
        if scene.noise > 0:
            exposed = wp.array(image, dtype=wp.uint8, device=self.device)
            wp.launch(shading.sense, width * height, [
                exposed, width, 0.5 * scene.noise, scene.noise, int(scene.grey), scene.seed,
                self._noise], device=self.device)
            image = exposed.numpy()
        return Rendering(np.array(image), depth, owner)

    def _look(self, scene: Scene, people: list[Person]) -> kernels.Look:
        """The scene, its camera and the frame of its shadow map, for the kernels."""
        look = kernels.Look()
        for name in _SCENE:
            setattr(look, name, _as_warp(getattr(scene, name)))
        scale, camera = float(self.supersample), scene.camera
        look.rotation = wp.mat33(*scene.world_to_camera[:, :3].ravel().astype(float))
        look.translation = wp.vec3(*scene.world_to_camera[:, 3])
        look.focal = wp.vec2(camera.fx * scale, camera.fy * scale)
        look.centre = wp.vec2((camera.cx + 0.5) * scale - 0.5, (camera.cy + 0.5) * scale - 0.5)
        right = np.cross(scene.light, [0.0, 1.0, 0.1])
        right /= np.linalg.norm(right)
        low, high = (people[0].vertices_m.min(0), people[0].vertices_m.max(0)) if people else (
            np.array([-0.4, -0.4, 0.0]), np.array([0.4, 0.4, 0.2]))
        middle, reach = (low + high) / 2, float(np.linalg.norm(high - low)) / 2 + 0.12
        look.light_right = wp.vec3(*right)
        look.light_down = wp.vec3(*np.cross(scene.light, right))
        look.light_origin = wp.vec3(*middle)
        look.shadow_px_per_m = SHADOW_SIZE / (2 * reach)
        look.top_origin = wp.vec2(middle[0] - reach, middle[1] - reach)
        look.top_px_per_m = TOP_SIZE / (2 * reach)
        look.mattress = wp.vec2(*scene.mattress_m)
        look.num_body_faces, look.num_people = len(self._faces), len(people)
        return look

    def _dresses(self, scene: Scene, people: list[Person]) -> wp.array:
        """The looks of everyone, on the device; of the scene's own person where nobody is."""
        rows = []
        for person in people or [Person(None, None, scene.outfit, scene.complexion, 2)]:
            dress = kernels.Dress()
            dress.owner = person.owner
            for name in _LOOKS:
                part = person.outfit if hasattr(person.outfit, name) else person.complexion
                setattr(dress, name, _as_warp(getattr(part, name)))
            rows.append(dress)
        return wp.array(rows, dtype=kernels.Dress, device=self.device)

    def _upload(self, people: list[Person], props: list[Prop]) -> _Mesh:
        """The bodies, inflated by clothes and hair, and the props as one mesh with normals."""
        size = len(self._tailor)
        bodies = [person.vertices_m for person in people] or [np.zeros((3, 3))]
        rest = [person.rest_m / max(float(np.ptp(person.rest_m[:, 2])), 1e-6)
                for person in people] or [np.zeros((3, 3))]
        faces = [self._faces + k * size for k in range(len(people))]
        base, fabric, repeat = sum(len(body) for body in bodies), [], []
        for prop in props:
            bodies.append(prop.vertices_m)
            rest.append(prop.vertices_m)
            faces.append(prop.faces + base)
            fabric += [prop.fabric] * len(prop.faces)
            repeat += [prop.repeat] * len(prop.faces)
            base += len(prop.vertices_m)
        if not faces:
            faces, fabric, repeat = [np.zeros((1, 3), np.int32)], [0], [1.0]
        tailor = np.zeros((base, self._tailor.shape[1]), np.float32)
        offsets = np.zeros(base, np.float32)
        for k, person in enumerate(people):
            tailor[k * size:(k + 1) * size] = self._tailor
            offsets[k * size:(k + 1) * size] = np.maximum(
                person.outfit.offsets_m(), person.complexion.offsets_m())

        def array(values, kind, dtype):
            return wp.array(np.ascontiguousarray(values, dtype=kind), dtype=dtype,
                            device=self.device)
        mesh = _Mesh(
            base, array(np.concatenate(bodies), np.float32, wp.vec3),
            array(np.concatenate(rest), np.float32, wp.vec3),
            array(np.concatenate(faces), np.int32, wp.vec3i),
            array(tailor, np.float32, kernels.Tailor), array(fabric or [0], np.int32, int),
            array(repeat or [1.0], np.float32, float),
            wp.zeros(base, dtype=wp.vec3, device=self.device), sum(len(part) for part in faces))
        self._normals(mesh)
        if people:
            wp.launch(kernels.inflate, len(people) * size, [
                mesh.vertices, mesh.normals, array(offsets, np.float32, float)],
                device=self.device)
            self._normals(mesh)
        return mesh

    def _normals(self, mesh: _Mesh) -> None:
        """Compute the mesh's normals anew, in place."""
        mesh.normals.zero_()
        wp.launch(kernels.vertex_normals, mesh.num_faces,
                  [mesh.vertices, mesh.faces, mesh.normals], device=self.device)

    def _rasterise(self, screen: wp.array, faces: wp.array, width: int, height: int) -> wp.array:
        """(width * height,) int64: the nearest face of each pixel, see `kernels.rasterise`."""
        pixels = wp.full(width * height, wp.int64(kernels.EMPTY_PIXEL), dtype=wp.int64,
                         device=self.device)
        wp.launch(kernels.rasterise, faces.shape[0], [screen, faces, width, height, pixels],
                  device=self.device)
        return pixels

    def _shadow_map(self, scene: Scene, look: kernels.Look, mesh: _Mesh) -> wp.array:
        """Blurred mean and mean square (size, size) of the distance from the lamp, m."""
        screen = wp.empty(mesh.count, dtype=wp.vec3, device=self.device)
        wp.launch(kernels.to_light, mesh.count,
                  [mesh.vertices, look, SHADOW_SIZE / 2.0, screen], device=self.device)
        keys = self._rasterise(screen, mesh.faces, SHADOW_SIZE, SHADOW_SIZE).numpy().reshape(
            SHADOW_SIZE, SHADOW_SIZE)
        along = (np.arange(SHADOW_SIZE) - SHADOW_SIZE / 2) / look.shadow_px_per_m
        right, down, origin = (np.array(v) for v in (
            look.light_right, look.light_down, look.light_origin))
        plane = 10.0 + (origin[2] + right[2] * along[None] + down[2] * along[:, None]
                        ) / scene.light[2]
        depth = np.where(keys == kernels.EMPTY_PIXEL, plane,
                         np.minimum((keys >> 32) * 1e-6, plane)).astype(np.float32)
        moments = np.stack([depth - 10.0, (depth - 10.0) ** 2], -1)
        moments = cv2.blur(cv2.blur(moments, (scene.shadow_blur,) * 2), (scene.shadow_blur,) * 2)
        return wp.array(np.ascontiguousarray(moments), dtype=wp.vec2, device=self.device)

    def _crowding(self, look: kernels.Look, people: list[Person]) -> wp.array:
        """(size, size) 0..1: how much body stands close above each place of the sheet."""
        vertices_m = people[0].vertices_m if people else np.zeros((0, 3))
        near = vertices_m[vertices_m[:, 2] < 0.12]
        cells = ((near[:, :2] - np.array(look.top_origin)) * look.top_px_per_m).astype(int)
        cells = np.clip(cells, 0, TOP_SIZE - 1)
        grid = np.zeros((TOP_SIZE, TOP_SIZE), np.float32)
        grid[cells[:, 1], cells[:, 0]] = 1.0
        grid = cv2.GaussianBlur(cv2.dilate(grid, np.ones((3, 3), np.uint8)), (0, 0), 2.5)
        return wp.array(grid, dtype=float, device=self.device)


@dataclass(frozen=True, eq=False)
class _Mesh:
    """Arrays on the device."""

    count: int
    vertices: wp.array
    rest: wp.array
    faces: wp.array
    tailor: wp.array
    fabric: wp.array
    repeat: wp.array
    normals: wp.array
    num_faces: int


def _as_warp(value):
    """A field of a dataclass as a warp structure takes it."""
    if isinstance(value, np.ndarray):
        return {2: wp.vec2, 3: wp.vec3, 4: wp.vec4}[value.size](*(float(v) for v in value))
    return int(value) if isinstance(value, (bool, int, np.integer)) else float(value)
