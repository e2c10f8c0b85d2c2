"""Image sets and weights made to do harm: refused, with nothing run, written or filled."""

import gzip
import io
import os
import pickle
import shutil
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import torch
from offmanifold.jobs.report.table_files import write_table_files
from offmanifold.workers.datasets import DatasetError, ImageError, ImageSet, open_dataset
from offmanifold.workers.datasets.picture import read_picture
from offmanifold.workers.datasets.picture_rule import PictureRule
from offmanifold.workers.generators import GeneratorError, open_generator
from offmanifold.workers.lpips_backbone import PerceptualError, open_perceptual
from PIL import Image

SHIPPED = Path(__file__).parents[2] / "workers" / "weights" / "digits"


def save_picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)


def open_folder(path: Path, **options: Any) -> ImageSet:
    return open_dataset("folder", path=path, image_shape=(1, 8, 8), **options)


class TestLinks:
    @pytest.mark.parametrize("link", ["secret.png", "class"])
    def test_a_link_out_of_the_folder_is_refused(self, tmp_path: Path, link: str) -> None:
        save_picture(tmp_path / "outside" / "secret.png")
        save_picture(tmp_path / "set" / ("a.png" if "." in link else "other/a.png"))
        target = tmp_path / "outside" / (link if "." in link else "")
        (tmp_path / "set" / link).symlink_to(target)
        with pytest.raises(DatasetError, match=rf"{link} is a link that leads out of .*/set"):
            open_folder(tmp_path / "set")

    def test_a_link_inside_the_folder_is_followed(self, tmp_path: Path) -> None:
        save_picture(tmp_path / "a.png")
        (tmp_path / "b.png").symlink_to("a.png")
        images = open_folder(tmp_path)
        np.testing.assert_array_equal(images.image(0)[0], images.image(1)[0])

    def test_a_file_that_becomes_a_link_later_is_one_failed_image(self, tmp_path: Path) -> None:
        save_picture(tmp_path / "outside.png")
        save_picture(tmp_path / "set" / "a.png")
        images = open_folder(tmp_path / "set")
        before = images.hash()
        (tmp_path / "set" / "a.png").unlink()
        (tmp_path / "set" / "a.png").symlink_to(tmp_path / "outside.png")
        with pytest.raises(ImageError, match="leads out of"):
            images.image(0)
        assert images.hash() != before

    def test_a_split_cannot_leave_the_folder(self, tmp_path: Path) -> None:
        save_picture(tmp_path / "outside" / "a.png")
        (tmp_path / "set").mkdir()
        for split in ("../outside", str(tmp_path / "outside")):
            with pytest.raises(DatasetError, match="name a folder inside it"):
                open_folder(tmp_path / "set", split=split)

    def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "a.png")
        images = open_folder(tmp_path)
        with pytest.raises(ImageError, match="is not a file"):
            images.image(0)
        assert images.hash()


