"""What a person wears and looks like: clothes, nappy, hat, skin, hair, face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infant_pose_ros.synthetic.tailor import face_map, tailor_map

#: Darkest and lightest skin, sRGB 0..1, between which tones are mixed.
_SKIN_DARK, _SKIN_LIGHT = np.array([0.21, 0.13, 0.095]), np.array([0.95, 0.79, 0.69])
_HAIR = np.array([
    [0.05, 0.04, 0.04], [0.13, 0.09, 0.07], [0.24, 0.16, 0.10], [0.45, 0.30, 0.16],
    [0.72, 0.58, 0.38], [0.55, 0.55, 0.55]])
_IRIS = np.array([[0.16, 0.10, 0.06], [0.25, 0.16, 0.09], [0.28, 0.36, 0.45], [0.3, 0.36, 0.26]])
#: Fabric number of a disposable nappy.
NAPPY = -2
#: Where a sock begins on a leg without one.
NO_SOCK = 2.0
#: Kinds of infants' clothing and their shares.
INFANT_KINDS = {'nappy': 0.22, 'bodysuit': 0.26, 'sleepsuit': 0.27, 'two_piece': 0.21,
                'bare': 0.04}
HATS = ('none', 'cap', 'bonnet', 'knitted')


@dataclass(frozen=True, eq=False)
class Outfit:
    """Clothes, in the terms of `TailorMap`: how far each covers; fabrics index the bank.

    Attributes:
        kind: a key of `INFANT_KINDS`, or 'adult'.
        sleeve: covered share of the arm, -1 for no upper garment. trousers: share of the leg.
        waist: height 0..1 at which the upper garment meets the lower.
        neckline: `head` share up to which the upper garment reaches.
        feet: covered. mitten_left, mitten_right: worn.
        sock_left, sock_right: share of the leg beyond which a sock begins, `NO_SOCK` for none.
        nappy: thickness of the nappy, m. thickness: of the cloth, m. loose: how uneven it hangs.
        fastening: 0 none, 1 buttons, 2 zip, 3 a wrap's slanting seam. bib: fabric, -1 none.
        hat: index of `HATS`. hat_line, hat_slope: its edge, in face units (`face_map`).
        hat_rim: width of the rim, face units. hat_tip: how far the top stands off, m.
        upper, lower, extra, hat_fabric: fabrics; `lower` may be `NAPPY`.
        repeat: fabric repeats over one body length. shift: (2,) of the print.
    """

    kind: str
    sleeve: float
    trousers: float
    waist: float
    neckline: float
    feet: bool
    mitten_left: bool
    mitten_right: bool
    sock_left: float
    sock_right: float
    nappy: float
    thickness: float
    loose: float
    fastening: int
    bib: int
    hat: int
    hat_line: float
    hat_slope: float
    hat_rim: float
    hat_tip: float
    upper: int
    lower: int
    extra: int
    hat_fabric: int
    repeat: float
    shift: np.ndarray

    @classmethod
    def sample(cls, rng: np.random.Generator, fabrics: int) -> Outfit:
        """Draw an infant's: a nappy alone, a bodysuit, a sleepsuit, two pieces or nothing."""
        kind = str(rng.choice(list(INFANT_KINDS), p=list(INFANT_KINDS.values())))
        upper, lower = (int(i) for i in rng.integers(0, fabrics, 2))
        sleeve, trousers, feet, fastening = -1.0, 0.16, False, 0
        if kind == 'nappy':
            lower = NAPPY if rng.random() < 0.85 else lower
        elif kind == 'bodysuit':
            sleeve = float(rng.choice([0.06, rng.uniform(0.2, 0.4), rng.uniform(0.85, 1.0)]))
            lower = NAPPY if rng.random() < 0.3 else upper
            fastening = int(rng.choice([0, 1, 3], p=[0.6, 0.2, 0.2]))
        elif kind == 'sleepsuit':
            sleeve, lower = rng.uniform(0.85, 1.02), upper
            feet, fastening = rng.random() < 0.6, int(rng.choice([0, 1, 2, 3]))
            trousers = 1.2 if feet else rng.uniform(0.8, 1.05)
        elif kind == 'two_piece':
            sleeve, trousers = rng.uniform(0.1, 1.02), rng.uniform(0.25, 1.03)
            fastening = int(rng.choice([0, 1, 3], p=[0.7, 0.2, 0.1]))
        elif kind == 'bare':
            trousers = -1.0
        socks, mittens = rng.random(), rng.random()
        top = float(rng.uniform(0.72, 0.95))
        left, right = (socks < 0.35 or socks > 0.97), (socks < 0.33 or 0.93 < socks < 0.97)
        return cls(
            kind=kind, sleeve=float(sleeve), trousers=float(trousers),
            waist=float(rng.uniform(0.50, 0.57)), neckline=float(rng.uniform(0.05, 0.5)),
            feet=bool(feet), mitten_left=bool(mittens < 0.1 or mittens > 0.98),
            mitten_right=bool(mittens < 0.1), sock_left=top if left else NO_SOCK,
            sock_right=top if right else NO_SOCK,
            nappy=float(rng.uniform(0.005, 0.018)) if kind != 'bare' else 0.0,
            thickness=float(rng.uniform(0.001, 0.007)), loose=float(rng.uniform(0, 1)),
            fastening=fastening, bib=int(rng.integers(fabrics)) if rng.random() < 0.07 else -1,
            **_sample_hat(rng, fabrics, 0.16), upper=upper, lower=lower,
            extra=int(rng.integers(fabrics)), repeat=float(rng.uniform(1.5, 7.0)),
            shift=rng.uniform(0, 1, 2))

    @classmethod
    def sample_adult(cls, rng: np.random.Generator, fabrics: int) -> Outfit:
        """Draw an adult's: a top with any sleeves and trousers, shorts or a short skirt."""
        shoes = rng.random() < 0.6
        top = float(rng.uniform(0.85, 0.98)) if shoes else NO_SOCK
        return cls(
            kind='adult',
            sleeve=float(rng.choice([0.05, rng.uniform(0.2, 0.4), rng.uniform(0.8, 1.02)])),
            trousers=float(rng.choice([rng.uniform(0.25, 0.5), rng.uniform(0.9, 1.05)],
                                      p=[0.25, 0.75])),
            waist=float(rng.uniform(0.48, 0.58)), neckline=float(rng.uniform(0.02, 0.4)),
            feet=False, mitten_left=False, mitten_right=False, sock_left=top, sock_right=top,
            nappy=float(rng.uniform(0.0, 0.008)), thickness=float(rng.uniform(0.004, 0.018)),
            loose=float(rng.uniform(0, 1)),
            fastening=int(rng.choice([0, 1, 2], p=[0.7, 0.2, 0.1])), bib=-1,
            **_sample_hat(rng, fabrics, 0.1), upper=int(rng.integers(fabrics)),
            lower=int(rng.integers(fabrics)), extra=int(rng.integers(fabrics)),
            repeat=float(rng.uniform(2.0, 12.0)), shift=rng.uniform(0, 1, 2))

    def offsets_m(self) -> np.ndarray:
        """(V,) how far cloth stands off the skin, m."""
        where, face, cover = tailor_map(), face_map(), self.covers()
        uneven = 1.0 + self.loose * 0.8 * np.sin(
            40 * where.height + 9 * where.arm + 7 * face[:, 0]) * (where.front + 0.3)
        body = self.thickness * uneven * (cover['top'] | cover['bottom'] | cover['sock'])
        around = np.exp(-((where.height - 0.47) / 0.05) ** 2) * (where.arm < 0.02) * (
            where.leg < 0.3)
        padding = self.nappy * around * (self.trousers > 0)
        hat = np.zeros(len(where.arm))
        if self.hat:
            above = np.clip((face[:, 2] - 0.6) / 1.2, 0, 1)
            edge = face[:, 2] - self.hat_line + self.hat_slope * face[:, 1]
            rim = (edge < self.hat_rim) * 0.004
            hat = cover['hat'] * (0.003 + self.thickness + rim + self.hat_tip * above ** 2)
        return (body + padding + hat).astype(np.float32)

    def covers(self) -> dict[str, np.ndarray]:
        """Which vertices (V,) the top, the bottom (with nappy), socks, mittens and hat cover."""
        where, face = tailor_map(), face_map()
        torso = (where.arm < 0.02) & (where.leg < 0.14)
        top = (self.sleeve >= 0) & (where.head < self.neckline) & (where.hand < 0.4) & (
            (torso & (where.height >= self.waist))
            | ((where.arm >= 0.02) & (where.arm <= self.sleeve)))
        bottom = (where.arm < 0.02) & (where.height < self.waist) & (
            where.leg <= self.trousers) & ((where.foot < 0.5) | self.feet)
        left = face[:, 3] > 0
        sock = np.where(left, self.sock_left, self.sock_right)
        mitten = np.where(left, self.mitten_left, self.mitten_right) & (where.hand > 0.3)
        hat = (self.hat > 0) & (where.head > 0.7) & (
            face[:, 2] > self.hat_line - self.hat_slope * face[:, 1])
        return {'top': top, 'bottom': bottom, 'mitten': mitten, 'hat': hat,
                'sock': (where.leg > sock) | ((where.foot > 0.5) & (sock < NO_SOCK))}


