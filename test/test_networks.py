"""What happens when a GPU's memory runs out; the GPU is a scripted one."""

import importlib.util
import threading

import pytest
from scenes import body_px, DT_S, picture, run, Scene
import torch

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.errors import CheckpointError, DeviceError, GpuMemoryError, InvalidInputError
from infant_pose_ros.inference import PoseModels
from infant_pose_ros.networks import is_gpu_failure, is_memory_failure, Networks
from infant_pose_ros.pipeline import PosePipeline
from infant_pose_ros.structures import CameraFrame

FULL = 'CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has a total capacity of 8 GiB.'


def full():
    return torch.OutOfMemoryError(FULL)


class Gpu(Scene):
    """Fails as told: `room` crops fit at once, and each network may raise an error instead."""

    def __init__(self, *bodies):
        super().__init__(*bodies)
        self.room, self.errors, self.calls = 1000, {}, []

    def _called(self, task, count=1):
        self.calls.append((task, count))
        if task in self.errors:
            raise self.errors[task]()
        if count > self.room:
            raise full()

    def detect(self, image_rgb):
        self._called('detect')
        return super().detect(image_rgb)

    def estimate_batch(self, requests):
        self._called('pose', sum(len(request.crops) for request in requests))
        return [Scene.estimate(self, *request) for request in requests]

    def estimate(self, image_rgb, crops):
        self._called('pose', len(crops))
        return super().estimate(image_rgb, crops)

    def lift_batch(self, requests):
        self._called('lift')
        return super().lift_batch(requests)


class Loader:
    """Stands in for `load_models`: scripted networks, by device; keeps what it was asked for."""

    def __init__(self, gpu, cpu=None):
        self.scenes = {'auto': gpu, 'cuda:0': gpu, 'cpu': cpu or Scene(body_px())}
        self.asked, self.errors = [], []

    def __call__(self, settings):
        self.asked.append((settings.device, settings.precision))
        if self.errors:
            raise self.errors.pop(0)
        scene = self.scenes[settings.device]
        device = 'cpu' if settings.device == 'cpu' else 'cuda:0'
        return PoseModels(scene, scene, scene, device, 'fp32' if device == 'cpu' else 'fp16',
                          num_threads=1 if device == 'cpu' else 3)


def pipeline_on(gpu, loader=None, **settings):
    chosen = PipelineSettings(**{'detect_async': False, 'device': 'cuda:0', **settings})
    return PosePipeline(chosen, Networks.loaded(chosen, loader or Loader(gpu)))


def describe(pipeline, monkeypatch):
    monkeypatch.setattr(PoseModels, 'describe', lambda self: {})
    return pipeline.describe()


@pytest.mark.parametrize('error, is_memory, is_gpu', [
    (full(), True, True),
    (RuntimeError('CUDA error: out of memory'), True, True),
    (RuntimeError('CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling'), True, True),
    (torch.AcceleratorError('device-side assert triggered'), False, True),
    (RuntimeError('cuDNN error: CUDNN_STATUS_EXECUTION_FAILED'), False, True),
    (RuntimeError('shape mismatch'), False, False)])
def test_failures_are_told_apart(error, is_memory, is_gpu):
    assert is_memory_failure(error, 'cuda:0') == is_memory
    assert is_gpu_failure(error, 'cuda:0') == is_gpu
    assert not is_memory_failure(error, 'cpu') and not is_gpu_failure(error, 'cpu')


def test_failures_are_told_apart_by_a_pytorch_that_has_no_types_for_them(monkeypatch):
    monkeypatch.delattr(torch, 'AcceleratorError')
    monkeypatch.delattr(torch, 'OutOfMemoryError')
    spec = importlib.util.find_spec('infant_pose_ros.networks')
    older = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(older)
    assert older.is_memory_failure(torch.cuda.OutOfMemoryError(FULL), 'cuda:0')
    assert older.is_gpu_failure(RuntimeError('CUDA error: unspecified launch failure'), 'cuda:0')
    assert not older.is_gpu_failure(RuntimeError('shape mismatch'), 'cuda:0')