class TestBombs:
    def test_a_picture_is_judged_by_its_header(self, tmp_path: Path) -> None:
        # 144 megapixels in 140 kB.
        rows = zlib.compressobj(9)
        data = b"".join(rows.compress(bytes(12_001)) for _ in range(12_000)) + rows.flush()
        (tmp_path / "a.png").write_bytes(
            b"\x89PNG\r\n\x1a\n"
            + _png_chunk(b"IHDR", struct.pack(">2I5B", 12_000, 12_000, 8, 0, 0, 0, 0))
            + _png_chunk(b"IDAT", data)
            + _png_chunk(b"IEND", b"")
        )
        assert (tmp_path / "a.png").stat().st_size < 200_000
        with (
            pytest.warns(Image.DecompressionBombWarning),
            pytest.raises(ImageError, match=r"a\.png has shape 1x12000x12000"),
        ):
            open_folder(tmp_path).image(0)

    def test_only_pictures_are_opened_as_pictures(self, tmp_path: Path) -> None:
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.eps")
        (tmp_path / "a.eps").rename(tmp_path / "a.png")
        with pytest.raises(ImageError, match="not an image"):
            open_folder(tmp_path).image(0)

    def test_an_array_is_judged_by_its_header(self, tmp_path: Path) -> None:
        np.lib.format.write_array_header_1_0(
            (tmp_path / "claims.npy").open("wb"),
            {"descr": "<f4", "fortran_order": False, "shape": (1, 10**6, 10**6)},
        )
        shutil.copy(tmp_path / "claims.npy", tmp_path / "sparse.npy")
        os.truncate(tmp_path / "sparse.npy", 2**42)
        images = open_folder(tmp_path)
        with pytest.raises(ImageError, match=r"claims\.npy is not a whole"):
            images.image(0)
        with pytest.raises(ImageError, match=r"sparse\.npy is too large"):
            images.image(1)
        assert images.hash()

    def test_a_gzip_file_is_expanded_no_further_than_it_says(self, tmp_path: Path) -> None:
        for name, header, data in (
            ("images-idx3", struct.pack(">4I", 2051, 10, 28, 28), bytes(2**28)),
            ("labels-idx1", struct.pack(">2I", 2049, 10), bytes(10)),
        ):
            path = tmp_path / f"train-{name}-ubyte.gz"
            path.write_bytes(gzip.compress(header + data, compresslevel=1))
        tracemalloc.start()
        with pytest.raises(DatasetError, match="more bytes of data, but its header says 7840"):
            open_dataset("fashion_mnist", split="train", path=tmp_path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2**25

    @pytest.mark.parametrize("sizes", [(2**32 - 1, 28, 28), (10, 2**31, 2**31)])
    def test_an_idx_header_is_not_believed(self, tmp_path: Path, sizes: tuple[int, ...]) -> None:
        path = tmp_path / "train-images-idx3-ubyte"
        path.write_bytes(struct.pack(">4I", 2051, *sizes) + bytes(7840))
        with pytest.raises(DatasetError, match=r"at most 1,073,741,824 bytes"):
            open_dataset("fashion_mnist", split="train", path=tmp_path)

    @pytest.mark.parametrize(("width", "message"), [(60_000, "size mismatch"), (10**9, "at most")])
    def test_a_config_takes_no_more_memory_than_its_weights(
        self, tmp_path: Path, width: int, message: str
    ) -> None:
        # A width of 60,000 would be 14 GB a layer.
        shutil.copytree(SHIPPED, tmp_path / "model")
        config = tmp_path / "model" / "config.json"
        text = config.read_text()
        assert '"width": 128,' in text
        config.write_text(text.replace('"width": 128,', f'"width": {width},', 1))
        with pytest.raises(GeneratorError, match=message):
            open_generator(str(tmp_path / "model"))

    @pytest.mark.parametrize("content", [b"[" * 2**17, b"[" + b"[]," * 2**17 + b"0]", b" " * 2**21])
    def test_a_config_is_small(self, tmp_path: Path, content: bytes) -> None:
        shutil.copytree(SHIPPED, tmp_path / "model")
        (tmp_path / "model" / "config.json").write_bytes(content)
        with pytest.raises(GeneratorError, match=r"more than 65,536 lists|2,097,152 bytes"):
            open_generator(str(tmp_path / "model"))

    def test_a_list_of_classes_has_a_few_lists_a_picture(self, tmp_path: Path) -> None:
        Image.new("L", (8, 8)).save(tmp_path / "a.png")
        (tmp_path / "dataset.json").write_bytes(b'{"labels": [' + b"[]," * 2**17 + b"0]}")
        with pytest.raises(DatasetError, match="more than 65,536 lists"):
            open_dataset("folder", split="", path=tmp_path, image_shape=(1, 8, 8))


class TestPicturesCutShort:
    @pytest.mark.parametrize(
        ("kind", "options"),
        [
            ("BMP", {}),
            ("GIF", {}),
            ("TIFF", {}),
            ("TIFF", {"compression": "tiff_lzw"}),
            ("TIFF", {"compression": "jpeg"}),
            ("WEBP", {"lossless": True}),
            ("WEBP", {}),
        ],
    )
    def test_a_picture_that_ends_early_is_not_filled_up(
        self, kind: str, options: dict[str, Any]
    ) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (40, 56), dtype=np.uint8)
        picture = Image.fromarray(pixels)
        stream = io.BytesIO()
        (picture.convert("RGB") if kind == "WEBP" else picture).save(stream, kind, **options)
        whole = stream.getvalue()
        rule = PictureRule((3, 40, 56), None, None)
        expected = read_picture(whole, "a", rule)
        for cut in range(12, len(whole), 37):
            try:
                found = read_picture(whole[:cut], "a", rule)
            except ImageError:
                continue
            # What comes after the pixels may be missing.
            assert (found == expected).all()

    @pytest.mark.parametrize("progressive", [False, True])
    @pytest.mark.parametrize("restarts", [0, 3])
    def test_a_jpeg_with_an_early_end_is_not_filled_up(
        self, progressive: bool, restarts: int
    ) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
        stream = io.BytesIO()
        options = {"progressive": progressive, "restart_marker_blocks": restarts}
        Image.fromarray(pixels).save(stream, "JPEG", **options)
        whole, rule = stream.getvalue(), PictureRule((3, 40, 56), None, None)
        assert read_picture(whole, "a.jpg", rule).shape == (3, 40, 56)
        start = whole.index(b"\xff\xda") + 20
        for cut in range(start, len(whole) - 2, 23):
            # What follows may be the tables of a later scan, and then is damage of another kind.
            for rest in (b"",) if progressive else (b"", whole[cut:]):
                with pytest.raises(ImageError, match=r"a\.jpg is damaged"):
                    read_picture(whole[:cut] + b"\xff\xd9" + rest, "a.jpg", rule)

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"])
    @pytest.mark.filterwarnings("ignore:Corrupt EXIF data", "ignore:Truncated File Read")
    def test_a_picture_that_is_cut_is_refused(self, kind: str) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, kind)
        whole, rule = stream.getvalue(), PictureRule((3, 12, 12), None, None)
        for cut in range(1, len(whole), max(1, len(whole) // 60)):
            with pytest.raises(ImageError):
                read_picture(whole[:cut], "a", rule)


class TestNames:
    def test_a_name_that_is_no_text_is_refused_in_a_sentence(self, tmp_path: Path) -> None:
        save_picture(tmp_path / "a.png")
        (tmp_path / "a.png").rename(tmp_path / os.fsdecode(b"caf\xe9.png"))
        with pytest.raises(DatasetError, match=r"'caf\\udce9\.png', whose name is not UTF-8"):
            open_folder(tmp_path)

    def test_a_name_in_a_zip_that_is_no_text_is_refused_or_read(self, tmp_path: Path) -> None:
        save_picture(tmp_path / "a.png")
        with zipfile.ZipFile(tmp_path / "plain.zip", "w") as archive:
            archive.write(tmp_path / "a.png", "caf_.png")
        content = (tmp_path / "plain.zip").read_bytes().replace(b"caf_", b"caf\xe9")
        (tmp_path / "plain.zip").write_bytes(content)
        images = open_dataset("zip", path=tmp_path / "plain.zip", image_shape=(1, 8, 8))
        images.image(0)
        assert images.source(0).encode().endswith(b".png")
        # The same name, said to be UTF-8.
        with zipfile.ZipFile(tmp_path / "said.zip", "w") as archive:
            archive.write(tmp_path / "a.png", "caf\u00e9_.png")
        content = (tmp_path / "said.zip").read_bytes()
        (tmp_path / "said.zip").write_bytes(content.replace(b"caf\xc3\xa9_", b"caf\xe9__"))
        with pytest.raises(DatasetError, match=r"said\.zip is not a whole zip archive"):
            open_dataset("zip", path=tmp_path / "said.zip", image_shape=(1, 8, 8))


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.marker),)