def _sample_hat(rng: np.random.Generator, fabrics: int, share: float) -> dict:
    hat = int(rng.integers(1, len(HATS))) if rng.random() < share else 0
    slope = {0: 0.5, 1: rng.uniform(0.25, 0.5), 2: rng.uniform(0.9, 1.3),
             3: rng.uniform(0.4, 0.8)}[hat]
    return {'hat': hat, 'hat_line': float(rng.uniform(0.55, 1.1)), 'hat_slope': float(slope),
            'hat_rim': float(rng.choice([0.0, rng.uniform(0.2, 0.6)])),
            'hat_tip': float(rng.uniform(0.0, 0.045)) if hat == 3 else 0.0,
            'hat_fabric': int(rng.integers(fabrics))}


@dataclass(frozen=True, eq=False)
class Complexion:
    """Skin, hair and face.

    Attributes:
        skin, hair, iris: (3,) RGB 0..1. redness: of face, hands and feet, 0..1.
        mottle: strength of blotches, 0..1. hands: brightness of hands and feet against the body.
        hair_kind: 0 none, 1 fuzz, 2 full, 3 long. hairline: its edge, face units.
        eyes_open, mouth_open: seen so. brows: strength 0..1. pacifier: fabric, -1 none.
    """

    skin: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    redness: float
    mottle: float
    hands: float
    hair_kind: int
    hairline: float
    eyes_open: bool
    mouth_open: bool
    brows: float
    pacifier: int

    @classmethod
    def sample(cls, rng: np.random.Generator, fabrics: int, adult: bool = False) -> Complexion:
        """Draw over the whole human range."""
        tone = rng.beta(1.3, 1.0)
        skin = _SKIN_DARK + tone * (_SKIN_LIGHT - _SKIN_DARK) + rng.normal(0, 0.02, 3)
        dark = 4 if tone > 0.45 else 3
        hair = _HAIR[rng.integers(6 if adult else min(dark + 1, 5))]
        kind = rng.choice([0, 1, 2, 3], p=[0.06, 0.14, 0.4, 0.4] if adult
                          else [0.25, 0.35, 0.4, 0.0])
        newborn_red = rng.random() < 0.2
        return cls(
            skin=np.clip(skin, 0.05, 1.0), hair=hair * rng.uniform(0.7, 1.25),
            iris=_IRIS[rng.integers(4 if tone > 0.5 else 2)],
            redness=float(rng.uniform(0.4, 1.0) if newborn_red else rng.uniform(0.0, 0.5)),
            mottle=float(rng.beta(1, 3)), hands=float(np.clip(rng.normal(1.0, 0.08), 0.8, 1.2)),
            hair_kind=int(kind), hairline=float(rng.uniform(0.9, 1.5)),
            eyes_open=bool(rng.random() < (0.9 if adult else 0.6)),
            mouth_open=bool(rng.random() < 0.25),
            brows=float(rng.beta(1.5, 1.5) if adult else rng.beta(1, 2.5)),
            pacifier=int(rng.integers(fabrics)) if not adult and rng.random() < 0.08 else -1)

    def offsets_m(self) -> np.ndarray:
        """(V,) how far hair stands off the skin, m."""
        face = face_map()
        on = (tailor_map().head > 0.7) & (face[:, 2] > self.hairline - 1.0 * face[:, 1])
        thick = (0.0, 0.0, 0.005, 0.016)[self.hair_kind]
        return (thick * on * (1 + 0.3 * np.sin(9 * face[:, 0] + 7 * face[:, 2]))).astype(
            np.float32)


@dataclass(frozen=True, eq=False)
class Person:
    """A body in the picture: `vertices_m`, `rest_m` (V, 3), its looks, and its owner number."""

    vertices_m: np.ndarray
    rest_m: np.ndarray
    outfit: Outfit
    complexion: Complexion
    owner: int