def test_too_many_crops_are_read_one_by_one(monkeypatch):
    released = []
    monkeypatch.setattr('infant_pose_ros.networks.empty_cache', released.append)
    gpu = Gpu(body_px())
    gpu.room = 3
    with pipeline_on(gpu) as pipeline:
        results = run(pipeline, 3)
        assert [len(result.infants) for result in results] == [1, 1, 1]
        # four turns of the detection do not fit; what follows does
        assert [count for task, count in gpu.calls if task == 'pose'] == [4, 1, 1, 1, 1, 1, 1]
        assert released == ['cuda:0']
        about = describe(pipeline, monkeypatch)
    assert (about['device'], about['fallback']) == ('cuda:0', '')


@pytest.mark.parametrize('task', ['detect', 'pose', 'lift'])
def test_networks_without_room_go_on_with_that_frame_on_the_cpu(task, monkeypatch):
    gpu, loader = Gpu(body_px()), Loader(None)
    loader.scenes['cuda:0'] = gpu
    with pipeline_on(gpu, loader, precision='fp16', detect_every=2) as pipeline:
        run(pipeline, 3)
        gpu.errors[task] = full
        results = run(pipeline, 3, 3)
        about = describe(pipeline, monkeypatch)
    assert [[infant.track for infant in result.infants] for result in results] == [[1]] * 3
    assert loader.asked == [('cuda:0', 'fp16'), ('cpu', 'fp32')]
    assert (about['device'], about['precision'], about['num_threads']) == ('cpu', 'fp32', 3)
    for words in ('cuda:0 ran out of memory', 'Tried to allocate 2.00 GiB', 'on the CPU',
                  "device to 'cpu'"):
        assert words in about['fallback']
    assert '\n' not in about['fallback']


def test_what_works_at_the_second_try_stays_on_the_gpu(monkeypatch):
    gpu = Gpu(body_px())

    def once():
        del gpu.errors['lift']
        return full()

    gpu.errors['lift'] = once
    with pipeline_on(gpu) as pipeline:
        assert run(pipeline, 1)[0].infants
        assert describe(pipeline, monkeypatch)['fallback'] == ''


def test_where_the_cpu_is_forbidden_the_frame_fails_and_the_next_may_not():
    gpu = Gpu(body_px())
    loader = Loader(gpu)
    with pipeline_on(gpu, loader, gpu_oom_policy='fail') as pipeline:
        run(pipeline, 1)
        gpu.errors['pose'], before = full, len(gpu.calls)
        with pytest.raises(GpuMemoryError, match='cuda:0 ran out of memory.*gpu_oom_policy'):
            run(pipeline, 1, 1)
        assert len(gpu.calls) == before + 2         # no endless loop
        answers = pipeline.process_batch([CameraFrame(picture(), 2 * DT_S, None, name)
                                          for name in ('left', 'right')])
        assert [type(answer) for answer in answers] == [GpuMemoryError] * 2
        gpu.errors.clear()
        assert run(pipeline, 1, 3)[0].infants[0].track == 1
        # the policy may change while it runs
        pipeline.update_settings(PipelineSettings(device='cuda:0', detect_async=False))
        gpu.errors['pose'] = full
        assert run(pipeline, 1, 4)[0].infants[0].track == 1
    assert loader.asked == [('cuda:0', 'auto'), ('cpu', 'fp32')]


def test_other_failures_of_the_gpu_are_told_and_not_tried_again():
    gpu = Gpu(body_px())
    with pipeline_on(gpu) as pipeline:
        run(pipeline, 1)
        gpu.errors['pose'] = lambda: torch.AcceleratorError(
            'CUDA error: device-side assert triggered\nlong advice')
        before = len(gpu.calls)
        answers = pipeline.process_batch([CameraFrame(picture(), DT_S, None, name)
                                          for name in ('camera', 'right')])
        assert len(gpu.calls) == before + 2         # the right one's look, and one try for both
        for answer in answers:
            assert isinstance(answer, DeviceError) and not isinstance(answer, GpuMemoryError)
            assert 'cuda:0 failed: CUDA error: device-side assert triggered:' in str(answer)
        with pytest.raises(DeviceError, match='started anew'):
            run(pipeline, 1, 2)


