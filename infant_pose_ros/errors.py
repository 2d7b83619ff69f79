"""The package's own exceptions, one small tree: catch `InfantPoseError` for all of them."""


class InfantPoseError(Exception):
    """Base of every error that this package raises on purpose."""


class InvalidInputError(InfantPoseError, ValueError):
    """A value handed in is malformed; the message names the value, the limit and the mend."""


class SettingsError(InvalidInputError):
    """A setting is unknown, of the wrong type or out of range."""


class CheckpointError(InfantPoseError):
    """A weights file is missing, damaged or not what its manifest says."""


class DeviceError(InfantPoseError, RuntimeError):
    """The device that the networks run on failed; the message says what mends it."""


class GpuMemoryError(DeviceError):
    """A GPU's memory ran out, and the settings forbid to go on without it."""


class SourceError(InfantPoseError):
    """A video, folder of pictures or camera can't be read."""


class EncodingError(InvalidInputError):
    """An image message can't be turned into a picture."""


class DatasetError(InfantPoseError):
    """A dataset's files are missing or malformed."""


class MissingDependencyError(InfantPoseError):
    """An optional library that this function needs is not installed."""


class TrainingError(InfantPoseError):
    """A training can't go on."""
