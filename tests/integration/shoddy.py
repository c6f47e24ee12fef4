"""What a camera's card can hold: broken, odd and mislabelled files; and models like them."""

from __future__ import annotations

import os
import random
import re
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import onnx
from onnx import helper, numpy_helper
from PIL import Image

from grange.pipelines.wildlife.models.registry import Models
from tests.pipelines.wildlife.media.filming import film, looped
from tests.pipelines.wildlife.models.graphs import Made, Thing, yolo

Said = dict[str, Any]

# Found in every picture, the surer the lighter it is.
INPUT = (96, 160)
PLACE = (0.2, 0.4, 0.3, 0.2)
FINDER = Thing(PLACE[0] + PLACE[2] / 2, PLACE[1] + PLACE[3] / 2, PLACE[2], PLACE[3], 0.9)
# In darker pictures than this the detector's numbers are none.
DARK = 0.05
LIGHT = (220, 220, 220)
TAKEN = datetime(2026, 5, 4, 6, 12, 30, tzinfo=UTC)
HOURS = 10
MINUTE = Fraction(1, 60)
WIDE = (7680, 4320)

ODD_NAMES = [
    b"two  blanks .mp4",
    b'it\'s "my" deer.mp4',
    b"new\nline.mp4",
    b"-rf.mp4",
    b"100% %41%s {input}.mp4",
    "größe 日本 🦊 e\u0301.mp4".encode(),
    b"no\xff\xfetext.mp4",
    b"a:b#c?d=e&f.mp4",
    b"<img src=x onerror=alert(1)>.mp4",
    b"DCIM.MP4",
]
ODD_EMPTY = b'"it\'s" <b>100%\xff\n.mp4'


def told(name: bytes) -> str:
    """A name as the account tells it: bytes that are no text are escaped."""
    known = os.fsdecode(name).encode("utf-8", "backslashreplace")
    return known.decode()


def place_in(width: int, height: int) -> tuple[float, float, float, float]:
    """Where the detector's animal is in a picture that was set between its bars."""
    high, wide = INPUT
    scale = min(wide / width, high / height)
    across, down = wide / (width * scale), high / (height * scale)
    x, y, w, h = PLACE
    left, right = (min(max((at - 0.5) * across + 0.5, 0), 1) for at in (x, x + w))
    top, bottom = (min(max((at - 0.5) * down + 0.5, 0), 1) for at in (y, y + h))
    return left, top, right - left, bottom - top