def test_on_a_cpu_nothing_is_tried_twice():
    gpu = Gpu(body_px())
    gpu.errors['pose'] = lambda: RuntimeError('DefaultCPUAllocator: not enough memory')
    models = PoseModels(gpu, gpu, gpu, 'cpu', 'fp32', 1)
    with PosePipeline(PipelineSettings(detect_async=False), models) as pipeline:
        with pytest.raises(RuntimeError, match='not enough memory'):
            run(pipeline, 1)
    assert [task for task, _ in gpu.calls] == ['detect', 'pose']


@pytest.mark.parametrize('device', ['cuda:0', 'auto'])
def test_loading_without_room(device, monkeypatch):
    gpu, loader = Gpu(body_px()), Loader(Gpu(body_px()))
    loader.errors = [full(), full()]
    with pipeline_on(gpu, loader, device=device) as pipeline:
        about = describe(pipeline, monkeypatch)
        assert run(pipeline, 1)[0].infants
    assert [asked for asked, _ in loader.asked] == [device, device, 'cpu']
    assert about['device'] == 'cpu'
    assert 'cuda:0 ran out of memory loading the networks' in about['fallback']
    loader.errors = [full(), full()]
    with pytest.raises(GpuMemoryError, match='loading the networks'):
        pipeline_on(gpu, loader, device=device, gpu_oom_policy='fail')
    loader.errors = [RuntimeError('CUDA error: unspecified launch failure')]
    with pytest.raises(DeviceError, match='cuda:0 failed: CUDA error: unspecified'):
        pipeline_on(gpu, loader, device=device)
    loader.errors = [CheckpointError('gone')]
    with pytest.raises(CheckpointError, match='gone'):
        pipeline_on(gpu, loader, device=device)


def test_warming_up_without_room(monkeypatch):
    gpu = Gpu(body_px())
    gpu.room = 3
    with pipeline_on(gpu, gpu_oom_policy='fail') as pipeline:
        with pytest.raises(GpuMemoryError):
            pipeline.warm_up((320, 240))
    with pipeline_on(gpu) as pipeline:
        pipeline.warm_up((320, 240))
        assert describe(pipeline, monkeypatch)['device'] == 'cpu'
        assert pipeline.process_still(picture()).infants


def test_a_look_on_the_thread_moves_to_the_cpu_without_harm_to_a_frame(monkeypatch):
    gpu, cpu = Gpu(body_px()), Scene(body_px())
    with pipeline_on(gpu, Loader(gpu, cpu), detect_async=True, detect_every=1) as pipeline:
        run(pipeline, 1)
        gpu.errors['detect'] = full
        index, deadline = 1, threading.Event()
        while not cpu.looks:
            assert run(pipeline, 1, index)[0].infants[0].track == 1
            index += 1
            assert index < 3000
            deadline.wait(0.005)
        assert describe(pipeline, monkeypatch)['device'] == 'cpu'
        assert cpu.look_threads[0].startswith('infant_detector')


def test_two_threads_without_room_load_once():
    gpu, cpu = Gpu(body_px()), Scene(body_px())
    loader = Loader(gpu, cpu)
    networks = Networks.loaded(PipelineSettings(device='cuda:0'), loader)
    barrier = threading.Barrier(2)

    def work(models):
        if models.device != 'cpu':
            barrier.wait(10)
            raise full()
        return models.device

    answers = []
    threads = [threading.Thread(target=lambda: answers.append(networks.guarded(work)))
               for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ['cpu', 'cpu']
    assert [device for device, _ in loader.asked] == ['cuda:0', 'cpu']


def test_a_way_to_the_cpu_that_is_barred_is_an_error_of_that_frame():
    gpu = Gpu(body_px())
    loader = Loader(gpu)
    with pipeline_on(gpu, loader) as pipeline:
        run(pipeline, 1)
        gpu.errors['pose'], loader.errors = full, [CheckpointError('weights: gone')]
        with pytest.raises(CheckpointError, match='weights: gone'):
            run(pipeline, 1, 1)
        assert run(pipeline, 1, 2)[0].infants[0].track == 1


def test_closed_networks_are_not_loaded_again():
    networks = Networks.loaded(PipelineSettings(device='cuda:0'), Loader(Gpu()))

    def close(models):
        networks.close()
        networks.close()
        raise full()

    with pytest.raises(InvalidInputError, match='closed'):
        networks.guarded(close)
    assert networks.fallback == ''
