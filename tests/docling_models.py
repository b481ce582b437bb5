"""A folder of models for docling, made on the spot: ``python -m tests.docling_models FOLDER``.

docling's own layout model and table model lie on a hub that not every machine reaches. These have their architectures and files,
so that docling loads and asks them as it does its own. The layout model is small and has learned, in some minutes, to find
headings and paragraphs in one or two columns on pages like those that are drawn here, and nothing else. The table model has
learned nothing, and is never asked, since no tables are found. The models that read letters are real: the wheel of rapidocr
brings them.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.pdf import pdf_drawing

LABELS = ("text", "section_header")
WIDTH, HEIGHT, SIDE = 612, 792, 192
_PAGES, _STEPS, _BATCH = 600, 900, 8
_WORDS = "bees dance to tell the others where flowers are for honey keeps for years as it holds so little water".split()
_TAGS = ("<pad>", "<unk>", "<start>", "<end>", "ecel", "fcel", "lcel", "ucel", "xcel", "nl", "ched", "rhed", "srow")


@dataclass(frozen=True, slots=True)
class Passage:
    """A heading or a paragraph on a page."""

    label: int
    lines: tuple[str, ...]
    left: float
    top: float
    """From the top of the page."""

    @property
    def size(self) -> int:
        """Of its letters, in points."""
        return 26 if self.label else 12

    @property
    def stream(self) -> str:
        """What draws it."""
        shown = " ".join(f"({line}) Tj 0 -16 Td" for line in self.lines)
        return f"BT /F{1 + self.label} {self.size} Tf {self.left} {HEIGHT - self.top - self.size} Td {shown} ET"


def shown(*streams: str) -> npt.NDArray[np.uint8]:
    """Return how a page looks, one pixel a point."""
    import pypdfium2 as pdfium

    pixels: npt.NDArray[np.uint8] = pdfium.PdfDocument(pdf_drawing("\n".join(streams)))[0].render(grayscale=True).to_numpy()
    return pixels


def passages(chance: random.Random) -> list[Passage]:
    """Write a page in one or two columns."""
    columns, found = chance.choice((1, 2)), []
    for column in range(columns):
        left, top, letters = 72 + 248 * column, 60 + chance.randint(0, 40), 78 if columns == 1 else 36
        for _ in range(chance.randint(1, 2)):
            if chance.random() < 0.8:
                found.append(Passage(1, (_line(chance, letters * 2 // 5),), left, top))
                top += 26 + chance.randint(14, 24)
            lines = tuple(_line(chance, letters) for _ in range(chance.randint(3, 9)))
            found.append(Passage(0, lines, left, top))
            top += 16 * len(lines) + chance.randint(30, 50)
    return found


def write_models(folder: Path) -> None:
    """Write the folder that ``DOCLING_ARTIFACTS_PATH`` names."""
    import rapidocr

    _write_layout(folder / "docling-project--docling-layout-heron")
    _write_tables(folder / "docling-project--docling-models" / "model_artifacts" / "tableformer" / "accurate")
    shutil.copytree(Path(rapidocr.__file__).parent / "models", folder / "RapidOcr", dirs_exist_ok=True)


def _line(chance: random.Random, letters: int) -> str:
    line = chance.choice(_WORDS).capitalize()
    while len(line) + 1 + len(word := chance.choice(_WORDS)) <= letters:
        line += f" {word}"
    return line


def _write_layout(folder: Path) -> None:
    import torch
    from transformers import RTDetrImageProcessor, RTDetrResNetConfig, RTDetrV2Config, RTDetrV2ForObjectDetection

    torch.manual_seed(0)
    eyes = RTDetrResNetConfig(
        embedding_size=16,
        hidden_sizes=[16, 32, 64, 96],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    small = dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim"), 128) | dict.fromkeys(("d_model", "encoder_hidden_dim"), 64)
    small |= dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 4)
    config = RTDetrV2Config(
        backbone_config=eyes,
        encoder_in_channels=[32, 64, 96],
        decoder_in_channels=[64, 64, 64],
        decoder_layers=2,
        num_queries=24,
        num_denoising=24,
        freeze_backbone_batch_norms=False,
        initializer_bias_prior_prob=0.02,
        id2label=dict(enumerate(LABELS)),
        label2id={label: number for number, label in enumerate(LABELS)},
        **small,
    )
    model = RTDetrV2ForObjectDetection(config)
    _teach(model)
    model.save_pretrained(folder)
    RTDetrImageProcessor(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)


def _teach(model: Any) -> None:
    import torch
    from PIL import Image

    chance = random.Random(0)
    pages = []
    for _ in range(_PAGES):
        found = passages(chance)
        whole = Image.fromarray(shown(*(one.stream for one in found)))
        small = np.asarray(whole.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
        boxes = torch.tensor([_box(shown(one.stream)) for one in found], dtype=torch.float32)
        pages.append((small, {"class_labels": torch.tensor([one.label for one in found]), "boxes": boxes}))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    pace = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.5e-3, total_steps=_STEPS, pct_start=0.1)
    model.train()
    began = time.monotonic()
    for step in range(_STEPS):
        some = [pages[place] for place in chance.sample(range(_PAGES), _BATCH)]
        pixels = torch.from_numpy(np.stack([page for page, _ in some])).float().div(255)[:, None].expand(-1, 3, -1, -1)
        loss = model(pixel_values=pixels, labels=[labels for _, labels in some]).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        pace.step()
        if step % 50 == 0:
            print(f"step {step} of {_STEPS}: loss {loss.item():.2f}, {time.monotonic() - began:.0f} s", flush=True)
    model.eval()


def _box(pixels: npt.NDArray[np.uint8]) -> tuple[float, ...]:
    """Return the centre and the size of what is drawn, as shares of the page."""
    rows, columns = (np.nonzero((pixels < 200).any(axis))[0] for axis in (1, 0))
    top, bottom, left, right = rows[0] / HEIGHT, (rows[-1] + 1) / HEIGHT, columns[0] / WIDTH, (columns[-1] + 1) / WIDTH
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top


def _write_tables(folder: Path) -> None:
    from docling_ibm_models.tableformer.models.table04_rs.tablemodel04_rs import TableModel04_rs
    from safetensors.torch import save_model

    folder.mkdir(parents=True, exist_ok=True)
    sizes = dict.fromkeys(("hidden_dim", "tag_decoder_dim", "bbox_attention_dim", "bbox_embed_dim"), 32)
    sizes |= dict.fromkeys(("tag_attention_dim", "tag_embed_dim"), 16) | {"enc_layers": 1, "dec_layers": 1, "nheads": 2}
    words = {"word_map_tag": {tag: number for number, tag in enumerate(_TAGS)}, "word_map_cell": {"<pad>": 0}}
    config = {
        "dataset": {"name": "none", "image_normalization": {"mean": [0.9] * 3, "std": [0.2] * 3}, "resized_image": 448},
        "dataset_wordmap": words,
        "model": {
            "type": "TableModel04_rs",
            "name": "none",
            "save_dir": "",
            "enc_image_size": 28,
            "dropout": 0.1,
            "bbox_classes": 2,
        }
        | sizes,
        "train": {"bbox": True},
        "predict": {"max_steps": 50, "beam_size": 1, "bbox": True, "pdf_cell_iou_thres": 0.05},
    }
    (folder / "tm_config.json").write_text(json.dumps(config), "utf-8")
    save_model(TableModel04_rs(config, {"word_map": words}, "cpu"), str(folder / "tableformer_accurate.safetensors"))


if __name__ == "__main__":
    write_models(Path(sys.argv[1]))
