"""Draw a posed infant in its scene: z-buffer, soft shadows, fabrics, sensor. On warp kernels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import warp as wp

from infant_pose_ros.synthetic import kernels
from infant_pose_ros.synthetic.body import clothing_map, triangles
from infant_pose_ros.synthetic.scene import drape, Prop, Scene
from infant_pose_ros.synthetic.textures import fabric_bank, relief_bank

SHADOW_SIZE, TOP_SIZE = 384, 128


@dataclass(frozen=True, eq=False)
class Rendering:
    """One picture with what only a renderer knows.

    Attributes:
        image_rgb: (H, W, 3) uint8. depth_m: (H, W) float32, along the optical axis.
        owner: (H, W) uint8: 0 bedding, 1 infant, 2 anything else.
    """

    image_rgb: np.ndarray
    depth_m: np.ndarray
    owner: np.ndarray


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
        self._faces = triangles()
        where = clothing_map()
        self._tailor = np.stack([where.arm, where.leg, where.head, where.hand, where.foot,
                                 where.height, where.front, where.eye], 1).astype(np.float32)

    def render(self, scene: Scene, vertices_m: np.ndarray, rest_m: np.ndarray) -> Rendering:
        """Draw one frame.

        Args:
            scene: everything but the body. vertices_m: (V, 3) world. rest_m: (V, 3) of the body at
                rest, which the cloth's pattern follows.
        """
        props = list(scene.props)
        if scene.blanket is not None:
            props.append(drape(scene.blanket, vertices_m))
        width = scene.camera.width * self.supersample
        height = scene.camera.height * self.supersample
        look = self._look(scene, vertices_m)
        mesh = self._upload(scene, vertices_m, rest_m, props)
        moments = self._shadow_map(scene, look, mesh)
        screen = wp.empty(mesh.count, dtype=wp.vec3, device=self.device)
        wp.launch(kernels.to_camera, mesh.count, [mesh.vertices, look, screen],
                  device=self.device)
        pixels = self._rasterise(screen, mesh.faces, width, height)
        image = wp.empty((height, width, 3), dtype=wp.uint8, device=self.device)
        depth = wp.empty((height, width), dtype=float, device=self.device)
        owner = wp.empty((height, width), dtype=wp.uint8, device=self.device)
        wp.launch(kernels.shade, width * height, [
            pixels, width, height, mesh.vertices, mesh.normals, mesh.rest, mesh.tailor, mesh.faces,
            mesh.fabric, mesh.repeat, screen, look, self._bank, self._reliefs, moments,
            SHADOW_SIZE, self._crowding(look, vertices_m), TOP_SIZE, image, depth, owner],
            device=self.device)
        return self._develop(scene, image.numpy(), depth.numpy(), owner.numpy())

    def _develop(self, scene, image, depth, owner) -> Rendering:
        """Lens blur and, when supersampled, averaging down."""
        if self.supersample > 1:
            size = (scene.camera.width, scene.camera.height)
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            depth = cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST)
            owner = cv2.resize(owner, size, interpolation=cv2.INTER_NEAREST)
        if scene.blur_px > 0:
            image = cv2.GaussianBlur(image, (0, 0), scene.blur_px)
        return Rendering(np.ascontiguousarray(image), depth, owner)

    def _look(self, scene: Scene, vertices_m: np.ndarray) -> kernels.Look:
        look = kernels.Look()
        scale, camera, outfit = float(self.supersample), scene.camera, scene.outfit
        look.rotation = wp.mat33(*scene.world_to_camera[:, :3].ravel().astype(float))
        look.translation = wp.vec3(*scene.world_to_camera[:, 3])
        look.focal = wp.vec2(camera.fx * scale, camera.fy * scale)
        look.centre = wp.vec2((camera.cx + 0.5) * scale - 0.5, (camera.cy + 0.5) * scale - 0.5)
        right = np.cross(scene.light, [0.0, 1.0, 0.1])
        right /= np.linalg.norm(right)
        low, high = vertices_m.min(0), vertices_m.max(0)
        middle, reach = (low + high) / 2, float(np.linalg.norm(high - low)) / 2 + 0.12
        look.light, look.light_right = wp.vec3(*scene.light), wp.vec3(*right)
        look.light_down = wp.vec3(*np.cross(scene.light, right))
        look.light_origin = wp.vec3(*middle)
        look.shadow_px_per_m = SHADOW_SIZE / (2 * reach)
        look.top_origin = wp.vec2(middle[0] - reach, middle[1] - reach)
        look.top_px_per_m = TOP_SIZE / (2 * reach)
        for name in ('sun', 'ambient', 'skin', 'hair', 'gain'):
            setattr(look, name, wp.vec3(*(float(v) for v in getattr(scene, name))))
        for name in ('sheet', 'sheet_scale', 'sheet_angle', 'floor', 'relief', 'folds', 'wrinkles',
                     'hairline', 'noise', 'gamma', 'seed'):
            setattr(look, name, getattr(scene, name))
        look.eyes_open, look.grey = int(scene.eyes_open), int(scene.grey)
        look.mattress = wp.vec2(*scene.mattress_m)
        for name in ('sleeve', 'trousers', 'waist', 'neckline', 'sock', 'upper', 'lower', 'extra'):
            setattr(look, name, getattr(outfit, name))
        look.feet, look.mittens, look.hat = (
            int(outfit.feet), int(outfit.mittens), int(outfit.hat))
        look.repeat = outfit.repeat
        look.shift = wp.vec2(*scene.body_fabric_shift)
        look.num_body_faces = len(self._faces)
        return look

    def _upload(self, scene, vertices_m, rest_m, props: list[Prop]) -> _Mesh:
        """The body, inflated by its clothes, and the props as one mesh with normals."""
        bodies, base = [vertices_m], len(vertices_m)
        faces, fabric, repeat = [self._faces], [], []
        for prop in props:
            bodies.append(prop.vertices_m)
            faces.append(prop.faces + base)
            fabric += [prop.fabric] * len(prop.faces)
            repeat += [prop.repeat] * len(prop.faces)
            base += len(prop.vertices_m)
        rest = [rest_m / max(float(np.ptp(rest_m[:, 2])), 1e-6)] + bodies[1:]
        tailor = np.zeros((base, self._tailor.shape[1]), np.float32)
        tailor[:len(self._tailor)] = self._tailor
        offsets = np.zeros(base, np.float32)
        offsets[:len(vertices_m)] = scene.outfit.offsets_m()

        def vectors(parts, kind=np.float32, dtype=wp.vec3):
            return wp.array(np.ascontiguousarray(np.concatenate(parts), dtype=kind), dtype=dtype,
                            device=self.device)
        mesh = _Mesh(
            base, vectors(bodies), vectors(rest), vectors(faces, np.int32, wp.vec3i),
            wp.array(tailor, dtype=float, device=self.device),
            wp.array(np.array(fabric or [0], np.int32), dtype=int, device=self.device),
            wp.array(np.array(repeat or [1.0], np.float32), dtype=float, device=self.device),
            self._normals_buffer(base), len(self._faces) + len(fabric))
        self._normals(mesh)
        wp.launch(kernels.inflate, base, [
            mesh.vertices, mesh.normals, wp.array(offsets, dtype=float, device=self.device)],
            device=self.device)
        self._normals(mesh)
        return mesh

    def _normals_buffer(self, count):
        return wp.zeros(count, dtype=wp.vec3, device=self.device)

    def _normals(self, mesh: _Mesh) -> None:
        mesh.normals.zero_()
        wp.launch(kernels.vertex_normals, mesh.num_faces,
                  [mesh.vertices, mesh.faces, mesh.normals], device=self.device)

    def _rasterise(self, screen, faces, width, height):
        pixels = wp.full(width * height, wp.int64(kernels.EMPTY_PIXEL), dtype=wp.int64,
                         device=self.device)
        wp.launch(kernels.rasterise, faces.shape[0], [screen, faces, width, height, pixels],
                  device=self.device)
        return pixels

    def _shadow_map(self, scene: Scene, look, mesh: _Mesh):
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

    def _crowding(self, look, vertices_m: np.ndarray):
        """(size, size) 0..1: how much body stands close above each place of the sheet."""
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