def write_broken(folder: Path) -> dict[str, str]:
    """Write files that can't be worked on; gives the sentence that must be said of each."""
    clip = film(folder / "whole.mp4", 30).read_bytes()
    motion = film(folder / "motion.avi", 20, codec="mjpeg")
    still = folder / "still.jpg"
    noise = np.random.default_rng(1).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    Image.fromarray(noise).save(still)
    Image.fromarray(noise).save(folder / "still.png")
    contents = {
        "creek/cut.mp4": (clip[: len(clip) // 2], "is an MP4 without its index: .* was cut off"),
        "empty.mp4": (b"", "is empty"),
        "empty.jpg": (b"", "is empty"),
        "diary.mp4": (b"Today I saw a deer.\n" * 99, "is neither a video nor a picture"),
        "diary.jpg": (b"Today I saw a deer.\n" * 99, "is neither a video nor a picture"),
        "zeros.avi": (bytes(9999), "is neither a video nor a picture"),
        "playlist.mp4": (b"#EXTM3U\n#EXTINF:9,\n/etc/passwd\n", "is neither a video nor a picture"),
        "noise.avi": (_silenced(motion), "holds a mjpeg video of which no frame can be decoded"),
        "cut.jpg": (_half(still), "is a damaged or cut-off JPEG picture of [0-9,]+ bytes"),
        "cut.png": (_half(folder / "still.png"), "is a damaged or cut-off PNG picture"),
    }
    (folder / os.fsdecode(ODD_EMPTY)).touch()
    for name, (content, _) in contents.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    for path in (folder / "whole.mp4", motion, still, folder / "still.png"):
        path.unlink()
    _record(folder / "sound.mp4")
    said = {name: said for name, (_, said) in contents.items()}
    said |= {"sound.mp4": "holds sound but no video", os.fsdecode(ODD_EMPTY): "is empty"}
    return {
        told(os.fsencode(name)): f"The input {re.escape(repr(Path(name).name))} {one}"
        for name, one in said.items()
    }


def write_odd(folder: Path) -> dict[str, Said]:
    """Write videos that can be worked on; gives what must be in each one's entry or record."""
    said: dict[str, Said] = {}
    film(folder / "one.mp4", 1)
    said["one.mp4"] = {"frames": 1, "frames_processed": [0], "width": 64, "height": 48}
    film(folder / "a film.jpg", 3, rate=5, container_options=None, kind="mp4")
    said["a film.jpg"] = {"frames": 3, "frames_processed": [0, 1, 2], "frame_rate": 5.0}
    film(folder / "turned.mp4", 4, rate=4, rotation=90)
    said["turned.mp4"] = {"width": 48, "height": 64, "frames_processed": [0, 1, 2, 3]}
    film(folder / "odd.mp4", 4, rate=4, size=(63, 47), pix_fmt="yuv444p")
    said["odd.mp4"] = {"width": 63, "height": 47, "frames": 4}
    fast = {"preset": "ultrafast", "crf": "40"}
    film(folder / "8k.mp4", 2, rate=2, size=WIDE, options=fast)
    said["8k.mp4"] = {"width": WIDE[0], "height": WIDE[1], "frames_processed": [0, 1]}
    times = [0, 300, 700, 1000, 1900, 2600]
    film(folder / "rate.mp4", 6, rate=25, times=times, time_base=Fraction(1, 1000), gop=2)
    said["rate.mp4"] = {
        "variable_rate": True,
        "frames_processed": [0, 1, 2, 3, 4, 5],
        "times": [0.0, 0.3, 0.7, 1.0, 1.9, 2.6],
    }
    _write_long(folder / "long.mkv")
    said["long.mkv"] = {"frames": HOURS * 60, "frames_processed": list(range(HOURS * 60))}
    said["long.mkv"]["seconds"] = HOURS * 3600
    return said | _write_damaged(folder) | _write_named(folder)


def write_stills(folder: Path) -> dict[str, Said]:
    """Write pictures that can be worked on; gives what must be in each one's entry."""
    picture = Image.new("RGB", (60, 40), LIGHT)
    picture.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    Image.fromarray(np.full((40, 60), 52_000, np.uint16)).save(folder / "deep.png")
    Image.fromarray(np.full((40, 60), 52_000, np.uint16)).save(folder / "deep.tif")
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = f"{TAKEN:%Y:%m:%d %H:%M:%S}"
    picture.save(folder / "turned.jpg", exif=exif)
    picture.save(folder / "a picture.mp4", "JPEG")
    flat = {"width": 60, "height": 40}
    return {
        **dict.fromkeys(("cmyk.jpg", "deep.png", "deep.tif", "a picture.mp4"), flat),
        "turned.jpg": {"width": 40, "height": 60, "datetime": "2026-05-04 06:12:30"},
    }


def write_dark(folder: Path) -> str:
    """Write the picture that makes no numbers."""
    Image.new("RGB", (60, 40)).save(folder / "night.png")
    return "night.png"


def _half(path: Path) -> bytes:
    content = path.read_bytes()
    return content[: len(content) // 2]


def _silenced(path: Path) -> bytes:
    """A video whose every frame is zeros."""
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as file:
        for packet in file.demux(video=0):
            if packet.size and packet.pos is not None:
                content[packet.pos + 8 : packet.pos + 8 + packet.size] = bytes(packet.size)
    return bytes(content)


def _record(path: Path) -> None:
    with av.open(str(path), "w") as file:
        sound = file.add_stream("aac", rate=16_000)
        for _ in range(20):
            silence = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            silence.sample_rate = 16_000
            for plane in silence.planes:
                plane.update(bytes(plane.buffer_size))
            file.mux(sound.encode(silence))
        file.mux(sound.encode(None))


def _write_long(path: Path) -> None:
    source = film(path.with_name("source.mp4"), 60, rate=MINUTE, gop=30, options={"bf": "0"})
    looped(path, source, HOURS * 3600)
    source.unlink()


def _write_damaged(folder: Path) -> dict[str, Said]:
    """Videos of which a part can be read: the right frames, and what is lost is said."""
    whole = film(folder / "cut.mkv", 100, rate=10, options={"bf": "0"}, grain=40)
    content = whole.read_bytes()
    whole.write_bytes(content[: int(len(content) * 0.6)])
    torn = film(folder / "torn.avi", 100, rate=10, options={"bf": "0"}, grain=40)
    changed = bytearray(torn.read_bytes())
    middle = len(changed) // 2
    changed[middle : middle + 400] = random.Random(1).randbytes(400)
    torn.write_bytes(changed)
    return {"cut.mkv": {"loss": "was cut off"}, "torn.avi": {"loss": "may look wrong"}}


def _write_named(folder: Path) -> dict[str, Said]:
    """The same short clip under every odd name."""
    content = film(folder / "named.mp4", 2, rate=5).read_bytes()
    (folder / "named.mp4").unlink()
    for name in ODD_NAMES:
        (folder / os.fsdecode(name)).write_bytes(content)
    return {told(name): {"frames": 2, "frames_processed": [0, 1]} for name in ODD_NAMES}


def add_finder(home: Path, folder: Path) -> str:
    """Add a detector that finds one animal in each picture, and whose numbers are none at night."""
    path = yolo([FINDER], 3, "yolov8", size=INPUT).write(folder / "finder.onnx")
    model = onnx.load(str(path))
    (lit,) = (node for node in model.graph.node if "light" in node.output)
    lit.output[0] = "lit"
    place = list(model.graph.node).index(lit) + 1
    for node in (
        # The root of what is below 0 is no number, and no number times 0 is none.
        helper.make_node("Sub", ["lit", "dark"], ["above"]),
        helper.make_node("Sqrt", ["above"], ["root"]),
        helper.make_node("Mul", ["root", "nothing"], ["nought"]),
        helper.make_node("Add", ["lit", "nought"], ["light"]),
    ):
        model.graph.node.insert(place, node)
        place += 1
    for name, value in (("dark", DARK), ("nothing", 0.0)):
        model.graph.initializer.append(
            numpy_helper.from_array(np.array(value, np.float32), name),
        )
    onnx.save(model, str(path))
    thresholds = {"typical_threshold": 0.2, "conservative_threshold": 0.05}
    classes = ["animal", "person", "vehicle"]
    return Models(home / "models").add(path, {"classes": classes} | thresholds).name


def write_no_layout(path: Path) -> Path:
    """Write a graph that gives one number for a picture."""
    return Made(fixed={"verdict": np.zeros((1, 2, 3, 5), np.float32)}).write(path)