class TestPickles:
    def test_a_payload_stays_inert(self, tmp_path: Path) -> None:
        marker = tmp_path / "ran"
        payload = pickle.dumps(Payload(marker))
        pickle.loads(payload)
        assert marker.exists()
        marker.rmdir()

        device = torch.device("cpu")
        (tmp_path / "bare.pth").write_bytes(payload)
        torch.save({"features.0.weight": Payload(marker)}, tmp_path / "state.pth")
        for name in ("bare.pth", "state.pth"):
            with pytest.raises(PerceptualError, match="not a readable state dict"):
                open_perceptual("alex", str(tmp_path / name), device)

        shutil.copytree(SHIPPED, tmp_path / "model")
        (tmp_path / "model" / "model.safetensors").write_bytes(payload)
        with pytest.raises(GeneratorError, match="not a whole safetensors file"):
            open_generator(str(tmp_path / "model"))

        (tmp_path / "set").mkdir()
        np.save(tmp_path / "set" / "a.npy", np.array([Payload(marker)]), allow_pickle=True)
        with pytest.raises(ImageError, match="not a whole"):
            open_folder(tmp_path / "set").image(0)
        assert not marker.exists()


class TestArchives:
    @pytest.mark.parametrize("name", ["../../escaped", "/escaped"])
    def test_an_entry_that_leads_out_is_not_unpacked(self, tmp_path: Path, name: str) -> None:
        torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "w.pth")
        with zipfile.ZipFile(tmp_path / "w.pth", "a") as archive:
            archive.writestr(name, "outside")
        with pytest.raises(PerceptualError, match="missing or misshapen"):
            open_perceptual("alex", str(tmp_path / "w.pth"), torch.device("cpu"))
        assert [path.name for path in tmp_path.iterdir()] == ["w.pth"]
        assert not (tmp_path.parent.parent / "escaped").exists()

    def test_a_compressed_entry_is_refused(self, tmp_path: Path) -> None:
        torch.save({"features.0.weight": torch.zeros(2**20)}, tmp_path / "plain.pth")
        with (
            zipfile.ZipFile(tmp_path / "plain.pth") as plain,
            zipfile.ZipFile(tmp_path / "w.pth", "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            for entry in plain.namelist():
                archive.writestr(entry, plain.read(entry))
        with pytest.raises(PerceptualError, match="compressed or overlapping"):
            open_perceptual("alex", str(tmp_path / "w.pth"), torch.device("cpu"))


def test_no_cell_of_a_csv_is_a_formula(tmp_path: Path) -> None:
    texts = ["=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(1)", "\tx", "\r=1", "plain", "a=b", None]
    table = pa.table({"image": texts, "value": [-1.0] * len(texts)})
    text, columns = write_table_files(table, tmp_path / "a.b")
    assert [text.name, columns.name] == ["a.b.csv", "a.b.parquet"]
    read = pa.csv.read_csv(
        text,
        convert_options=pa.csv.ConvertOptions(strings_can_be_null=True, null_values=[""]),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
    )
    assert read["value"].to_pylist() == [-1.0] * len(texts)
    expected = ["'" + t if t and t[0] in "=+-@\t\r" else t for t in texts]
    assert read["image"].to_pylist() == expected
    assert pa.parquet.read_table(columns)["image"].to_pylist() == texts
